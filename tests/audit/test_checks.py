"""Each test of the judge against scorers made by hand: it passes an honest one, and fails the one that breaks its rule."""

from dataclasses import replace

import numpy as np
import pytest

from mulligan.audit.byte_count import recount, text_bytes
from mulligan.audit.causality import answer_mask, cuts, ends, suffix_perturbation
from mulligan.audit.distribution import gold_consistency, sums_to_one
from mulligan.audit.examinee import Claim, Examinee
from mulligan.audit.finding import Finding
from mulligan.audit.isolation import isolation, rank_invariance
from mulligan.audit.judge import CHECKS, judge
from mulligan.audit.order import coverage, score_before_update
from mulligan.audit.repeat import repeatability, unchanged_state
from mulligan.data.document import Document
from mulligan.data.prepare import prepare
from mulligan.data.tokenizer import SentencePieceTokenizer
from mulligan.evaluate.block import Block
from mulligan.evaluate.doubled_space import doubled_space
from toy import write_corpus
from toy_text import ODD_TEXTS, model_bytes

V, COUNT = 16, 300
ONES = np.ones(COUNT, np.int64)


def honest_rows(tokens):
    """Distributions that know how often each token came before: p_t of x_1 ... x_t-1."""
    seen = np.zeros((COUNT, V))
    for position in range(COUNT):
        seen[position] = 1 + np.bincount(tokens[: position + 1], minlength=V)
    return seen / seen.sum(1, keepdims=True)


class Toy:
    """A scorer whose parts can be broken one at a time; `weight` is its state."""

    def __init__(self):
        self.weight = 0
        self.calls = 0

    def rows(self, tokens):
        return honest_rows(tokens)

    def reported(self, rows, tokens):
        return -np.log(rows[np.arange(COUNT), tokens[1:]])

    def told(self, rows, tokens):
        return rows

    def events(self, watch):
        for begin in range(0, COUNT, 100):
            watch.scored(np.arange(begin, begin + 100))
            watch.updated(np.arange(begin, begin + 100))

    def times(self):
        return None

    def blocks(self, passage, watch):
        self.calls += 1
        tokens = passage.read(0, COUNT + 1)
        rows = self.rows(tokens)
        self.events(watch)
        told = self.told(rows, tokens)
        watch.rows.update({position: np.log(told[position]) for position in watch.wanted})
        nats = self.reported(rows, tokens).astype(np.float32)
        yield Block(0, nats, np.zeros(COUNT, np.int32), times_counted=self.times())


class KnowsTheAnswer(Toy):
    """A gate that reads the token being scored, as SLOT and target-dependent n-gram gates do."""

    def rows(self, tokens):
        rows = honest_rows(tokens)
        rows[np.arange(COUNT), tokens[1:]] *= 3
        return rows / rows.sum(1, keepdims=True)


class KnowsWhatComes(Toy):
    """Statistics of the whole passage, as two passes have."""

    def rows(self, tokens):
        return np.tile((1 + np.bincount(tokens, minlength=V)) / (len(tokens) + V), (COUNT, 1))


class KnowsWhereDocumentsEnd(Toy):
    """Windows that reach back from the end of their document."""

    def blocks(self, passage, watch):
        self.ends = np.append(passage.starts[1:], COUNT)
        yield from super().blocks(passage, watch)

    def rows(self, tokens):
        left = self.ends[np.searchsorted(self.ends, np.arange(COUNT), side="right")] - np.arange(COUNT)
        rows = honest_rows(tokens) ** np.where(left < 10, 0.9, 1.0)[:, None]
        return rows / rows.sum(1, keepdims=True)


class SumsToMore(Toy):
    """A blend at the gold token with a ratio of hashed counts, normalised over nothing."""

    def rows(self, tokens):
        return honest_rows(tokens) * 1.1


class TellsAnother(Toy):
    """Scores by one distribution and shows another."""

    def told(self, rows, tokens):
        return np.full((COUNT, V), 1 / V)


class TellsAnotherButForTheGold(Toy):
    """Scores by the squared probability and shows a distribution that agrees at the token that came, and only there."""

    def reported(self, rows, tokens):
        return 0.5 * super().reported(rows, tokens)

    def told(self, rows, tokens):
        at = np.arange(COUNT)
        gold = np.exp(-self.reported(rows, tokens))
        others = rows.copy()
        others[at, tokens[1:]] = 0
        found = others * ((1 - gold) / others.sum(1))[:, None]
        found[at, tokens[1:]] = gold
        return found


class LearnsFirst(Toy):
    def events(self, watch):
        watch.updated(np.arange(50))
        watch.scored(np.arange(COUNT))


class ScoresTwice(Toy):
    def events(self, watch):
        watch.scored(np.arange(COUNT))
        watch.scored(np.arange(7))


class CountsTwice(Toy):
    def times(self):
        times = np.ones(COUNT, np.int32)
        times[40:50] = 2
        return times


class LeavesOut(Toy):
    def reported(self, rows, tokens):
        nats = super().reported(rows, tokens)
        nats[-3:] = np.nan
        return nats


class Wanders(Toy):
    def reported(self, rows, tokens):
        return super().reported(rows, tokens) * (1 + 1e-6 * self.calls)


class Learns(Toy):
    def events(self, watch):
        super().events(watch)
        self.weight += 1


def examinee(toy, **changes):
    tokens = np.random.default_rng(0).integers(1, V, COUNT + 1)
    starts = np.array([0, 90, 120, 250])
    tokens[starts] = 0
    found = Examinee("toy", toy.blocks, tokens, starts, V, (64, 100), lambda: str(toy.weight))
    return replace(found, **changes)


BROKEN = [
    (KnowsTheAnswer, answer_mask, "moves its distribution by up to"),
    (KnowsTheAnswer, gold_consistency, "and its distribution says"),
    (KnowsWhatComes, suffix_perturbation, "new tokens after 32 move 28 scores before, from position 1 on"),
    (KnowsWhereDocumentsEnd, suffix_perturbation, "a document that ends after 96 moves 6 scores before, from position 90 on"),
    (KnowsWhatComes, answer_mask, "moves its distribution by up to"),
    (SumsToMore, sums_to_one, "sums to 1.1 over 16 tokens"),
    (TellsAnother, gold_consistency, "and its distribution says 2.77259"),
    (TellsAnotherButForTheGold, gold_consistency, "and its distribution says"),
    (LearnsFirst, score_before_update, "update 1 reads 50 positions that are not scored yet, such as 0"),
    (ScoresTwice, score_before_update, "7 positions are not scored once; position 0 is scored 2 times"),
    (CountsTwice, coverage, "10 of 300 positions are not counted once: position 40 is counted 2 times, 310 counts in all"),
    (LeavesOut, coverage, "297 scores from position 0 on, of 300 positions"),
    (Wanders, repeatability, "scores differ when taken again"),
    (Learns, unchanged_state, "the weights were 0, and are 1"),
]


@pytest.mark.parametrize(("toy", "check", "says"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_what_breaks_a_rule_fails_its_test(toy, check, says):
    (found,) = check(examinee(toy()))
    assert found.verdict == "fail"
    assert says in found.evidence


def test_an_honest_scorer_passes_everything_that_can_be_checked_of_it():
    found = judge(examinee(Toy()))
    by = {verdict: [f.rule.split()[0] for f in found if f.verdict == verdict] for verdict in ("pass", "fail", "not checked")}
    assert by == {"pass": ["1", "2", "3", "4", "5", "6", "8", "9"], "fail": [], "not checked": ["7", "10a", "10b", "10c", "12"]}
    assert all(f.evidence for f in found)


def test_no_broken_scorer_passes_everything():
    for toy in {toy for toy, _, _ in BROKEN}:
        assert "fail" in {found.verdict for check in CHECKS for found in check(examinee(toy()))}, toy


def test_a_distribution_that_is_not_told_is_a_failure():
    class Silent(Toy):
        def blocks(self, passage, watch):
            yield from super().blocks(passage, watch)
            watch.rows.clear()

    for check in (answer_mask, sums_to_one, gold_consistency):
        if check is gold_consistency:
            continue  # nothing is told, so nothing can contradict it but what was put there
        assert check(examinee(Silent()))[0].verdict == "fail"
    assert gold_consistency(examinee(Silent()))[0].verdict == "fail"


def test_what_is_changed_are_tokens_within_documents_and_the_places_lie_at_every_edge():
    passage = examinee(Toy())
    assert cuts(passage) == [32, 50, 64, 96, 100, 120, 123, 150, 225, 299]
    assert ends(passage) == [96, 123, 225]
    assert len(passage.probes) == 4
    for position, candidates in passage.probes:
        assert len(candidates) == 2
        assert position + 1 not in passage.starts
        assert 0 not in candidates
        assert passage.tokens[position + 1] not in candidates
    assert len(passage.rows) >= 50
    assert min(passage.rows) == 150


# Bytes, from the text


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """A corpus of odd texts with a SentencePiece tokenizer."""
    train, documents = [Document("train", "other")], [Document(str(i), text) for i, text in enumerate(ODD_TEXTS)]
    folder = tmp_path_factory.mktemp("pieces") / "corpus"
    return prepare(train, documents, SentencePieceTokenizer(model_bytes()), folder)


def claim_of(corpus, table, kind="piece"):
    """What a stored reading of a whole corpus would say by a table of bytes."""
    documents, stream = corpus.documents("validation"), corpus.tokens("validation")
    counted = []
    for start, length in zip(documents.starts, documents.num_tokens, strict=True):
        own = stream.read(start, start + length)
        counted.append(int(table.bytes_of(own[:-1], own[1:]).sum()))
    columns = {"nats": np.ones(len(counted)), f"{kind}_bytes": np.array(counted)}
    total = sum(counted)
    summary = {"bytes_kind": kind, "total_bytes": total, "bits_per_byte": len(counted) / np.log(2) / total}
    return Claim(columns, summary, corpus)


def test_bytes_are_those_of_the_text(pieces, tmp_path):
    for corpus in (pieces, write_corpus(tmp_path / "corpus")):
        claim = claim_of(corpus, corpus.byte_table())
        (found,) = recount(examinee(Toy(), claim=claim))
        assert found.verdict == "pass", found.evidence
        assert f"{claim.summary['total_bytes']} bytes" in found.evidence


def test_a_leading_space_that_counts_twice_is_found(pieces):
    claim = claim_of(pieces, doubled_space(pieces.byte_table()), "doubled-space")
    (found,) = recount(examinee(Toy(), claim=claim))
    assert found.verdict == "fail"
    assert "bytes are counted, and the text has" in found.evidence


def test_one_byte_too_many_or_another_ratio_is_found(pieces):
    claim = claim_of(pieces, pieces.byte_table())
    off = claim.documents["piece_bytes"].copy()
    off[3] += 1
    wrong = replace(claim, documents={**claim.documents, "piece_bytes": off})
    assert "document 3 has" in recount(examinee(Toy(), claim=wrong))[0].evidence
    wrong = replace(claim, summary={**claim.summary, "bits_per_byte": 1.0})
    assert "the sums of its documents say" in recount(examinee(Toy(), claim=wrong))[0].evidence


def test_raw_bytes_of_a_text_that_was_normalised_are_not_checked(pieces):
    claim = claim_of(pieces, pieces.byte_table(), "raw")
    assert recount(examinee(Toy(), claim=claim))[0].verdict == "not checked"
    assert text_bytes(pieces, 2).shape == (2,)


def test_a_stored_reading_that_left_a_target_out_is_found(pieces):
    documents = pieces.documents("validation")
    tokens = documents.num_tokens.copy()
    tokens[-1] -= 1
    claim = claim_of(pieces, pieces.byte_table())
    for counted, verdict in ((tokens, "pass"), (tokens - (np.arange(len(tokens)) == 2), "fail")):
        stored = replace(claim, documents={"tokens": counted}, summary={"scored_tokens": int(counted.sum())})
        assert coverage(examinee(Toy(), claim=stored))[0].verdict == verdict


def test_what_belongs_to_no_run_is_not_scored_elsewhere():
    assert {found.verdict for found in (*isolation(examinee(Toy())), *rank_invariance(examinee(Toy())))} == {"not checked"}
    assert isinstance(isolation(examinee(Toy()))[0], Finding)
