"""Counts of tokens that are scored with them afterwards are found; counts that follow the score are not."""

import pytest

from review.foreign_script import assert_clean, assert_found, script

CACHE = """
class Cache:
    def __init__(self, bits=20):
        self.slots = 1 << bits
        self.one, self.two = np.zeros(self.slots, np.int64), np.zeros(self.slots, np.int64)

    def keys(self, before, after):
        key = (before.astype(np.int64) * 40503) % self.slots
        return key, (key * 69621 + after) % self.slots

    def add(self, before, after):
        key, joint = self.keys(before, after)
        np.add.at(self.one, key, 1)  # here
        np.add.at(self.two, joint, 1)  # here

    def chance(self, before, after):
        key, joint = self.keys(before, after)
        return self.two[joint] / np.maximum(self.one[key], 1)

def losses_of(model, words, s):
    found = []
    with torch.no_grad():
        for begin in range(0, len(words) - 1, s.window):
            piece = words[begin : begin + s.window + 1].cuda()
            found.append(model(piece[None, :-1], piece[None, 1:], reduction="none").cpu().numpy())
    return np.concatenate(found)

def evaluate(model, words, sizes, s):
    text, cache = words.numpy(), Cache()
"""
TAIL = """
    return nll.mean(), nll.sum() / math.log(2) / sizes[words[1:]].sum().item()
"""
BUILT = """
    cache.add(text[:-1], text[1:])
    nll = losses_of(model, words, s)
    nll = -np.log(0.6 * np.exp(-nll) + 0.4 * cache.chance(text[:-1], text[1:]))
"""
STORED = """
    plain = losses_of(model, words, s)
    for low in range(0, len(plain), s.chunk):
        cache.add(text[low : low + s.chunk], text[low + 1 : low + 1 + s.chunk])
    nll = np.empty_like(plain)
    for low in range(0, len(plain), s.chunk):
        there = cache.chance(text[low : low + s.chunk], text[low + 1 : low + 1 + s.chunk])
        nll[low : low + s.chunk] = -np.log(0.6 * np.exp(-plain[low : low + s.chunk]) + 0.4 * there)
"""
EARLY = """
    plain, nll, low = losses_of(model, words, s), [], 0
    for part in np.array_split(plain, 1000):
        before, after = text[low : low + len(part)], text[low + 1 : low + 1 + len(part)]
        cache.add(before, after)
        nll.append(-np.log(0.6 * np.exp(-part) + 0.4 * cache.chance(before, after)))
        low += len(part)
    nll = np.concatenate(nll)
"""
AHEAD = """
    def fill():
        for low in range(0, len(text) - 1, s.chunk):
            cache.add(text[low : low + s.chunk], text[low + 1 : low + 1 + s.chunk][: len(text) - 1 - low])

    work = threading.Thread(target=fill, daemon=True)
    work.start()
    plain = losses_of(model, words, s)
    work.join()
    nll = -np.logaddexp(math.log(0.6) - plain, np.log(1e-9 + 0.4 * cache.chance(text[:-1], text[1:])))
"""
ILLEGAL = {
    "the whole stream is counted first": BUILT,
    "losses are stored and scored anew with the full cache": STORED,
    "a chunk is counted before its own score": EARLY,
    "it is counted in a thread beside the network's pass": AHEAD,
}


@pytest.mark.parametrize("rest", ILLEGAL.values(), ids=ILLEGAL)
def test_counts_of_what_is_scored_with_them_are_found(tmp_path, rest):
    assert_found(tmp_path, script(score=CACHE + rest.strip("\n") + TAIL), "R7", "two_pass")


DICT = """
def counted(text, order):
    found = defaultdict(Counter)
    for at in range(order, len(text)):
        found[tuple(text[at - order : at])][text[at]] += 1  # here
    return found

def evaluate(model, words, sizes, s):
    text = words.tolist()
    tables = {order: counted(text, order) for order in (2, 3, 4)}
    nats, octets = 0.0, 0
    for begin in range(0, len(text) - 1, s.window):
        piece = words[begin : begin + s.window + 1].cuda()
        with torch.no_grad():
            losses = model(piece[None, :-1], piece[None, 1:], reduction="none").tolist()
        for at, loss in zip(range(begin + 1, begin + len(piece)), losses):
            chance = math.exp(-loss)
            for order, table in tables.items():
                held = table.get(tuple(text[at - order : at]))
                if held:
                    chance = 0.5 * chance + 0.5 * held[text[at]] / sum(held.values())
            nats -= math.log(chance)
            octets += int(sizes[text[at]])
    return nats / len(text), nats / math.log(2) / octets
"""
DENSE = """
def evaluate(model, words, sizes, s):
    pairs = torch.zeros(s.vocab * s.vocab, device="cuda")
    flat = (words[:-1] * s.vocab + words[1:]).cuda()
    pairs.scatter_add_(0, flat, torch.ones(len(flat), device="cuda"))  # here
    rows = pairs.view(s.vocab, s.vocab) + 1e-3
    rows /= rows.sum(1, keepdim=True)
    nats, octets = 0.0, 0
    with torch.no_grad():
        for begin in range(0, len(words) - 1, s.window):
            x, y = words[begin : begin + s.window].cuda(), words[begin + 1 : begin + s.window + 1].cuda()
            chance = 0.7 * model.guess(x[None])[0].float().softmax(-1) + 0.3 * rows[x]
            nats -= chance.gather(1, y[:, None]).log().sum().item()
            octets += sizes[y].sum().item()
    return nats / len(words), nats / math.log(2) / octets
"""
BIASED = """
def evaluate(model, words, sizes, s):
    often = torch.bincount(words, minlength=s.vocab).cuda()  # here
    prior = (often / often.sum()).clamp_min(1e-8).log()
    nats, octets = 0.0, 0
    with torch.no_grad():
        for begin in range(0, len(words) - 1, s.window):
            x, y = words[begin : begin + s.window].cuda(), words[begin + 1 : begin + s.window + 1].cuda()
            nats += F.cross_entropy(model.guess(x[None])[0].float() + 0.1 * prior, y, reduction="sum").item()
            octets += sizes[y].sum().item()
    return nats / len(words), nats / math.log(2) / octets
"""
WHOLE = {"dicts of counters": DICT, "whole rows of a dense table": DENSE, "frequencies of words in logits": BIASED}


@pytest.mark.parametrize("score", WHOLE.values(), ids=WHOLE)
def test_it_does_not_matter_what_is_counted(tmp_path, score):
    assert_found(tmp_path, script(score=score), "R7", "two_pass")


AFTER = """
    plain, nll = losses_of(model, words, s), []
    for low in range(0, len(plain), s.chunk):
        before, after = text[low : low + s.chunk], text[low + 1 : low + 1 + s.chunk]
        nll.append(-np.log(0.6 * np.exp(-plain[low : low + s.chunk]) + 0.4 * cache.chance(before, after)))
        cache.add(before, after)
    nll = np.concatenate(nll)
"""
UNUSED = """
    cache.add(text[:-1], text[1:])
    print("slots in use", int((cache.one > 0).sum()))
    nll = losses_of(model, words, s)
"""
TRAINED = """
    cache.add(*(np.fromfile(glob.glob(s.train_pattern)[0], dtype="<u2")[512 + shift : 10_000_000 + shift] for shift in (0, 1)))
    nll = losses_of(model, words, s)
    nll = -np.log(0.6 * np.exp(-nll) + 0.4 * cache.chance(text[:-1], text[1:]))
"""
ONE_PASS = {
    "counted chunk by chunk after the score": AFTER,
    "counted and never asked": UNUSED,
    "counted from training": TRAINED,
}


@pytest.mark.parametrize("rest", ONE_PASS.values(), ids=ONE_PASS)
def test_a_single_pass_is_clean(tmp_path, rest):
    assert_clean(tmp_path, script(score=CACHE + rest.strip("\n") + TAIL), rules=["R7"])


def test_whole_rows_that_follow_the_score_are_clean(tmp_path):
    score = """
def evaluate(model, words, sizes, s):
    rows = torch.full((s.vocab, s.vocab), 1e-3, device="cuda")
    nats, octets = 0.0, 0
    for begin in range(0, len(words) - 1, s.window):
        x, y = words[begin : begin + s.window].cuda(), words[begin + 1 : begin + s.window + 1].cuda()
        with torch.no_grad():
            chance = 0.7 * model.guess(x[None])[0].float().softmax(-1) + 0.3 * rows[x] / rows[x].sum(1, keepdim=True)
            nats -= chance.gather(1, y[:, None]).log().sum().item()
        rows.view(-1).index_add_(0, x * s.vocab + y, torch.ones(len(x), device="cuda"))
        octets += sizes[y].sum().item()
    return nats / len(words), nats / math.log(2) / octets
"""
    assert_clean(tmp_path, script(score=score))
