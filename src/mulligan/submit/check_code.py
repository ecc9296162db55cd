"""Checks of what lies in the folder: files, submission.json, the script, its helpers, requirements.txt."""

import re
import sys
from pathlib import Path

from mulligan.audit.finding import Finding, finding, not_checked
from mulligan.script.script_file import ScriptFile
from mulligan.submit.submission import Submission
from mulligan.submit.submitted import ABOUT, README, REQUIREMENTS, SCRIPT, Submitted, listed

STANDARD = frozenset({"torch", "numpy", "sentencepiece"})
"""What the challenge's own script imports, which a folder need not name."""
DISTRIBUTIONS = {
    "flash_attn_interface": ("flash_attn", "flash_attn_3", "flash_attn_interface"),
    "flash_attn": ("flash_attn", "flash_attn_3"),
    "yaml": ("pyyaml",),
    "sklearn": ("scikit_learn",),
    "huggingface_hub": ("huggingface_hub", "datasets"),
    "triton": ("triton", "torch"),
    "mamba_ssm": ("mamba_ssm",),
    "fla": ("flash_linear_attention", "fla"),
}
"""Modules whose distribution has another name, or that come with another one."""
CODE_SUFFIXES = (".py", ".pyx", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".so")


def files(folder: Submitted) -> tuple[Finding, ...]:
    """README.md, submission.json and train_gpt.py are there; a study is a write-up, its script may be left out."""
    wanted = [README, ABOUT] + ([] if folder.is_study else [SCRIPT])
    missing = [name for name in wanted if not (folder.folder / name).is_file()]
    there = f"{', '.join(wanted)} and {len(folder.logs)} logs, {len(folder.files)} files in all"
    return finding("files", f"missing: {', '.join(missing)}" if missing else None, there)


def schema(folder: Submitted) -> tuple[Finding, ...]:
    """submission.json is what the published schema asks for."""
    if isinstance(folder.about, Submission):
        empty = [name for name in ("author", "github_id") if not getattr(folder.about, name).strip()]
        return finding("submission.json", None, "valid" + (f"; still to fill in: {', '.join(empty)}" if empty else ""))
    return finding("submission.json", folder.about, "")


def script(folder: Submitted) -> tuple[Finding, ...]:
    """train_gpt.py parses, in every layer, and so do the other .py files; nothing is executed."""
    if folder.script is None:
        return not_checked("script", f"no {SCRIPT}")
    wrong = folder.script.error or (None if folder.script.trees[0].body else "train_gpt.py is empty")
    form = "packed, read without running it" if folder.script.is_packed else "plain source"
    return finding("script", wrong, f"parses; {form}")


def recipe(folder: Submitted) -> tuple[Finding, ...]:
    """The recipe is found in the script, without running it; a script of somebody else has none."""
    if folder.script is None or folder.script.error:
        return not_checked("recipe", "no script that could be read")
    found = folder.script.recipe
    if found is not None:
        from mulligan.core.canonical import digest

        return finding("recipe", None, f"embedded, sha256 {digest(found)[:16]}")
    if any(log.recipe_sha256 for log in folder.logs):
        return finding("recipe", "the logs name a recipe, and train_gpt.py holds none as a literal", "")
    return not_checked("recipe", "train_gpt.py holds none: not built by `mulligan submit build`")


def used_helpers(folder: Submitted) -> list[Path]:
    """Return the code files beside train_gpt.py that it imports or names: their bytes count."""
    if folder.script is None or folder.script.error:
        return []
    imported = folder.script.imported()
    return [
        path
        for path in folder.files
        if path.suffix in CODE_SUFFIXES
        and path != folder.script.path
        and ((path.suffix == ".py" and _module(path, folder.folder) in imported) or folder.script.mentions(path.name))
    ]


def _module(path: Path, folder: Path) -> str:
    first = path.relative_to(folder).parts[0]
    return first.removesuffix(".py")


def helpers(folder: Submitted) -> tuple[Finding, ...]:
    """All code that counts is in train_gpt.py: it reads no other code file of the folder."""
    if folder.script is None or folder.script.error:
        return not_checked("helpers", "no script that could be read")
    used = used_helpers(folder)
    others = [path.name for path in folder.files if path.suffix in CODE_SUFFIXES and path not in (*used, folder.script.path)]
    beside = f"train_gpt.py reads none; beside it, not read: {listed(others)}" if others else "no other code file"
    named = listed([f"{path.relative_to(folder.folder)} ({path.stat().st_size:,} bytes)" for path in used])
    wrong = f"train_gpt.py reads {named}; counted code lives in train_gpt.py alone" if used else None
    return finding("helpers", wrong, beside)


def foreign_imports(script: ScriptFile) -> list[str]:
    """Return the modules that a script needs and that Python does not bring."""
    needed = {name for name, must in script.imported().items() if must}
    return sorted(needed - set(sys.stdlib_module_names))


def requirements(folder: Submitted) -> tuple[Finding, ...]:
    """Every import is of the standard library, of the folder, or named in requirements.txt."""
    if folder.script is None or folder.script.error:
        return not_checked("requirements", "no script that could be read")
    path = folder.folder / REQUIREMENTS
    named = _named(path.read_text("utf-8", errors="replace")) if path.is_file() else set()
    local = {_module(file, folder.folder) for file in folder.files if file.suffix == ".py"}
    foreign = [name for name in foreign_imports(folder.script) if name not in local]
    known = named if path.is_file() else STANDARD
    missing = [name for name in foreign if not _provided(name, known)]
    where = "not in requirements.txt" if path.is_file() else f"no requirements.txt, and not of {', '.join(sorted(STANDARD))}"
    wrong = f"imports {listed(missing)}: {where}, and no file of the folder" if missing else None
    return finding("requirements", wrong, f"imports {listed(foreign) or 'nothing foreign'}, all named")


def _named(text: str) -> set[str]:
    lines = [line.split("#")[0].strip().lower().replace("-", "_") for line in text.splitlines()]
    return {re.split(r"[\s\[<>=!~;@]", line)[0] for line in lines if line and not line.startswith("_")}


def _provided(module: str, named: frozenset[str] | set[str]) -> bool:
    return any(name in named for name in (module.lower(), *DISTRIBUTIONS.get(module, ())))
