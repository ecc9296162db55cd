"""Published runs as {arm: {seed: value}}."""

import pytest

from mulligan.compare.table import PUBLISHED, read_rows, samples

SLIDING = ("pr=989", "metric=val_bpb", "eval_mode=sliding64/T2048")


@pytest.fixture(scope="session")
def as_reported():
    """PR 989, seed 2024 of no_swa_qat pruned at 10 % (run v3), by (qat, swa)."""
    return samples(read_rows(PUBLISHED, where=(*SLIDING, "run!=no_swa_qat_seed2024"), split="config"), ["qat", "swa"])


@pytest.fixture(scope="session")
def consistent():
    """PR 989, every run pruned at 5 %, by (qat, swa)."""
    return samples(read_rows(PUBLISHED, where=(*SLIDING, "prune=5%"), split="config"), ["qat", "swa"])


@pytest.fixture(scope="session")
def scorefirst():
    """The final scores of PRs 1493 and 1716, by PR."""
    arms = samples(
        read_rows(PUBLISHED, where=("pr=1493", "pr=1716", "metric=val_bpb", "eval_mode=sliding64 scorefirst")), ["pr"]
    )
    return {pr: list(runs.values()) for (pr,), runs in arms.items()}
