"""Small scripts in the shape of an entry that somebody else wrote, in pieces that a test replaces; none of them is ever run.

A line with the comment `# here` is one that proves what is wrong with the script.
"""

import ast
import io
import itertools
import textwrap
import tokenize

from mulligan.review.review import review
from mulligan.review.subject import Subject

FLOW = ("R3", "R4", "R5", "R6", "R7", "R8", "R9")
HERE = "# here"

HEAD = """
import copy, functools, glob, io, math, os, queue, random, sys, threading, time, zlib
from collections import Counter, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sentencepiece
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn, Tensor
"""

SETTINGS = """
class Settings:
    folder = os.environ.get("DATA_PATH", "data/words")
    train_pattern = os.path.join(folder, "fineweb_train_*.bin")
    val_pattern = os.path.join(folder, "fineweb_val_*.bin")
    iterations = int(os.environ.get("ITERATIONS", "9000"))
    time_limit = float(os.environ.get("MAX_WALLCLOCK_SECONDS", "600"))
    window = int(os.environ.get("WINDOW", "1024"))
    chunk = 32768
    vocab = 1024
    width = 256
"""

DATA = """
def read_shard(path):
    words = np.fromfile(path, dtype="<u2", offset=1024)
    return torch.from_numpy(words.astype(np.int64))

def read_all(pattern):
    names = sorted(glob.glob(pattern))
    if not names:
        raise FileNotFoundError(pattern)
    return torch.cat([read_shard(name) for name in names])

class Batches:
    def __init__(self, pattern, window):
        self.names = sorted(glob.glob(pattern))
        self.window = window
        self.shard, self.place = 0, 0
        self.words = read_shard(self.names[0])

    def take(self, rows):
        need = rows * self.window + 1
        if self.place + need > len(self.words):
            self.shard, self.place = (self.shard + 1) % len(self.names), 0
            self.words = read_shard(self.names[self.shard])
        piece = self.words[self.place : self.place + need].cuda()
        self.place += need - 1
        return piece[:-1].view(rows, -1), piece[1:].view(rows, -1)

def byte_table(path, vocab):
    pieces = sentencepiece.SentencePieceProcessor(model_file=path)
    sizes = torch.ones(vocab, dtype=torch.int64)
    for number in range(pieces.get_piece_size()):
        sizes[number] = len(pieces.id_to_piece(number).replace("\\u2581", " ").encode("utf-8"))
    return sizes
"""

MODEL = """
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up, self.down = nn.Linear(width, 3 * width, bias=False), nn.Linear(3 * width, width, bias=False)

    def forward(self, x):
        return x + self.down(F.relu(self.up(F.rms_norm(x, (x.size(-1),)))).square())

class GPT(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.table = nn.Embedding(s.vocab, s.width)
        self.blocks = nn.ModuleList(Block(s.width) for _ in range(4))

    def states(self, ids):
        x = self.table(ids)
        for block in self.blocks:
            x = block(x)
        return x

    def guess(self, ids):
        return self.states(ids) @ self.table.weight.T

    def forward(self, ids, wanted, reduction="mean"):
        return F.cross_entropy(self.guess(ids).flatten(0, 1).float(), wanted.flatten(), reduction=reduction)
"""

TRAIN = """
def train(model, batches, s):
    best = torch.optim.AdamW(model.parameters(), lr=1e-3)
    begun, spent = time.perf_counter(), 0.0
    for number in range(s.iterations):
        x, y = batches.take(64)
        loss = model(x, y)
        loss.backward()
        best.step()
        best.zero_grad(set_to_none=True)
        spent = time.perf_counter() - begun
        if spent >= s.time_limit:
            break
    return spent
"""

SCORE = """
def evaluate(model, words, sizes, s):
    nats, total, octets = 0.0, 0, 0
    with torch.inference_mode():
        for begin in range(0, len(words) - 1, s.window):
            piece = words[begin : begin + s.window + 1].cuda()
            x, y = piece[:-1][None], piece[1:][None]
            nats += model(x, y).item() * y.numel()
            total += y.numel()
            octets += sizes[y].sum().item()
    return nats / total, nats / math.log(2) / octets
"""

PACK = """
def pack(model, path):
    held = {name: (weight * 16).round().to(torch.int8) for name, weight in model.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(held, buffer)
    with open(path, "wb") as file:
        file.write(zlib.compress(buffer.getvalue(), 9))

def unpack(model, path):
    with open(path, "rb") as file:
        held = torch.load(io.BytesIO(zlib.decompress(file.read())), map_location="cuda")
    model.load_state_dict({name: weight.float() / 16 for name, weight in held.items()})
"""

START = """
def main():
    s = Settings()
    torch.manual_seed(int(os.environ.get("SEED", "1")))
    words = read_all(s.val_pattern)
    sizes = byte_table("words.model", s.vocab)
    batches = Batches(s.train_pattern, s.window)
    model = GPT(s).cuda()
    train(model, batches, s)
"""

SHIP = """
    pack(model, "final.ptz")
    model = GPT(s).cuda()
    unpack(model, "final.ptz")
"""

REPORT = """
    loss, bpb = evaluate(model, words, sizes, s)
    print(f"val_loss:{loss:.4f} val_bpb:{bpb:.4f}")
"""

END = """
if __name__ == "__main__":
    main()
"""


def script(
    *, settings="", more="", train=TRAIN, score=SCORE, trained="", ship=SHIP, loaded="", report=REPORT, data=DATA, model=MODEL
):
    """Return a whole entry. `settings` continues its class, `more` defines what it needs, `trained` comes after training and
    before the artifact, `loaded` between the artifact and the score; each may be indented as the test that holds it is."""
    parts = [HEAD, SETTINGS + _indented(settings), data, model, train, score, _flat(more), PACK]
    return "\n".join([*parts, START + _indented(trained) + ship + _indented(loaded) + report, END])


def _flat(text):
    return textwrap.dedent(text).strip("\n") + "\n"


def _indented(text):
    return textwrap.indent(_flat(text), "    ") if text.strip() else ""


def minified(text):
    """Return the script with short names for all that it defines, on the same lines."""
    tree = ast.parse(text)
    held, bound, used, keywords = set(), set(), set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):  # one token before Python 3.12
            keywords |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        if isinstance(node, ast.ClassDef):
            held |= {one.id for child in node.body for one in ast.walk(child) if _is_set(one) and isinstance(child, ast.Assign)}
            held |= {child.name for child in node.body if isinstance(child, ast.FunctionDef)}
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif _is_set(node):
            bound.add(node.id)
        elif isinstance(node, ast.Attribute):
            (held if isinstance(node.ctx, ast.Store) else used).add(node.attr)
        elif isinstance(node, ast.keyword):
            keywords.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            keywords.add(node.value)  # of getattr and the like
    kept = keywords | (used - held) | {"forward", "main", "data", "self", "grad", "step"}
    letters = ("".join(pair) for pair in itertools.product("abcdefghijkmnpqrst", "uvwxyz"))
    names = {name: next(letters) for name in sorted(bound | held) if name not in kept and not name.startswith("__")}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return tokenize.untokenize((kind, names.get(word, word) if kind == tokenize.NAME else word) for kind, word, *_ in tokens)


def _is_set(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def disguised(text):
    """Return the script with short names and with all that it defines in another file, and that file."""
    lines = minified(text).splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if line.startswith("def main"))
    body = ast.parse("".join(lines[:first])).body
    names = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    names += [target.id for node in body if isinstance(node, ast.Assign) for target in node.targets if _is_set(target)]
    entry = f"{HEAD}from pieces import {', '.join(names)}\n" + "".join(lines[first:])
    return entry, {"pieces.py": "".join(lines[:first])}


def read(folder, text, files=None):
    """Write an entry and what lies beside it, {name: text}, and read it."""
    for name, said in {"train_gpt.py": text, **(files or {})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(said), "utf-8")
    return Subject.read(folder)


def assert_found(folder, text, rule, category, files=None, also=""):
    """Assert that a rule finds that category, and none but what it is `also`, at lines that prove it, in both forms of it."""
    _found(folder / "plain", text, rule, (category, also), files or {})
    if "\ndef main" in text:
        entry, moved = disguised(text)
        _found(folder / "disguised", entry, rule, (category, also), {**(files or {}), **moved})


def _found(folder, text, rule, categories, files):
    result = review(read(folder, text, files), codes=[rule])
    found = {(one.category, one.severity) for one in result.findings}
    assert (categories[0], "violation") in found, result
    assert found <= {(one, "violation") for one in categories}, result
    proofs = {
        (name, number)
        for name, said in {"train_gpt.py": text, **files}.items()
        for number, line in enumerate(textwrap.dedent(said).splitlines(), 1)
        if HERE in line
    }
    assert {(one.file, one.line) for one in result.findings} <= proofs, result
    assert result.status(rule) == "fail"


def assert_clean(folder, text, files=None, rules=FLOW):
    """Assert that no rule on what flows where has anything to say, and that each followed both forms of a script to a score."""
    _clean(folder / "plain", text, files or {}, rules)
    if "\ndef main" in text:
        entry, moved = disguised(text)
        _clean(folder / "disguised", entry, {**(files or {}), **moved}, rules)


def _clean(folder, text, files, rules):
    result = review(read(folder, text, files), codes=rules)
    assert result.findings == () == result.not_checked, result
