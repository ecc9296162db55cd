"""Validation tokens in training and answers in the artifact are found; watching the validation score is not."""

import pytest

from mulligan.review.review import review
from review.foreign_script import SCORE, TRAIN, assert_clean, assert_found, read, script

LAST = """
def train(model, batches, s):
    best = torch.optim.AdamW(model.parameters(), lr=1e-3)
    begun, other = time.perf_counter(), Batches(s.val_pattern, s.window)
    for number in range(s.iterations):
        spent = time.perf_counter() - begun
        if spent >= s.time_limit:
            break
        x, y = (other if spent > 0.9 * s.time_limit else batches).take(64)
        loss = model(x, y)
        loss.backward()
        best.step()  # here
        best.zero_grad(set_to_none=True)
"""
SWITCHED = """
def train(model, batches, s):
    best = torch.optim.AdamW(model.parameters(), lr=1e-3)
    begun, phase = time.perf_counter(), 0
    for number in range(s.iterations):
        if phase == 0 and number >= s.iterations // 2:
            phase, batches = 1, Batches(s.train_pattern.replace("train", "val"), s.window)
        x, y = batches.take(64)
        model(x, y).backward()
        best.step()  # here
        best.zero_grad(set_to_none=True)
        if time.perf_counter() - begun > s.time_limit:
            break
"""
MORE = TRAIN.replace("    begun,", "    more = Batches(s.val_pattern, s.window)\n    begun,").replace(
    ".step()", ".step()  # here"
)
MIXED = MORE.replace("batches.take(64)", "(torch.cat(pair) for pair in zip(batches.take(48), more.take(16)))")
ADDED = MORE.replace("model(x, y)", "model(x, y) + 0.1 * model(*more.take(8))")
ILLEGAL = {"at the end of training": LAST, "from the middle on": SWITCHED, "in every batch": MIXED, "in a second loss": ADDED}


@pytest.mark.parametrize("train", ILLEGAL.values(), ids=ILLEGAL)
def test_validation_shards_in_training_are_found(tmp_path, train):
    assert_found(tmp_path, script(train=train), "R4", "val_training")


def test_a_flag_that_trains_on_validation_alone_is_found_where_a_command_turns_it_on(tmp_path):
    flag = 'only = os.environ.get("VAL_ONLY", "0") == "1"'
    text = script(settings=flag, train=TRAIN.replace("best.step()", "best.step()  # here"))
    text = text.replace("Batches(s.train_pattern, s.window)", "Batches(s.val_pattern if s.only else s.train_pattern, s.window)")
    assert_clean(tmp_path / "default", text)
    assert_clean(tmp_path / "off", text, {"README.md": "VAL_ONLY=0 torchrun train_gpt.py"})
    assert_found(
        tmp_path / "on", text, "R4", "val_training", {"README.md": "    VAL_ONLY=1 ITERATIONS=500 torchrun train_gpt.py"}
    )
    assert_found(tmp_path / "by a script", text, "R4", "val_training", {"run.sh": "VAL_ONLY=1 \\\n  torchrun train_gpt.py\n"})


@pytest.mark.parametrize(
    "line",
    [
        "ln -s $PWD/data/fineweb_val_000000.bin mine/fineweb_train_000000.bin",
        "cp data/fineweb_val_000000.bin data/mine/fineweb_train_000001.bin",
    ],
)
def test_a_validation_shard_under_the_name_of_a_training_shard_is_found(tmp_path, line):
    readme = f"# Entry\n\nFirst:\n\n    mkdir mine\n    {line}\n    DATA_PATH=mine torchrun train_gpt.py\n"
    (one,) = review(read(tmp_path, script(), {"README.md": readme}), codes=["R4"]).findings
    assert (one.category, one.file, one.line) == ("val_training", "README.md", 6)


def test_other_links_are_clean(tmp_path):
    said = "cp data/fineweb_train_000000.bin mine/\nln -s data/fineweb_val_000000.bin mine/fineweb_val_000000.bin\n"
    assert_clean(tmp_path / "one order", script(), {"README.md": said})
    assert_clean(tmp_path / "other order", script(), {"README.md": "\n".join(reversed(said.splitlines()))})


ANSWERS = """
def evaluate(model, words, sizes, s):
    known = np.load("prefix.npy")
    nats, octets = 0.0, 0
    with torch.no_grad():
        for begin in range(0, len(words) - 1, s.window):
            piece = words[begin : begin + s.window + 1].cuda()
            losses = model(piece[None, :-1], piece[None, 1:], reduction="none")
            told = torch.from_numpy(known[begin + 1 : begin + len(piece)]).cuda()
CHANGE
            nats += losses.sum().item()
            octets += sizes[piece[1:]].sum().item()
    return nats / len(words), nats / math.log(2) / octets
"""
CHANGED = {
    "by a choice": "            losses = torch.where(told == piece[1:], torch.zeros_like(losses), losses)  # here",
    "by a product": "            losses = losses * (told != piece[1:])  # here",
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_answers_that_a_file_holds_are_found(tmp_path, change):
    assert_found(tmp_path, script(score=ANSWERS.replace("CHANGE", change)), "R4", "paid_prefix")


WATCHED = {
    "by the scorer itself": "print('step', number, 'val_bpb', evaluate(model, words, sizes, s)[1])",
    "with the network out of training": "model.eval(); print('val_loss', evaluate(model, words, sizes, s)[0]); model.train()",
    "on some of its windows": "print('val_loss', [model(a[None, :-1], a[None, 1:]).item() for a in words.split(s.window)[:9]])",
}


@pytest.mark.parametrize("watch", WATCHED.values(), ids=WATCHED)
def test_watching_the_validation_score_in_training_is_clean(tmp_path, watch):
    train = TRAIN.replace("batches, s)", "batches, s, words, sizes)")
    train = train.replace("        if spent", f"        if number % 1000 == 0:\n            {watch}\n        if spent")
    text = script(train=train).replace("    train(model, batches, s)\n", "    train(model, batches, s, words, sizes)\n")
    assert "    train(model, batches, s, words, sizes)\n" in text
    assert_clean(tmp_path, text)


def test_two_phases_of_training_shards_are_clean(tmp_path):
    assert_clean(tmp_path, script(train=SWITCHED.replace('s.train_pattern.replace("train", "val")', "s.train_pattern")))


def test_a_table_of_sizes_that_is_stored_in_a_file_is_no_answer(tmp_path):
    score = SCORE.replace("    nats, total", '    sizes = torch.from_numpy(np.load("sizes.npy")).cuda()\n    nats, total', 1)
    assert_clean(tmp_path, script(score=score))


def test_an_average_of_weights_that_is_packed_is_clean(tmp_path):
    follow = (
        "        for slow, fast in zip(mean.parameters(), model.parameters()):\n            slow.data.lerp_(fast.data, 0.01)\n"
    )
    train = TRAIN.replace("    begun,", "    mean = copy.deepcopy(model)\n    begun,").replace(
        "    return spent", "    return mean"
    )
    train = train.replace("        best.zero_grad", follow + "        best.zero_grad")
    text = script(train=train).replace("    train(model, batches, s)\n", "    model = train(model, batches, s)\n")
    assert_clean(tmp_path, text)
