"""`mulligan inspect`: what an artifact holds, in bytes."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from mulligan.cli.setting import AsJson


def inspect(
    artifact: Path,
    /,
    *,
    budget_bytes: Annotated[int, Parameter(help="Judge the payload against this many decimal bytes.")] = 16_000_000,
    json: AsJson = False,
) -> int:
    """Show every tensor of a packed artifact with its bits, shape and share of the bytes, largest first.

    Exit codes: 0 done, 2 usage, 3 over budget.
    """
    from mulligan.cli.terminal import out, print_json, print_table
    from mulligan.reading import artifact_bytes, check_budget
    from mulligan.values.artifact import Artifact

    if not artifact.is_file():
        raise ValueError(f"{artifact}: no such file. `mulligan run` prints where its artifact lies.")
    summary: dict[str, Any] = Artifact.from_file(artifact).summary()
    result = {**summary, **artifact_bytes(artifact, None, budget_bytes)}
    if json:
        print_json(result)
        check_budget(result)
        return 0
    rows = [
        [name, str(t["kind"]), str(t["bits"]), " x ".join(map(str, t["shape"])), f"{t['bytes']:,}"]
        for name, t in sorted(summary["tensors"].items(), key=lambda item: -item[1]["bytes"])
    ]
    print_table(f"{artifact}: {summary['codec']}", ["tensor", "kind", "bits", "shape", "bytes"], rows, right=(2, 4))
    groups = [[name, g["codec"], g["layout"], f"{g['bytes']:,}"] for name, g in summary["groups"].items()]
    print_table("codes by group", ["group", "codec", "layout", "bytes"], groups, right=(3,))
    out.print(f"bytes per tensor: {summary['attribution']}")
    verdict = "fits" if result["fits"] else "DOES NOT FIT"
    rest = budget_bytes - result["payload_bytes"]
    left = f"; {rest:,} are left for the code, which the recipe decides (`mulligan run` counts it)" if result["fits"] else ""
    out.print(f"payload {result['payload_bytes']:,} of {budget_bytes:,}: {verdict}{left}")
    check_budget(result)
    return 0
