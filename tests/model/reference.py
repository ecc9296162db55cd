"""The baseline network in plain numpy float64, one token, one head and one layer at a time (levers section 2)."""

import math

import numpy as np
import torch

from mulligan.model.config import ModelConfig

EPS = float(np.finfo(np.float32).eps)  # what a float32 network adds below the root


def parameters_of(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return every parameter of a network as float64 arrays."""
    return {name: parameter.detach().double().numpy() for name, parameter in model.named_parameters()}


def nats(config: ModelConfig, p: dict[str, np.ndarray], tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the nats (T,) of targets (T,) given tokens (T,)."""
    scores = log_probabilities(config, p, tokens)
    return np.array([-scores[t, target] for t, target in enumerate(targets)])


def log_probabilities(config: ModelConfig, p: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """Return log-probabilities (T, vocab_size) after each of tokens (T,)."""
    head = p["tok_emb.weight"] if config.embedding.kind == "tied" else p["lm_head.weight"]
    cap = config.logit_softcap
    rows = []
    for x in stream(config, p, tokens):
        logits = cap * np.tanh(head @ x / cap)
        rows.append(logits - logits.max() - math.log(np.exp(logits - logits.max()).sum()))
    return np.array(rows)


def stream(config: ModelConfig, p: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """Return the final normalised stream (T, model_dim)."""
    x0 = np.array([normalised(p["tok_emb.weight"][token]) for token in tokens])
    num_pushed = config.num_layers // 2
    pushed = []
    x = x0
    for layer in range(config.num_layers):
        if layer >= num_pushed and pushed:
            x = x + p["skip_weights"][layer - num_pushed] * pushed.pop()
        x = block(config, {name.split(".", 2)[2]: p[name] for name in p if name.startswith(f"blocks.{layer}.")}, x, x0)
        if layer < num_pushed:
            pushed.append(x)
    return np.array([normalised(row) for row in x])


def block(config: ModelConfig, p: dict[str, np.ndarray], x: np.ndarray, x0: np.ndarray) -> np.ndarray:
    """Return the stream after one block, x and x0 (T, model_dim)."""
    x = p["resid_mix"][0] * x + p["resid_mix"][1] * x0
    x = x + p["attn_scale"] * attention(config, p, np.array([normalised(row) for row in x]))
    added = [p["mlp.proj.weight"] @ np.maximum(p["mlp.fc.weight"] @ normalised(row), 0.0) ** 2 for row in x]
    return x + p["mlp_scale"] * np.array(added)


def attention(config: ModelConfig, p: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return causal attention, x (T, model_dim) normalised; query heads share key heads in runs of equal length."""
    width = config.model_dim // config.num_heads
    shared_by = config.num_heads // config.num_kv_heads
    out = np.zeros_like(x)
    for head in range(config.num_heads):
        mine, theirs = (
            slice(head * width, (head + 1) * width),
            slice(head // shared_by * width, (head // shared_by + 1) * width),
        )
        queries = [p["attn.q_gain"][head] * turned(config, p["attn.c_q.weight"][mine] @ row, t) for t, row in enumerate(x)]
        keys = [turned(config, p["attn.c_k.weight"][theirs] @ row, t) for t, row in enumerate(x)]
        values = [p["attn.c_v.weight"][theirs] @ row for row in x]
        for t, query in enumerate(queries):
            weights = np.array([math.exp(query @ key / math.sqrt(width)) for key in keys[: t + 1]])
            out[t, mine] = sum(w * value for w, value in zip(weights / weights.sum(), values[: t + 1], strict=True))
    return np.array([p["attn.proj.weight"] @ row for row in out])


def turned(config: ModelConfig, vector: np.ndarray, position: int) -> np.ndarray:
    """Return a query or key, normalised and rotated: element j with element j + half by position x base^(-2j/width)."""
    vector, half = normalised(vector), len(vector) // 2
    out = np.empty_like(vector)
    for j in range(half):
        angle = position * config.positions.base ** (-2.0 * j / len(vector))
        out[j] = vector[j] * math.cos(angle) + vector[j + half] * math.sin(angle)
        out[j + half] = -vector[j] * math.sin(angle) + vector[j + half] * math.cos(angle)
    return out


def normalised(vector: np.ndarray) -> np.ndarray:
    """Return a vector over its root mean square."""
    return vector / math.sqrt(np.mean(vector * vector) + EPS)
