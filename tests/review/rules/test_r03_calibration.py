"""Training tokens that are read when training's clock has stopped are found, unless time for them was taken off the limit."""

import pytest

from review.foreign_script import TRAIN, assert_clean, assert_found, script

MEASURE = """
def measure(model, batches, count=16):
    seen = {}
    hooks = [
        part.register_forward_pre_hook(lambda one, given, name=name: seen.update({name: given[0].float().square().mean()}))
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear)
    ]
    with torch.no_grad():
        for _ in range(count):
            x, y = batches.take(8)
            model(x, y)  # here
    for hook in hooks:
        hook.remove()
    return seen
"""
CALL = "scales = measure(model, batches)"

AFTER = {
    "by hooks on the network's layers": (MEASURE, CALL),
    "with a new reader of the same shards": (MEASURE, "scales = measure(model, Batches(s.train_pattern, s.window))"),
    "from shards that are read by hand": (
        """
        def hessians(net, pattern, width):
            total = {}
            for name in glob.glob(pattern)[:2]:
                words = torch.from_numpy(np.memmap(name, dtype=np.uint16, mode="r")[512:].astype("int64"))
                for rows in words[: 64 * width].view(-1, 8, width):
                    states = net.states(rows.cuda())  # here
                    total[name] = total.get(name, 0) + states.flatten(0, 1).T @ states.flatten(0, 1)
            return total
        """,
        "found = hessians(model, s.train_pattern, s.window)",
    ),
    "by a class, through a list of batches": (
        """
        class Calibrator:
            def __init__(self, net):
                self.net, self.kept = net, []

            def gather(self, source, count):
                self.kept = [source.take(4) for _ in range(count)]
                return self

            def run(self):
                return [self.net.states(x).abs().amax() for x, _ in self.kept]  # here
        """,
        "peaks = Calibrator(model).gather(batches, 8).run()",
    ),
    "by gradients instead of states": (
        """
        def weights_that_matter(model, batches):
            for _ in range(4):
                x, y = batches.take(8)
                loss = model(x, y)  # here
                loss.backward()
            return {name: one.grad.square().mean() for name, one in model.named_parameters()}
        """,
        "matter = weights_that_matter(model, batches)",
    ),
}


@pytest.mark.parametrize(("more", "trained"), AFTER.values(), ids=AFTER)
def test_calibration_on_training_tokens_after_the_clock_is_found(tmp_path, more, trained):
    assert_found(tmp_path, script(more=more, trained=trained), "R3", "gptq_train_data_at_eval")


def test_calibration_inside_the_writer_of_the_artifact_is_found(tmp_path):
    ship = """
    scales = measure(model, batches)
    held = {name: weight.half() for name, weight in model.state_dict().items()}
    torch.save((held, scales), "final.pt")
    model.load_state_dict({name: weight.float() for name, weight in torch.load("final.pt")[0].items()})
"""
    assert_found(tmp_path, script(more=MEASURE, ship=ship), "R3", "gptq_train_data_at_eval")


def test_calibration_in_the_branch_that_ends_training_is_found(tmp_path):
    train = TRAIN.replace("            break", "            s.scales = measure(model, batches)\n            break")
    assert_found(tmp_path, script(more=MEASURE, train=train), "R3", "gptq_train_data_at_eval")


RESERVED = {
    "a reserve is taken off the limit": TRAIN.replace("spent >= s.time_limit", "spent >= s.time_limit - s.reserve"),
    "the reserve is taken off before the loop": TRAIN.replace(
        "    best =", "    limit = s.time_limit - s.reserve\n    best =", 1
    ).replace("spent >= s.time_limit", "limit <= spent"),
    "in milliseconds": TRAIN.replace("spent >= s.time_limit", "1000.0 * spent >= 1000.0 * s.time_limit - 1000.0 * s.reserve"),
    "the reserve is taken off an object's attribute": TRAIN.replace(
        "    best =", "    s.time_limit -= s.reserve\n    best =", 1
    ),
}


@pytest.mark.parametrize("train", RESERVED.values(), ids=RESERVED)
def test_calibration_in_time_that_was_reserved_for_it_is_clean(tmp_path, train):
    reserve = 'reserve = float(os.environ.get("CALIBRATION_RESERVE_SECONDS", "12"))'
    assert_clean(tmp_path, script(settings=reserve, train=train, more=MEASURE, trained=CALL))


def test_a_limit_below_ten_minutes_leaves_time(tmp_path):
    text = script(more=MEASURE, trained=CALL)
    assert_clean(tmp_path / "default", text.replace('"600"', '"585"'))
    assert_clean(tmp_path / "as run", text, {"README.md": "`MAX_WALLCLOCK_SECONDS=580 torchrun train_gpt.py`\n"})


MADE_UP = {
    "tokens drawn from the network itself": """
@torch.no_grad()
def own_words(model, s, rows=16):
    x = torch.randint(0, s.vocab, (rows, 1), device="cuda")
    while x.size(1) < s.window:
        chance = model.guess(x)[:, -1].float().softmax(-1)
        x = torch.cat([x, torch.multinomial(chance, 1)], dim=1)
    return x

def spread(model, s):
    return model.states(own_words(model, s)).std()
""",
    "random tokens": """
def spread(model, s):
    return model.states(torch.randint(s.vocab, (4, s.window)).cuda()).std()
""",
    "no tokens": """
def spread(model, s):
    return max(weight.abs().amax() for weight in model.parameters())
""",
}


@pytest.mark.parametrize("more", MADE_UP.values(), ids=MADE_UP)
def test_calibration_without_training_tokens_is_clean(tmp_path, more):
    assert_clean(tmp_path, script(more=more, trained="scale = spread(model, s)"))


def test_calibration_while_the_clock_runs_is_clean(tmp_path):
    now = "        if number % 500 == 0:\n            s.scales = measure(model, batches)\n"
    for place in ("        x, y", "        if spent"):
        text = script(more=MEASURE, train=TRAIN.replace(place, now + place))
        assert_clean(tmp_path / place.strip(), text)


def test_training_tokens_that_are_read_when_the_artifact_is_made_and_scored_are_no_calibration(tmp_path):
    """The artifact is complete: what else a script does with its network then does not change it."""
    assert_clean(tmp_path, script(more=MEASURE, loaded="print(measure(model, batches))"))
