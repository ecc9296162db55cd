"""Settings of the whole suite: one thread per process, since two workers run on two cores."""

import pytest
import torch

from mulligan.one_file import size

SIZES = size.sizes

torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _code_sizes():
    """Let code have a size at once: making it takes seconds, and tests/one_file and tests/submit do it."""
    sizes = {"packed": 40_000, "minified": 110_000, "readable": 200_000}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(size, "sizes", lambda recipe: sizes)
        yield


@pytest.fixture(autouse=True)
def _real_code_sizes(request, monkeypatch):
    if request.path.parent.name in ("one_file", "submit"):
        monkeypatch.setattr(size, "sizes", SIZES)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    """Let commands that run in this process take one thread where nobody says how many: they would take every core."""
    import mulligan.cli.setting

    monkeypatch.setattr(mulligan.cli.setting, "_num_cores", lambda: 1)
    yield
    torch.set_num_threads(1)
