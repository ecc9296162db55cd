"""What the next chunk of a stream still sees of the chunks before it: keys, values, documents and the last two tokens.

A chunk is attended in blocks of queries, each against the keys that its first query's window begins with: every query costs
one window and a block, whatever the length of the chunk.
"""

import torch
import torch.nn.functional as F

LOOKS_BACK = 2  # a smear reads the embedding before it, in which a hashed pair reads the token before that


class LayerPast:
    """Keys and values of one run of a layer, the last ones that a later query can see."""

    def __init__(self) -> None:
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None

    def attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the attention (1, num_heads, n, d) of new queries to new and kept keys, and keep what comes next.

        q (1, num_heads, n, d); k and v (1, num_kv_heads, n, d); mask: see `Past.masks`.
        """
        rows, width = mask.shape[-2:]
        kept = width - rows
        k, v = _joined(self.keys, k, kept), _joined(self.values, v, kept)
        self.keys, self.values = k[:, :, k.size(2) - kept :].clone(), v[:, :, v.size(2) - kept :].clone()
        num_new = q.size(2)
        short = -num_new % rows
        if short:
            q, k, v = (F.pad(x, (0, 0, 0, short)) for x in (q, k, v))
        queries = q[0].view(q.size(1), -1, rows, q.size(3)).transpose(0, 1)
        keys, values = (x[0].unfold(1, width, rows).permute(1, 0, 3, 2) for x in (k, v))
        if mask.dtype != torch.bool:
            mask = mask.to(q.dtype)
        y = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, enable_gqa=q.size(1) != k.size(1))
        return y.transpose(1, 2).flatten(0, 1).transpose(0, 1)[None, :, :num_new]


class Past:
    """The past of one stream (batch 1), in which a query sees `window` keys, itself included, and no other document.

    `starts`: the positions at which documents begin, sorted int64; None: documents see one another, as far as the network
    lets them. `first_position`: where in a longer stream this one begins.
    """

    def __init__(self, window: int, starts: torch.Tensor | None = None, first_position: int = 0) -> None:
        self.window, self.starts, self.position = window, starts, first_position
        self._tokens: torch.Tensor | None = None
        self._num_seen = 0
        self._documents: torch.Tensor | None = None
        self._layers: list[LayerPast] = []

    def layer(self, run: int) -> LayerPast:
        """Return the past of the `run`-th layer that is run, counted from 0; a repeated layer has one per run."""
        while len(self._layers) <= run:
            self._layers.append(LayerPast())
        return self._layers[run]

    def with_last(self, tokens: torch.Tensor) -> tuple[torch.Tensor, int]:
        """Return new tokens (1, n) after the last old ones, and how many those are."""
        if self._tokens is None:
            return tokens, 0
        return torch.cat((self._tokens, tokens), 1), self._tokens.size(1)

    def begins(self, num_old: int, num_new: int) -> torch.Tensor | None:
        """Return whether a document begins at each of the last old positions and the new ones, (1, num_old + num_new)."""
        if self.starts is None:
            return None
        position = torch.arange(self.position - num_old, self.position + num_new, device=self.starts.device)
        found = torch.searchsorted(self.starts, position).clamp(max=len(self.starts) - 1)
        return (self.starts[found] == position)[None]

    def masks(
        self, windows: set[int], starts: torch.Tensor | None, bias: torch.Tensor | None, device: torch.device, num_new: int
    ) -> dict[int, torch.Tensor]:
        """Return by window what its queries see: (rows, window - 1 + rows) for all blocks, or one per block, (blocks, 1, ...).

        `starts` (1, n): where documents begin that do not see one another; `bias` (num_heads, distances) makes the masks
        a bias, with num_heads before the last two dimensions. Keys before the stream are not seen.
        """
        if starts is None and self._num_seen >= self.window - 1:
            return {window: _band(window, num_new, bias, device) for window in windows}
        begins = torch.zeros(num_new, dtype=torch.int64, device=device) if starts is None else starts[0].long()
        if self._documents is None:
            self._documents = torch.full((self.window - 1,), -1, device=device)
        last = self._documents[-1:].clamp(min=0) if self.window > 1 else 0
        documents = torch.cat((self._documents, last + begins.cumsum(0)))
        self._documents = documents[num_new:]
        return {window: _band(window, num_new, bias, device, documents) for window in windows}

    def advance(self, tokens: torch.Tensor) -> None:
        """Take tokens (1, n) for past ones."""
        self._tokens = self.with_last(tokens)[0][:, -LOOKS_BACK:]
        self.position += tokens.size(1)
        self._num_seen += tokens.size(1)


def rows_of(window: int, num_new: int) -> int:
    """Return how many queries go in a block: few beside the window, enough for the kernel, no more than there are."""
    return min(num_new, 32 if window <= 256 else 64 if window <= 1024 else 128)


def _joined(kept: torch.Tensor | None, new: torch.Tensor, count: int) -> torch.Tensor:
    """Return what is kept, `count` zeros at first, and the new rows (1, heads, n, d) after it."""
    return F.pad(new, (0, 0, count, 0)) if kept is None else torch.cat((kept, new), 2)


def _band(
    window: int, num_new: int, bias: torch.Tensor | None, device: torch.device, documents: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mask of a block's queries; `documents` (longest window - 1 + n): the number of each position's document."""
    rows = rows_of(window, num_new)
    key = torch.arange(1 - window, rows, device=device)
    distance = torch.arange(rows, device=device)[:, None] - key
    seen = (distance >= 0) & (distance < window)
    if documents is not None:
        documents = F.pad(documents[documents.numel() - num_new - (window - 1) :], (0, -num_new % rows))
        of_keys = documents.unfold(0, window - 1 + rows, rows)
        seen = seen & (of_keys[:, None, window - 1 :, None] == of_keys[:, None, None, :])
    return seen if bias is None else torch.where(seen, bias[:, distance.clamp(0, window - 1)], float("-inf"))
