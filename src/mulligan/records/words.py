"""What a record names in words: levers, by the names that ours have, and the pull requests and records it comes from.

A lever that is named need not have acted; the marker of a log says that it did.
"""

import re
from collections.abc import Iterator

from mulligan.records.table import Row

LEVERS = {
    "attention_bias": r"\balibi\b",
    "attention_gate": r"gated? ?attn|gated attention|attn(?:ention)?[ _-]?(?:output|out)?[ _-]?gate|attention output gate",
    "attention_mask": r"var ?len(?:gth)?[ _-]?attn|varlen attention|sliding[- ]window attention|swiglu window",
    "batch_ramp": r"batch[ -](?:size )?(?:ramp|schedule|warm-?up)",
    "bigram_hash": r"bigram ?hash|bigram embed|hash(?:ed)? ?bigram",
    "blend": r"(?:ema|swa|lawa)\s*(?:\+|×|x|and)\s*(?:swa|ema|lawa)\b|weight blend",
    "chunked_adaptation": r"score[- ]first(?: ttt)?|legal ttt|legal[_ ]score",
    "document_isolated": r"doc(?:ument)?[- ]isolated|doc(?:ument)?[- ]independent|doc[- ]?iso",
    "ema": r"\bema\b",
    "exclusive_attention": r"\bxsa\b|exclusive self[- ]attention",
    "feed_forward": r"leaky ?relu|swiglu|relu²|relu\^2|relu2",
    "gptq": r"\bgptq\b(?!-lite)",
    "initialisation": r"ortho(?:gonal)?[ -]?init|overtone init",
    "lawa": r"\blawa\b",
    "lora": r"lora[ _-]?ttt|ttt[ _-]?lora|per-document lora|lora test-time",
    "low_rank": r"\blqer\b",
    "magnitude_pruning": r"magnitude prun|\bprun(?:e|ing) \d",
    "muon": r"\bmuon\b",
    "ngram_mixture": r"n-?gram (?:cache|mix|tilt|backoff)",
    "parameter_swap": r"\bqat\b|quantization-aware|ste int\d",
    "plus_minus_one_pruning": r"selective[ _±1]*prun|±1 prun",
    "positions": r"partial rope|\bntk\b|\byarn\b|\bnope\b",
    "recurrence": r"depth recurrence|recur(?:rent|rence)|loop(?:ed)? layers?|loop4-?5|loop45",
    "residual": r"parallel resid|hyper-?connection|\bmhc\b",
    "residual_mixing": r"resid(?:ual)?[ _]mix",
    "rotation": r"hadamard",
    "row_normalize": r"muon-?eq-?r|row[- ]normali[sz]ed muon",
    "sequence_curriculum": r"seq(?:uence)?[ -]?(?:len(?:gth)?)? (?:curriculum|warm-?up)",
    "shuffled": r"shuffled ?(?:sequence)?loader|coprime[- ]stride",
    "skip_gate": r"skip gate|gated skip|u-?net skip",
    "sliding": r"sliding[- ]window (?:eval|scor)|sliding eval|stride[ =]\d+",
    "slot": r"\bslot\b",
    "smear_gate": r"smear ?gate",
    "softcap": r"soft-?cap",
    "swa": r"\bswa\b|stochastic weight averag",
    "temperature": r"temp(?:erature)?[ _]scal",
    "tight_swa": r"tight swa",
    "value_embedding": r"\bve128\b|value embed",
    "value_residual": r"value resid",
    "weight_decay_taper": r"(?:wd|weight decay) taper|tapered wd",
}
"""{lever file of ours: how records spell it}, matched without regard to case."""
MARKERS = {
    "ema": r"^ema:applying",
    "exclusive_attention": r"^XSA:last",
    "gptq": r"^gptq:(?:coll|quant|calib)",
    "parameter_swap": r"^late_qat:enabled",
    "plus_minus_one_pruning": r"^selective_prune:.*prun",
    "swa": r"^swa:applying",
    "temperature": r"^temp_scaling",
}
"""Lines by which a log says that a lever acted."""

PULL = re.compile(r"(?<![\w#/-])(?:PRs? ?)?#(\d{2,4})\b|\bPR ?(\d{2,4})\b|parameter-golf/pull/(\d+)")
FOLDER = re.compile(r"\b(20\d\d-\d\d-\d\d_[\w.+-]*\w)")
KINSHIP = {
    "builds on": r"buil(?:t|ds|ding) (?:directly )?(?:on|off|from|upon)|closest to|based on|base submission|base model|"
    r"on top of|changes from|carried from|started .{0,30}from|start from|extends|direct (?:baseline|predecessor)|"
    r"comparison baseline|based_on",
    "base": r"\b(?:base|baseline|stack|scaffold|fork)(?:ed)?\b",
}
"""How a line says that a record comes from another, the surer words first; a bare mention is "named"."""
NEAR = 120
"""Characters between such words and a name; links between them are long."""
LIST_ITEM = re.compile(r"\s*[-*] ")
_LEVER_WORDS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in LEVERS.items()}
_KINSHIP = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in KINSHIP.items()}
_LEVER_MARKS = {name: re.compile(pattern, re.IGNORECASE | re.MULTILINE) for name, pattern in MARKERS.items()}


def named_levers(file: str, text: str) -> list[Row]:
    """Return the levers that a README or submission.json names, each at its first place."""
    return [
        Row("lever", name, text=found[0], reading="named", file=file, line=line_of(text, found.start()))
        for name, pattern in _LEVER_WORDS.items()
        if (found := pattern.search(text))
    ]


def acting_levers(file: str, text: str) -> list[Row]:
    """Return the levers that a log says acted."""
    return [
        Row("lever", name, text=found[0], reading="in the log", file=file, line=line_of(text, found.start()))
        for name, pattern in _LEVER_MARKS.items()
        if (found := pattern.search(text))
    ]


def lineage(file: str, text: str, own: int | None, own_folder: str) -> list[Row]:
    """Return the pull requests and folders that a text names, and how: "builds on", "base" or "named"."""
    seen: set[tuple[str, str]] = set()
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        found = list(_named(line))
        for at, name in found:
            if LIST_ITEM.match(line) and found[0][0] < NEAR / 3 and name != found[0][1]:
                continue  # the line is about the first that it names
            how = next((how for how, words in _KINSHIP.items() if _near(words, line, at)), "named")
            request = int(name) if name.isdigit() else None
            if (request is not None and request == own) or name == own_folder or (name, how) in seen:
                continue
            seen.add((name, how))
            rows.append(Row("lineage", how, None if request is None else float(request), name, file=file, line=number))
    return rows


def _near(words: re.Pattern[str], line: str, at: int) -> bool:
    return any(abs(word.start() - at) < NEAR for word in words.finditer(line))


def _named(line: str) -> Iterator[tuple[int, str]]:
    for found in PULL.finditer(line):
        yield found.start(), found[1] or found[2] or found[3]
    for found in FOLDER.finditer(line):
        yield found.start(), found[1]


def line_of(text: str, at: int) -> int:
    """Return the line, counted from 1, of a place in a text."""
    return text.count("\n", 0, at) + 1
