"""`python -m bench`: ours beside a straightforward PyTorch version of the same network, in one run, as ratios.

Prints tokens per second of training and of sliding evaluation, peak memory of each side in a process of its own, and
training's share of the matrix-product peak that torch reaches here. Rounds alternate (ours, plain, ours, plain, ...);
the ratio is the median over rounds, with the least and the greatest beside it.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from bench.workload import SIDES, WORKLOADS, Workload

ROUNDS = 5


def main() -> None:
    """Run every workload, or measure one side's peak memory where `--memory-of` asks for it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--memory-of", choices=("ours", "plain"))
    parser.add_argument("--workload", choices=tuple(WORKLOADS))
    parser.add_argument("--what", choices=("train", "sliding"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        SIDES[arguments.what](WORKLOADS[arguments.workload], arguments.memory_of)()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        return
    peak = matrix_peak_flops()
    print(f"torch {torch.__version__}, {arguments.threads} threads, float32 matrix products: {peak / 1e9:.0f} GFLOP/s")
    for name in [arguments.workload] if arguments.workload else WORKLOADS:
        report(name, WORKLOADS[name], arguments.rounds, arguments.threads, peak)


def report(name: str, workload: Workload, rounds: int, threads: int, peak: float) -> None:
    """Print one workload's ratios and peak memory."""
    print(f"\n{name}: {workload.num_layers} layers x {workload.model_dim}, T = {workload.seq_len}")
    for what, make in SIDES.items():
        ours, plain = make(workload, "ours"), make(workload, "plain")
        speeds = alternate(ours, plain, rounds)
        ratios = [a / b for a, b in speeds]
        memory = {side: peak_memory(name, what, side, threads) for side in ("ours", "plain")}
        fast = statistics.median(a for a, _ in speeds)
        share = f", {fast * workload.flops_per_token / peak:.0%} of the matrix-product peak" if what == "train" else ""
        print(
            f"  {what:<8} ours {fast:,.0f} tokens/s{share}; plain {statistics.median(b for _, b in speeds):,.0f} tokens/s; "
            f"ratio {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f}, n = {rounds}); "
            f"peak memory ours {memory['ours'] / 1e6:,.0f} MB, plain {memory['plain'] / 1e6:,.0f} MB"
        )


def alternate(ours: Callable[[], int], plain: Callable[[], int], rounds: int) -> list[tuple[float, float]]:
    """Return (ours, plain) tokens per second of each round, after one round that is not counted."""
    speeds = []
    for _ in range(rounds + 1):
        pair = []
        for work in (ours, plain):
            began = time.perf_counter()
            tokens = work()
            pair.append(tokens / (time.perf_counter() - began))
        speeds.append((pair[0], pair[1]))
    return speeds[1:]


def peak_memory(workload: str, what: str, side: str, threads: int) -> int:
    """Return the peak resident bytes of a process that does one round of one side."""
    options = ["--memory-of", side, "--workload", workload, "--what", what, "--threads", str(threads)]
    done = subprocess.run([sys.executable, "-m", "bench", *options], capture_output=True, text=True, check=True)
    return int(done.stdout)


def matrix_peak_flops() -> float:
    """Return the best float32 matrix-product rate of torch here over a second, in operations per second."""
    size = 1536
    a, b = torch.randn(size, size), torch.randn(size, size)
    best = float("inf")
    ends = time.perf_counter() + 1.0
    while time.perf_counter() < ends:
        began = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


if __name__ == "__main__":
    main()
