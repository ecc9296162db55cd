"""The shipped ledger, and a small recorded study of our own making."""

import pytest

from mulligan.claims.ledger import read_ledger
from mulligan.claims.recorded import Recorded, read_recorded
from mulligan.claims.summary import entries


@pytest.fixture(scope="session")
def found():
    """Every shipped claim with its figures and re-tests, by id."""
    return {entry.claim.id: entry for entry in entries(read_ledger(), read_recorded())}


@pytest.fixture(scope="session")
def config():
    return {
        "question": "Does it?",
        "phase": "explore",
        "recipe": "tiny",
        "factors": {"lever": {"path": "train.grad_clip_norm", "values": [0.0, 0.3, 0.5]}},
        "design": {"kind": "sweep"},
        "budget": {"kind": "steps"},
        "seeds": [0, 1, 2],
        "metric": {"point": "quantized"},
        "margin_bpb": 0.002,
    }


@pytest.fixture
def recorded(config):
    """Three arms: 0.3 lowers the score by 5 mBPB, 0.5 changes it by a tenth of one."""
    values = {
        "lever=0.0": {"0": 1.1, "1": 1.12, "2": 1.09},
        "lever=0.3": {"0": 1.0951, "1": 1.1149, "2": 1.085},
        "lever=0.5": {"0": 1.1001, "1": 1.12, "2": 1.0902},
    }
    sizes = {arm: dict.fromkeys(runs, 1000.0 + i) for i, (arm, runs) in enumerate(values.items())}
    return Recorded(
        study="toy",
        scale="tiny",
        corpus="here",
        date="2026-01-02",
        hash="0" * 16,
        environments=[{"commit": "abcdef012345", "device": "cpu", "torch": "2"}],
        config=config,
        levels={arm: {"lever": arm.split("=")[1]} for arm in values},
        reading={},
        metrics={
            "primary": {"unit": "bits per byte", "illegal": [], "values": values},
            "payload-bytes": {"unit": "bytes", "illegal": [], "values": sizes},
        },
        payload_bytes={},
        over_budget=[],
        idle=[],
        wrong_on_purpose={},
    )
