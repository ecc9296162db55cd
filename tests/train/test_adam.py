"""Adam for everything against its formula, and its state across a cut."""

import torch

from mulligan.model.gpt import GPT
from mulligan.numerics.trigger import Moment
from mulligan.train.optimizer import Optimizer
from toy import model_config, train_config

RATES = {"matrix_lr": 0.002, "token_lr": 0.05, "scalar_lr": 0.04}
DECAYS = {"adam_weight_decay": 0.1, "token_weight_decay": 0.3}


def made():
    model = GPT(model_config(), seed=0)
    return model, Optimizer(train_config(optimizer={"kind": "adam", **RATES, **DECAYS}).optimizer, model, "fp32")


def give_gradients(model, step):
    generator = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def by_formula(name, weight, gradients, lr_scale):
    """Return the weight after the steps, in float64: moments with bias correction, decay first."""
    in_block = name.startswith("blocks.") and name.endswith(".weight")
    lr = lr_scale * RATES["token_lr" if name == "tok_emb.weight" else "matrix_lr" if in_block else "scalar_lr"]
    decay = DECAYS["token_weight_decay" if name == "tok_emb.weight" else "adam_weight_decay"]
    weight, first, second = weight.double(), 0.0, 0.0
    for step, gradient in enumerate(gradients, start=1):
        gradient = gradient.double()
        first, second = 0.9 * first + 0.1 * gradient, 0.95 * second + 0.05 * gradient**2
        weight = weight * (1 - lr * decay)
        weight = weight - lr * (first / (1 - 0.9**step)) / ((second / (1 - 0.95**step)).sqrt() + 1e-8)
    return weight


def test_three_steps_are_adams_formula_for_every_parameter_matrices_too():
    model, optimizer = made()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    gradients = {name: [] for name in before}
    for step in range(3):
        give_gradients(model, step)
        for name, parameter in model.named_parameters():
            gradients[name].append(parameter.grad.clone())
        optimizer.step(Moment(step, 0.0, 0.5), 0.0)
    for name, parameter in model.named_parameters():
        expected = by_formula(name, before[name], gradients[name], 0.5)
        torch.testing.assert_close(parameter.double(), expected, atol=1e-6, rtol=1e-5)


def test_its_state_goes_on_bit_for_bit():
    whole, optimizer = made()
    give_gradients(whole, 0)
    optimizer.step(Moment(0, 0.0, 1.0), 0.0)
    assert not any(name.startswith("momentum/") for name in optimizer.state())
    kept = {name: tensor.clone() for name, tensor in optimizer.state().items()}
    cut, again = made()
    cut.load_state_dict(whole.state_dict())
    again.load_state(kept)
    for model, one in ((whole, optimizer), (cut, again)):
        give_gradients(model, 1)
        one.step(Moment(1, 0.0, 1.0), 0.0)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), cut.parameters(), strict=True))
