"""Entries that read their data, set their switches and tell their score in other ways are followed all the same."""

import pytest

from mulligan.review.review import review
from review.foreign_script import DATA, END, HEAD, SETTINGS, assert_clean, assert_found, read, script

LEARN = """
def learn(model, words, s):
    rule = torch.optim.SGD(model.parameters(), lr=1e-3)
    for begin in range(0, len(words) - s.window, s.window):
        x, y = words[begin : begin + s.window], words[begin + 1 : begin + s.window + 1]
        model(x[None].cuda(), y[None].cuda()).backward()
        rule.step()  # here
        rule.zero_grad()
"""
CALL = "learn(model, words, s)"

TOLD = {
    "in parts": 'loss, bpb = evaluate(model, words, sizes, s)\nprint("val_bpb:", round(bpb, 5))',
    "by a percent sign": 'both = evaluate(model, words, sizes, s)\nprint("final val_loss %.4f val_bpb %.4f" % both)',
    "by format": 'both = evaluate(model, words, sizes, s)\nprint("val_loss={:.4f} val_bpb={:.4f}".format(*both))',
    "by a logger": (
        "import logging\nlog = logging.getLogger('run')\nloss, bpb = evaluate(model, words, sizes, s)\n"
        "log.info(f'val_bpb {bpb:.5f}')"
    ),
    "by a function that also writes a file": (
        "def say(text):\n    print(text, flush=True)\n    with open('log.txt', 'a') as file:\n        print(text, file=file)\n"
        "loss, bpb = evaluate(model, words, sizes, s)\nsay(f'final_val_bpb:{bpb:.5f}')"
    ),
    "as a dict": 'loss, bpb = evaluate(model, words, sizes, s)\nprint({"val_loss": loss, "val_bpb": bpb})',
    "as JSON": (
        "import json\nloss, bpb = evaluate(model, words, sizes, s)\nresult = {'val_bpb': bpb}\nprint(json.dumps(result))"
    ),
    "on the error stream": 'loss, bpb = evaluate(model, words, sizes, s)\nsys.stderr.write(f"val_bpb:{bpb}\\n")',
    "by the first process": (
        "loss, bpb = evaluate(model, words, sizes, s)\nif int(os.environ.get('RANK', 0)) == 0:\n    print(f'val_bpb:{bpb}')"
    ),
    "after a sum over processes": (
        "loss, bpb = (torch.tensor(one).cuda() for one in evaluate(model, words, sizes, s))\n"
        "if dist.is_initialized():\n    dist.all_reduce(bpb)\n    bpb /= dist.get_world_size()\nprint('val_bpb', bpb.item())"
    ),
}


def indented(text):
    return "".join(f"    {line}\n" for line in text.splitlines())


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
def test_a_score_is_seen_however_it_is_told(tmp_path, told):
    assert_found(tmp_path / "bad", script(more=LEARN, loaded=CALL, report=indented(told)), "R5", "ttt_adapt_then_score")
    assert_clean(tmp_path / "good", script(report=indented(told)))


READ_ALL = DATA[DATA.index("def read_all") : DATA.index("class Batches")]
READERS = {
    "a memory map": """
def read_all(pattern):
    maps = [np.memmap(name, dtype="<u2", mode="r", offset=1024) for name in sorted(glob.glob(pattern))]
    return torch.from_numpy(np.concatenate(maps).astype(np.int64))

""",
    "paths": """
def read_all(pattern):
    where = Path(pattern)
    found = [np.frombuffer(one.read_bytes()[1024:], dtype=np.uint16) for one in sorted(where.parent.glob(where.name))]
    return torch.tensor(np.hstack(found).astype(np.int32)).long()

""",
    "an open file": """
def read_all(pattern):
    parts = []
    for name in sorted(glob.glob(pattern)):
        with open(name, "rb") as file:
            head = np.frombuffer(file.read(1024), dtype="<i4")
            parts.append(np.fromfile(file, dtype="<u2", count=int(head[2])))
    whole = np.empty(sum(map(len, parts)), np.int64)
    at = 0
    for part in parts:
        whole[at : at + len(part)] = part
        at += len(part)
    return torch.from_numpy(whole)

""",
    "threads": """
def read_all(pattern):
    with ThreadPoolExecutor(4) as pool:
        return torch.cat(list(pool.map(read_shard, sorted(glob.glob(pattern)))))

""",
    "a store of what was read": """
@functools.lru_cache(maxsize=None)
def read_all(pattern):
    return torch.cat([*map(read_shard, sorted(glob.iglob(pattern)))])

""",
    "a sum of lists": """
def read_all(pattern):
    names = [os.path.join(os.path.dirname(pattern), name) for name in os.listdir(os.path.dirname(pattern)) if "_val_" in name]
    return functools.reduce(lambda one, two: torch.cat((one, two)), (read_shard(name) for name in sorted(names)))

""",
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_validation_tokens_are_known_however_they_are_read(tmp_path, reader):
    data = DATA.replace(READ_ALL, reader.lstrip("\n"))
    assert data != DATA
    assert_found(tmp_path / "bad", script(more=LEARN, loaded=CALL, data=data), "R5", "ttt_adapt_then_score")
    assert_clean(tmp_path / "good", script(data=data))


SWITCHES = {
    "a number": 'adapt = int(os.environ.get("ADAPT", 0))',
    "getenv": 'adapt = bool(int(os.getenv("ADAPT", "0")))',
    "a float": 'adapt = float(os.environ.get("ADAPT") or "0") > 0',
    "a word": 'adapt = os.environ.get("ADAPT", "0").strip().lower() == "1"',
    "its absence": 'adapt = os.environ.get("ADAPT") is not None',
    "an item of a dict": 'adapt = {"0": False, "1": True}[os.environ.get("ADAPT", "0")]',
    "its beginning": 'adapt = os.environ.get("ADAPT", "0").startswith("1")',
    "two switches": 'adapt = int(os.environ.get("ADAPT", "0")) > 0 and not int(os.environ.get("PLAIN", "0"))',
    "one of several words": 'adapt = os.environ.get("ADAPT", "no").lower() in ("1", "yes", "true")',
    "none of several words": 'adapt = os.environ.get("ADAPT", "0") not in {"0", "no"}',
    "its presence": 'adapt = "ADAPT" in os.environ and os.environ["ADAPT"] == "1"',
    "a comparison": 'adapt = "1" == os.environ.get("ADAPT", "")',
}


@pytest.mark.parametrize("switch", SWITCHES.values(), ids=SWITCHES)
def test_a_switch_is_read_in_every_form(tmp_path, switch):
    text = script(settings=switch, more=LEARN, loaded="if s.adapt:\n    learn(model, words, s)")
    assert_clean(tmp_path / "default", text)
    assert_found(tmp_path / "on", text, "R5", "ttt_adapt_then_score", {"README.md": "ADAPT=1 torchrun train_gpt.py\n"})


def test_switches_of_a_data_class_and_of_a_dict_are_read(tmp_path):
    held = SETTINGS.replace("class Settings:", "@dataclass\nclass Settings:").replace(
        "    width = 256", '    width: int = 256\n    adapt: bool = os.environ.get("ADAPT", "0") == "1"'
    )
    text = script(more=LEARN, loaded="if s.adapt:\n    learn(model, words, s)").replace(SETTINGS, held)
    assert "@dataclass" in text
    assert_clean(tmp_path / "default", text)
    assert_found(tmp_path / "on", text, "R5", "ttt_adapt_then_score", {"README.md": "ADAPT=1 torchrun train_gpt.py\n"})
    named = 'KNOBS = {"adapt": int(os.environ.get("ADAPT", "0")), "rate": 0.1}\n'
    text = script(more=named + LEARN.lstrip(), loaded='if KNOBS["adapt"]:\n    learn(model, words, s)')
    assert_clean(tmp_path / "no item", text)
    assert_found(tmp_path / "item", text, "R5", "ttt_adapt_then_score", {"README.md": "ADAPT=1 torchrun train_gpt.py\n"})


def test_a_helper_of_which_everything_is_imported_is_followed(tmp_path):
    text = script(more=LEARN, loaded=CALL)
    first = text.index(END)
    entry, files = HEAD + "from pieces import *\n" + text[first:], {"pieces.py": text[:first]}
    assert_found(tmp_path, entry, "R5", "ttt_adapt_then_score", files)


FLAT = """
import os, glob, math, io, zlib
import numpy as np, torch
from torch import nn
import torch.nn.functional as F

P = os.environ.get("DATA_PATH", "data") + "/fineweb_%s_*.bin"
V, D, W = 1024, 128, 512
load = lambda f: torch.from_numpy(np.fromfile(f, np.uint16)[512:].astype(np.int64))
cat = lambda which: torch.cat([load(f) for f in glob.glob(P % which)])
T, E = cat("train"), cat("val")
net = nn.Sequential(nn.Embedding(V, D), nn.Linear(D, D), nn.GELU(), nn.Linear(D, V))
opt = torch.optim.Adam(net.parameters())
cut = lambda A, i: (A[i : i + W], A[i + 1 : i + W + 1])
ce = lambda x, y: F.cross_entropy(net(x), y)
for i in range(0, len(T) - W - 1, W):
    opt.zero_grad(); ce(*cut(T, i)).backward(); opt.step()
buf = io.BytesIO(); torch.save({k: v.half() for k, v in net.state_dict().items()}, buf)
open("net.z", "wb").write(zlib.compress(buf.getvalue()))
net.load_state_dict({k: v.float() for k, v in torch.load(io.BytesIO(zlib.decompress(open("net.z", "rb").read()))).items()})
tune = torch.optim.SGD(net.parameters(), lr=1e-3)
n = c = 0
for i in range(0, len(E) - W - 1, W):
    x, y = cut(E, i)
BODY
print("val_loss", n / c, "val_bpb", n / c / math.log(2) / 2.4)
"""
SCORED = "    with torch.no_grad(): n += ce(x, y).item() * len(y); c += len(y)\n"
LEARNED = "    tune.zero_grad(); ce(x, y).backward(); tune.step()MARK\n"


def test_a_script_without_functions_is_followed(tmp_path):
    assert_clean(tmp_path / "plain", FLAT.replace("BODY\n", SCORED))
    assert_clean(tmp_path / "good", FLAT.replace("BODY\n", SCORED + LEARNED.replace("MARK", "")))
    bad = FLAT.replace("BODY\n", LEARNED.replace("MARK", "  # here") + SCORED)
    assert_found(tmp_path / "bad", bad, "R5", "ttt_adapt_then_score")


def test_a_report_of_something_else_says_that_nothing_was_followed(tmp_path):
    found = review(read(tmp_path, script(report="    print('done')\n")), codes=["R5", "R8"])
    assert found.findings == ()
    assert found.status("R5") == found.status("R8") == "not checked"
