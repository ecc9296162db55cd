"""FineWeb as the challenge published it: shards and tokenizer from the hub, all from one commit, each file verified.

Layout there: datasets/manifest.json names data sets (their numbers of shards, their tokenizers) and tokenizers (their model
files); shards lie at datasets/datasets/NAME/fineweb_{train,val}_<number>.bin, 100 M tokens each.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from mulligan.core.execution import Progress, no_progress
from mulligan.data.import_shards import import_shards
from mulligan.data.prepare import refuse_existing
from mulligan.data.tokenizer import ByteTokenizer, SentencePieceTokenizer, Tokenizer
from mulligan.values.corpus import Corpus

REPOSITORY = "willdepueoai/parameter-golf"
REVISION = "a85b0e6035c3c94bc23685a07c81a8f3bf89db80"
ROOT = "datasets"
DATASETS = {"fineweb": "fineweb10B"}
BYTE_VARIANT = "byte260"


@dataclass(frozen=True)
class HubFile:
    """A file as the hub describes it: bytes, sha256 of its content, or for a file outside LFS its git blob id (SHA-1)."""

    path: str
    size: int
    sha256: str | None
    blob_id: str

    def matches(self, content: Path) -> bool:
        """Return whether a local file has the size and the digest that the hub states."""
        if content.stat().st_size != self.size:
            return False
        digest = hashlib.sha256() if self.sha256 else hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with content.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
        return digest.hexdigest() == (self.sha256 or self.blob_id)


class _Stats(BaseModel):
    files_train: int
    files_val: int


class _Dataset(BaseModel):
    name: str
    tokenizer_name: str | None = None
    stats: _Stats | None = None


class _Tokenizer(BaseModel):
    name: str
    model_path: str | None = None


class _Manifest(BaseModel):
    datasets: list[_Dataset]
    tokenizers: list[_Tokenizer]


class Hub(Protocol):
    """One commit of a repository of files."""

    repository: str
    commit: str

    def describe(self, paths: Sequence[str]) -> dict[str, HubFile]:
        """Return those of the paths that exist."""

    def download(self, path: str, folder: Path) -> None:
        """Bring one file to folder / path; go on with what an interrupted download left in the folder."""


class HuggingFaceHub:
    """A data set repository on the Hugging Face hub; `revision` (branch, tag, commit) is resolved to its commit once."""

    def __init__(self, revision: str = REVISION, repository: str = REPOSITORY) -> None:
        try:
            import huggingface_hub
        except ImportError:
            raise ValueError("Fetching needs huggingface_hub. Install it: pip install 'mulligan[fetch]'.") from None
        self.hub, self.repository, self.commit = huggingface_hub, repository, revision
        self.commit = str(self._ask("dataset_info", repository, revision=revision).sha)

    def describe(self, paths: Sequence[str]) -> dict[str, HubFile]:
        """Return those of the paths that exist at the commit."""
        found = self._ask("get_paths_info", self.repository, list(paths), repo_type="dataset", revision=self.commit)
        files = [file for file in found if isinstance(file, self.hub.hf_api.RepoFile)]
        return {f.path: HubFile(f.path, f.size, f.lfs.sha256 if f.lfs else None, f.blob_id) for f in files}

    def download(self, path: str, folder: Path) -> None:
        """Bring one file to folder / path."""
        self._ask("hf_hub_download", self.repository, path, repo_type="dataset", revision=self.commit, local_dir=folder)

    def _ask(self, what: str, *arguments: Any, **settings: Any) -> Any:
        try:
            return getattr(self.hub.HfApi(), what)(*arguments, **settings)
        except Exception as error:  # which class it is depends on the HTTP library of the installed huggingface_hub
            raise ValueError(
                f"{self.repository} at revision {self.commit}: {what} failed ({error}). Check the network and the revision, "
                "and run the command again: what has arrived is kept."
            ) from error


def fetch(
    dataset: str = "fineweb",
    variant: str = "sp1024",
    *,
    train_shards: int,
    out: Path,
    revision: str = REVISION,
    hub: Hub | None = None,
    progress: Progress = no_progress,
) -> Corpus:
    """Make the corpus folder `out` from the hub: all validation shards, the first `train_shards`, the tokenizer.

    `origin.json` in it names repository, commit and files. ValueError for an unknown dataset or variant, more shards than
    there are, a file that is not what the hub says, and all that `import_shards` refuses. Verified files of an interrupted
    fetch lie beside `out` in `.OUT.fetch-COMMIT` until one succeeds.
    """
    if dataset not in DATASETS:
        raise ValueError(f"No data set is called {dataset!r} here. Allowed: {', '.join(DATASETS)}.")
    refuse_existing(out)
    hub = hub or HuggingFaceHub(revision)
    shards, model = _plan(hub, DATASETS[dataset], variant, train_shards)
    wanted = [*shards, *model]
    files = hub.describe(wanted)
    if absent := [path for path in wanted if path not in files]:
        raise ValueError(
            f"{hub.repository} at {hub.commit} has no {absent[0]}, which its manifest names. Try another revision."
        )
    partial = out.absolute().parent / f".{out.name}.fetch-{hub.commit[:12]}"
    for done, path in enumerate(wanted):
        progress("fetch", done, len(wanted), path)
        _bring(hub, files[path], partial)
    progress("fetch", len(wanted), len(wanted), f"{len(wanted)} files")
    folder = (partial / shards[0]).parent
    for left in folder.iterdir():  # an interrupted fetch may have asked for more
        if left.relative_to(partial).as_posix() not in files:
            left.unlink()
    tokenizer: Tokenizer = SentencePieceTokenizer.from_file(partial / model[0]) if model else ByteTokenizer()
    origin = {path: files[path].sha256 or f"git {files[path].blob_id}" for path in wanted}
    corpus = import_shards(
        folder,
        tokenizer,
        out,
        progress=progress,
        origin={"repository": hub.repository, "commit": hub.commit, "files": dict(origin)},
    )
    shutil.rmtree(partial)
    return corpus


def _plan(hub: Hub, prefix: str, variant: str, train_shards: int) -> tuple[list[str], list[str]]:
    """Return the paths of the shards, and of the tokenizer's model (none for plain bytes), as the manifest names them."""
    manifest, name = _read_manifest(hub), f"{prefix}_{variant}"
    datasets = {entry.name: entry for entry in manifest.datasets}
    if name not in datasets:
        variants = sorted(other.removeprefix(f"{prefix}_") for other in datasets if other.startswith(f"{prefix}_"))
        raise ValueError(f"The hub has no variant {variant!r} at {hub.commit}. Allowed: {', '.join(variants) or 'none'}.")
    tokenizer, stats = datasets[name].tokenizer_name, datasets[name].stats
    if not stats or not stats.files_val:
        raise ValueError(f"The manifest at {hub.commit} gives no validation shard of {name}. Give another revision.")
    if not 0 <= train_shards <= stats.files_train:
        raise ValueError(
            f"{train_shards} train shards asked for; {name} has {stats.files_train} at {hub.commit}. Give at most as many."
        )
    sizes = (("val", stats.files_val), ("train", train_shards))
    shards = [f"{ROOT}/datasets/{name}/fineweb_{split}_{i:06d}.bin" for split, size in sizes for i in range(size)]
    if variant == BYTE_VARIANT:
        return shards, []
    model = next((entry.model_path for entry in manifest.tokenizers if entry.name == tokenizer), None)
    if not model:
        raise ValueError(f"The manifest at {hub.commit} names no model of {tokenizer}, the tokenizer of {name}. Give another.")
    if PurePosixPath(model).is_absolute() or ".." in PurePosixPath(model).parts:
        raise ValueError(f"The manifest at {hub.commit} names a model outside its folder: {model!r}.")
    return shards, [f"{ROOT}/{model}"]


def _read_manifest(hub: Hub) -> _Manifest:
    path = f"{ROOT}/manifest.json"
    found = hub.describe([path])
    if path not in found:
        raise ValueError(f"{hub.repository} at {hub.commit} has no {path}. Give a revision that does.")
    with tempfile.TemporaryDirectory() as folder:
        _bring(hub, found[path], Path(folder))
        content = Path(folder, path).read_bytes()
    try:
        return _Manifest.model_validate_json(content)
    except ValidationError as error:
        raise ValueError(f"{path} of {hub.repository} at {hub.commit} is not laid out as known here: {error}") from None


def _bring(hub: Hub, file: HubFile, folder: Path) -> None:
    """Download one file into a folder unless it is there already; ValueError when it is not what the hub describes."""
    local = folder / file.path
    if local.is_file() and file.matches(local):
        return
    local.unlink(missing_ok=True)
    hub.download(file.path, folder)
    if not file.matches(local):
        local.unlink()
        raise ValueError(
            f"{file.path}: what arrived is not what the hub describes ({file.size:,} B, {file.sha256 or file.blob_id}). Run "
            "the command again to fetch this file anew; the others are kept."
        )
