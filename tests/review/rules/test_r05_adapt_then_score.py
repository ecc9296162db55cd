"""Learning from validation tokens before they are scored is found, however it is written."""

import pytest

from review.foreign_script import assert_clean, assert_found, script

ADAPT = """
def refine(model, words, s):
    best = torch.optim.SGD(model.parameters(), lr=2e-3, momentum=0.9)
    for begin in range(0, len(words) - 1, s.chunk):
        piece = words[begin : begin + s.chunk + 1].cuda()
        loss = model(piece[None, :-1], piece[None, 1:])
        loss.backward()
        best.step()  # here
        best.zero_grad()
"""
CALL = "refine(model, words, s)"

EARLY = {  # before the artifact is made
    "a pass over all validation tokens": (ADAPT, CALL),
    "only where a setting says so, which is on": (
        ADAPT,
        'if os.environ.get("POLISH", "1") == "1":\n    refine(model, words, s)',
    ),
    "in several epochs of shuffled windows": (
        """
        def polish(net, stream, s):
            starts = list(range(0, stream.numel() - s.window, s.window))
            how = torch.optim.AdamW([{"params": [p for p in net.parameters() if p.ndim > 1]}], lr=5e-4)
            for epoch in range(6):
                random.shuffle(starts)
                for rows in (starts[i : i + 32] for i in range(0, len(starts), 32)):
                    x = torch.stack([stream[at : at + s.window] for at in rows])
                    y = torch.stack([stream[at + 1 : at + s.window + 1] for at in rows])
                    how.zero_grad()
                    net(x.cuda(), y.cuda()).backward()
                    how.step()  # here
        """,
        "polish(model, words, s)",
    ),
    "by hand, without an optimizer": (
        """
        def nudge(net, stream, s, rate=1e-3):
            for begin in range(0, len(stream) - s.window - 1, s.window):
                x, y = stream[begin : begin + s.window], stream[begin + 1 : begin + s.window + 1]
                net(x[None], y[None]).backward()
                with torch.no_grad():
                    for weight in net.parameters():
                        weight.data.add_(weight.grad, alpha=-rate)  # here
                        weight.grad = None
        """,
        "nudge(model, words, s)",
    ),
    "through a partial and a table of steps": (
        ADAPT,
        "plan = {'polish': functools.partial(refine, s=s, words=words)}\nfor name in plan:\n    plan[name](model)",
    ),
    "after the tokens were read once more, under another name": (
        ADAPT,
        "again = read_all(os.path.join(s.folder, 'fineweb_val_*.bin'))\nrefine(model, again, s)",
    ),
}


@pytest.mark.parametrize(("more", "trained"), EARLY.values(), ids=EARLY)
def test_a_network_that_learns_validation_tokens_before_it_is_packed_is_found(tmp_path, more, trained):
    assert_found(tmp_path, script(more=more, trained=trained), "R5", "pre_quant_ttt")


LATE = {  # after the artifact is read
    "a pass over all of it": (ADAPT, CALL),
    "with the plain gradient": (
        """
        def descend(model, words, s):
            held = [p for p in model.parameters() if p.requires_grad]
            at = 0
            while at + 1 < len(words):
                part = words[at : at + s.chunk + 1]
                slopes = torch.autograd.grad(model(part[None, :-1], part[None, 1:]), held)  # here
                with torch.no_grad():
                    for one, slope in zip(held, slopes):
                        one.sub_(1e-3 * slope)  # here
                at += s.chunk
        """,
        "descend(model, words, s)",
    ),
    "by a class that owns network and optimizer": (
        """
        class Learner:
            def __init__(self, net, rate):
                self.net = net
                self.rule = torch.optim.Adam(net.parameters(), lr=rate)

            def windows(self, stream, width):
                for begin in range(0, stream.numel() - width, width):
                    yield stream[begin : begin + width], stream[begin + 1 : begin + width + 1]

            def learn(self, stream, width):
                for x, y in self.windows(stream, width):
                    self.rule.zero_grad()
                    self.net(x[None], y[None]).backward()
                    self.rule.step()  # here
                return self.net
        """,
        "model = Learner(model, 1e-4).learn(words, s.window)",
    ),
    "in a closure in a thread that is waited for": (
        """
        def started(model, words, s):
            rule = torch.optim.SGD(model.parameters(), lr=1e-3)

            def work():
                for begin in range(0, len(words) - s.window, s.window):
                    x, y = words[begin : begin + s.window], words[begin + 1 : begin + s.window + 1]
                    model(x[None], y[None]).backward()
                    rule.step()  # here
                    rule.zero_grad()

            one = threading.Thread(target=work)
            one.start()
            return one
        """,
        "started(model, words, s).join()",
    ),
    "of norms alone": (
        """
        def tuned(model, words, s):
            some = [p for name, p in model.named_parameters() if "down" in name]
            rule = torch.optim.SGD(some, lr=1e-3)
            for part in words.split(s.chunk):
                model(part[None, :-1], part[None, 1:]).backward()
                rule.step()  # here
                for one in some:
                    one.grad = None
        """,
        "tuned(model, words, s)",
    ),
}


@pytest.mark.parametrize(("more", "loaded"), LATE.values(), ids=LATE)
def test_a_network_that_learns_validation_tokens_before_it_scores_them_is_found(tmp_path, more, loaded):
    assert_found(tmp_path, script(more=more, loaded=loaded), "R5", "ttt_adapt_then_score")


WITHIN = {  # where the score comes from the very loop that learns
    "of many epochs the last one's loss counts": """
def evaluate(model, words, sizes, s):
    rule = torch.optim.SGD(model.parameters(), lr=1e-3)
    for epoch in range(3):
        nats, total, octets = 0.0, 0, 0
        for begin in range(0, len(words) - 1, s.window):
            piece = words[begin : begin + s.window + 1].cuda()
            x, y = piece[:-1][None], piece[1:][None]
            loss = model(x, y)
            nats += loss.item() * y.numel()
            total += y.numel()
            octets += sizes[y].sum().item()
            loss.backward()
            rule.step()  # here
            rule.zero_grad()
    return nats / total, nats / math.log(2) / octets
""",
    "a chunk is learned and then scored": """
def evaluate(model, words, sizes, s):
    rule = torch.optim.SGD(model.parameters(), lr=1e-3)
    nats, total, octets = 0.0, 0, 0
    for begin in range(0, len(words) - 1, s.chunk):
        piece = words[begin : begin + s.chunk + 1].cuda()
        x, y = piece[:-1][None], piece[1:][None]
        rule.zero_grad()
        model(x, y).backward()
        rule.step()  # here
        with torch.no_grad():
            nats += model(x, y).item() * y.numel()
        total += y.numel()
        octets += sizes[y].sum().item()
    return nats / total, nats / math.log(2) / octets
""",
    "a document's adapter reports its loss after its steps": """
class Adapter(nn.Module):
    def __init__(self, width, rank=8):
        super().__init__()
        self.a = nn.Parameter(torch.randn(width, rank) / width)
        self.b = nn.Parameter(torch.zeros(rank, width))

    def forward(self, x):
        return x @ self.a @ self.b

def with_adapter(model, adapter, x, y):
    states = model.states(x)
    guess = (states + adapter(states)) @ model.table.weight.T
    return F.cross_entropy(guess.flatten(0, 1), y.flatten())

def evaluate(model, words, sizes, s):
    ends = (words == 1).nonzero().flatten().tolist() + [len(words)]
    nats, total, octets = 0.0, 0, 0
    for start, end in zip(ends[:-1], ends[1:]):
        text = words[start:end]
        x, y = text[None, :-1], text[None, 1:]
        adapter = Adapter(s.width).cuda()
        rule = torch.optim.Adam(adapter.parameters(), lr=1e-2)
        for _ in range(4):
            loss = with_adapter(model, adapter, x, y)
            rule.zero_grad()
            loss.backward()
            rule.step()  # here
        nats += with_adapter(model, adapter, x, y).item() * y.numel()
        total += y.numel()
        octets += sizes[y].sum().item()
    return nats / total, nats / math.log(2) / octets
""",
    "the least loss of several epochs counts": """
def evaluate(model, words, sizes, s):
    rule = torch.optim.SGD(model.parameters(), lr=1e-3)
    nats, total, octets = 0.0, 0, 0
    for part in words.split(s.window):
        x, y = part[None, :-1], part[None, 1:]
        seen = []
        for epoch in range(5):
            loss = model(x, y)
            seen.append(loss.item())
            loss.backward()
            rule.step()  # here
            rule.zero_grad()
        nats += min(seen) * y.numel()
        total += y.numel()
        octets += sizes[y].sum().item()
    return nats / total, nats / math.log(2) / octets
""",
}


@pytest.mark.parametrize("score", WITHIN.values(), ids=WITHIN)
def test_a_score_that_is_taken_after_the_step_is_found(tmp_path, score):
    assert_found(tmp_path, script(score=score), "R5", "ttt_adapt_then_score")


def test_it_is_found_through_two_wrappers_and_a_helper_file(tmp_path):
    helper = """
    import torch

    def once(net, x, y, rule):
        loss = net(x, y)
        loss.backward()
        rule.step()  # here
        rule.zero_grad()
        return loss.detach()

    def each(net, stream, width, rule):
        for at in range(0, stream.shape[0] - width, width):
            once(net, stream[at : at + width].unsqueeze(0), stream[at + 1 : at + 1 + width].unsqueeze(0), rule)
    """
    more = """
    import deeper.steps as st

    def prepared(net, stream, width):
        return st.each(net, stream, width, torch.optim.SGD(net.parameters(), 1e-3))
    """
    files = {"deeper/__init__.py": "", "deeper/steps.py": helper}
    assert_found(tmp_path, script(more=more, loaded="prepared(model, words, s.window)"), "R5", "ttt_adapt_then_score", files)


def test_a_flag_that_the_readme_turns_on_turns_it_on(tmp_path):
    text = script(
        settings='adapt = bool(int(os.environ.get("TTT_ENABLED", "0")))',
        more=ADAPT,
        loaded="if s.adapt:\n    refine(model, words, s)",
    )
    run = "Run it:\n\n    SEED=7 TTT_ENABLED={} torchrun --nproc_per_node=8 train_gpt.py\n"
    assert_clean(tmp_path / "default", text)
    assert_clean(tmp_path / "off", text, {"README.md": run.format(0)})
    assert_found(tmp_path / "on", text, "R5", "ttt_adapt_then_score", {"README.md": run.format(1)})
    assert_found(tmp_path / "by a shell script", text, "R5", "ttt_adapt_then_score", {"run.sh": "export TTT_ENABLED=1\n"})
