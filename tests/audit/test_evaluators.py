"""The judge on every way of scoring that there is: legal ones pass, illegal ones fail, each for its own reason.

A new way of scoring is a line of LEGAL, or of ILLEGAL with the number of the rule that it breaks by itself.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from mulligan.audit.case import Case
from mulligan.audit.examinee import Claim
from mulligan.audit.isolation import isolation, rank_invariance
from mulligan.audit.judge import CHECKS, examinee_of
from mulligan.audit.order import score_before_update
from mulligan.core.config import configs_of, kind_of, parse_config
from mulligan.core.execution import Execution
from mulligan.data.document import Document
from mulligan.data.prepare import prepare
from mulligan.data.tokenizer import SentencePieceTokenizer
from mulligan.evaluate.config import EvaluateConfig
from mulligan.values.corpus import Corpus
from mulligan.values.weights import Weights
from toy import GRID, model_config, random_network
from toy_text import babble, model_bytes

FLAT = {"kind": "flat", "context_len": 32}
SLIDING = {"kind": "sliding", "context_len": 32, "stride": 8}
CHUNKS = {"chunk_tokens": 64, "epochs": 2, "lr": 0.05}
HASHED = {"order": 2, "weight": 0.4, "num_buckets": 64, "min_count": 1}
LORA = {"kind": "lora", "rank": 2, "alpha": 2.0, "chunk_tokens": 16, "batch_documents": 2, "lr": 0.01}

LEGAL = {
    "flat": {"windows": FLAT},
    "sliding": {"windows": SLIDING},
    "document-isolated": {"windows": {**SLIDING, "kind": "document-isolated"}},
    "streaming": {"windows": {"kind": "streaming", "context_len": 32}},
    "streaming, isolated": {"windows": {"kind": "streaming", "context_len": 32, "documents": "isolated"}},
    "temperature": {"windows": FLAT, "temperature": {"kind": "fixed", "value": 0.9}},
    "ngram": {"windows": SLIDING, "mixture": {"kind": "ngram", "order": 3, "weight": 0.2}},
    "ngram in documents, streaming": {
        "windows": {"kind": "streaming", "context_len": 32},
        "mixture": {"kind": "ngram", "order": 2, "weight": 0.2, "within": "document"},
    },
    "sgd and ngram": {
        "windows": SLIDING,
        "mixture": {"kind": "ngram", "order": 3, "weight": 0.2},
        "adaptation": {"kind": "sgd", **CHUNKS},
    },
    "sgd": {"windows": SLIDING, "adaptation": {"kind": "sgd", **CHUNKS}},
    "sgd, all options": {
        "windows": SLIDING,
        "adaptation": {
            "kind": "sgd",
            **CHUNKS,
            "num_frozen_blocks": 1,
            "loss": "per-byte",
            "fake_quantize": "grid",
            "polyak": {"kind": "ema", "decay": 0.5},
            "epochs_by_loss": {"kind": "by-loss", "above_nats": 8.0, "below_nats": 2.0},
        },
    },
    "muon": {"windows": SLIDING, "adaptation": {"kind": "muon", **CHUNKS}},
    "lora, cold": {"windows": SLIDING, "adaptation": {**LORA, "a": "cold"}},
    "lora, warm": {"windows": SLIDING, "adaptation": {**LORA, "a": "warm"}},
}

ILLEGAL = {
    "document-overrun": ("6", {"windows": {**SLIDING, "kind": "document-overrun"}}),
    "doubled-space": ("7", {"windows": FLAT, "bytes": "doubled-space"}),
    "train-then-score": ("5", {"windows": SLIDING, "adaptation": {"kind": "train-then-score", **CHUNKS}}),
    "two-pass": ("1", {"windows": SLIDING, "adaptation": {"kind": "two-pass", **CHUNKS}}),
    "hashed-ngram": ("3", {"windows": SLIDING, "mixture": {"kind": "hashed-ngram", **HASHED}}),
    "slot": ("2", {"windows": SLIDING, "adaptation": {"kind": "slot", "lr": 0.05}}),
}
ALSO_FAIL = {
    "document-overrun": {"5"},
    "doubled-space": set(),
    "train-then-score": {"1", "2", "4"},
    "two-pass": {"2", "4", "5"},
    "hashed-ngram": set(),
    "slot": {"1", "4", "5"},
}


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A corpus with a SentencePiece tokenizer, and a toy network's weights."""
    folder = tmp_path_factory.mktemp("audit")
    validation = [Document(str(i), text) for i, text in enumerate(babble(1, num_documents=30, num_words=50))]
    train = [Document("train", "something else")]
    corpus = prepare(train, validation, SentencePieceTokenizer(model_bytes()), folder / "corpus")
    model = random_network(model_config(vocab_size=corpus.vocab_size)).eval()
    weights = Weights(dict(model.state_dict()), model.config.canonical(), {"kind": "last"})
    weights.to_file(folder / "weights.safetensors")
    return corpus.folder, folder / "weights.safetensors"


def case_of(material, changes):
    corpus, weights = material
    data = {"precision": "fp32", "bytes": "piece", **changes, "windows": [changes["windows"]]}
    config = parse_config(EvaluateConfig, data, "evaluate")
    point = "adapted" if "adaptation" in changes else "quantized"
    settings = {"point": point, "windows": config.windows[0], "num_documents": 4, "split": "validation"}
    settings |= {"grid": GRID} if point == "adapted" else {}
    return Case(config, settings, weights, corpus, "cpu", 1, (), None)


def examinee_with_claim(material, changes):
    """A way of scoring, and what it says of four whole documents."""
    case = case_of(material, changes)
    scores = case.scoring(Execution()).scores()
    claim = Claim(scores.documents, scores.summary, Corpus.load(material[0]))
    return examinee_of(case, "toy", Execution(), claim)


def verdicts(examinee):
    found = [f for check in CHECKS if check not in (isolation, rank_invariance) for f in check(examinee)]
    return {f.rule.split()[0]: f for f in found}


@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_way_of_scoring_passes(material, name):
    examinee = examinee_with_claim(material, LEGAL[name])
    assert examinee.claim.summary["legal"] is True
    found = verdicts(examinee)
    assert {rule: f.evidence for rule, f in found.items() if f.verdict != "pass"} == {}
    assert set(found) == set("123456789")
    adapts = "adaptation" in LEGAL[name]
    assert ("updates" in found["5"].evidence) == adapts, "what adapts tells of its updates"


@pytest.mark.parametrize("name", ILLEGAL)
def test_an_illegal_way_of_scoring_fails_for_its_own_reason(material, name):
    rule, changes = ILLEGAL[name]
    examinee = examinee_with_claim(material, changes)
    assert examinee.claim.summary["legal"] is False
    failed = {found for found, f in verdicts(examinee).items() if f.verdict == "fail"}
    assert failed == {rule, *ALSO_FAIL[name]}


def test_every_kind_of_scoring_is_judged():
    """A kind that no line above names would be one that nobody has tried to catch."""
    judged = str([LEGAL, ILLEGAL])
    for name in ("windows", "mixture", "adaptation"):
        for config in configs_of(EvaluateConfig.model_fields[name].annotation):
            assert kind_of(config) == "off" or f"'{kind_of(config)}'" in judged, kind_of(config)


def test_a_case_in_plain_data_is_the_case(material):
    case = case_of(material, LEGAL["sgd, all options"])
    again = Case.from_json(json.loads(json.dumps(case.to_json())))
    assert again == case
    here, there = (found.scoring(Execution()).scores().nats for found in (case, again))
    assert np.array_equal(here, there)


def test_the_passage_has_documents_within_and_beyond_a_window(material):
    tokens, starts = case_of(material, LEGAL["sgd"]).passage()
    lengths = np.diff(starts, append=len(tokens) - 1)
    assert len(tokens) - 1 >= 200
    assert (lengths < 32).any()
    assert (lengths > 64).any()
    assert len(set(tokens[starts].tolist()) | {int(tokens[-1])}) == 1  # they begin and end with BOS


def test_other_processes_score_the_same_with_less(material):
    """Without the train split, network or other files; and two together (tests/cli/test_audit.py: without adaptation)."""
    examinee = examinee_with_claim(material, LEGAL["sgd"])
    opened, network, files = isolation(examinee)
    assert opened.verdict == "pass", opened.evidence
    for found in (network, files):
        assert found.verdict != "fail", found.evidence  # where the kernel refuses, it is not checked
    (ranks,) = rank_invariance(examinee)
    assert ranks.verdict == "pass", ranks.evidence


def test_adaptation_that_never_came_to_learn_is_not_called_legal(material):
    """A chunk longer than the passage: nothing was seen of what follows its score."""
    examinee = examinee_with_claim(material, {"windows": SLIDING, "adaptation": {"kind": "sgd", "chunk_tokens": 1_000}})
    examinee = replace(examinee, tokens=examinee.tokens[:500], starts=examinee.starts[examinee.starts < 500])
    (found,) = score_before_update(examinee)
    assert found.verdict == "not checked"
    assert f"nothing is updated within the {examinee.num_positions} positions" in found.evidence
