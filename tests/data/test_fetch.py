"""Fetching from the hub, tried on a local folder laid out like it; every file is compared with the listed digest."""

import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mulligan.data.fetch import REVISION, HubFile, HuggingFaceHub, fetch
from mulligan.data.prepare import prepare
from mulligan.data.tokenizer import ByteTokenizer
from small_text import documents, small_tokenizer

TRAIN, VALIDATION = documents(30, seed=1), documents(12, seed=2)


class FolderHub:
    """A local folder with the hub's interface; `in_lfs` says which files have a sha256 there."""

    def __init__(self, root: Path, in_lfs: tuple[str, ...] = (".bin",)) -> None:
        self.root, self.downloads = root, []
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        self.listed = [self.describe(path, path.suffix in in_lfs) for path in paths]

    def describe(self, path: Path, in_lfs: bool) -> HubFile:
        content = path.read_bytes()
        blob_id = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        sha256 = hashlib.sha256(content).hexdigest() if in_lfs else None
        return HubFile(path.relative_to(self.root).as_posix(), len(content), sha256, blob_id)

    def files(self) -> list[HubFile]:
        return self.listed

    def download(self, path: str) -> Path:
        self.downloads.append(path)
        return self.root / path


@pytest.fixture
def root(tmp_path) -> Path:
    """Lay out sp320 and byte260 as the challenge's repository does."""
    root = tmp_path / "hub"
    for variant, tokenizer in (("sp320", small_tokenizer()), ("byte260", ByteTokenizer())):
        made = prepare(TRAIN, VALIDATION, tokenizer, tmp_path / variant, shard_tokens=250)
        folder = root / "datasets" / "datasets" / f"fineweb10B_{variant}"
        folder.mkdir(parents=True)
        for path in made.folder.glob("*.bin"):
            path.rename(folder / f"fineweb_{path.name.replace('validation', 'val')}")
    (root / "datasets" / "tokenizers").mkdir()
    (root / "datasets" / "tokenizers" / "fineweb_320_bpe.model").write_bytes(small_tokenizer().model)
    (root / "datasets" / "manifest.json").write_text("{}")
    (root / "datasets" / "docs_selected.jsonl").write_text("{}")
    return root


def test_the_first_train_shards_and_all_validation_shards_become_a_corpus(tmp_path, root):
    hub = FolderHub(root)
    corpus = fetch("fineweb", variant="sp320", train_shards=2, out=tmp_path / "out", hub=hub)
    assert [path.rsplit("/", 1)[1] for path in hub.downloads if "train" in path] == [
        "fineweb_train_000000.bin",
        "fineweb_train_000001.bin",
    ]
    assert not any("byte260" in path or "docs" in path for path in hub.downloads)
    assert corpus.tokens("train").num_tokens == 500
    assert corpus.manifest["splits"]["validation"]["documents"] == 12
    assert corpus.manifest["tokenizer"] == small_tokenizer().describe()


def test_no_train_shards_give_a_corpus_to_score_on(tmp_path, root):
    corpus = fetch("fineweb", variant="sp320", train_shards=0, out=tmp_path / "out", hub=FolderHub(root))
    assert list(corpus.manifest["splits"]) == ["validation"]


def test_the_byte_variant_needs_no_model(tmp_path, root):
    corpus = fetch("fineweb", variant="byte260", train_shards=1, out=tmp_path / "out", hub=FolderHub(root))
    assert corpus.manifest["tokenizer"]["kind"] == "bytes"


@pytest.mark.parametrize("name", ["datasets/fineweb10B_sp320/fineweb_val_000000.bin", "tokenizers/fineweb_320_bpe.model"])
@pytest.mark.parametrize("in_lfs", [(), (".bin", ".model")])
def test_a_file_that_is_not_what_the_hub_lists_is_refused(tmp_path, root, name, in_lfs):
    hub = FolderHub(root, in_lfs)
    path = root / "datasets" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not what the hub lists as .*Delete it and fetch again"):
        fetch("fineweb", variant="sp320", train_shards=1, out=tmp_path / "out", hub=hub)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "variant", "train_shards", "message"),
    [
        ("c4", "sp320", 1, "No corpus is called 'c4'"),
        ("fineweb", "sp1024", 1, r"no variant 'sp1024' at this revision. Allowed: byte260, sp320"),
        ("fineweb", "sp320", 500, r"500 train shards; FineWeb sp320 has 0 to \d+"),
        ("fineweb", "sp320", -1, "-1 train shards"),
    ],
)
def test_what_is_not_there_is_refused_before_any_download(tmp_path, root, name, variant, train_shards, message):
    hub = FolderHub(root)
    with pytest.raises(ValueError, match=message):
        fetch(name, variant=variant, train_shards=train_shards, out=tmp_path / "out", hub=hub)
    assert hub.downloads == []


def test_a_folder_that_exists_is_refused_before_any_download(tmp_path, root):
    hub = FolderHub(root)
    with pytest.raises(ValueError, match="exists already"):
        fetch("fineweb", variant="sp320", train_shards=1, out=tmp_path, hub=hub)
    assert hub.downloads == []


def test_a_variant_without_its_tokenizer_is_refused(tmp_path, root):
    (root / "datasets" / "tokenizers" / "fineweb_320_bpe.model").unlink()
    with pytest.raises(ValueError, match=r"holds no datasets/tokenizers/fineweb_320_bpe\.model"):
        fetch("fineweb", variant="sp320", train_shards=1, out=tmp_path / "out", hub=FolderHub(root))


def test_a_revision_is_a_commit():
    with pytest.raises(ValueError, match="'main' is not a commit of 40 hex digits"):
        HuggingFaceHub("main")


def test_the_hub_is_asked_for_the_pinned_revision(tmp_path, monkeypatch):
    asked = []
    siblings = [
        SimpleNamespace(rfilename="a.bin", size=3, lfs=SimpleNamespace(sha256="abc"), blob_id="1"),
        SimpleNamespace(rfilename="b.json", size=4, lfs=None, blob_id="2"),
    ]

    class Api:
        def dataset_info(self, repository, *, revision, files_metadata):
            asked.append((repository, revision, files_metadata))
            return SimpleNamespace(siblings=siblings)

    def download(repository, path, *, repo_type, revision):
        asked.append((repository, path, repo_type, revision))
        return str(tmp_path / path)

    hub = HuggingFaceHub(REVISION)
    monkeypatch.setattr(hub, "hub", SimpleNamespace(HfApi=Api, hf_hub_download=download))
    assert hub.files() == [HubFile("a.bin", 3, "abc", "1"), HubFile("b.json", 4, None, "2")]
    assert hub.download("a.bin") == tmp_path / "a.bin"
    assert asked == [
        ("willdepueoai/parameter-golf", REVISION, True),
        ("willdepueoai/parameter-golf", "a.bin", "dataset", REVISION),
    ]


def test_a_hub_out_of_reach_is_a_clear_error(monkeypatch):
    def fail(*_, **__):
        raise ConnectionError("no route to host")

    hub = HuggingFaceHub(REVISION)
    monkeypatch.setattr(hub, "hub", SimpleNamespace(HfApi=lambda: SimpleNamespace(dataset_info=fail), hf_hub_download=fail))
    for ask in (hub.files, lambda: hub.download("a.bin")):
        with pytest.raises(ValueError, match="could not be fetched .no route to host.* Check the network"):
            ask()


def test_without_huggingface_hub_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'mulligan\[fetch\]'"):
        HuggingFaceHub(REVISION)
