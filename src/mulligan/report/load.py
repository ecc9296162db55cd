"""A study's result as it lies in the store, checked against the study file and the store that are at hand."""

import json
from pathlib import Path
from typing import Any

from mulligan.flow import Road
from mulligan.store.store import Store
from mulligan.study.config import study_hash
from mulligan.study.execute import RESULT, read_json, study_folder
from mulligan.study.metric import find_score
from mulligan.study.plan import LaidStudy


def load_result(laid: LaidStudy, store: Store, file: Path) -> dict[str, Any]:
    """Return the result of the laid-out study; ValueError says what to do where there is none, or another one."""
    path = study_folder(laid, store) / RESULT
    result = read_json(path)
    if result is None:
        older = _other_results(laid, store)
        raise ValueError(
            f"{file}: no result of this study (hash {study_hash(laid.config)}) in {store.root}. {older}"
            f"Run `mulligan study run {file}` with the same --scale, --data and --store first."
        )
    _check_corpus(laid, store, result, path)
    return result


def _other_results(laid: LaidStudy, store: Store) -> str:
    """Return a sentence on results of the same question under another hash: another scale, or the file has changed."""
    asked = laid.config.model_dump(mode="json")
    found = []
    for path in sorted((store.root / "studies").glob(f"*/{RESULT}")):
        other = json.loads(path.read_text("utf-8"))["study"]
        if other["question"] == asked["question"]:
            changed = sorted(name for name in {**asked, **other} if asked.get(name) != other.get(name))
            found.append(f"{path.parent.name} (differs in {', '.join(changed)})")
    if not found:
        return ""
    listed = "; ".join(found)
    return f"There are results of the same question: {listed}: another --scale, or the file (or mulligan) changed since. "


def _check_corpus(laid: LaidStudy, store: Store, result: dict[str, Any], path: Path) -> None:
    """The hash of a study does not cover --data: raise ValueError where the result and the store tell different scores."""
    values = {(cell["arm"], cell["seed"]): cell["values"].get("primary") for cell in result["cells"]}
    for cell in laid.cells:
        if not isinstance(cell.road, Road):
            return
        score = find_score(cell.road, laid.config.metric)
        value = values.get((cell.arm.name, cell.seed))
        if value is not None and store.has(score.call):
            stored = store.open(score.call).summary()["bits_per_byte"]
            if stored != value:
                raise ValueError(
                    f"{path}: {cell.arm.name}, seed {cell.seed} scores {value}, and {stored} with the corpus given here. "
                    "Give the --data with which the study was run, or run it again."
                )
            return
