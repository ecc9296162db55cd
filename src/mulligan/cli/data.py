"""`mulligan data`: corpora from text, from the challenge's shards, from the hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from mulligan.cli.setting import AsJson

if TYPE_CHECKING:
    from mulligan.data.tokenizer import Tokenizer
    from mulligan.values.corpus import Corpus

app = App(name="data")
Out = Annotated[Path, Parameter(help="The folder to make; it must not exist yet.")]
BYTES, TRAIN = "bytes", "train:"
CHOICES = f"a SentencePiece .model file, {BYTES}, or {TRAIN}VOCAB (a model of VOCAB pieces, trained on the train split)"


@app.command
def prepare(
    train: Annotated[Path, Parameter(help="Text, .jsonl, .jsonl.gz, .parquet (field or column text), or a folder of them.")],
    /,
    *,
    validation: Annotated[Path, Parameter(help="The documents to score, as TRAIN; none of them may be in TRAIN.")],
    tokenizer: Annotated[str, Parameter(help=f"{CHOICES[0].upper()}{CHOICES[1:]}.")],
    out: Out,
    json: AsJson = False,
) -> int:
    """Make a corpus from local text."""
    from mulligan.cli.terminal import show_progress
    from mulligan.data.document import read_documents
    from mulligan.data.prepare import prepare as prepare_corpus
    from mulligan.data.prepare import refuse_existing

    refuse_existing(out)
    made = _tokenizer(tokenizer, train)
    with show_progress() as progress:
        corpus = prepare_corpus(read_documents(train), read_documents(validation), made, out, progress=progress)
    _show(corpus, json)
    return 0


@app.command
def inspect(folder: Path, /, *, json: AsJson = False) -> int:
    """Show what a corpus holds, and hash every file again; exit code 4 names what is damaged."""
    from mulligan.core.error import StoreCorruptError
    from mulligan.data.prepare import verify_corpus
    from mulligan.values.corpus import Corpus

    corpus = Corpus.load(folder)
    damaged = verify_corpus(corpus)
    _show(corpus, json, damaged=damaged)
    if damaged:
        raise StoreCorruptError("\n".join(damaged))
    return 0


@app.command
def import_shards(
    folder: Path,
    /,
    *,
    tokenizer: Annotated[str, Parameter(help=f"What wrote the shards: a SentencePiece .model file, or {BYTES}.")],
    out: Out,
    json: AsJson = False,
) -> int:
    """Take over a folder of *_val_*.bin and, where there are some, *_train_*.bin; shards of another tokenizer are refused."""
    from mulligan.cli.terminal import show_progress
    from mulligan.data.import_shards import import_shards as take_over

    if tokenizer.startswith(TRAIN):
        raise ValueError(
            f"--tokenizer {tokenizer}: the shards are written already. Give the .model that wrote them, or {BYTES}."
        )
    with show_progress() as progress:
        corpus = take_over(folder, _tokenizer(tokenizer, folder), out, progress=progress)
    _show(corpus, json)
    return 0


@app.command
def fetch(
    dataset: Annotated[str, Parameter(help="fineweb")],
    /,
    *,
    train_shards: Annotated[int, Parameter(help="How many train shards, of 100 M tokens (200 MB) each; 0 to score only.")],
    out: Out,
    variant: Annotated[str, Parameter(help="Which tokenizer's shards: sp1024, sp8192, byte260, ...")] = "sp1024",
    revision: Annotated[str | None, Parameter(help="Branch, tag or commit on the hub. Default: the pinned commit.")] = None,
    json: AsJson = False,
) -> int:
    """Fetch a published corpus from the Hugging Face hub; every file comes from one commit and is verified."""
    from mulligan.cli.terminal import show_progress
    from mulligan.data import fetch as hub

    with show_progress() as progress:
        corpus = hub.fetch(
            dataset, variant, train_shards=train_shards, out=out, revision=revision or hub.REVISION, progress=progress
        )
    _show(corpus, json)
    return 0


def _tokenizer(choice: str, train: Path) -> "Tokenizer":
    from mulligan.data.document import read_documents
    from mulligan.data.tokenizer import ByteTokenizer, SentencePieceTokenizer

    if choice == BYTES:
        return ByteTokenizer()
    if not choice.startswith(TRAIN):
        return SentencePieceTokenizer.from_file(Path(choice))
    vocab_size = choice.removeprefix(TRAIN)
    if not vocab_size.isdecimal():
        raise ValueError(f"--tokenizer {choice}: {vocab_size!r} is no number of pieces. Allowed: {CHOICES}.")
    return SentencePieceTokenizer.train((document.text for document in read_documents(train)), int(vocab_size))


def _show(corpus: "Corpus", json: bool, **more: Any) -> None:
    from mulligan.cli.terminal import out, print_json, print_table

    path = corpus.folder.resolve()
    if json:
        print_json({"path": str(path), "digest": corpus.digest, "origin": corpus.origin, **corpus.manifest, **more})
        return
    columns = ["split", "documents", "tokens", "bytes", "raw UTF-8 bytes", "tokens per byte", "shards"]
    counts = ("documents", "tokens", "bytes", "raw_bytes")
    rows = [
        [
            name,
            *("unknown" if split[count] is None else f"{split[count]:,}" for count in counts),
            f"{split['tokens_per_byte']:.4f}",
            str(len(split["shards"])),
        ]
        for name, split in corpus.manifest["splits"].items()
    ]
    tokenizer = corpus.manifest["tokenizer"]
    print_table(f"{path}: {tokenizer['kind']}, {tokenizer['vocab_size']} pieces", columns, rows, right=(1, 2, 3, 4, 5, 6))
    if corpus.origin:
        out.print(f"from       {corpus.origin['repository']} at {corpus.origin['commit']}")
    if more.get("damaged"):
        return
    if "train" in corpus.manifest["splits"]:
        out.print(f"next       mulligan run small --data {corpus.folder}")
    else:
        out.print(f"next       mulligan evaluate ARTIFACT_OR_WEIGHTS --data {corpus.folder}")
