"""Weights: what is saved is loaded, equal values give equal bytes, and foreign files are refused."""

import json

import pytest
import torch
from safetensors.torch import save_file

from mulligan.model.gpt import GPT
from mulligan.values.weights import Weights
from toy import model_config, random_network

RECORD = {"kind": "swa", "steps": [3, 5], "note": "é"}


def weights(**changes) -> Weights:
    config = model_config(**changes)
    return Weights(dict(random_network(config).state_dict()), config.canonical(), RECORD)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def folders(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    return tmp_path / "a", tmp_path / "b"


@pytest.mark.parametrize("num_layers", [1, 3])
def test_what_is_saved_is_loaded(tmp_path, num_layers):
    """A network of one layer has a table of skip weights without rows."""
    value = weights(num_layers=num_layers)
    value.save(tmp_path)
    for found in (Weights.load(tmp_path), Weights.from_file(tmp_path / "weights.safetensors")):
        assert (found.model, found.record) == (value.model, value.record)
        assert set(found.tensors) == set(value.tensors)
        assert all(torch.equal(found.tensors[name], tensor) for name, tensor in value.tensors.items())
        assert all(tensor.dtype == torch.float32 for tensor in found.tensors.values())


def test_a_network_takes_loaded_weights_as_they_are(tmp_path):
    value = weights(embedding={"kind": "untied"})
    value.to_file(tmp_path / "w")
    model = GPT(model_config(embedding={"kind": "untied"}), 9)
    model.load_state_dict(Weights.from_file(tmp_path / "w").tensors)
    assert all(torch.equal(tensor, value.tensors[name]) for name, tensor in model.state_dict().items())


def test_the_summary_counts_the_parameters_and_names_the_network(tmp_path):
    value = weights()
    value.save(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary["num_parameters"] == sum(tensor.numel() for tensor in value.tensors.values())
    assert (summary["model"], summary["record"]) == (value.model, RECORD)


def test_equal_weights_give_equal_bytes_whatever_their_order_and_layout(tmp_path):
    a, b = folders(tmp_path)
    value = weights()
    value.save(a)
    scattered = {name: torch.stack((t, -t), -1)[..., 0] for name, t in reversed(value.tensors.items())}
    Weights(scattered, dict(reversed(value.model.items())), dict(reversed(value.record.items()))).save(b)
    assert files(a) == files(b)


def test_tensors_of_other_types_and_with_gradients_are_written_as_float32(tmp_path):
    tensors = {
        "half": torch.ones(3, dtype=torch.bfloat16),
        "double": torch.ones(2, 2).double(),
        "grad": torch.ones(2, requires_grad=True),
    }
    Weights(tensors, {}, {}).to_file(tmp_path / "w")
    found = Weights.from_file(tmp_path / "w").tensors
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}
    assert not any(tensor.requires_grad for tensor in found.values())


def foreign_files(path):
    yield "a checkpoint of torch", lambda: torch.save({"w": torch.ones(2)}, path)
    yield "text", lambda: path.write_text("weights")
    yield "nothing", lambda: path.write_bytes(b"")
    yield "safetensors of somebody else", lambda: save_file({"w": torch.ones(2)}, path)
    for metadata in ("{", "[]", "3", '{"model":{}}'):
        yield metadata, lambda text=metadata: save_file({"w": torch.ones(2)}, path, {"mulligan": text})
    yield "cut short", lambda: path.write_bytes(_saved(path)[:-1])


def _saved(path):
    weights().to_file(path)
    return path.read_bytes()


def test_foreign_and_damaged_files_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    for what, write in foreign_files(path):
        write()
        with pytest.raises(ValueError, match="not a weights file of ours") as caught:
            Weights.from_file(path)
        assert str(caught.value).startswith(f"{path}: "), what
        assert "mulligan import-checkpoint" in str(caught.value), what


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        Weights.from_file(tmp_path / "none.safetensors")
