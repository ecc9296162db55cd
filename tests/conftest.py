"""Settings of the whole suite: one thread per process, since two workers run on two cores."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _code_sizes(request, monkeypatch):
    """Let code have a size at once: making it takes seconds, and tests/one_file and tests/submit do it."""
    import mulligan.one_file.size

    if request.path.parent.name not in ("one_file", "submit"):
        sizes = {"packed": 40_000, "minified": 110_000, "readable": 200_000}
        monkeypatch.setattr(mulligan.one_file.size, "sizes", lambda recipe: sizes)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    """Let commands that run in this process take one thread where nobody says how many: they would take every core."""
    import mulligan.cli.setting

    monkeypatch.setattr(mulligan.cli.setting, "_num_cores", lambda: 1)
    yield
    torch.set_num_threads(1)
