"""The network in plain numpy float64, one token, one head and one layer at a time (levers sections 2 and 3)."""

import math

import numpy as np
import torch

from mulligan.model.config import ModelConfig

EPS = float(np.finfo(np.float32).eps)  # what a float32 network adds below the root
Arrays = dict[str, np.ndarray]


def parameters_of(model: torch.nn.Module) -> Arrays:
    """Return every parameter of a network as float64 arrays."""
    return {name: parameter.detach().double().numpy() for name, parameter in model.named_parameters()}


def nats(config: ModelConfig, p: Arrays, tokens: np.ndarray, targets: np.ndarray, **how: object) -> np.ndarray:
    """Return the nats (T,) of targets (T,) given tokens (T,); `how`: see `stream`."""
    scores = log_probabilities(config, p, tokens, **how)
    return np.array([-scores[t, target] for t, target in enumerate(targets)])


def log_probabilities(config: ModelConfig, p: Arrays, tokens: np.ndarray, **how: object) -> np.ndarray:
    """Return log-probabilities (T, vocab_size) after each of tokens (T,)."""
    head = p["tok_emb.weight"] if config.embedding.kind == "tied" else p["lm_head.weight"]
    rows = []
    for x in stream(config, p, tokens, **how):
        logits = np.array([capped(config, logit) for logit in head @ x])
        rows.append(logits - logits.max() - math.log(np.exp(logits - logits.max()).sum()))
    return np.array(rows)


def capped(config: ModelConfig, logit: float) -> float:
    cap = config.logit_softcap
    if config.softcap == "tanh":
        return cap * math.tanh(logit / cap)
    u = min(max(logit / cap, -2.0), 2.0)
    return cap * min(max(u - u**3 / 3 + u**5 / 15, -1.0), 1.0)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def stream(config: ModelConfig, p: Arrays, tokens: np.ndarray, looping: bool = True, context_len: int | None = None):
    """Return the final normalised stream (T, model_dim)."""
    x = x0 = embedded(config, p, tokens)
    loop = config.recurrence if looping and config.recurrence.kind == "loop" else None
    order = list(range(config.num_layers))
    if loop:
        looped = list(range(loop.first, loop.last + 1))
        order = order[: loop.first] + (1 + loop.num_repeats) * looped + order[loop.last + 1 :]
    num_pushed, pushed, first_values = len(order) // 2, [], None
    for place, layer in enumerate(order):
        if place >= num_pushed and pushed:
            weight, skip = p["skip_weights"][place - num_pushed], pushed.pop()
            if config.skip_gates == "sigmoid":
                gate = sigmoid(p["skip_gates"][place - num_pushed])
                x = gate * x + (1 - gate) * weight * skip
            else:
                x = x + weight * skip
        before = x
        mine = {name.split(".", 2)[2]: p[name] for name in p if name.startswith(f"blocks.{layer}.")}
        x, values = block(config, mine, x, x0, layer, tokens, p, first_values, context_len or len(tokens))
        if config.residual_mixing == "mhc":
            alpha, beta = mine["mhc_alpha"], mine["mhc_beta"]
            x = before + math.sqrt(2) * alpha / math.sqrt(alpha**2 + beta**2) * (x - before)
        if place == 0:
            first_values = values
        if place < num_pushed:
            pushed.append(x)
    return np.array([normalised(row) for row in x])


def embedded(config: ModelConfig, p: Arrays, tokens: np.ndarray) -> np.ndarray:
    """Return the embedding (T, model_dim): table, hashed pair, norm, smear."""
    alone = [t == 0 or (token == config.bos_id and not config.legacy_document_leak) for t, token in enumerate(tokens)]
    rows = []
    for t, token in enumerate(tokens):
        row, hashed = p["tok_emb.weight"][token], config.bigram_hash
        if hashed.kind == "xor":
            bucket = ((36313 * int(token)) ^ (27191 * int(tokens[t - 1]))) % (hashed.num_buckets - 1)
            bucket = hashed.num_buckets - 1 if alone[t] else bucket
            row = row + p["bigram.scale"] * (p["bigram.proj.weight"] @ p["bigram.embed.weight"][bucket])
        elif hashed.kind == "linear":
            previous = 0 if alone[t] else int(tokens[t - 1])
            bucket = (hashed.multiplier * previous + int(token)) % hashed.num_buckets
            row = row + p["bigram.proj.weight"] @ p["bigram.embed.weight"][bucket]
        rows.append(normalised(row))
    smeared = []
    for t, row in enumerate(rows):
        previous = np.zeros_like(row) if alone[t] else rows[t - 1]
        if config.smear.kind == "static":
            gate = sigmoid(p["smear.gate"])
            row = (1 - gate) * row + gate * previous
        elif config.smear.kind == "input-gated":
            row = row + p["smear_lambda"] * sigmoid(p["smear_gate.weight"][0] @ row[: config.smear.width]) * previous
        smeared.append(row)
    return np.array(smeared)


def block(config, p, x, x0, layer, tokens, whole, first_values, context_len):
    """Return the stream after one block, x and x0 (T, model_dim), and the values (T, kv_dim) of its attention."""
    shrink = 1 / math.sqrt(layer + 1) if config.layer_norm_scale == "inverse-sqrt-depth" else 1.0
    x = p["resid_mix"][0] * x + p["resid_mix"][1] * x0
    entered = np.array([shrink * normalised(row) for row in x])
    read, values = attention(config, p, entered, layer, tokens, whole, first_values, context_len)
    x = x + p["attn_scale"] * read
    parallel = config.parallel_from_layer is not None and layer >= config.parallel_from_layer
    if not parallel:
        entered = np.array([shrink * normalised(row) for row in x])
    return x + p["mlp_scale"] * np.array([forward(config, p, row) for row in entered]), values


def forward(config: ModelConfig, p: Arrays, row: np.ndarray) -> np.ndarray:
    """Return the feed-forward of one token."""
    hidden = p["mlp.fc.weight"] @ row
    if config.feed_forward.kind == "swiglu":
        gate = p["mlp.gate.weight"] @ row
        hidden = gate * sigmoid(gate) * hidden
    elif config.feed_forward.kind == "leaky-relu-squared":
        hidden = np.where(hidden > 0, hidden, config.feed_forward.negative_slope * hidden) ** 2
    else:
        hidden = np.maximum(hidden, 0.0) ** 2
    return p["mlp.proj.weight"] @ hidden


def attention(config, p, x, layer, tokens, whole, first_values, context_len):
    """Return causal attention, x (T, model_dim) normalised, and the values; query heads share key heads in equal runs."""
    width = config.model_dim // config.num_heads
    shared_by = config.num_heads // config.num_kv_heads
    own = np.array([p["attn.c_v.weight"] @ row for row in x])
    shared = config.value_embedding
    if shared.kind == "shared" and layer in shared.layers:
        scale = whole["ve_shared.scale"] * whole[f"ve_layer_scales.{shared.layers.index(layer)}"]
        own = own + np.array([scale * (whole["ve_shared.proj.weight"] @ whole["ve_shared.embed.weight"][t]) for t in tokens])
    values = own
    if config.value_residual == "first-layer" and layer > 0:
        values = p["attn.vr_lambda"][0] * first_values + p["attn.vr_lambda"][1] * own
    out = np.zeros_like(x)
    for head in range(config.num_heads):
        mine, theirs = (
            slice(head * width, (head + 1) * width),
            slice(head // shared_by * width, (head // shared_by + 1) * width),
        )
        turn = [lambda v, t=t: turned(config, v, t, context_len) for t in range(len(x))]
        queries = [p["attn.q_gain"][head] * turn[t](p["attn.c_q.weight"][mine] @ row) for t, row in enumerate(x)]
        keys = [turn[t](p["attn.c_k.weight"][theirs] @ row) for t, row in enumerate(x)]
        for t, query in enumerate(queries):
            seen = [j for j in range(t + 1) if sees(config, layer, tokens, t, j)]
            logits = [query @ keys[j] / math.sqrt(width) + bias(config, whole, head, t - j) for j in seen]
            weights = np.exp(np.array(logits) - max(logits))
            y = sum(w * values[j, theirs] for w, j in zip(weights / weights.sum(), seen, strict=True))
            if layer >= config.num_layers - config.num_exclusive_layers:
                unit = values[t, theirs] / np.linalg.norm(values[t, theirs])
                y = y - (y @ unit) * unit
            out[t, mine] = gate(config, p, x[t], head) * y
    return np.array([p["attn.proj.weight"] @ row for row in out]), own


def sees(config: ModelConfig, layer: int, tokens: np.ndarray, t: int, j: int) -> bool:
    """Say whether position t sees the earlier position j."""
    if config.document_attention == "isolated" and config.bos_id in tokens[j + 1 : t + 1]:
        return False
    window = config.attention_window
    narrow = window.kind == "causal" and (window.layers is None or layer in window.layers)
    return not narrow or j > t - window.tokens


def bias(config: ModelConfig, whole: Arrays, head: int, distance: int) -> float:
    positions = config.positions
    if positions.kind == "alibi":
        return -(2.0 ** (-8 * (head + 1) / config.num_heads)) * distance
    if positions.kind != "relative-buckets":
        return 0.0
    exact, bucket = positions.num_buckets // 2, distance
    if distance >= exact:
        far = math.log(distance / exact) / math.log(positions.max_distance / exact) * (positions.num_buckets - exact)
        bucket = min(exact + math.floor(far + 1e-9), positions.num_buckets - 1)
    return float(whole["relative_bias.weight"][bucket, head])


def gate(config: ModelConfig, p: Arrays, row: np.ndarray, head: int) -> float:
    kind = config.attention_gate
    if kind.kind == "off":
        return 1.0
    weight = p["attn.attn_gate_proj.weight"][head]
    logit = weight @ row[: len(weight)]
    if kind.kind == "biased-sigmoid":
        return sigmoid(logit + p["attn.attn_gate_proj.bias"][head])
    if kind.kind == "doubled-sigmoid":
        return 2 * sigmoid(logit)
    return sigmoid(kind.scale * logit) if kind.kind == "sparse-sigmoid" else sigmoid(logit)


def turned(config: ModelConfig, vector: np.ndarray, position: int, context_len: int) -> np.ndarray:
    """Return a query or key, normalised; element j rotated with element j + half by position x base^(-2j / rotated)."""
    out, rope = normalised(vector), config.positions
    if rope.kind != "rope":
        return out
    vector, rotated = out.copy(), rope.rotated_dims or len(out)
    half, base = rotated // 2, rope.base
    if rope.extension.kind == "ntk" and context_len > rope.extension.from_len:
        base = base * (context_len / rope.extension.from_len) ** (rotated / (rotated - 2))
    for j in range(half):
        frequency = base ** (-2.0 * j / rotated)
        if rope.extension.kind == "yarn":
            share = min(max((2 * j / rotated - 0.25) / 0.75, 0.0), 1.0)
            stretch = rope.extension.to_len / rope.extension.from_len
            frequency /= 1 + share * (stretch - 1)
        cos, sin = math.cos(position * frequency), math.sin(position * frequency)
        out[j] = vector[j] * cos + vector[j + half] * sin
        out[j + half] = -vector[j] * sin + vector[j + half] * cos
    return out


def normalised(vector: np.ndarray) -> np.ndarray:
    """Return a vector over its root mean square."""
    return vector / math.sqrt(np.mean(vector * vector) + EPS)
