"""`mulligan data`: corpora from text, from the challenge's shards, from the hub."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from mulligan.cli.setting import AsJson

app = App(name="data")
Out = Annotated[Path, Parameter(help="The folder to make; it must not exist yet.")]


@app.command
def inspect(folder: Path, /, *, json: AsJson = False) -> int:
    """Show what a prepared corpus holds, and verify its shards."""
    from mulligan.values.corpus import Corpus

    _show(Corpus.load(folder).manifest, folder, json)
    return 0


def _show(manifest: dict[str, Any], folder: Path, json: bool) -> None:
    from mulligan.cli.terminal import out, print_json, print_table

    if json:
        print_json({"path": str(folder.resolve()), **manifest})
        return
    columns = ["split", "documents", "tokens", "bytes", "raw UTF-8 bytes", "tokens per byte", "shards"]
    rows = [
        [
            name,
            *(
                f"{split[key]:,}" if split[key] is not None else "unknown"
                for key in ("documents", "tokens", "bytes", "raw_bytes")
            ),
            f"{split['tokens_per_byte']:.4f}",
            str(len(split["shards"])),
        ]
        for name, split in manifest["splits"].items()
    ]
    tokenizer = manifest["tokenizer"]
    print_table(f"{folder}: {tokenizer['kind']}, {tokenizer['vocab_size']} pieces", columns, rows, right=(1, 2, 3, 4, 5, 6))
    out.print(f"next       mulligan run small --data {folder}")
