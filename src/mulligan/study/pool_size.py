"""How many processes run a study at once: as cores and free memory allow."""

import os

from mulligan.engine.pool import PoolSize
from mulligan.recipe import Recipe
from mulligan.study.config import Script
from mulligan.study.plan import LaidStudy

WORKER_BYTES = 1 << 30
"""Of a worker before its network: the interpreter, torch and its buffers."""
ACTIVATION_BYTES = 160
"""Per token of a batch, layer and channel, in training."""


def pool_size(laid: LaidStudy, workers: int | None, threads: int | None, device: str = "cpu") -> PoolSize:
    """Return how many processes run at once: as cores and free memory allow, one thread each unless fewer than cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for name, given in (("--workers", workers), ("--threads", threads)):
        if given is not None and given < 1:
            raise ValueError(f"{name} {given}: give 1 or more.")
    if workers is None and (isinstance(laid.config.recipe, Script) or device.startswith("cuda")):
        workers = 1  # a script, or a training on a GPU, takes the device for itself
    if workers is None:
        by_cores = max(1, cores // (threads or 1))
        workers = max(1, min(by_cores, _free_bytes() // _worker_bytes(laid), len(laid.jobs)))
    return PoolSize(workers, threads or max(1, cores // workers))


def _worker_bytes(laid: LaidStudy) -> int:
    recipes = [arm.recipe for arm in laid.arms if isinstance(arm.recipe, Recipe)]
    networks = [
        16 * recipe.model.num_matrix_parameters
        + ACTIVATION_BYTES * recipe.train.batch_tokens * recipe.model.num_layers * recipe.model.model_dim
        for recipe in recipes
    ]
    return WORKER_BYTES + max(networks, default=0)


def _free_bytes() -> int:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 1 << 40
