"""Settings of the whole suite: one thread per process, since two workers run on two cores."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    """Let commands that run in this process take one thread where nobody says how many: they would take every core."""
    import mulligan.cli.setting

    monkeypatch.setattr(mulligan.cli.setting, "_num_cores", lambda: 1)
    yield
    torch.set_num_threads(1)
