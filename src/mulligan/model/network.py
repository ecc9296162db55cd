"""A fresh network with given weights, checked against the network that is written beside them and against a corpus."""

import torch

from mulligan.core.config import parse_config
from mulligan.model.config import ModelConfig
from mulligan.model.gpt import GPT, parameter_shapes
from mulligan.values.corpus import Corpus
from mulligan.values.weights import Weights


def check_bos(model: ModelConfig, corpus: Corpus) -> None:
    """Raise ValueError when the network looks for the beginnings of documents by another token than the corpus'."""
    if model.knows_documents and model.bos_id != corpus.bos:
        raise ValueError(
            f"The corpus begins its documents with token {corpus.bos} and the network looks for model.bos_id = {model.bos_id}. "
            f"Give --set model.bos_id={corpus.bos}."
        )


def load_network(weights: Weights, corpus: Corpus | None, device: str | torch.device) -> GPT:
    """Return a fresh network with `weights`, in evaluation mode, on `device`; ValueError when they do not fit.

    `corpus`: what it is to read; None where it reads no text.
    """
    config = parse_config(ModelConfig, weights.model, "model")
    if corpus is not None:
        if config.vocab_size != corpus.vocab_size:
            raise ValueError(
                f"The network has vocab_size = {config.vocab_size} and the corpus {corpus.folder} {corpus.vocab_size} pieces. "
                f"Use the corpus that the network was trained on, or train with --set model.vocab_size={corpus.vocab_size}."
            )
        check_bos(config, corpus)
    expected = parameter_shapes(config)  # nothing is allocated for a config that the tensors do not bear out
    found = {name: tuple(tensor.shape) for name, tensor in weights.tensors.items()}
    if found != expected:
        differing = sorted(name for name in {**found, **expected} if found.get(name) != expected.get(name))
        raise ValueError(
            f"The weights are not those of the network that is written beside them: {differing[0]} is "
            f"{found.get(differing[0], 'absent')}, and {expected.get(differing[0], 'absent')} in the network. "
            "Make the file again."
        )
    model = GPT(config, seed=0)
    model.load_state_dict(weights.tensors)
    return model.to(device).eval()
