"""Named random streams: `random_stream(seed, "init", "blocks.0.attn.c_q.weight")`.

Each name has numbers of its own, so a lever that draws numbers moves nobody else's.
"""

import hashlib

import numpy as np


def stream_seed(seed: int, *names: str) -> int:
    """Return the 63-bit integer that seeds the stream `names` of `seed` (for generators other than numpy's)."""
    if not names:
        raise ValueError("A random stream needs a name; give one, such as random_stream(seed, 'init').")
    text = "\x1f".join([str(seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "little") >> 1


def random_stream(seed: int, *names: str) -> np.random.Generator:
    """Return a fresh numpy generator (PCG64) for the stream `names` of `seed`; equal arguments, equal numbers."""
    return np.random.Generator(np.random.PCG64(stream_seed(seed, *names)))
