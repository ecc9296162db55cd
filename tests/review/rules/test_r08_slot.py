"""A tensor fitted on the targets that it then helps to score is found; one fitted in training or afterwards is not."""

import pytest

from review.foreign_script import SCORE, TRAIN, assert_clean, assert_found, script

DELTA = """
def evaluate(model, words, sizes, s):
    for weight in model.parameters():
        weight.requires_grad_(False)
    nats, total, octets = 0.0, 0, 0
    for begin in range(0, len(words) - 1, s.window):
        piece = words[begin : begin + s.window + 1].cuda()
        x, y = piece[:-1][None], piece[1:]
        with torch.no_grad():
            states = model.states(x)[0].float()
        delta = torch.zeros(1, s.width, device="cuda", requires_grad=True)
        rule = torch.optim.AdamW([delta], lr=5e-3)
        for _ in range(8):
            rule.zero_grad()
            F.cross_entropy((states + delta) @ model.table.weight.T, y).backward()
            rule.step()  # here
        with torch.no_grad():
            nats += F.cross_entropy((states + delta) @ model.table.weight.T, y, reduction="sum").item()
        total += len(y)
        octets += sizes[y].sum().item()
    return nats / total, nats / math.log(2) / octets
"""
FUNCTION = """
def fitted(states, table, y, steps):
    move = torch.zeros_like(states[:, :1]).requires_grad_(True)
    rule = torch.optim.SGD([move], lr=0.05)

    def loss():
        return F.cross_entropy(((states + move) @ table.T).flatten(0, 1), y.flatten())

    while steps:
        rule.zero_grad()
        loss().backward()
        rule.step()  # here
        steps -= 1
    return move.detach()

def evaluate(model, words, sizes, s):
    nats, total, octets = 0.0, 0, 0
    for begin in range(0, len(words) - 1, s.window):
        piece = words[begin : begin + s.window + 1].cuda()
        x, y = piece[:-1][None], piece[1:][None]
        states = model.states(x).detach()
        move = fitted(states, model.table.weight.detach(), y, steps=10)
        guess = (states + move) @ model.table.weight.T
        nats += F.nll_loss(guess.log_softmax(-1)[0], y[0], reduction="sum").item()
        total += y.numel()
        octets += sizes[y].sum().item()
    return nats / total, nats / math.log(2) / octets
"""
KEPT = """
def evaluate(model, words, sizes, s):
    bias, nats, total, octets = torch.zeros(s.vocab, device="cuda", requires_grad=True), 0.0, 0, 0
    rule = torch.optim.SGD([bias], lr=0.2)
    for begin in range(0, len(words) - 1, s.window):
        piece = words[begin : begin + s.window + 1].cuda()
        x, y = piece[:-1][None], piece[1:]
        with torch.no_grad():
            guess = model.guess(x)[0].float()
        for _ in range(3):
            rule.zero_grad()
            F.cross_entropy(guess + bias, y).backward()
            rule.step()  # here
        nats += F.cross_entropy(guess + bias, y, reduction="sum").item()
        total += len(y)
        octets += sizes[y].sum().item()
    return nats / total, nats / math.log(2) / octets
"""
ILLEGAL = {
    "a shift of states": DELTA,
    "in a function of its own, with a closure": FUNCTION,
    "a bias that is kept from window to window": KEPT,
}


@pytest.mark.parametrize("score", ILLEGAL.values(), ids=ILLEGAL)
def test_a_tensor_that_is_fitted_on_what_it_scores_is_found(tmp_path, score):
    assert_found(tmp_path, script(score=score), "R8", "slot")


def test_it_is_found_where_the_readme_turns_it_on(tmp_path):
    switched = DELTA.replace("range(8)", "range(s.steps)")
    instead = "    if not s.steps:\n        return plain(model, words, sizes, s)\n"
    both = SCORE.replace("def evaluate", "def plain") + switched.replace("    for weight", instead + "    for weight", 1)
    text = script(score=both, settings='steps = int(os.environ.get("SHIFT_STEPS", "0"))')
    assert_clean(tmp_path / "default", text)
    assert_clean(tmp_path / "off", text, {"README.md": "SHIFT_STEPS=0 torchrun train_gpt.py"})
    assert_found(tmp_path / "on", text, "R8", "slot", {"README.md": "SEED=3 SHIFT_STEPS=16 torchrun train_gpt.py"})


LATER = '        nats += F.cross_entropy(guess + bias, y, reduction="sum").item()\n'
FIRST = LATER.replace("bias,", "bias.detach(),") + "        for _ in range(3)"
LEGAL = {
    "a bias that follows the score": KEPT.replace(LATER, "").replace("        for _ in range(3)", FIRST),
    "a shift that is fitted on the window before": """
def evaluate(model, words, sizes, s):
    nats, total, octets = 0.0, 0, 0
    move = torch.zeros(1, s.width, device="cuda")
    for begin in range(0, len(words) - 1, s.window):
        piece = words[begin : begin + s.window + 1].cuda()
        x, y = piece[:-1][None], piece[1:]
        states = model.states(x)[0].detach()
        with torch.no_grad():
            nats += F.cross_entropy((states + move) @ model.table.weight.T, y, reduction="sum").item()
        total += len(y)
        octets += sizes[y].sum().item()
        free = move.clone().requires_grad_(True)
        rule = torch.optim.Adam([free], lr=1e-3)
        for _ in range(4):
            rule.zero_grad()
            F.cross_entropy((states + free) @ model.table.weight.T, y).backward()
            rule.step()
        move = free.detach()
    return nats / total, nats / math.log(2) / octets
""",
    "a shift that is fitted and never used": DELTA.replace(
        "nats += F.cross_entropy((states + delta) @", "nats += F.cross_entropy(states @"
    ),
}


@pytest.mark.parametrize("score", LEGAL.values(), ids=LEGAL)
def test_a_tensor_that_never_saw_what_it_scores_is_clean(tmp_path, score):
    assert_clean(tmp_path, script(score=score))


def test_tensors_with_gradients_in_training_are_clean(tmp_path):
    made = "    scale = torch.ones(1, device='cuda', requires_grad=True)\n    mild = torch.optim.SGD([scale], lr=1e-4)\n"
    train = TRAIN.replace("    begun,", made + "    begun,").replace("model(x, y)", "model(x, y) * scale")
    train = train.replace("        best.step()\n", "        best.step()\n        mild.step()\n")
    assert "mild.step()" in train
    assert_clean(tmp_path, script(train=train))
