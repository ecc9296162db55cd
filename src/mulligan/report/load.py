"""A study's result as it lies in the store, checked against the study file and the store that are at hand."""

import json
from pathlib import Path
from typing import Any

from mulligan.store.store import Store
from mulligan.study.execute import RESULT, read_json, study_folder
from mulligan.study.plan import LaidStudy


def load_result(laid: LaidStudy, store: Store, file: Path) -> dict[str, Any]:
    """Return the result of the laid-out study; ValueError says what to do where there is none, or another one."""
    path = study_folder(laid, store) / RESULT
    result = read_json(path)
    if result is None:
        older = _other_results(laid, store)
        raise ValueError(
            f"{file}: no result of this study (hash {laid.hash}) in {store.root}. {older}"
            f"Run `mulligan study run {file}` with the same --scale, --data, --set and --store first."
        )
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
    why = "another --scale, --data or --set, or the file, its recipe or mulligan changed since"
    return f"There are results of the same question: {listed}: {why}. "
