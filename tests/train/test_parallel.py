"""What each process reads: the shares of a batch are its rows, in order, each once; counts that do not fit are refused."""

import pytest
import torch

from mulligan.cli.setting import make_execution
from mulligan.train.loader import make_batches
from mulligan.train.parallel import check_shares
from toy import ToyStream, train_config

CPU = torch.device("cpu")
LOADERS = ({"kind": "sequential", "start": "seeded"}, {"kind": "shuffled"}, {"kind": "document-packing"})


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader["kind"])
@pytest.mark.parametrize("seq_len", [8, 4])
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_the_shares_of_a_batch_are_its_rows_in_order(loader, seq_len, world_size):
    config = train_config(loader=loader, batch_tokens=64, accumulation_steps=2)
    whole = make_batches(config, ToyStream(), 0)
    ranks = [make_batches(config, ToyStream(), 0) for _ in range(world_size)]
    for rank, batches in enumerate(ranks):
        batches.share = (rank, world_size)
    for _ in range(30):  # several epochs of the shuffled loader
        expected = whole.next(CPU, seq_len=seq_len)
        shares = [batches.next(CPU, seq_len=seq_len) for batches in ranks]
        for i in (0, 1):
            assert torch.equal(torch.cat([share[i] for share in shares]), expected[i])
        assert {share[0].shape for share in shares} == {(32 // seq_len // world_size, seq_len)}
        assert {batches.cursor for batches in ranks} == {whole.cursor}


def test_rows_that_cannot_be_shared_evenly_are_refused_with_counts_that_fit():
    config = train_config(batch_tokens=96, accumulation_steps=2)  # 6 rows of 8 in each part
    for fitting in (1, 2, 3, 6):
        check_shares(config, fitting)
    with pytest.raises(ValueError, match=r"96 tokens has 6 rows of 8 in each of 2 .*nproc_per_node=3, .*multiple of 64"):
        check_shares(config, 4)
    with pytest.raises(ValueError, match="nproc_per_node=6"):
        check_shares(config, 12)


def test_every_size_of_a_ramp_must_be_shared_evenly():
    ramp = {"kind": "linear", "start_tokens": 32, "num_sizes": 2, "until": {"kind": "at-step", "step": 4}}
    config = train_config(batch_tokens=64, batch_ramp=ramp)  # 4, then 6, then 8 rows
    check_shares(config, 2)
    with pytest.raises(ValueError, match=r"48 tokens has 6 rows .*nproc_per_node=2"):
        check_shares(config, 4)


def test_a_command_that_is_one_process_refuses_torchrun(monkeypatch):
    make_execution("cpu", 1, False)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one")
    with pytest.raises(ValueError, match="without torchrun"):
        make_execution("cpu", 1, False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ValueError, match="takes its own GPU"):
        make_execution("cuda:1", 1, False, together=True)
