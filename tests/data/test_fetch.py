"""Fetching from the hub, tried on a local folder laid out like it; every file is compared with the digest it describes."""

import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from mulligan.data.fetch import REVISION, HubFile, HuggingFaceHub, fetch
from mulligan.data.prepare import prepare, verify_corpus
from mulligan.data.tokenizer import ByteTokenizer
from small_text import documents, small_tokenizer

TRAIN, VALIDATION = documents(30, seed=1), documents(12, seed=2)
MODEL = "datasets/tokenizers/fineweb_320_bpe.model"
SHARD = "datasets/datasets/fineweb10B_sp320/fineweb_{}_{:06d}.bin"


class FolderHub:
    """A local folder with the hub's interface; files in LFS have a sha256 there, the others a git blob id alone."""

    repository, commit = "someone/fineweb", "0123456789abcdef0123456789abcdef01234567"

    def __init__(self, root: Path, in_lfs: tuple[str, ...] = (".bin", ".model")) -> None:
        self.root, self.in_lfs, self.downloads = root, in_lfs, []
        self.truth = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def describe(self, paths):
        found = {}
        for path in reversed(paths):  # the hub answers in an order of its own
            if path in self.truth:
                content = self.truth[path]
                blob_id = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
                sha256 = hashlib.sha256(content).hexdigest() if path.endswith(self.in_lfs) else None
                found[path] = HubFile(path, len(content), sha256, blob_id)
        return found

    def download(self, path, folder):
        self.downloads.append(path)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes((self.root / path).read_bytes())


@pytest.fixture
def root(tmp_path_factory) -> Path:
    """Lay out sp320 and byte260 as the challenge's repository does."""
    folder = tmp_path_factory.mktemp("hub")
    root = folder / "root"
    manifest = {"datasets": [], "tokenizers": [{"name": "sp_bpe_320", "model_path": "tokenizers/fineweb_320_bpe.model"}]}
    for variant, tokenizer, name in (("sp320", small_tokenizer(), "sp_bpe_320"), ("byte260", ByteTokenizer(), "pure_byte")):
        made = prepare(TRAIN, VALIDATION, tokenizer, folder / variant, shard_tokens=250)
        shards = root / "datasets" / "datasets" / f"fineweb10B_{variant}"
        shards.mkdir(parents=True)
        counts = {split: len(made.manifest["splits"][split]["shards"]) for split in ("train", "validation")}
        for path in made.folder.glob("*.bin"):
            path.rename(shards / f"fineweb_{path.name.replace('validation', 'val')}")
        stats = {"files_train": counts["train"], "files_val": counts["validation"]}
        manifest["datasets"].append({"name": f"fineweb10B_{variant}", "tokenizer_name": name, "stats": stats})
    manifest["datasets"].append({"name": "other10B_sp7"})
    (root / "datasets" / "tokenizers").mkdir()
    (root / MODEL).write_bytes(small_tokenizer().model)
    (root / "datasets" / "manifest.json").write_text(json.dumps(manifest))
    (root / "datasets" / "docs_selected.jsonl").write_text("{}")
    return root


def get(hub, out, train_shards=2, variant="sp320", **settings):
    return fetch("fineweb", variant, train_shards=train_shards, out=out, hub=hub, **settings)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def change_manifest(root, change):
    path = root / "datasets" / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_the_first_train_shards_and_all_validation_shards_become_a_corpus(tmp_path, root):
    hub = FolderHub(root)
    corpus = get(hub, tmp_path / "out")
    num_validation = len(list(root.glob(SHARD.format("val", 0).replace("000000", "*"))))
    wanted = [SHARD.format("val", i) for i in range(num_validation)] + [SHARD.format("train", i) for i in range(2)]
    assert num_validation > 1
    assert hub.downloads == ["datasets/manifest.json", *wanted, MODEL]
    assert corpus.tokens("train").num_tokens == 500
    assert corpus.manifest["splits"]["validation"]["documents"] == 12
    assert corpus.manifest["tokenizer"] == small_tokenizer().describe()
    assert verify_corpus(corpus) == []
    assert names(tmp_path) == ["out"]


def test_the_corpus_remembers_the_commit_and_every_file(tmp_path, root):
    hub = FolderHub(root)
    corpus = get(hub, tmp_path / "out")
    assert corpus.origin["repository"] == hub.repository
    assert corpus.origin["commit"] == hub.commit
    assert corpus.origin["files"] == {
        path: hashlib.sha256((root / path).read_bytes()).hexdigest() for path in hub.downloads if path.endswith(hub.in_lfs)
    }
    assert hub.commit not in (corpus.folder / "corpus.json").read_text()


def test_no_train_shards_give_a_corpus_to_score_on(tmp_path, root):
    assert list(get(FolderHub(root), tmp_path / "out", train_shards=0).manifest["splits"]) == ["validation"]


def test_the_byte_variant_needs_no_model(tmp_path, root):
    corpus = get(FolderHub(root), tmp_path / "out", variant="byte260")
    assert corpus.manifest["tokenizer"]["kind"] == "bytes"


@pytest.mark.parametrize("path", [SHARD.format("val", 0), SHARD.format("train", 1), MODEL, "datasets/manifest.json"])
@pytest.mark.parametrize("in_lfs", [(), (".bin", ".model")])
@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_a_file_that_is_not_what_the_hub_describes_is_named(tmp_path, root, path, in_lfs, damage):
    hub = FolderHub(root, in_lfs)
    content = bytearray((root / path).read_bytes())
    content[-1] ^= 1
    (root / path).write_bytes(content if damage == "flipped" else content[:-1])
    with pytest.raises(ValueError, match=rf"{path}: what arrived is not what the hub describes"):
        get(hub, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob(Path(path).name)), "a damaged file is not kept"


def test_an_interrupted_fetch_goes_on_where_it_stopped_and_verifies_what_it_finds(tmp_path, root):
    hub = FolderHub(root)

    class Interrupted(FolderHub):
        def download(self, path, folder):
            if "train_000001" in path:
                raise KeyboardInterrupt
            super().download(path, folder)

    first = Interrupted(root)
    with pytest.raises(KeyboardInterrupt):
        get(first, tmp_path / "out")
    (partial,) = tmp_path.iterdir()
    assert partial.name == f".out.fetch-{hub.commit[:12]}"
    assert not (tmp_path / "out").exists()
    kept = partial / SHARD.format("val", 0)
    kept.write_bytes(kept.read_bytes()[:-1])
    get(hub, tmp_path / "out")
    again = [SHARD.format("val", 0), SHARD.format("train", 1), MODEL]
    assert hub.downloads == ["datasets/manifest.json", *again]
    assert names(tmp_path) == ["out"]


def test_fewer_shards_than_an_interrupted_fetch_wanted_are_fewer_shards(tmp_path, root):
    class Interrupted(FolderHub):
        def download(self, path, folder):
            if path == MODEL:
                raise KeyboardInterrupt
            super().download(path, folder)

    with pytest.raises(KeyboardInterrupt):
        get(Interrupted(root), tmp_path / "out", train_shards=3)
    assert get(FolderHub(root), tmp_path / "out", train_shards=1).tokens("train").num_tokens == 250
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("dataset", "variant", "train_shards", "message"),
    [
        ("c4", "sp320", 1, "No data set is called 'c4' here. Allowed: fineweb"),
        ("fineweb", "sp1024", 1, r"no variant 'sp1024' at 0123456789.* Allowed: byte260, sp320\."),
        ("fineweb", "sp320", 500, r"500 train shards asked for; fineweb10B_sp320 has \d+ at 0123"),
        ("fineweb", "sp320", -1, "-1 train shards asked for"),
    ],
)
def test_what_is_not_there_is_refused_before_any_shard_comes(tmp_path, root, dataset, variant, train_shards, message):
    hub = FolderHub(root)
    with pytest.raises(ValueError, match=message):
        fetch(dataset, variant, train_shards=train_shards, out=tmp_path / "out", hub=hub)
    assert hub.downloads in ([], ["datasets/manifest.json"])
    assert names(tmp_path) == []


def test_a_folder_that_exists_is_refused_before_any_download(tmp_path, root):
    hub = FolderHub(root)
    with pytest.raises(ValueError, match="exists already"):
        get(hub, tmp_path)
    assert hub.downloads == []


@pytest.mark.parametrize("path", [SHARD.format("train", 1), SHARD.format("val", 0), MODEL, "datasets/manifest.json"])
def test_a_file_that_the_hub_lacks_is_named_before_any_shard_comes(tmp_path, root, path):
    (root / path).unlink()
    hub = FolderHub(root)
    with pytest.raises(ValueError, match=f"someone/fineweb at {hub.commit} has no {path}"):
        get(hub, tmp_path / "out")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("tokenizers", "message"),
    [
        ([], "names no model of sp_bpe_320, the tokenizer of fineweb10B_sp320"),
        ([{"name": "sp_bpe_320"}], "names no model of sp_bpe_320"),
        ([{"name": "sp_bpe_320", "model_path": "../../secret"}], "outside its folder"),
        ([{"name": "sp_bpe_320", "model_path": "/etc/passwd"}], "outside its folder"),
        ([{"model_path": "a.model"}], "manifest.json of .* is not laid out as known here"),
        ({"sp_bpe_320": "a.model"}, "manifest.json of .* is not laid out as known here"),
    ],
)
def test_a_tokenizer_that_the_manifest_does_not_give_is_refused(tmp_path, root, tokenizers, message):
    change_manifest(root, lambda manifest: manifest.update(tokenizers=tokenizers))
    with pytest.raises(ValueError, match=message):
        get(FolderHub(root), tmp_path / "out")
    assert names(tmp_path) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"datasets": {}}', '{"datasets": [3], "tokenizers": []}'])
def test_a_manifest_of_another_kind_is_refused(tmp_path, root, text):
    (root / "datasets" / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"datasets/manifest\.json"):
        get(FolderHub(root), tmp_path / "out")


@pytest.mark.parametrize("stats", [None, {}, {"files_train": "many", "files_val": 1}, {"files_train": 3, "files_val": 0}])
def test_a_data_set_without_numbers_of_shards_is_refused(tmp_path, root, stats):
    change_manifest(root, lambda manifest: manifest["datasets"][0].update(stats=stats))
    with pytest.raises(ValueError, match=r"manifest\.json of .* not laid out|gives no validation shard of fineweb10B_sp320"):
        get(FolderHub(root), tmp_path / "out")
    assert names(tmp_path) == []


def test_shards_of_another_tokenizer_than_the_manifest_says_are_caught(tmp_path, root):
    (root / MODEL).write_bytes(small_tokenizer(seed=1).model)
    with pytest.raises(ValueError, match="another tokenizer wrote the validation shards"):
        get(FolderHub(root), tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Answers:
    """huggingface_hub's HfApi, answering from memory; every question is kept."""

    asked: ClassVar[list] = []

    def dataset_info(self, repository, *, revision):
        self.asked.append(("info", repository, revision))
        return SimpleNamespace(sha="c" * 40)

    def get_paths_info(self, repository, paths, *, repo_type, revision):
        from huggingface_hub.hf_api import RepoFile, RepoFolder

        self.asked.append(("paths", repository, tuple(paths), repo_type, revision))
        lfs = {"size": 3, "oid": "abc", "pointerSize": 1}
        return [
            RepoFile(path="a.bin", size=3, oid="1", lfs=lfs),
            RepoFile(path="b.json", size=4, oid="2"),
            RepoFolder(path="c", oid="3"),
        ]

    def hf_hub_download(self, repository, path, *, repo_type, revision, local_dir):
        self.asked.append(("download", repository, path, repo_type, revision, local_dir))


def test_the_hub_is_asked_once_for_the_commit_and_then_for_that_commit_alone(tmp_path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "HfApi", Answers)
    monkeypatch.setattr(Answers, "asked", [])
    hub = HuggingFaceHub("main")
    assert hub.commit == "c" * 40
    found = hub.describe(["a.bin", "b.json", "c", "d"])
    assert found == {"a.bin": HubFile("a.bin", 3, "abc", "1"), "b.json": HubFile("b.json", 4, None, "2")}
    hub.download("a.bin", tmp_path)
    repository = "willdepueoai/parameter-golf"
    assert Answers.asked == [
        ("info", repository, "main"),
        ("paths", repository, ("a.bin", "b.json", "c", "d"), "dataset", "c" * 40),
        ("download", repository, "a.bin", "dataset", "c" * 40, tmp_path),
    ]


def test_what_the_hub_is_asked_is_what_huggingface_hub_takes():
    import inspect

    from huggingface_hub import HfApi

    for name in ("dataset_info", "get_paths_info", "hf_hub_download"):
        asked = inspect.signature(getattr(Answers, name)).parameters
        taken = inspect.signature(getattr(HfApi, name)).parameters
        keywords = {p for p, kind in asked.items() if kind.kind is kind.KEYWORD_ONLY}
        assert keywords <= taken.keys(), name


def test_a_hub_out_of_reach_is_a_clear_error(monkeypatch):
    import huggingface_hub

    def fail(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "HfApi", Answers)
    hub = HuggingFaceHub()
    for name in ("dataset_info", "get_paths_info", "hf_hub_download"):
        monkeypatch.setattr(Answers, name, fail)
    for ask in (HuggingFaceHub, lambda: hub.describe(["a"]), lambda: hub.download("a", Path())):
        with pytest.raises(ValueError, match=r"failed \(no route to host\)\. Check the network and the revision"):
            ask()


def test_the_revision_is_pinned_to_a_commit_unless_another_is_given(monkeypatch, tmp_path):
    asked = []

    def refuse(revision):
        asked.append(revision)
        raise ValueError("offline")

    monkeypatch.setattr("mulligan.data.fetch.HuggingFaceHub", refuse)
    for more in ({}, {"revision": "v2"}):
        with pytest.raises(ValueError, match="offline"):
            fetch(train_shards=1, out=tmp_path / "out", **more)
    assert asked == [REVISION, "v2"]
    assert len(REVISION) == 40


def test_without_huggingface_hub_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'mulligan\[fetch\]'"):
        HuggingFaceHub()
