"""Whether a chunk is scored before it is learned or after is told in every shape of the loop that does both."""

import pytest

from review.foreign_script import assert_clean, assert_found, script

ROUND = """
class Round:
    def __init__(self, net, s):
        self.net, self.s, self.nats, self.count = net, s, 0.0, 0
        self.rule = torch.optim.SGD(net.parameters(), lr=1e-3)

    def score(self, x, y):
        with torch.inference_mode():
            self.nats += self.net(x, y).item() * y.numel()
        self.count += y.numel()

    def learn(self, x, y):
        self.net(x, y).backward()
        self.rule.step()
        self.rule.zero_grad()

def parts(words, size):
    for begin in range(0, len(words) - 1, size):
        piece = words[begin : begin + size + 1].cuda()
        yield piece[None, :-1], piece[None, 1:]

def evaluate(model, words, sizes, s):
    work = Round(model, s)
BODY
    return work.nats / work.count, work.nats / math.log(2) / sizes[words[1:]].sum().item()
"""
ORDERS = {
    "one call after the other": """
    for x, y in parts(words, s.chunk):
        work.score(x, y)
        work.learn(x, y)
""",
    "a loop over both": """
    for x, y in parts(words, s.chunk):
        for what in (work.score, work.learn):
            what(x, y)
""",
    "names of methods": """
    for x, y in parts(words, s.chunk):
        for name in ("score", "learn"):
            getattr(work, name)(x, y)
""",
    "a while loop that counts": """
    at = 0
    while at + 1 < len(words):
        piece = words[at : at + s.chunk + 1].cuda()
        work.score(piece[None, :-1], piece[None, 1:])
        work.learn(piece[None, :-1], piece[None, 1:])
        at += s.chunk
""",
    "a chunk that is learned when the next one comes": """
    before = None
    for x, y in parts(words, s.chunk):
        if before is not None:
            work.learn(*before)
        work.score(x, y)
        before = x, y
""",
    "a pass to score, and a pass to learn what nobody scores any more": """
    for x, y in parts(words, s.chunk):
        work.score(x, y)
    for x, y in parts(words, s.chunk):
        work.learn(x, y)
""",
    "a closure": """
    def one(x, y, last=False):
        work.score(x, y)
        if not last:
            work.learn(x, y)

    for number, (x, y) in enumerate(parts(words, s.chunk)):
        one(x, y, last=number == len(words) // s.chunk)
""",
    "an iterator taken by hand": """
    stream = parts(words, s.chunk)
    for _ in range(len(words) // s.chunk):
        x, y = next(stream)
        work.score(x, y)
        work.learn(x, y)
""",
    "rows of a matrix": """
    for rows in words[: len(words) // s.chunk * s.chunk].view(-1, s.chunk):
        rows = rows.view(-1, s.window)
        work.score(rows[:, :-1], rows[:, 1:])
        for _ in range(2):
            work.learn(rows[:, :-1], rows[:, 1:])
""",
    "every process its own share": """
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    for number, (x, y) in enumerate(parts(words, s.chunk)):
        if number % size == rank:
            work.score(x, y)
        if dist.is_initialized():
            dist.barrier()
        work.learn(x, y)
""",
}


@pytest.mark.parametrize("body", ORDERS.values(), ids=ORDERS)
def test_learning_that_follows_the_score_is_clean_in_every_shape(tmp_path, body):
    assert_clean(tmp_path, script(score=ROUND.replace("BODY", body.strip("\n"))))


WRONG_ORDERS = {
    "one call after the other": """
    for x, y in parts(words, s.chunk):
        work.learn(x, y)
        work.score(x, y)
""",
    "a loop over both": """
    for x, y in parts(words, s.chunk):
        for what in (work.learn, work.score):
            what(x, y)
""",
    "names of methods": """
    for x, y in parts(words, s.chunk):
        for name in ("learn", "score"):
            getattr(work, name)(x, y)
""",
    "two rounds, of which each counts": """
    for _ in range(2):
        for x, y in parts(words, s.chunk):
            work.score(x, y)
            work.learn(x, y)
""",
    "loops of their own within a chunk": """
    for begin in range(0, len(words) - 1, s.chunk):
        for x, y in parts(words[begin : begin + s.chunk], s.window):
            work.learn(x, y)
        for x, y in parts(words[begin : begin + s.chunk], s.window):
            work.score(x, y)
""",
}


@pytest.mark.parametrize("body", WRONG_ORDERS.values(), ids=WRONG_ORDERS)
def test_a_score_that_follows_the_learning_is_found_in_every_shape(tmp_path, body):
    score = ROUND.replace("self.rule.step()", "self.rule.step()  # here").replace("BODY", body.strip("\n"))
    assert_found(tmp_path, script(score=score), "R5", "ttt_adapt_then_score")
