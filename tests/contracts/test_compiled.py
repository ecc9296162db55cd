"""Compiled equals eager: one network with every lever that enters the graph, through inductor, to 1e-5.

Per lever and bit for bit, Dynamo's eager backend is compared in tests/model and tests/train.
"""

import shutil

import pytest
import torch

from model.test_lever import LEVERS, documents
from mulligan.model.gpt import GPT
from toy import model_config


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler, and there is no g++ here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inductor's own imports raise them
def test_the_compiled_network_agrees_with_the_eager_one(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    fewer = {
        "value_embedding": {"kind": "shared", "dim": 6, "layers": [1]},
        "recurrence": {"kind": "loop", "first": 1, "last": 1, "num_repeats": 1},
        "parallel_from_layer": 1,
        "attention_window": {"kind": "causal", "tokens": 3, "layers": [0]},
    }
    model = GPT(model_config(num_layers=2, model_dim=32, **{**LEVERS["all"], **fewer}), seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    tokens, targets = documents(16)
    eager = model(tokens, targets)
    eager.mean().backward()
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, dynamic=False)(tokens, targets)
    compiled.mean().backward()
    assert torch.allclose(compiled, eager, atol=1e-5)
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, gradients[name], atol=1e-5), name
