"""The bytes of a recipe's artifact before there are weights, role by role, beside what the store holds of other seeds."""

import math
import re
from typing import Any

from mulligan.engine.job import Job, Outside
from mulligan.flow import lay_road
from mulligan.model.gpt import parameter_shapes
from mulligan.numerics.config import Format, IntFormat
from mulligan.numerics.grid import assign
from mulligan.numerics.size_model import tensor_bytes, tensor_spread_bytes
from mulligan.recipe import Recipe
from mulligan.store.store import Store

SEEDS_LOOKED_FOR = 64
UNCOUNTED = ("prune", "correction")
"""Steps of quantization that change the bytes and that the prediction knows nothing of."""


def predict_bytes(recipe: Recipe) -> dict[str, Any]:
    """Return roles (tensors whose names differ in numbers alone, of one format), payload_bytes, spread_bytes and uncounted.

    `bytes` of a role are an upper bound where its `note` says so.
    """
    shapes = parameter_shapes(recipe.model)
    formats = assign(recipe.grid, shapes)
    roles: dict[tuple[str, str], dict[str, Any]] = {}
    for name, shape in shapes.items():
        role, text = re.sub(r"(?<=\.)\d+(?=\.)", "*", name), format_text(formats[name])
        num_bytes, known = tensor_bytes(formats[name], shape)
        line = roles.setdefault(
            (role, text), {"role": role, "format": text, "tensors": 0, "elements": 0, "bytes": 0.0, "note": ""}
        )
        line["tensors"] += 1
        line["elements"] += math.prod(shape)
        line["bytes"] += num_bytes
        if not known:
            line["note"] = "at most: the scale's floor makes it depend on the weights"
    spread = math.hypot(*(tensor_spread_bytes(formats[name], shape) for name, shape in shapes.items()))
    lines = sorted(roles.values(), key=lambda line: -line["bytes"])
    steps = [name for name in UNCOUNTED if getattr(getattr(recipe.quantize, name, None), "kind", "off") != "off"]
    total = sum(line["bytes"] for line in lines)
    return {"roles": lines, "payload_bytes": total, "spread_bytes": spread, "uncounted": steps}


def format_text(format: Format) -> str:
    """Return a format in a few words: int6 standard-deviations 12.85, fp16."""
    if not isinstance(format, IntFormat):
        return format.kind
    numbers = [f" {value:g}" for name, value in format.scale if name != "kind" and isinstance(value, float)]
    return f"int{format.bits} {format.scale.kind}{''.join(numbers)}"


def measured_payloads(recipe: Recipe, store: Store, outside: dict[str, Outside | None]) -> dict[str, int]:
    """Return {seed: payload bytes} of the artifacts of this recipe that are stored, at seeds 0 to 63.

    Weights that are handed in have no seed: nothing is found for them.
    """
    found: dict[str, int] = {}
    for seed in range(0 if outside.get("weights") else SEEDS_LOOKED_FOR):
        artifact = lay_road(recipe.replace(fit=None), seed, **outside).points["quantized"]
        if isinstance(artifact, Job) and store.has(artifact.call):
            found[str(seed)] = int(store.open(artifact.call).summary()["payload_bytes"])
    return found
