"""`python -m bench.codecs [CHECKPOINT ...]`: `auto` beside the best single codec, in bytes and seconds, in one run.

A checkpoint is a weights file, or a store (every average in it). Each is rounded to int5, int6 and int8 by row-max scales and
by 12.85 standard deviations, and packed by `auto` and by zlib-9, lzma-9e, zstd-22 and brotli-11, row by row and column by
column, floats shuffled or not: the least of those is the best. Without checkpoints: 36 million synthetic codes.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from mulligan.numerics.config import GridConfig
from mulligan.pack.auto import LEVELS, pack_auto
from mulligan.quantize.config import RoundToNearest
from mulligan.quantize.stage import run as quantize
from mulligan.values.artifact import Artifact
from mulligan.values.codec import compress, unshuffle_bytes
from mulligan.values.container import FLOAT_SECTIONS, HEADER, SEAL_BYTES, Contents, contents_of, group_bytes, pack_container
from mulligan.values.quantized import Quantized, QuantizedTensor
from mulligan.values.tensor_table import GroupCoding, Table, table_bytes
from mulligan.values.weights import Weights

SCALES = {"max": {"kind": "row-max"}, "sd": {"kind": "standard-deviations", "k": 12.85}}
BITS = (5, 6, 8)
LEAST_ELEMENTS = 4096
"""Smaller tensors stay in float32."""
T = TypeVar("T")


def main() -> None:
    """Print one row per checkpoint and grid, then the geometric mean of the ratios."""
    parser = argparse.ArgumentParser(prog="python -m bench.codecs", description=__doc__)
    parser.add_argument("checkpoints", nargs="*", type=Path)
    checkpoints = parser.parse_args().checkpoints
    torch.set_num_threads(1)
    print(f"{'checkpoint':<34} {'grid':<8} {'best single codec':>30} {'auto':>11} {'ratio':>7} {'pack s':>7} {'unpack s':>8}")
    if not checkpoints:
        full_size()
        return
    ratios: dict[str, list[float]] = {}
    for name, weights in (item for checkpoint in checkpoints for item in weights_in(checkpoint)):
        for scale in SCALES:
            for bits in BITS:
                ratio = row(
                    name, f"int{bits}-{scale}", quantize(RoundToNearest(kind="round-to-nearest"), grid(bits, scale), weights)
                )
                ratios.setdefault(name, []).append(ratio)
        print(f"{name:<34} geometric mean {geometric_mean(ratios[name]):.4f}", flush=True)
    print(f"{'all':<34} geometric mean {geometric_mean([ratio for found in ratios.values() for ratio in found]):.4f}")


def weights_in(checkpoint: Path) -> Iterator[tuple[str, Weights]]:
    """Yield the name and the weights of a file, or of every average in a store, equal ones once."""
    if checkpoint.is_file():
        yield checkpoint.stem, Weights.from_file(checkpoint)
        return
    seen = set()
    for manifest in sorted(checkpoint.glob("objects/*/*/manifest.json")):
        data = json.loads(manifest.read_text("utf-8"))
        if data["header"]["stage"] == "average" and data["digest"] not in seen:
            seen.add(data["digest"])
            yield f"{checkpoint.name}/{data['digest'][:8]}", Weights.from_file(manifest.parent / "weights.safetensors")


def grid(bits: int, scale: str) -> GridConfig:
    """Return the grid that rounds every large tensor to `bits` bits."""
    rounded = {"match": ["*"], "min_elements": LEAST_ELEMENTS, "format": {"kind": "int", "bits": bits, "scale": SCALES[scale]}}
    return GridConfig.model_validate({"families": [rounded, {"match": ["*"], "format": {"kind": "fp32"}}]})


def row(name: str, grid_name: str, quantized: Quantized) -> float:
    """Pack, unpack, print; return the ratio of auto to the best single codec."""
    contents = contents_of(quantized)
    best_bytes, best = min(
        (single_bytes(contents, codec, way), f"{codec}{' transposed' if way else ''}")
        for codec in LEVELS
        for way in (False, True)
    )
    packed, pack_seconds = timed(lambda: pack_auto(quantized))
    _, unpack_seconds = timed(lambda: Artifact(packed).unpack())
    ratio = len(packed) / best_bytes
    told = f"{best} {best_bytes:,}"
    print(
        f"{name:<34} {grid_name:<8} {told:>30} {len(packed):>11,} {ratio:>7.4f} {pack_seconds:>7.1f} {unpack_seconds:>8.2f}",
        flush=True,
    )
    return ratio


def single_bytes(contents: Contents, codec: str, transposed: bool) -> int:
    """Return the size of a container by one codec, floats shuffled where that is smaller."""
    coding = GroupCoding(codec, transposed)
    level = LEVELS[codec]
    parts = [b"".join(group_bytes(contents, group, coding) for group in contents.groups)]
    table = Table(contents.model, contents.entries, tuple(coding for _ in contents.groups), ())
    sizes = [len(compress(codec, part, level)) for part in (*parts, table_bytes(table))]
    for section, shuffled in contents.sections.items():
        plain = unshuffle_bytes(shuffled, FLOAT_SECTIONS[section].itemsize)
        sizes.append(min(len(compress(codec, data, level)) for data in (shuffled, plain)))
    return HEADER.size + sum(sizes) + SEAL_BYTES


def full_size() -> None:
    """Pack 36 million codes of Gaussian rows as int6 of 12.85 deviations, 11 layers of 512; the table of 8,192 as int8."""
    quantized = synthetic()
    codes = sum(tensor.codes.numel() for tensor in quantized.tensors.values() if isinstance(tensor, QuantizedTensor))
    singly, single_seconds = timed(lambda: pack_container(quantized, "brotli", LEVELS["brotli"]))
    _, single_unpack_seconds = timed(lambda: Artifact(singly).unpack())
    packed, pack_seconds = timed(lambda: pack_auto(quantized))
    _, unpack_seconds = timed(lambda: Artifact(packed).unpack())
    print(f"{codes:,} codes; brotli-11 packs in {single_seconds:.0f} s and unpacks in {single_unpack_seconds:.1f} s")
    print(
        f"{'full size, synthetic':<34} {'int6/8':<8} {f'brotli {len(singly):,}':>30} {len(packed):>11,} "
        f"{len(packed) / len(singly):>7.4f} {pack_seconds:>7.1f} {unpack_seconds:>8.2f}"
    )


def synthetic() -> Quantized:
    """Return codes of Gaussian rows."""
    rng = np.random.default_rng(0)
    shapes = {"attn.c_q": (512, 512), "attn.c_k": (256, 512), "attn.c_v": (256, 512), "attn.proj": (512, 512)}
    shapes |= {"mlp.fc": (2048, 512), "mlp.proj": (512, 2048)}
    tensors = {f"blocks.{layer}.{name}.weight": (shape, 6) for layer in range(11) for name, shape in shapes.items()}
    tensors["tok_emb.weight"] = ((8192, 512), 8)
    found: dict[str, QuantizedTensor | torch.Tensor] = {}
    for name, (shape, bits) in tensors.items():
        sigma = (2 ** (bits - 1) - 1) / (12.85 if bits == 6 else 20.0)
        codes = np.rint(rng.standard_normal(shape, dtype=np.float32) * sigma).astype(np.int8)
        scale = rng.uniform(0.01, 0.02, shape[0]).astype(np.float16)
        found[name] = QuantizedTensor(torch.from_numpy(codes), torch.from_numpy(scale), bits, shape)
    return Quantized(found, {}, {})


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return what `work` returns, and its seconds."""
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


def geometric_mean(ratios: list[float]) -> float:
    """Return the exponential of the mean logarithm."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


if __name__ == "__main__":
    main()
