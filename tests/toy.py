"""Toy configs that many tests share: small enough to train in a second, complete enough to walk the whole road."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mulligan.data.document import Document
from mulligan.data.prepare import prepare
from mulligan.data.tokenizer import ByteTokenizer
from mulligan.model.config import ModelConfig
from mulligan.model.gpt import GPT
from mulligan.numerics.config import GridConfig
from mulligan.train.config import TrainConfig
from mulligan.values.corpus import Corpus, Documents


def steps(count: int) -> dict[str, Any]:
    return {"kind": "steps", "steps": count}


def train_config(budget: Any = 8, warmdown: Any = 4, **changes: Any) -> TrainConfig:
    """Return a toy training config; integers are counts of steps, other values TOML-like data."""
    data = {
        "budget": steps(budget) if isinstance(budget, int) else budget,
        "warmdown": steps(warmdown) if isinstance(warmdown, int) else warmdown,
        "loader": {"kind": "sequential", "start": "seeded"},
        "optimizer": {"kind": "muon-adam", "momentum_warmup_steps": 3},
        "seq_len": 8,
        "batch_tokens": 16,
        "precision": "fp32",
    }
    return TrainConfig.model_validate({**data, **changes})


GRID = GridConfig.model_validate(
    {
        "families": [
            {"match": ["*.weight"], "format": {"kind": "int", "bits": 6, "scale": {"kind": "row-max"}}},
            {"match": ["*"], "format": {"kind": "fp16"}},
        ]
    }
)


class ToyStream:
    """A token stream in memory with the interface of TokenStream."""

    def __init__(self, num_tokens: int = 500, vocab_size: int = 32, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.tokens = np.minimum(rng.geometric(0.15, num_tokens), vocab_size - 1).astype(np.int64)
        self.num_tokens = num_tokens

    @property
    def documents(self) -> Documents:
        """Documents of 1 to 30 tokens, at random."""
        starts = np.arange(self.num_tokens)[np.random.default_rng(1).random(self.num_tokens) < 0.1]
        starts = np.union1d([0], starts)
        return Documents(starts, np.diff(starts, append=self.num_tokens), None)

    def read(self, start: int, stop: int) -> np.ndarray:
        assert 0 <= start <= stop <= self.num_tokens
        return self.tokens[start:stop]

    def take(self, start: int, count: int) -> np.ndarray:
        return np.take(self.tokens, np.arange(start, start + count), mode="wrap")


def model_config(**changes: Any) -> ModelConfig:
    """Return a toy network: 2 layers of width 16, vocabulary of 32."""
    data = {
        "vocab_size": 32,
        "num_layers": 2,
        "model_dim": 16,
        "num_heads": 4,
        "num_kv_heads": 2,
        "feed_forward": {"kind": "relu-squared", "mult": 2},
        "positions": {"kind": "rope", "base": 10000.0},
        "embedding": {"kind": "tied", "init_std": 0.005},
        "logit_softcap": 30.0,
        "qk_gain_init": 1.5,
    }
    return ModelConfig.model_validate({**data, **changes})


def random_network(config: ModelConfig, seed: int = 0) -> GPT:
    """Return a network in which no gain, mix, scale, skip weight or projection stands where it would hide a mistake."""
    model = GPT(config, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith(".weight"):
                parameter.copy_(noise / math.sqrt(parameter.size(1)) * (3.0 if name == "lm_head.weight" else 1.5))
            else:
                parameter.copy_(0.6 + 0.5 * noise)
    return model


def recipe_data(**changes: Any) -> dict[str, Any]:
    """Return a toy recipe as TOML-like data: every stage, on a prepared corpus."""
    data = {
        "data": {"kind": "prepared"},
        "model": model_config(vocab_size=260).model_dump(mode="json"),
        "grid": GRID.model_dump(mode="json"),
        "train": {
            **train_config(12, 6).model_dump(mode="json"),
            "optimizer": {"kind": "muon-adam", "momentum_warmup_steps": 3},
        },
        "average": {"kind": "swa", "start": {"kind": "lr-scale-below", "value": 0.8}, "every_steps": 2},
        "quantize": {"kind": "round-to-nearest"},
        "pack": {"codec": {"kind": "zlib", "level": 9}},
        "evaluate": {
            "precision": "fp32",
            "bytes": "piece",
            "windows": [{"kind": "flat", "context_len": 8}, {"kind": "sliding", "context_len": 8, "stride": 2}],
        },
    }
    return {**data, **changes}


def toy_documents(count: int, seed: int) -> list[Document]:
    """Return short texts over few letters."""
    rng = np.random.default_rng(seed)
    return [Document(f"{seed}/{i}", "".join(rng.choice(list("abcde "), int(rng.integers(8, 60))))) for i in range(count)]


def write_corpus(folder: Path) -> Corpus:
    """Make a toy corpus of plain bytes (260 ids)."""
    return prepare(toy_documents(40, 0), toy_documents(6, 1), ByteTokenizer(), folder)
