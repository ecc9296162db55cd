"""Levers from files of the user's own: loaded by path or from the entry point `mulligan.levers`, each joins its choice.

Torch-free as long as the files are: a lever imports torch in the method that needs it.
"""

import ast
import hashlib
import importlib.util
import inspect
import sys
import traceback
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import Field

from mulligan.average.config import UserAverage
from mulligan.core.config import FrozenConfig, configs_of, kind_of
from mulligan.core.user_lever import UserLever
from mulligan.evaluate.config import UserWindows
from mulligan.lever_card import Card, card_in
from mulligan.model.kind import UserFeedForward
from mulligan.quantize.config import UserQuantizer
from mulligan.recipe import Recipe
from mulligan.train.config import UserLoader

OPEN = (UserFeedForward, UserLoader, UserAverage, UserQuantizer, UserWindows)
ENTRY_POINT = "mulligan.levers"
_loaded: dict[Path, list[type[UserLever]]] = {}


def load_lever_file(path: Path) -> list[type[UserLever]]:
    """Import a file and let its levers join the recipe; return them. Loading a file twice does nothing the second time.

    ValueError when there is no such file, when it cannot be imported, holds no lever, or takes a kind that is there already.
    """
    path = path.resolve()
    if path in _loaded:
        return _loaded[path]
    if not path.is_file():
        raise ValueError(f"{path}: no such file. Give the Python file of a lever.")
    name = f"mulligan_lever_{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    before = set(sys.modules)
    module = _imported(path, name)
    digest = _digest(path, before)
    levers = [
        found
        for found in vars(module).values()
        if inspect.isclass(found) and issubclass(found, UserLever) and found.__module__ == module.__name__
    ]
    if not levers:
        known = ", ".join(f"{base.__name__} ({base.path})" for base in OPEN)
        raise ValueError(f"{path}: holds no lever. A lever is a class that extends one of: {known}.")
    for lever in levers:
        lever.file_digest = digest
        _join(lever, path)
    _loaded[path] = levers
    return levers


def loaded_files() -> tuple[Path, ...]:
    """Return the files whose levers have joined: other processes of a run must load them too."""
    return tuple(_loaded)


def digest_of(file: Path) -> str:
    """Return the digest of a loaded file: the `source` of its levers in a recipe."""
    return _loaded[file][0].file_digest


def user_cards() -> list[Card]:
    """Return the cards of the levers that have joined, by their kind; a file's card is that of every lever in it."""
    cards = []
    for path, levers in _loaded.items():
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        cards += [card_in(kind_of(lever) or lever.__name__, lever.path.split(".")[0], docstring) for lever in levers]
    return cards


def load_installed_levers() -> None:
    """Load the lever files of installed packages that name a module in the entry point `mulligan.levers`."""
    for point in entry_points(group=ENTRY_POINT):
        spec = importlib.util.find_spec(point.value)
        if spec is None or spec.origin is None:
            raise ValueError(f"The entry point {ENTRY_POINT}: {point.name} = {point.value!r} is no module. Mend or remove it.")
        load_lever_file(Path(spec.origin))


def _digest(path: Path, before: set[str]) -> str:
    """Return 16 hex digits for a file and for what its import has loaded from the folder that it lies in, and below."""
    loaded = {name: getattr(module, "__file__", None) for name, module in sys.modules.items() if name not in before}
    beside = {Path(file).resolve() for file in loaded.values() if file and path.parent in Path(file).resolve().parents}
    text = b"".join(file.read_bytes() for file in sorted(beside | {path}))
    return hashlib.sha256(text).hexdigest()[:16]


def _imported(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: not a Python file. Give the .py file of a lever.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        where = raised_at(error, path)
        told = f" At {where}" if where else ""
        raise ValueError(f"{path}: cannot be imported: {type(error).__name__}: {error}.{told}") from error
    return module


def raised_at(error: BaseException, path: Path) -> str:
    """Return the innermost place in a file through which an error came, "file:line: source"; empty where it did not."""
    frames = [*traceback.extract_tb(error.__traceback__), *getattr(error, "real_stack", ())]  # what Dynamo was tracing
    inside = [frame for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    if isinstance(error, SyntaxError):
        return f"{error.filename or path}:{error.lineno}: {(error.text or '').strip()}"
    return f"{path}:{inside[-1].lineno}: {inside[-1].line}" if inside else ""


def _join(lever: type[UserLever], path: Path) -> None:
    """Add a lever to the union at its path, and build anew the schemas of the configs that hold it."""
    base = next((base for base in OPEN if issubclass(lever, base)), None)
    if base is None:
        raise ValueError(f"{path}: {lever.__name__} extends none of {', '.join(base.__name__ for base in OPEN)}.")
    if getattr(lever, base.gives) is getattr(base, base.gives):
        raise ValueError(f"{path}: {lever.__name__} does not define {base.gives}(), which a {base.__name__} must.")
    kind = lever.model_fields.get("kind")
    if kind is None or len(get_args(kind.annotation)) != 1:
        raise ValueError(f'{path}: {lever.__name__} has no kind. Write kind: Literal["its-name"].')
    owners, field = _owners(lever.path)
    info = owners[-1].model_fields[field]
    members = configs_of(info.annotation)
    taken = {name for member in members for name in get_args(member.model_fields["kind"].annotation)}
    (name,) = get_args(kind.annotation)
    if name in taken:
        raise ValueError(f"{path}: {lever.path} has a kind {name!r} already. Give {lever.__name__} another name.")
    union: Any = Union[(*members, lever)]
    if get_origin(info.annotation) is tuple:
        info.annotation = tuple[Annotated[union, Field(discriminator="kind")], ...]
    else:
        info.annotation, info.discriminator = union, "kind"
    for owner in reversed(owners):
        owner.model_rebuild(force=True)


def _owners(path: str) -> tuple[list[type[FrozenConfig]], str]:
    """Return the configs on the way to a dotted path of the recipe, the recipe first, and the last name."""
    *names, field = path.split(".")
    owners: list[type[FrozenConfig]] = [Recipe]
    for name in names:
        annotation = owners[-1].model_fields[name].annotation
        assert inspect.isclass(annotation)
        assert issubclass(annotation, FrozenConfig)
        owners.append(annotation)
    return owners, field
