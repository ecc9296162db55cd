"""Byte accounting: payload and code against the budget, in decimal bytes (16 MB is 16,000,000 B, never 16 MiB).

The artifact is the payload and the code that it needs; a table of payloads alone has let artifacts over the cap pass
(B15 in docs/footguns.md). Torch-free: it reads an artifact's summary.
"""

from collections.abc import Mapping
from typing import Any

from mulligan.core.units import format_bytes

BUDGET_BYTES = 16_000_000


def fits(payload_bytes: int, code_bytes: int, budget_bytes: int = BUDGET_BYTES) -> bool:
    """Say whether payload and code together are at most the budget."""
    return payload_bytes + code_bytes <= budget_bytes


def over_budget_text(summary: Mapping[str, Any], code_bytes: int | None, budget_bytes: int = BUDGET_BYTES) -> str:
    """Return what to tell over budget: the sum, then bytes per tensor, largest first. `summary` is an Artifact's."""
    total_bytes = summary["payload_bytes"] + (code_bytes or 0)
    code = "" if code_bytes is None else f" + code {format_bytes(code_bytes)} = {format_bytes(total_bytes)}"
    lines = [
        f"payload {format_bytes(summary['payload_bytes'])}{code}, "
        f"which is {format_bytes(total_bytes - budget_bytes)} over the budget of "
        f"{format_bytes(budget_bytes)}. Use fewer bits or a smaller model. Bytes per tensor, largest first:"
    ]
    costs = {name: tensor["bytes"] for name, tensor in summary["tensors"].items()}
    costs["(container: header, table, sha256)"] = summary["container_bytes"]
    width = len(format_bytes(max(costs.values())))
    for name, num_bytes in sorted(costs.items(), key=lambda item: (-item[1], item[0])):
        tensor = summary["tensors"].get(name)
        kind = f"  {tensor['kind']}, {tensor['bits']} bits, {tensor['shape']}" if tensor else ""
        lines.append(f"  {format_bytes(num_bytes):>{width}}  {name}{kind}")
    return "\n".join(lines)
