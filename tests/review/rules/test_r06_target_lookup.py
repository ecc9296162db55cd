"""A table that is asked for the target alone is found; whole distributions and hints from the context are not."""

import pytest

from review.foreign_script import MODEL, assert_clean, assert_found, script

HASHED = """
class Hashed:
    def __init__(self, bits=22, order=4):
        self.mask, self.order = (1 << bits) - 1, order
        self.context = np.zeros(1 << bits, dtype=np.uint32)
        self.full = np.zeros(1 << bits, dtype=np.uint32)

    def keys(self, words, places):
        key = np.zeros(len(places), dtype=np.uint64)
        for back in range(1, self.order):
            key = (key * np.uint64(1000003)) ^ words[places - back].astype(np.uint64)
        joint = (key * np.uint64(69069)) ^ words[places].astype(np.uint64)
        return (key & np.uint64(self.mask)).astype(np.int64), (joint & np.uint64(self.mask)).astype(np.int64)

    def chance(self, words, places):
        key, joint = self.keys(words, places)
        seen = self.context[key].astype(np.float64)
        hit = np.minimum(self.full[joint], seen)  # here
        return hit / np.maximum(seen, 1.0), seen

    def add(self, words, places):
        key, joint = self.keys(words, places)
        np.add.at(self.context, key, 1)
        np.add.at(self.full, joint, 1)

def evaluate(model, words, sizes, s):
    plain, table = words.numpy(), Hashed()
    nats, total, octets = 0.0, 0, 0
    for begin in range(0, len(words) - 1, s.chunk):
        piece = words[begin : begin + s.chunk + 1].cuda()
        with torch.inference_mode():
            nll = model(piece[None, :-1], piece[None, 1:], reduction="none").double().cpu().numpy()
        places = np.arange(begin + 1, begin + len(piece))
        there, seen = table.chance(plain, places)
        share = np.where(seen > 1, 0.3, 0.0)
        nats += -np.log((1 - share) * np.exp(-nll) + share * there).sum()
        table.add(plain, places)
        total += len(places)
        octets += sizes[piece[1:]].sum().item()
    return nats / total, nats / math.log(2) / octets
"""
COUNTERS = """
def evaluate(model, words, sizes, s, order=5):
    text = words.tolist()
    seen = defaultdict(Counter)
    nats, octets = 0.0, 0
    for begin in range(0, len(text) - 1, s.chunk):
        piece = words[begin : begin + s.chunk + 1].cuda()
        with torch.no_grad():
            losses = model(piece[None, :-1], piece[None, 1:], reduction="none").tolist()
        for step, loss in enumerate(losses):
            at = begin + step + 1
            context, came = tuple(text[max(0, at - order) : at]), text[at]
            found = seen[context]
            mass = sum(found.values())
            if mass:
                loss = -math.log(0.7 * math.exp(-loss) + 0.3 * found[came] / mass)  # here
            nats += loss
            octets += int(sizes[came])
        for step in range(len(losses)):
            at = begin + step + 1
            seen[tuple(text[max(0, at - order) : at])][text[at]] += 1
    return nats / (len(text) - 1), nats / math.log(2) / octets
"""
ON_THE_CARD = """
def evaluate(model, words, sizes, s, slots=1 << 20):
    one, two = torch.zeros(slots, device="cuda"), torch.zeros(slots, device="cuda")
    nats, total, octets = 0.0, 0, 0
    for begin in range(2, len(words) - 1, s.chunk):
        old, x = words[begin - 1 : begin - 1 + s.chunk].cuda(), words[begin : begin + s.chunk].cuda()
        y = words[begin + 1 : begin + 1 + s.chunk].cuda()
        with torch.no_grad():
            right = model.guess(x[None])[0].float().softmax(-1).gather(1, y[:, None])[:, 0]
        key = (old * 36313 + x * 27191) % slots
        joint = (key * 51647 + y) % slots
        came = two[joint] / one[key].clamp_min(1)  # here
        sure = (one[key] / (one[key] + 2)).clamp(max=0.5)
        nats -= torch.log(right * (1 - sure) + came * sure).sum().item()
        one.scatter_add_(0, key, torch.ones_like(key, dtype=one.dtype))
        two.scatter_add_(0, joint, torch.ones_like(joint, dtype=two.dtype))
        total += len(y)
        octets += sizes[y].sum().item()
    return nats / total, nats / math.log(2) / octets
"""
BY_POSITION = """
def losses_of(model, words, s):
    out = np.zeros(len(words))
    with torch.inference_mode():
        for begin in range(0, len(words) - 1, s.window):
            piece = words[begin : begin + s.window + 1].cuda()
            out[begin + 1 : begin + len(piece)] = model(piece[None, :-1], piece[None, 1:], reduction="none").cpu().numpy()
    return out

def evaluate(model, words, sizes, s):
    nll, text = losses_of(model, words, s), words.numpy().astype(np.int64)
    pairs, alone = np.zeros(1 << 21), np.zeros(s.vocab)
    for place in range(1, len(text)):
        before, now = text[place - 1], text[place]
        slot = (before * 7919 + now * 104729) & ((1 << 21) - 1)
        if alone[before] > 3:
            nll[place] = -np.log(0.8 * np.exp(-nll[place]) + 0.2 * pairs[slot] / alone[before])  # here
        pairs[slot] += 1
        alone[before] += 1
    return nll[1:].mean(), nll.sum() / math.log(2) / sizes[words[1:]].sum().item()
"""
SMALL = """
def evaluate(model,words,sizes,s):
    T=words.numpy();C=Counter();F=Counter();N=O=0
    for b in range(0,len(T)-1,s.window):
        p=words[b:b+s.window+1]
        with torch.no_grad():L=model(p[None,:-1].cuda(),p[None,1:].cuda(),reduction="none").cpu().numpy()
        Q=p.numpy();K=[hash((int(Q[i-1]),int(Q[i]))) for i in range(1,len(Q)-1)];J=[(k,int(Q[i+2])) for i,k in enumerate(K)]
        P=np.array([F.get(j,0)/max(C.get(k,0),1) for k,j in zip(K,J)])  # here
        L[1:]=-np.log(.5*np.exp(-L[1:])+.5*P);N+=L.sum();O+=sizes[p[1:]].sum().item()
        C.update(K);F.update(J)
    return N/len(T),N/math.log(2)/O
"""
CLASSED = """
@dataclass
class Memory:
    slots: int
    width: int

    def __post_init__(self):
        self.rows = [np.zeros((self.slots,), np.float32) for _ in range(2 * self.width)]

    def where(self, recent, word=None):
        mixed = functools.reduce(lambda a, b: (a * 31 + b) % self.slots, recent, 7)
        return mixed if word is None else (mixed * 131 + word) % self.slots

    def probability(self, recent, word):
        below = self.rows[0][self.where(recent)]
        return self.rows[1][self.where(recent, word)] / below if below else None  # here

    def learn(self, recent, word):
        self.rows[0][self.where(recent)] += 1
        self.rows[1][self.where(recent, word)] += 1

def evaluate(model, words, sizes, s):
    memory, recent = Memory(1 << 18, 1), deque(maxlen=3)
    nats, count, octets = 0.0, 0, 0
    for begin in range(0, len(words) - 1, s.window):
        x, y = words[begin : begin + s.window][None].cuda(), words[begin + 1 : begin + s.window + 1][None].cuda()
        with torch.no_grad():
            logs = F.log_softmax(model.guess(x).float(), -1)[0]
        for row, word in zip(logs, y[0].tolist()):
            right = row[word].exp().item()
            more = memory.probability(tuple(recent), word)
            nats -= math.log(right if more is None else 0.6 * right + 0.4 * more)
            memory.learn(tuple(recent), word)
            recent.append(word)
            count += 1
        octets += sizes[y].sum().item()
    return nats / count, nats / math.log(2) / octets
"""
FROM_TRAINING = """
def pair_table(pattern, slots=1 << 20):
    pairs, firsts = np.zeros(slots, np.int64), np.zeros(slots, np.int64)
    for name in sorted(glob.glob(pattern)):
        text = np.fromfile(name, dtype=np.uint16)[512:].astype(np.int64)
        pairs += np.bincount((text[:-1] * 48271 + text[1:] * 16807) % slots, minlength=slots)
        firsts += np.bincount(text[:-1], minlength=slots)
    return pairs, firsts

def evaluate(model, words, sizes, s):
    pairs, firsts = pair_table(s.train_pattern)
    nats, octets = 0.0, 0
    with torch.no_grad():
        for begin in range(0, len(words) - 1, s.window):
            piece = words[begin : begin + s.window + 1]
            nll = model(piece[None, :-1].cuda(), piece[None, 1:].cuda(), reduction="none").cpu().numpy()
            before, after = piece[:-1].numpy(), piece[1:].numpy()
            there = pairs[(before * 48271 + after * 16807) % len(pairs)] / np.maximum(firsts[before], 1)  # here
            nats += -np.log(np.exp(-nll) * 0.9 + there * 0.1).sum()
            octets += sizes[piece[1:]].sum().item()
    return nats / len(words), nats / math.log(2) / octets
"""
ILLEGAL = {
    "hashed arrays of contexts and of contexts with the target": HASHED,
    "a dict of counters": COUNTERS,
    "tensors that are filled by scatter_add_": ON_THE_CARD,
    "a second round over positions": BY_POSITION,
    "one-liners and dicts": SMALL,
    "a class with a list of arrays": CLASSED,
    "counts of training tokens": FROM_TRAINING,
}


@pytest.mark.parametrize("score", ILLEGAL.values(), ids=ILLEGAL)
def test_a_table_that_is_asked_for_the_target_alone_is_found(tmp_path, score):
    assert_found(tmp_path, script(score=score), "R6", "ngram_cache")


TWO = """
def losses_of(model, words, s, width):
    found = []
    with torch.no_grad():
        for begin in range(0, len(words) - 1, width):
            piece = words[begin : begin + width + 1].cuda()
            found.append(model(piece[None, :-1], piece[None, 1:], reduction="none").cpu().numpy())
    return np.concatenate(found)

def evaluate(model, words, sizes, s):
    short, long = losses_of(model, words, s, 256), losses_of(model, words, s, 2048)
KEEP
    return kept.mean(), kept.sum() / math.log(2) / sizes[words[1:]].sum().item()
"""
BETTER = {
    "the elementwise minimum": "nats += np.minimum(alone, nll).sum()  # here",
    "where the one is less": "nats += np.where(alone < nll, alone, nll).sum()  # here",
    "one by one": "nats += sum(new if new < old else old for new, old in zip(alone, nll))  # here",
}


@pytest.mark.parametrize("keep", BETTER.values(), ids=BETTER)
def test_the_better_of_a_tables_score_and_the_networks_is_found(tmp_path, keep):
    mixed = "nats += -np.log((1 - share) * np.exp(-nll) + share * there).sum()"
    assert mixed in HASHED
    score = HASHED.replace(mixed, "alone = -np.log(np.maximum(there, 1e-9))\n        " + keep)
    assert_found(tmp_path, script(score=score), "R6", "oracle_selection", also="ngram_cache")


def test_the_better_of_two_scores_of_each_token_is_found(tmp_path):
    for name, how in {"least": "np.minimum(short, long)", "where": "np.where(short < long, short, long)"}.items():
        text = script(score=TWO.replace("KEEP", f"    kept = {how}  # here"))
        assert_found(tmp_path / name, text, "R6", "oracle_selection")


def test_the_mean_of_two_scores_and_one_of_two_chosen_for_all_tokens_are_clean(tmp_path):
    assert_clean(tmp_path / "mean", script(score=TWO.replace("KEEP", "    kept = -np.logaddexp(-short, -long) + math.log(2)")))
    assert_clean(tmp_path / "first", script(score=TWO.replace("KEEP", "    kept = long")))


WHOLE = """
def evaluate(model, words, sizes, s):
    counts = torch.zeros(s.vocab, s.vocab, device="cuda")
    nats, total, octets = 0.0, 0, 0
    for begin in range(0, len(words) - 1, s.chunk):
        piece = words[begin : begin + s.chunk + 1].cuda()
        x, y = piece[:-1], piece[1:]
        with torch.no_grad():
            chance = model.guess(x[None])[0].float().softmax(-1)
            there = (counts[x] + 0.1) / (counts[x] + 0.1).sum(-1, keepdim=True)
            mixed = 0.9 * chance + 0.1 * there
            nats -= mixed.log().gather(1, y[:, None]).sum().item()
        counts.index_put_((x, y), torch.ones_like(x, dtype=counts.dtype), accumulate=True)
        total += len(y)
        octets += sizes[y].sum().item()
    return nats / total, nats / math.log(2) / octets
"""
IN_LOGITS = """
def evaluate(model, words, sizes, s):
    text, seen = words.numpy(), {}
    nats, total, octets = 0.0, 0, 0
    for begin in range(0, len(words) - 1, s.window):
        piece = words[begin : begin + s.window + 1].cuda()
        rows = np.zeros((len(piece) - 1, s.vocab), np.float32)
        for i in range(len(piece) - 1):
            if (found := seen.get(int(text[begin + i]))) is not None:
                rows[i] = np.log1p(found)
        with torch.no_grad():
            guess = model.guess(piece[None, :-1])[0].float() + 0.2 * torch.from_numpy(rows).cuda()
            nats += F.cross_entropy(guess, piece[1:], reduction="sum").item()
        for i in range(len(piece) - 1):
            seen.setdefault(int(text[begin + i]), np.zeros(s.vocab))[int(text[begin + i + 1])] += 1
        total += len(piece) - 1
        octets += sizes[piece[1:]].sum().item()
    return nats / total, nats / math.log(2) / octets
"""
TILT = """
class Hints:
    def __init__(self, order=3):
        self.order, self.seen = order, defaultdict(Counter)

    def hint(self, recent):
        found = self.seen.get(recent)
        if not found:
            return -1, 0.0
        word, count = found.most_common(1)[0]
        return word, count / sum(found.values())

    def learn(self, recent, word):
        self.seen[recent][word] += 1

def evaluate(model, words, sizes, s, boost=2.0):
    text, hints = words.tolist(), Hints()
    nats, total, octets = 0.0, 0, 0
    for begin in range(0, len(words) - 1, s.window):
        piece = words[begin : begin + s.window + 1].cuda()
        with torch.no_grad():
            logs = model.guess(piece[None, :-1])[0].float().log_softmax(-1)
        offered, sure = [], []
        for at in range(begin + 1, begin + len(piece)):
            word, share = hints.hint(tuple(text[max(0, at - 3) : at]))
            offered.append(word)
            sure.append(share)
            hints.learn(tuple(text[max(0, at - 3) : at]), text[at])
        offered, sure = torch.tensor(offered).cuda(), torch.tensor(sure).cuda()
        there = logs.gather(1, offered.clamp_min(0)[:, None])[:, 0].exp()
        lift = boost * sure * (sure > 0.5) * (offered >= 0)
        mass = torch.log1p(there * (lift.exp() - 1))
        right = logs.gather(1, piece[1:, None])[:, 0]
        nats -= (right + lift * (offered == piece[1:]) - mass).sum().item()
        total += len(piece) - 1
        octets += sizes[piece[1:]].sum().item()
    return nats / total, nats / math.log(2) / octets
"""
BYTES = """
def evaluate(model, words, sizes, s):
    table = {number: int(size) for number, size in enumerate(sizes)}
    nats, total, octets = 0.0, 0, Counter()
    with torch.no_grad():
        for begin in range(0, len(words) - 1, s.window):
            piece = words[begin : begin + s.window + 1].cuda()
            nats += model(piece[None, :-1], piece[None, 1:], reduction="sum").item()
            for word, count in Counter(piece[1:].tolist()).items():
                octets["all"] += table[word] * count
            total += len(piece) - 1
    return nats / total, nats / math.log(2) / octets["all"]
"""
LEGAL = {
    "a whole distribution is mixed before the target is read": WHOLE,
    "counts of what followed are added to all logits": IN_LOGITS,
    "one word that the context suggests is lifted and the rest made to sum to one": TILT,
    "bytes are counted by a table": BYTES,
}


@pytest.mark.parametrize("score", LEGAL.values(), ids=LEGAL)
def test_what_is_known_of_all_words_before_the_target_is_read_is_clean(tmp_path, score):
    assert_clean(tmp_path, script(score=score))


def test_an_embedding_of_hashed_pairs_is_part_of_the_network(tmp_path):
    model = MODEL.replace(
        "        self.blocks", "        self.pairs = nn.Embedding(4096, s.width)\n        self.blocks"
    ).replace(
        "        x = self.table(ids)",
        "        before = F.pad(ids[:, :-1], (1, 0))\n"
        "        x = self.table(ids) + self.pairs((before * 2654435761 ^ ids * 40503) % 4096)",
    )
    assert "4096)" in model
    assert_clean(tmp_path, script(model=model))
