"""The network of the baseline, its training step and its sliding scorer, each written the obvious way.

The other side of the benchmark: plain modules, a loop over parameters for Muon, logits for every position. Parameter
names agree with ours, so both sides start from equal weights.
"""

import torch
import torch.nn.functional as F
from torch import nn

from mulligan.model.config import ModelConfig


def rotate(x: torch.Tensor, base: float) -> torch.Tensor:
    """Rotate (B, H, T, head_dim) by position, half-split convention."""
    T, head_dim = x.shape[-2:]
    frequency = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angle = torch.outer(torch.arange(T, dtype=torch.float32), frequency)
    cos, sin = angle.cos(), angle.sin()
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat([x1 * cos + x2 * sin, -x1 * sin + x2 * cos], dim=-1)


class Attention(nn.Module):
    """Grouped-query attention with normalised queries and keys."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.head_dim = config.model_dim // config.num_heads
        kv_dim = config.num_kv_heads * self.head_dim
        self.c_q = nn.Linear(config.model_dim, config.model_dim, bias=False)
        self.c_k = nn.Linear(config.model_dim, kv_dim, bias=False)
        self.c_v = nn.Linear(config.model_dim, kv_dim, bias=False)
        self.proj = nn.Linear(config.model_dim, config.model_dim, bias=False)
        self.q_gain = nn.Parameter(torch.ones(config.num_heads))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, T, D)."""
        B, T, D = x.shape
        q = self.c_q(x).view(B, T, -1, self.head_dim).transpose(1, 2)
        k = self.c_k(x).view(B, T, -1, self.head_dim).transpose(1, 2)
        v = self.c_v(x).view(B, T, -1, self.head_dim).transpose(1, 2)
        q, k = F.rms_norm(q, (self.head_dim,)), F.rms_norm(k, (self.head_dim,))
        q, k = rotate(q, self.config.positions.base), rotate(k, self.config.positions.base)
        q = q * self.q_gain.view(1, -1, 1, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.proj(y.transpose(1, 2).reshape(B, T, D))


class MLP(nn.Module):
    """Two matrices around relu squared."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden = config.feed_forward.mult * config.model_dim
        self.fc = nn.Linear(config.model_dim, hidden, bias=False)
        self.proj = nn.Linear(hidden, config.model_dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, T, D)."""
        return self.proj(F.relu(self.fc(x)) ** 2)


class Block(nn.Module):
    """Residual mix, attention, feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.model_dim
        self.attn, self.mlp = Attention(config), MLP(config)
        self.attn_scale, self.mlp_scale = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.ones(dim))
        self.resid_mix = nn.Parameter(torch.stack([torch.ones(dim), torch.zeros(dim)]))

    def forward(self, x: torch.Tensor, x0: torch.Tensor) -> torch.Tensor:
        """(B, T, D), (B, T, D) -> (B, T, D)."""
        x = self.resid_mix[0] * x + self.resid_mix[1] * x0
        x = x + self.attn_scale * self.attn(F.rms_norm(x, (x.size(-1),)))
        return x + self.mlp_scale * self.mlp(F.rms_norm(x, (x.size(-1),)))


class PlainGPT(nn.Module):
    """The baseline network with a tied head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.tok_emb = nn.Embedding(config.vocab_size, config.model_dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.num_encoder = config.num_layers // 2
        num_skips = min(self.num_encoder, config.num_layers - self.num_encoder)
        self.skip_weights = nn.Parameter(torch.ones(num_skips, config.model_dim))

    def logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T) -> (B, T, V)."""
        x = F.rms_norm(self.tok_emb(tokens), (self.config.model_dim,))
        x0, skips = x, []
        for i, block in enumerate(self.blocks):
            if i < self.num_encoder:
                x = block(x, x0)
                skips.append(x)
                continue
            if skips:
                x = x + self.skip_weights[i - self.num_encoder] * skips.pop()
            x = block(x, x0)
        x = F.rms_norm(x, (x.size(-1),))
        cap = self.config.logit_softcap
        return cap * torch.tanh(F.linear(x, self.tok_emb.weight) / cap)

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the nats of each target, (B, T)."""
        logits = self.logits(tokens)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)


class PlainOptimizer:
    """Adam for everything but the matrices of the blocks; Muon in a loop over those."""

    def __init__(self, model: nn.Module) -> None:
        named = dict(model.named_parameters())
        self.matrices = [p for name, p in named.items() if name.startswith("blocks") and name.endswith(".weight")]
        owned = {id(p) for p in self.matrices}
        self.adam = torch.optim.Adam([p for p in named.values() if id(p) not in owned], lr=0.01, betas=(0.9, 0.95))
        self.momenta = [torch.zeros_like(p) for p in self.matrices]

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter from its gradient, then clear it."""
        self.adam.step()
        for p, momentum in zip(self.matrices, self.momenta, strict=True):
            momentum.mul_(0.95).add_(p.grad)
            X = p.grad + 0.95 * momentum
            X = X / (X.norm() + 1e-7)
            tall = X.size(0) > X.size(1)
            X = X.T if tall else X
            for _ in range(5):
                A = X @ X.T
                X = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
            X = X.T if tall else X
            p.add_(X, alpha=-0.02 * max(1.0, p.size(0) / p.size(1)) ** 0.5)
        for p in [*self.matrices, *(p for group in self.adam.param_groups for p in group["params"])]:
            p.grad = None


def plain_sliding(model: PlainGPT, tokens: torch.Tensor, context_len: int, stride: int, batch: int) -> torch.Tensor:
    """Return the nats of every target of `tokens`: full windows `stride` apart, logits everywhere, the new tail kept."""
    num_targets = len(tokens) - 1
    nats = torch.zeros(num_targets)
    starts = [0]
    while starts[-1] + context_len < num_targets:
        starts.append(min(starts[-1] + stride, num_targets - context_len))
    scored = 0
    with torch.no_grad():
        for i in range(0, len(starts), batch):
            part = starts[i : i + batch]
            inputs = torch.stack([tokens[s : s + context_len] for s in part])
            targets = torch.stack([tokens[s + 1 : s + context_len + 1] for s in part])
            for start, row in zip(part, model(inputs, targets), strict=True):
                nats[scored : start + context_len] = row[scored - start :]
                scored = start + context_len
    return nats
