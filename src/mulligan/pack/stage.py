"""The pack stage: Quantized -> Artifact.

A lever of this stage may touch the order and the coding of bytes, lossless; no value: what is unpacked is what was
packed, bit for bit.
"""

from mulligan.pack.config import VERSION as VERSION
from mulligan.pack.config import Brotli, Lzma, PackConfig
from mulligan.values.artifact import Artifact
from mulligan.values.container import pack_container
from mulligan.values.quantized import Quantized


def run(config: PackConfig, quantized: Quantized) -> Artifact:
    """Return `quantized` in the container of docs/container-format.md, compressed by the configured codec."""
    codec = config.codec
    level = codec.preset if isinstance(codec, Lzma) else codec.quality if isinstance(codec, Brotli) else codec.level
    return Artifact(pack_container(quantized, codec.kind, level))
