"""Ways of scoring that break no rule, as entries write them: none of the rules on what flows where says a word."""

import pytest

from review.foreign_script import REPORT, TRAIN, assert_clean, assert_found, script

LORA_BATCHED_CHUNKS = """
class Low(nn.Module):
    def __init__(self, rows, width, rank=8):
        super().__init__()
        self.a = nn.Parameter(torch.randn(rows, width, rank) / width)
        self.b = nn.Parameter(torch.zeros(rows, rank, width))
    def forward(self, x):
        return x + x @ self.a @ self.b

def each_loss(model, low, x, y):
    guess = low(model.states(x)) @ model.table.weight.T
    return F.cross_entropy(guess.flatten(0, 1), y.flatten(), reduction="none").view_as(y)

def evaluate(model, words, sizes, s, rows=32, chunk=256):
    ends = (words == 1).nonzero().flatten().tolist() + [len(words)]
    spans = sorted(zip(ends[:-1], ends[1:]), key=lambda one: one[1] - one[0])
    nats, total, octets = torch.zeros((), dtype=torch.float64).cuda(), 0, 0
    for first in range(0, len(spans), rows):
        group = spans[first : first + rows]
        low = Low(len(group), s.width).cuda()
        rule = torch.optim.Adam(low.parameters(), lr=1e-2, betas=(0.9, 0.95))
        most = max(b - a for a, b in group)
        for number in range(math.ceil((most - 1) / chunk)):
            x = torch.zeros(len(group), chunk, dtype=torch.int64).cuda()
            y = torch.zeros_like(x)
            valid = torch.zeros_like(x, dtype=torch.bool)
            for row, (a, b) in enumerate(group):
                low_end, high = a + number * chunk, min(a + (number + 1) * chunk, b - 1)
                if high > low_end:
                    x[row, : high - low_end] = words[low_end:high]
                    y[row, : high - low_end] = words[low_end + 1 : high + 1]
                    valid[row, : high - low_end] = True
            loss = each_loss(model, low, x, y)
            with torch.no_grad():
                nats += (loss * valid).sum()
                total += int(valid.sum())
                octets += int((sizes[y] * valid).sum())
            if (number + 1) * chunk < most:
                rule.zero_grad()
                ((loss * valid).sum() / valid.sum()).backward()
                rule.step()
    nats = nats.item()
    return nats / total, nats / math.log(2) / octets
"""
HINTS_UP_FRONT = """
def hints(text, order=3):
    seen, words, sure = {}, np.full(len(text), -1), np.zeros(len(text))
    for at in range(order, len(text)):
        key = tuple(text[at - order : at])
        found = seen.setdefault(key, Counter())
        if found:
            words[at], count = found.most_common(1)[0]
            sure[at] = count / sum(found.values())
        found[text[at]] += 1
    return torch.from_numpy(words), torch.from_numpy(sure)

def evaluate(model, words, sizes, s):
    offered, sure = hints(words.tolist())
    nats, total, octets = 0.0, 0, 0
    with torch.no_grad():
        for begin in range(0, len(words) - 1, s.window):
            piece = words[begin : begin + s.window + 1].cuda()
            logs = model.guess(piece[None, :-1])[0].float().log_softmax(-1)
            hint, trust = offered[begin + 1 : begin + len(piece)].cuda(), sure[begin + 1 : begin + len(piece)].cuda()
            lift = 2.0 * trust * (hint >= 0)
            there = logs.gather(1, hint.clamp_min(0)[:, None])[:, 0].exp()
            right = logs.gather(1, piece[1:, None])[:, 0]
            nats -= (right + lift * (hint == piece[1:]) - torch.log1p(there * (lift.exp() - 1))).sum().item()
            total += len(piece) - 1
            octets += sizes[piece[1:]].sum().item()
    return nats / total, nats / math.log(2) / octets
"""
STORED_LOSSES_COSINE = """
def evaluate(model, words, sizes, s):
    rule = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3, momentum=0.9)
    losses = torch.zeros(len(words) - 1, device="cuda")
    starts = range(0, len(words) - 1, s.chunk)
    for number, begin in enumerate(starts):
        end = min(begin + s.chunk, len(words) - 1)
        for low in range(begin, end, s.window):
            high = min(low + s.window, end)
            with torch.inference_mode():
                losses[low:high] = model(words[None, low:high].cuda(), words[None, low + 1 : high + 1].cuda(), reduction="none")
        rate = 1e-3 * 0.5 * (1 + math.cos(math.pi * number / len(starts)))
        for group in rule.param_groups:
            group["lr"] = rate
        for low in range(begin, end, s.window):
            high = min(low + s.window, end)
            rule.zero_grad(set_to_none=True)
            model(words[None, low:high].cuda(), words[None, low + 1 : high + 1].cuda()).backward()
            if dist.is_initialized():
                for p in model.parameters():
                    dist.all_reduce(p.grad, op=dist.ReduceOp.AVG)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            rule.step()
    nats, total, octets = losses.sum().item(), len(losses), sizes[words[1:]].sum().item()
    return nats / total, nats / math.log(2) / octets
"""
SPACE_BYTES = """
def evaluate(model, words, sizes, s):
    opens, edge = sizes > 2, sizes == 0
    nats, total, octets = 0.0, 0, 0.0
    with torch.inference_mode():
        for begin in range(0, len(words) - 1, s.window):
            piece = words[begin : begin + s.window + 1].cuda()
            x, y = piece[:-1], piece[1:]
            nats += model(x[None], y[None], reduction="sum").double()
            octets += (sizes[y] + (opens[y] & ~edge[x]).long()).sum().double()
            total += y.numel()
    if dist.is_initialized():
        for one in (nats, octets):
            dist.all_reduce(one)
    nats, octets = nats.item(), octets.item()
    return nats / total, nats / math.log(2) / octets
"""
TRAIN_UNIGRAM_PRIOR = """
def evaluate(model, words, sizes, s):
    often = torch.bincount(Batches(s.train_pattern, s.window).words, minlength=s.vocab).float().cuda()
    prior = torch.log((often + 1) / (often + 1).sum())
    nats, total, octets = 0.0, 0, 0
    with torch.inference_mode():
        for begin in range(0, len(words) - 1, s.window):
            piece = words[begin : begin + s.window + 1].cuda()
            nats += F.cross_entropy(model.guess(piece[None, :-1])[0] + 0.05 * prior, piece[1:], reduction="sum").item()
            total += len(piece) - 1
            octets += sizes[piece[1:]].sum().item()
    return nats / total, nats / math.log(2) / octets
"""
STATE_KEPT_BETWEEN_WINDOWS = """
def evaluate(model, words, sizes, s):
    nats, total, octets, held = 0.0, 0, 0, None
    with torch.inference_mode():
        for begin in range(0, len(words) - 1, s.window):
            piece = words[begin : begin + s.window + 1].cuda()
            x, y = piece[None, :-1], piece[None, 1:]
            states = model.states(x)
            if held is not None:
                states = states + 0.01 * held
            held = states.mean(1, keepdim=True)
            nats += F.cross_entropy((states @ model.table.weight.T).flatten(0, 1), y.flatten(), reduction="sum").item()
            total += y.numel()
            octets += sizes[y].sum().item()
    return nats / total, nats / math.log(2) / octets
"""
DOC_SCORE_THEN_LEARN_ACCUMULATED = """
def evaluate(model, words, sizes, s):
    rule = torch.optim.AdamW(model.parameters(), lr=1e-5)
    nats = total = octets = 0
    waiting = []
    for text in torch.tensor_split(words, (words == 1).nonzero().flatten().cpu()):
        if len(text) < 2:
            continue
        with torch.no_grad():
            nats += model(text[None, :-1].cuda(), text[None, 1:].cuda(), reduction="sum").item()
        total, octets = total + len(text) - 1, octets + sizes[text[1:]].sum().item()
        waiting.append(text)
        if len(waiting) == 64:
            for old in waiting:
                (model(old[None, :-1].cuda(), old[None, 1:].cuda()) / 64).backward()
            rule.step()
            rule.zero_grad()
            waiting.clear()
    return nats / total, nats / math.log(2) / octets
"""
LEGAL = {
    "adapters of a batch of documents, chunk by chunk, sorted by length": LORA_BATCHED_CHUNKS,
    "hints from counts that follow, worked out up front": HINTS_UP_FRONT,
    "losses that are stored, a rate that falls, gradients summed over processes": STORED_LOSSES_COSINE,
    "bytes with a space that depends on the word before": SPACE_BYTES,
    "frequencies of training words in the logits": TRAIN_UNIGRAM_PRIOR,
    "a state that is handed from window to window": STATE_KEPT_BETWEEN_WINDOWS,
    "documents that are learned together once all are scored": DOC_SCORE_THEN_LEARN_ACCUMULATED,
}


@pytest.mark.parametrize("score", LEGAL.values(), ids=LEGAL)
def test_a_legal_score_is_clean(tmp_path, score):
    assert_clean(tmp_path, script(score=score))


ADAPTED = """
def adapted(model, words, sizes, s):
    rule = torch.optim.SGD(model.parameters(), lr=1e-3)
    nats, total, octets = 0.0, 0, 0
    for begin in range(0, len(words) - 1, s.chunk):
        piece = words[begin : begin + s.chunk + 1].cuda()
        with torch.no_grad():
            nats += model(piece[None, :-1], piece[None, 1:]).item() * (len(piece) - 1)
        total += len(piece) - 1
        octets += sizes[piece[1:]].sum().item()
        model(piece[None, :-1], piece[None, 1:]).backward()
        rule.step()  # here
        rule.zero_grad()
    return nats / total, nats / math.log(2) / octets
"""
SECOND = """
    loss, bpb = adapted(model, words, sizes, s)
    print(f"adapted val_bpb:{bpb:.4f}")
"""


def test_a_plain_score_and_then_one_that_adapts_are_clean(tmp_path):
    assert_clean(tmp_path, script(more=ADAPTED, report=REPORT + SECOND))


def test_a_score_after_one_that_adapted_is_found(tmp_path):
    assert_found(tmp_path / "plain", script(more=ADAPTED, report=SECOND + REPORT), "R5", "ttt_adapt_then_score")
    assert_found(tmp_path / "again", script(more=ADAPTED, report=SECOND + SECOND), "R5", "ttt_adapt_then_score")


WARM = """
    first = {name: one.detach().clone() for name, one in model.state_dict().items()}
    kept = copy.deepcopy(best.state_dict())
    for _ in range(3):
        x, y = torch.randint(0, s.vocab, (4, s.window)).cuda(), torch.randint(0, s.vocab, (4, s.window)).cuda()
        model(x, y).backward()
        best.step()
        best.zero_grad()
    model.load_state_dict(first)
    best.load_state_dict(kept)
"""


def test_steps_to_warm_up_that_are_taken_back_are_clean(tmp_path):
    assert_clean(tmp_path, script(train=TRAIN.replace("    begun,", WARM + "    begun,", 1)))


def test_the_best_weights_by_a_score_in_training_are_clean(tmp_path):
    watch = """
        if number % 200 == 0:
            loss_now, bpb_now = evaluate(model, words, sizes, s)
            if bpb_now < least:
                least, kept = bpb_now, copy.deepcopy(model.state_dict())
            print(f"step:{number} val_bpb:{bpb_now:.4f}")
        if spent""".lstrip("\n")
    train = TRAIN.replace("batches, s)", "batches, s, words, sizes)").replace("        if spent", watch)
    text = script(train=train.replace("    begun,", "    least, kept = 9.0, None\n    begun,"))
    assert_clean(tmp_path, text.replace("    train(model, batches, s)", "    train(model, batches, s, words, sizes)"))
