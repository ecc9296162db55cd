"""The judge inside the check: on the artifact of a log, from the store or given."""

import hashlib
import shutil
from functools import partial

import pytest

from mulligan.audit import judge as audit_judge
from mulligan.audit.isolation import isolation, rank_invariance
from mulligan.core.execution import Execution
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Job, corpus_at, folder_of
from mulligan.flow import lay_road
from mulligan.store.store import Store
from mulligan.submit.check_legal import AtHand, judged
from mulligan.submit.submitted import Submitted
from record_folder import make, toy_recipe
from toy import write_corpus

SLIDING = {"kind": "sliding", "context_len": 8, "stride": 2}
SLOW = (isolation, rank_invariance)
OVERRUN = {"kind": "document-overrun", "context_len": 8, "stride": 2}


class Run:
    """A toy run in a store, its artifact, and a folder whose one log names that artifact."""

    def __init__(self, root, windows):
        evaluate = {"precision": "fp32", "bytes": "piece", "windows": [windows]}
        self.recipe, self.corpus = toy_recipe(average={"kind": "last"}, evaluate=evaluate), write_corpus(root / "corpus").folder
        self.store = Store(root / "store")
        road = lay_road(self.recipe, 0, corpus=corpus_at(self.corpus))
        run_jobs(road.jobs, self.store, Execution())
        packed = road.points["quantized"]
        assert isinstance(packed, Job)
        self.artifact = folder_of(packed, self.store) / "artifact.bin"
        sha256 = hashlib.sha256(self.artifact.read_bytes()).hexdigest()
        self.folder = make(root / "folder", self.recipe, {0: 1.2}, artifact_sha256=sha256)

    def judge(self, **at_hand):
        found = judged(Submitted(self.folder), AtHand(**{"store": self.store, "data": self.corpus, **at_hand}))
        return {one.rule.removeprefix("judge: "): one for one in found}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Tests of another process are the judge's own business (tests/audit)."""
    monkeypatch.setattr(audit_judge, "CHECKS", tuple(one for one in audit_judge.CHECKS if one not in SLOW))


@pytest.fixture(scope="module")
def legal(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("legal"), SLIDING)


def test_the_artifact_of_a_log_is_judged_from_the_store(legal):
    found = legal.judge(execution=partial(Execution, "cpu"))
    assert {one.verdict for one in found.values()} == {"pass"}
    assert found["sliding quantized: 7 bytes"].verdict == "pass"
    assert found["sliding quantized: 2 answer mask"].verdict == "pass"


def test_a_given_artifact_is_judged_without_the_store_and_an_illegal_one_fails(tmp_path):
    run = Run(tmp_path, OVERRUN)
    given = tmp_path / "artifact.bin"
    shutil.copyfile(run.artifact, given)
    found = run.judge(store=Store(tmp_path / "empty"), artifact=given)
    assert "document-overrun quantized: 6 coverage" in {rule for rule, one in found.items() if one.verdict == "fail"}
    assert found["document-overrun quantized: 7 bytes"].evidence == "there is no stored reading"


def test_what_the_judge_lacks_is_said(legal, tmp_path):
    other = tmp_path / "other.bin"
    other.write_bytes(b"other")
    for at_hand, said in (
        ({"artifact": other}, "is the artifact of no log"),
        ({"store": Store(tmp_path / "empty")}, "give --store DIR or --artifact FILE"),
        ({"data": None}, "Give --data DIR"),
    ):
        (found,) = legal.judge(**at_hand).values()
        assert found.verdict == "not checked"
        assert said in found.evidence
