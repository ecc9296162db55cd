"""What is measured: networks, batches and text of a size that two cores can run, and both sides of each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from bench.straightforward import PlainGPT, PlainOptimizer, plain_sliding
from mulligan.core.execution import Execution
from mulligan.evaluate.config import Sliding
from mulligan.evaluate.passage import Passage
from mulligan.evaluate.scorer import Scorer
from mulligan.evaluate.sliding import sliding_windows
from mulligan.model.config import ModelConfig
from mulligan.model.gpt import GPT
from mulligan.train.config import TrainConfig
from mulligan.train.trainer import Trainer


@dataclass(frozen=True)
class Workload:
    """A network of `num_layers` x `model_dim`, trained at `seq_len`, scored with windows `stride` apart."""

    num_layers: int
    model_dim: int
    seq_len: int
    batch_tokens: int
    stride: int
    scored_tokens: int
    num_steps: int

    @property
    def model(self) -> ModelConfig:
        """The network: heads of 32, half as many for keys and values, 1,024 pieces."""
        return ModelConfig.model_validate(
            {
                "vocab_size": 1024,
                "num_layers": self.num_layers,
                "model_dim": self.model_dim,
                "num_heads": self.model_dim // 32,
                "num_kv_heads": self.model_dim // 64,
                "feed_forward": {"kind": "relu-squared", "mult": 2},
                "positions": {"kind": "rope", "base": 10000.0},
                "embedding": {"kind": "tied", "init_std": 0.005},
                "logit_softcap": 30.0,
                "qk_gain_init": 1.5,
            }
        )

    @property
    def train(self) -> TrainConfig:
        """Endless training at a constant learning rate."""
        return TrainConfig.model_validate(
            {
                "budget": {"kind": "steps", "steps": 1_000_000},
                "warmdown": {"kind": "constant"},
                "loader": {"kind": "sequential", "start": "fixed"},
                "optimizer": {"kind": "muon-adam"},
                "seq_len": self.seq_len,
                "batch_tokens": self.batch_tokens,
                "precision": "fp32",
            }
        )

    @property
    def flops_per_token(self) -> float:
        """Floating-point operations of training one token: 6 per matrix weight, and the attention products."""
        model = self.model
        attention = 6 * model.num_layers * self.seq_len * model.model_dim  # causal: half of 12 L T D
        return 6.0 * model.num_matrix_parameters + attention


class Text:
    """Tokens in memory with the interface of a token stream."""

    def __init__(self, num_tokens: int = 200_000) -> None:
        self.tokens = np.minimum(np.random.default_rng(0).geometric(0.01, num_tokens), 1023).astype(np.int64)
        self.num_tokens = num_tokens

    def take(self, start: int, count: int) -> np.ndarray:
        """Return `count` tokens from `start` on, wrapping around."""
        return np.take(self.tokens, np.arange(start, start + count), mode="wrap")

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """Return the tokens at `indices`."""
        return self.tokens[indices]


def training(workload: Workload, side: str) -> Callable[[], int]:
    """Return what trains `num_steps` steps of one side and returns the tokens; both sides see the same tokens."""
    text = Text()
    if side == "ours":
        trainer = Trainer(workload.train, workload.model, text, 0, Execution())

        def ours() -> int:
            trainer.advance(until_step=trainer.step + workload.num_steps)
            return workload.num_steps * workload.batch_tokens

        return ours
    model = plain_model(workload)
    optimizer = PlainOptimizer(model)
    position = 0

    def plain() -> int:
        nonlocal position
        for _ in range(workload.num_steps):
            span = torch.from_numpy(text.take(position, workload.batch_tokens + 1))
            position += workload.batch_tokens + 1
            inputs, targets = span[:-1].view(-1, workload.seq_len), span[1:].view(-1, workload.seq_len)
            loss = model(inputs, targets).mean()
            loss.backward()
            optimizer.step()
            loss.item()
        return workload.num_steps * workload.batch_tokens

    return plain


def plain_model(workload: Workload) -> PlainGPT:
    """Return the plain network with our initial weights."""
    model = PlainGPT(workload.model)
    model.load_state_dict(GPT(workload.model, 0).state_dict())
    return model


def sliding(workload: Workload, side: str) -> Callable[[], int]:
    """Return what scores `scored_tokens` targets in sliding windows on one side and returns their number."""
    text = Text(workload.scored_tokens + 1)
    context_len, stride = workload.seq_len, workload.stride
    if side == "ours":
        config = Sliding(kind="sliding", context_len=context_len, stride=stride)
        windows = sliding_windows(config, workload.scored_tokens)
        passage = Passage(text, np.array([0]), workload.scored_tokens)
        scorer = Scorer(GPT(workload.model, 0).eval(), passage, context_len, "fp32", Execution())

        def ours() -> int:
            scorer.score(windows, "bench")
            return workload.scored_tokens

        return ours
    plain_network, tokens = plain_model(workload).eval(), torch.from_numpy(text.tokens)

    def plain() -> int:
        plain_sliding(plain_network, tokens, context_len, stride, max(1, 16_384 // context_len))
        return workload.scored_tokens

    return plain


SIDES = {"train": training, "sliding": sliding}

WORKLOADS = {
    "tiny": Workload(4, 128, 256, 4096, 64, 20_000, 8),
    "small": Workload(6, 192, 1024, 8192, 64, 4_096, 3),
}
