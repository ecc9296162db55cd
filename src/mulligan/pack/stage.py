"""The pack stage: Quantized -> Artifact.

A lever of this stage may touch the order and the coding of bytes, lossless; no value: what is unpacked is what was
packed, bit for bit.
"""

import lzma

from mulligan.pack.auto import pack_auto
from mulligan.pack.config import VERSION as VERSION
from mulligan.pack.config import Auto, Brotli, Lzma, PackConfig
from mulligan.values.artifact import Artifact
from mulligan.values.container import pack_container
from mulligan.values.quantized import Quantized


def run(config: PackConfig, quantized: Quantized) -> Artifact:
    """Return `quantized` in the container of docs/container-format.md, compressed by the configured codec."""
    codec = config.codec
    if isinstance(codec, Auto):
        return Artifact(pack_auto(quantized))
    if isinstance(codec, Lzma):
        level = codec.preset | (lzma.PRESET_EXTREME if codec.extreme else 0)
    else:
        level = codec.quality if isinstance(codec, Brotli) else codec.level
    return Artifact(pack_container(quantized, codec.kind, level))
