"""Temperature: logits divided by one number, given or fitted on training text.

What it does     Divides the logits of every scored token by T. `fitted` takes the best of a few candidates, by the nats of the
                 last documents of the train split, for each weights that are scored (raw, averaged, quantized) apart.
Why it may help  A network that was trained briefly, averaged or quantized is less or more sure than it should be; one number
                 corrects that on average.
Touches          evaluate: the distribution that is scored. Validation text never chooses T.
Cost             One division per logit. Fitting is one flat pass over `train_documents` documents, and its seconds belong to
                 the training time of a submission: an evaluation may not read training shards.
Source           Guo et al. 2017, arXiv:1706.04599; parameter-golf ternary record (five candidates on training tokens).
Published        T = 0.90 on undertrained relu squared logits (ternary record); -0.03 mBPB at best on a strong model (PR 1914).
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from mulligan.core.canonical import canonical_json
from mulligan.core.execution import Execution
from mulligan.evaluate.config import EvaluateConfig, FittedTemperature, Flat
from mulligan.evaluate.flat import flat_windows
from mulligan.evaluate.passage import Passage, chosen_documents
from mulligan.evaluate.scorer import Scorer
from mulligan.evaluate.stage import check_corpus, seen_through
from mulligan.model.network import load_network
from mulligan.values.byte_table import IntArray
from mulligan.values.corpus import Corpus
from mulligan.values.scores import Array
from mulligan.values.weights import Weights


@dataclass(frozen=True)
class Fitted:
    """The `value` that was taken, and what it was taken from: the mean nats of a train token at each candidate."""

    value: float
    candidates: tuple[float, ...]
    nats_per_token: tuple[float, ...]
    train_documents: int
    train_tokens: int

    def save(self, folder: Path) -> None:
        """Write summary.json."""
        (folder / "summary.json").write_text(canonical_json(asdict(self)), "utf-8")


def fit(config: EvaluateConfig, context_len: int, weights: Weights, corpus: Corpus, execution: Execution) -> Fitted:
    """Return the best of the candidates of `config.temperature` for these weights, in flat windows of the train split's end.

    ValueError when the corpus has fewer train documents than are asked for, or the weights give no finite scores.
    """
    asked = config.temperature
    assert isinstance(asked, FittedTemperature)
    num_documents = check_corpus(config, asked.train_documents, corpus, "train")
    documents = corpus.documents("train")
    passage = Passage.of_stream(
        corpus.tokens("train"), documents, chosen_documents(num_documents, "train", len(documents.starts))
    )
    network = load_network(seen_through(config, weights)[0], corpus, execution.device)
    totals = _Totals(network, passage, context_len, config.precision, execution, candidates=asked.candidates)
    totals.score(flat_windows(Flat(kind="flat", context_len=context_len), passage.num_positions), "fit temperature")
    if not np.isfinite(totals.total_nats).all():
        raise ValueError("The weights give scores that are NaN or infinite; they come from a training that diverged.")
    nats = [float(total / passage.num_positions) for total in totals.total_nats]
    best = asked.candidates[int(np.argmin(nats))]
    return Fitted(best, asked.candidates, tuple(nats), num_documents, passage.num_positions)


@dataclass(frozen=True)
class _Totals(Scorer):
    """A scorer that sums the nats of every candidate as it goes: one forward for all of them."""

    candidates: tuple[float, ...] = field(kw_only=True)
    total_nats: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total_nats", np.zeros(len(self.candidates)))

    def nats(self, logits: torch.Tensor, targets: torch.Tensor, positions: IntArray) -> torch.Tensor:
        """Return the nats at temperature 1, and add the counted ones at every candidate."""
        counted = torch.from_numpy(positions >= 0).to(logits.device)
        rows, gold = logits[counted].float(), targets[counted]
        for i, candidate in enumerate(self.candidates):
            self.total_nats[i] += F.cross_entropy(rows / candidate, gold, reduction="none").double().sum().item()
        return super().nats(logits, targets, positions)
