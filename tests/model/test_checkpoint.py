"""Checkpoints with the starter script's names: what is read, what is refused, and which network would fit."""

import os
import shlex

import pytest
import torch
from safetensors.torch import save_file

from mulligan.model.checkpoint import read_checkpoint
from mulligan.model.gpt import GPT
from toy import model_config, random_network

UNTIED = {"kind": "untied"}


def state_of(**changes):
    return {name: tensor.clone() for name, tensor in random_network(model_config(num_layers=3, **changes)).state_dict().items()}


def write(tmp_path, content, name="checkpoint.pt"):
    path = tmp_path / name
    save_file(content, path) if name.endswith(".safetensors") else torch.save(content, path)
    return path


def refusal(path, **changes):
    with pytest.raises(ValueError, match=r"checkpoint") as caught:
        read_checkpoint(path, model_config(**{"num_layers": 3, **changes}))
    return str(caught.value)


@pytest.mark.parametrize("name", ["checkpoint.pt", "checkpoint.safetensors"])
@pytest.mark.parametrize("shape", [{}, {"embedding": UNTIED}, {"num_layers": 1}, {"num_layers": 5}], ids=str)
def test_a_state_dict_comes_back_as_it_is(tmp_path, name, shape):
    config = model_config(**{"num_layers": 3, **shape})
    state = random_network(config).state_dict()
    found = read_checkpoint(write(tmp_path, state, name), config)
    assert found.model == config.canonical()
    assert found.record == {"kind": "imported"}
    assert {name: tensor.dtype for name, tensor in found.tensors.items()} == dict.fromkeys(state, torch.float32)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in state.items())


def test_bfloat16_becomes_float32_without_a_change_of_value(tmp_path):
    state = {name: tensor.bfloat16() for name, tensor in state_of().items()}
    found = read_checkpoint(write(tmp_path, state), model_config(num_layers=3)).tensors
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in state.items())


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_wrappers_are_dropped(tmp_path, prefix):
    state = {prefix + name: tensor for name, tensor in state_of().items()}
    assert set(read_checkpoint(write(tmp_path, state), model_config(num_layers=3)).tensors) == set(state_of())


def test_a_state_dict_is_found_beside_plain_values(tmp_path):
    path = write(tmp_path, {"model": state_of(), "step": 7, "note": "last"})
    assert set(read_checkpoint(path, model_config(num_layers=3)).tensors) == set(state_of())


@pytest.mark.parametrize(
    "theirs",
    [
        {"num_layers": 5},
        {"num_layers": 1},
        {"vocab_size": 50},
        {"model_dim": 32, "num_heads": 8},
        {"num_heads": 2},
        {"num_kv_heads": 4},
        {"feed_forward": {"kind": "relu-squared", "mult": 3}},
        {"embedding": UNTIED},
        {"num_layers": 9, "model_dim": 48, "num_heads": 6, "num_kv_heads": 3, "vocab_size": 64, "embedding": UNTIED},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("swapped", [False, True], ids=["given", "swapped"])
def test_the_advice_makes_the_recipe_fit(tmp_path, theirs, swapped):
    from mulligan.recipe import apply_change

    file, recipe = model_config(**{"num_layers": 3, **theirs}), model_config(num_layers=3)
    if swapped:
        file, recipe = recipe, file
    path = write(tmp_path, GPT(file, 0).state_dict())
    with pytest.raises(ValueError, match="does not fit the recipe's network") as caught:
        read_checkpoint(path, recipe)
    words = shlex.split(str(caught.value).split("It fits with ")[1].removesuffix("."))
    assert words[::2] == ["--set"] * (len(words) // 2)
    data = {"model": recipe.model_dump(mode="json")}
    for change in words[1::2]:
        apply_change(data, change)
    read_checkpoint(path, type(recipe).model_validate(data["model"]))


def test_a_refusal_names_what_differs(tmp_path):
    state = state_of()
    state["surplus"] = state.pop("blocks.1.mlp.fc.weight")
    state["skip_weights"] = state["skip_weights"][:, :3]
    said = refusal(write(tmp_path, state))
    assert "missing: blocks.1.mlp.fc.weight;" in said
    assert "unexpected: surplus;" in said
    assert "skip_weights is (1, 3) in the file and (1, 16) in the recipe" in said
    assert "No shipped recipe's network has these tensors" in said


def test_long_lists_of_names_are_cut(tmp_path):
    said = refusal(write(tmp_path, state_of()), num_layers=5)
    assert "blocks.3.attn.c_k.weight, blocks.3.attn.c_q.weight" in said
    assert " and 16 more" in said


def test_a_shape_that_no_machine_could_hold_is_refused_at_no_cost(tmp_path):
    state = state_of()
    state["tok_emb.weight"] = torch.zeros(2, 400_000)
    state["blocks.0.attn.q_gain"] = torch.zeros(4)
    assert "does not fit" in refusal(write(tmp_path, state))


def test_integers_are_no_weights(tmp_path):
    state = {name: (tensor * 9).to(torch.int8) for name, tensor in state_of().items()}
    assert "is torch.int8, and weights are floating-point" in refusal(write(tmp_path, state))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_diverged_are_refused(tmp_path, value):
    state = state_of()
    state["blocks.2.attn.c_v.weight"][0, 0] = value
    assert "blocks.2.attn.c_v.weight holds NaN or infinite values" in refusal(write(tmp_path, state))


class Evil:
    """An object that runs a command when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    marker = tmp_path / "executed"
    path = write(tmp_path, {"model": state_of(), "hook": Evil(marker)})
    said = refusal(path)
    assert "cannot be read without executing it" in said
    assert "weights_only" not in said
    assert not marker.exists()


@pytest.mark.parametrize("name", ["checkpoint.pt", "checkpoint.safetensors"])
@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02}q\x00.", b"PK\x03\x04" + bytes(40)], ids=range(4))
def test_foreign_bytes_are_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert str(path) in refusal(path)


@pytest.mark.parametrize("name", ["checkpoint.pt", "checkpoint.safetensors"])
def test_a_file_that_was_cut_short_is_refused(tmp_path, name):
    path = write(tmp_path, state_of(), name)
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 9):
        path.write_bytes(whole[:length])
        refusal(path)


@pytest.mark.parametrize("content", [{}, [1, 2], {"a": 1.0}, torch.ones(3)], ids=str)
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    assert "holds no state dict of tensors by name" in refusal(write(tmp_path, content))


def test_tensors_by_number_are_no_network(tmp_path):
    assert "unexpected: 1. No shipped recipe" in refusal(write(tmp_path, {1: torch.ones(2)}))


def test_a_missing_file_is_named(tmp_path):
    assert "no such file" in refusal(tmp_path / "checkpoint.pt")
