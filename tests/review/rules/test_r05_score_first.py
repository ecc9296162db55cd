"""Learning from validation tokens that are scored already, or that nothing remembers, is clean in every shape."""

import pytest

from review.foreign_script import SCORE, assert_clean, script

ADAPT = """
def refine(model, words, s):
    best = torch.optim.SGD(model.parameters(), lr=2e-3, momentum=0.9)
    for begin in range(0, len(words) - 1, s.chunk):
        piece = words[begin : begin + s.chunk + 1].cuda()
        loss = model(piece[None, :-1], piece[None, 1:])
        loss.backward()
        best.step()
        best.zero_grad()
"""

FIRST = """
def evaluate(model, words, sizes, s):
    rule = torch.optim.SGD(model.parameters(), lr=1e-3)
    nats, total, octets = 0.0, 0, 0
    for begin in range(0, len(words) - 1, s.chunk):
        piece = words[begin : begin + s.chunk + 1].cuda()
        x, y = piece[:-1][None], piece[1:][None]
        with torch.inference_mode():
            nats += model(x, y).item() * y.numel()
        total += y.numel()
        octets += sizes[y].sum().item()
        for epoch in range(EPOCHS):
            model(x, y).backward()
            rule.step()
            rule.zero_grad()
    return nats / total, nats / math.log(2) / octets
"""
LEGAL = {
    "no adaptation at all": SCORE,
    "a chunk is scored and then learned": FIRST.replace("EPOCHS", "1"),
    "a scored chunk is learned in several epochs": FIRST.replace("EPOCHS", "s.epochs").replace(
        "rule = torch", "s.epochs = 4\n    rule = torch"
    ),
    "a chunk's windows are scored and then learned, several times each": """
def evaluate(model, words, sizes, s):
    rule = torch.optim.SGD(model.parameters(), lr=1e-3)
    nats, total, octets = 0.0, 0, 0
    for begin in range(0, len(words) - 1, s.chunk):
        piece = words[begin : begin + s.chunk + 1].cuda()
        x, y = piece[:-1].view(-1, s.window), piece[1:].view(-1, s.window)
        model.eval()
        with torch.inference_mode():
            for row in range(0, len(x), 8):
                nats += model(x[row : row + 8], y[row : row + 8]).item() * y[row : row + 8].numel()
        total += y.numel()
        octets += sizes[y].sum().item()
        model.train()
        for epoch in range(3):
            for row in range(0, len(x), 8):
                rule.zero_grad(set_to_none=True)
                model(x[row : row + 8], y[row : row + 8]).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                rule.step()
    return nats / total, nats / math.log(2) / octets
""",
    "windows are grouped by the chunk that they end in": """
def evaluate(model, words, sizes, s, stride=64):
    rule = torch.optim.SGD(model.parameters(), lr=1e-3)
    nats, total, octets = 0.0, 0, 0
    groups = defaultdict(list)
    for at in range(0, len(words) - s.window, stride):
        groups[at // s.chunk].append(at)
    for group in sorted(groups):
        with torch.no_grad():
            for at in groups[group]:
                x, y = words[at : at + s.window][None], words[at + 1 : at + s.window + 1][None]
                loss = model(x, y, reduction="none")[-stride:]
                nats += loss.sum().item()
                total += loss.numel()
                octets += sizes[y[0, -stride:]].sum().item()
        low, high = group * s.chunk, min((group + 1) * s.chunk, len(words) - 1)
        for at in range(low, high - s.window, s.window):
            x, y = words[at : at + s.window][None], words[at + 1 : at + s.window + 1][None]
            model(x, y).backward()
            rule.step()
            rule.zero_grad()
    return nats / total, nats / math.log(2) / octets
""",
    "chunks that were scored before are learned again": """
def evaluate(model, words, sizes, s):
    rule = torch.optim.SGD(model.parameters(), lr=1e-3)
    nats, total, octets = 0.0, 0, 0
    done = []
    for piece in words.split(s.chunk):
        piece = piece.cuda()
        with torch.no_grad():
            nats += model(piece[None, :-1], piece[None, 1:]).item() * (len(piece) - 1)
        total += len(piece) - 1
        octets += sizes[piece[1:]].sum().item()
        done.append(piece)
        for old in random.sample(done, min(4, len(done))):
            model(old[None, :-1], old[None, 1:]).backward()
            rule.step()
            rule.zero_grad()
    return nats / total, nats / math.log(2) / octets
""",
    "by a generator that scores and a learner that follows": """
def scored(model, words, s):
    for begin in range(0, len(words) - 1, s.chunk):
        piece = words[begin : begin + s.chunk + 1].cuda()
        with torch.no_grad():
            loss = model(piece[None, :-1], piece[None, 1:])
        yield loss.item(), piece

def evaluate(model, words, sizes, s):
    rule = torch.optim.SGD(model.parameters(), lr=1e-3)
    nats = total = octets = 0
    for loss, piece in scored(model, words, s):
        nats, total, octets = nats + loss * (len(piece) - 1), total + len(piece) - 1, octets + sizes[piece[1:]].sum().item()
        model(piece[None, :-1], piece[None, 1:]).backward()
        rule.step()
        rule.zero_grad()
    return nats / total, nats / math.log(2) / octets
""",
    "an adapter per document, chunk by chunk, scored first and made anew": """
class Adapter(nn.Module):
    def __init__(self, width, rank=8):
        super().__init__()
        self.a = nn.Parameter(torch.randn(width, rank) / width)
        self.b = nn.Parameter(torch.zeros(rank, width))

    def reset(self):
        with torch.no_grad():
            self.a.normal_()
            self.b.zero_()

    def forward(self, x):
        return x @ self.a @ self.b

def with_adapter(model, adapter, x, y):
    states = model.states(x)
    guess = (states + adapter(states)) @ model.table.weight.T
    return F.cross_entropy(guess.flatten(0, 1), y.flatten())

def evaluate(model, words, sizes, s):
    ends = (words == 1).nonzero().flatten().tolist() + [len(words)]
    adapter = Adapter(s.width).cuda()
    rule = torch.optim.Adam(adapter.parameters(), lr=1e-2)
    nats, total, octets = 0.0, 0, 0
    for start, end in zip(ends[:-1], ends[1:]):
        adapter.reset()
        for begin in range(start, end - 1, 256):
            part = words[begin : min(begin + 257, end)]
            x, y = part[None, :-1], part[None, 1:]
            loss = with_adapter(model, adapter, x, y)
            nats += loss.item() * y.numel()
            total += y.numel()
            octets += sizes[y].sum().item()
            if begin + 257 < end:
                rule.zero_grad()
                loss.backward()
                rule.step()
    return nats / total, nats / math.log(2) / octets
""",
    "in phases, on documents whose score is complete": """
def learn(model, done, s):
    rule = torch.optim.SGD(model.parameters(), lr=5e-4)
    for text in done:
        for at in range(0, len(text) - 1, s.window):
            part = text[at : at + s.window + 1]
            model(part[None, :-1], part[None, 1:]).backward()
            rule.step()
            rule.zero_grad()

def evaluate(model, words, sizes, s):
    ends = (words == 1).nonzero().flatten().tolist() + [len(words)]
    texts = [words[a:b] for a, b in zip(ends[:-1], ends[1:])]
    nats, total, octets = 0.0, 0, 0
    for phase in range(0, len(texts), 5000):
        group = texts[phase : phase + 5000]
        for text in group:
            with torch.no_grad():
                loss = model(text[None, :-1], text[None, 1:])
            nats += loss.item() * (len(text) - 1)
            total += len(text) - 1
            octets += sizes[text[1:]].sum().item()
        learn(model, group, s)
    return nats / total, nats / math.log(2) / octets
""",
    "on the context of a window, of which only the rest is scored": """
def evaluate(model, words, sizes, s):
    kept = copy.deepcopy(model.state_dict())
    half = s.window // 2
    nats, total, octets = 0.0, 0, 0
    for begin in range(0, len(words) - s.window - 1, half):
        model.load_state_dict(kept)
        rule = torch.optim.SGD(model.parameters(), lr=1e-3)
        piece = words[begin : begin + s.window + 1].cuda()
        x, y = piece[None, :-1], piece[None, 1:]
        model(x[:, :half], y[:, :half]).backward()
        rule.step()
        with torch.no_grad():
            loss = model(x, y, reduction="none").view_as(y)[:, half:]
        nats += loss.sum().item()
        total += loss.numel()
        octets += sizes[y[:, half:]].sum().item()
    return nats / total, nats / math.log(2) / octets
""",
}


@pytest.mark.parametrize("score", LEGAL.values(), ids=LEGAL)
def test_a_score_that_is_taken_before_its_tokens_are_learned_is_clean(tmp_path, score):
    assert_clean(tmp_path, script(score=score))


THROWN = {
    "a copy that is adapted and thrown away": "trial = copy.deepcopy(model)\nrefine(trial, words, s)\ndel trial",
    "a state that is put back before the score": (
        "kept = {name: one.clone() for name, one in model.state_dict().items()}\n"
        "refine(model, words, s)\nmodel.load_state_dict(kept)"
    ),
    "steps on made-up tokens, to compile": "refine(model, torch.randint(0, s.vocab, (s.chunk + 1,)), s)",
    "steps on training tokens": "refine(model, batches.words, s)",
}


@pytest.mark.parametrize("loaded", THROWN.values(), ids=THROWN)
def test_what_is_not_there_any_more_when_the_score_is_taken_does_no_harm(tmp_path, loaded):
    assert_clean(tmp_path, script(more=ADAPT, loaded=loaded))
