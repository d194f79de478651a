# pyright: basic
"""Attention over a shared beginning and an own tail.

Everything that an engine runs together (draws of one prompt, traces of one context) begins
alike. The keys and values of that beginning are kept once, outside the batch: every query
attends to them and to its row's own tokens in one softmax. The library's usual attention would
copy them for every row, and once more for every group of query heads.

Knows tensors; registered with transformers under `NAME`, so that any model which takes its
attention from there can use it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from usersim.engines.packing import PackedRow, common_length

if TYPE_CHECKING:
    import torch

__all__ = ["NAME", "Beginnings", "SharedPrefix", "share_beginnings", "worthwhile_branches"]

logger = logging.getLogger(__name__)

NAME = "usersim_shared"
MIN_SHARED = 32
"""Beginnings shorter than this many tokens are not worth a pass of their own."""
STEP = 16
"""Lengths of kept beginnings are multiples of this, so that near-equal ones are found again."""

MIN_BRANCH = 64
"""Nodes of a row that attend on their own; a product of fewer is not worth its call."""
MOST_ATTENDED = 0.75
"""Branches attend on their own if that takes at most this share of the row's whole product."""


@dataclass(frozen=True, slots=True)
class SharedPrefix:
    """Keys and values of a shared beginning.

    Attributes:
        length: Its tokens.
        layers: Keys and values of each layer. Shapes `(1, h, length, d)`.
    """

    length: int
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    @property
    def size(self) -> int:
        """Memory of its keys and values, bytes."""
        return sum(part.nbytes for layer in self.layers for part in layer)

    def first(self, length: int) -> SharedPrefix:
        """Return the first `length` tokens of it; nothing is copied."""
        if length == self.length:
            return self
        return SharedPrefix(
            length, tuple((k[:, :, :length], v[:, :, :length]) for k, v in self.layers)
        )

    def after(self, length: int) -> SharedPrefix | None:
        """Return what follows the first `length` tokens, None if that is nothing."""
        if length == self.length:
            return None
        return SharedPrefix(
            self.length - length,
            tuple((k[:, :, length:], v[:, :, length:]) for k, v in self.layers),
        )

    def behind(self, before: SharedPrefix | None) -> SharedPrefix:
        """Return `before` and this as one beginning."""
        import torch

        if before is None:
            return self
        layers = tuple(
            (torch.cat([first_keys, keys], dim=2), torch.cat([first_values, values], dim=2))
            for (first_keys, first_values), (keys, values) in zip(
                before.layers, self.layers, strict=True
            )
        )
        return SharedPrefix(before.length + self.length, layers)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    shared: SharedPrefix | None = None,
    branches: Branches | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend to the shared beginning and to the row's own tokens.

    Shapes: b = rows, n = query heads, h = key/value heads, q = queries, s = own tokens,
    p = shared tokens, d = head width.

    Args:
        module: The attention layer; tells its index.
        query: Shape `(b, n, q, d)`.
        key: Own keys. Shape `(b, h, s, d)`.
        value: Own values. Shape `(b, h, s, d)`.
        attention_mask: Added to the own scores; shape `(b or 1, 1, q, s)`. None is causal.
        scaling: Factor of the scores; None is `1 / sqrt(d)`.
        shared: The beginning; every query sees all of it.
        branches: Parts of the one row that see nothing of each other.

    Returns:
        Shape `(b, q, n, d)`, and no weights.
    """
    import torch

    if attention_mask is None:
        if shared is None and query.shape[2] == key.shape[2]:
            return _fused(query, key, value, None, scaling), None
        attention_mask = _causal(query, key)
    if branches is not None:
        trunk, parts = branches.trunk, []
        for first, end in branches.parts:
            keys, values = (_seen(part, 2, trunk, first, end) for part in (key, value))
            mask = _seen(attention_mask[:, :, first:end], 3, trunk, first, end)
            own = query[:, :, first:end]
            parts.append(_attend(module, own, keys, values, mask, scaling, shared)[0])
        return torch.cat(parts, dim=1), None
    if shared is None:
        return _fused(query, key, value, attention_mask, scaling), None
    keys, values = shared.layers[module.layer_idx]
    if query.shape[0] > 1:
        return _split(query, key, value, attention_mask, scaling, keys, values), None
    # One row: copying the beginning in front of it costs less than a second product.
    visible = attention_mask.new_zeros(*attention_mask.shape[:-1], shared.length)
    whole = torch.cat([visible, attention_mask], dim=-1)
    key, value = torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)
    return _fused(query, key, value, whole, scaling), None


def _seen(row: torch.Tensor, dim: int, trunk: int, first: int, end: int) -> torch.Tensor:
    """Return of a row's nodes those that the nodes from `first` to `end` can see."""
    import torch

    own = row.narrow(dim, first, end - first)
    return torch.cat([row.narrow(dim, 0, trunk), own], dim=dim) if trunk and first else own


def _causal(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Return the mask of a plain sequence. Shape `(1, 1, q, s)`."""
    import torch

    q, s = query.shape[2], key.shape[2]
    allowed = torch.ones(q, s, dtype=torch.bool, device=query.device).tril(s - q)
    mask = torch.zeros(1, 1, q, s, dtype=query.dtype, device=query.device)
    return mask.masked_fill_(~allowed, torch.finfo(query.dtype).min)


def _fused(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
) -> torch.Tensor:
    """Attend in one fused pass, without copying keys for the groups of query heads.

    Without a mask it is causal, and the half that nobody sees is not computed.
    """
    from torch.nn.functional import scaled_dot_product_attention

    b, n, q, d = query.shape
    if q == 1 and mask is not None:
        # One token a row: the heads of a group are its queries, which read the keys once.
        query = query.reshape(b, key.shape[1], -1, d)
    mixed = scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        is_causal=mask is None,
        scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return mixed.reshape(b, n, q, d).transpose(1, 2).contiguous()


def _split(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scaling: float | None,
    keys: torch.Tensor,
    values: torch.Tensor,
) -> torch.Tensor:
    """Attend to the beginning for all rows at once, and to each row's own tokens.

    Both parts are one softmax. All rows' queries of one key/value head meet the beginning in
    one product; its keys and values are read once, however many rows there are.
    """
    import torch

    b, n, q, d = query.shape
    h, s, p = key.shape[1], key.shape[2], keys.shape[2]
    grouped = (query * (d**-0.5 if scaling is None else scaling)).reshape(b, h, n // h, q, d)
    own = grouped.reshape(b, h, n // h * q, d) @ key.transpose(-1, -2)
    own = own.reshape(b, h, n // h, q, s) + mask[:, :, None]
    flat = grouped.transpose(0, 1).reshape(h, b * (n // h) * q, d)
    begin = (flat @ keys[0].transpose(-1, -2)).reshape(h, b, n // h, q, p).transpose(0, 1)
    weights = torch.cat([begin, own], dim=-1).softmax(-1, dtype=torch.float32)
    first, second = weights.to(value.dtype).split([p, s], dim=-1)
    mixed = second.reshape(b, h, n // h * q, s) @ value
    flat = first.transpose(0, 1).reshape(h, b * (n // h) * q, p) @ values[0]
    mixed = mixed + flat.reshape(h, b, n // h * q, d).transpose(0, 1)
    return mixed.reshape(b, n, q, d).transpose(1, 2).contiguous()


@dataclass(frozen=True, slots=True)
class Branches:
    """Parts of a row that see nothing of each other but its first nodes.

    Attributes:
        trunk: The number of those, which begin the first part.
        parts: (first, end) of each part; together they are the row.
    """

    trunk: int
    parts: tuple[tuple[int, int], ...]


def worthwhile_branches(model: Any, row: PackedRow) -> Branches | None:
    """Return the parts of a row that are better attended to one by one; None if it is not.

    In one product, sequences that share little would be multiplied with each other for nothing.
    Only on a CPU: several small products on a GPU were not measured.
    """
    if model.device.type != "cpu" or model.config._attn_implementation != NAME:  # noqa: SLF001
        return None
    trunk, parts = row.branches(MIN_BRANCH)
    attended = sum((end - first) * (end - first + (trunk if first else 0)) for first, end in parts)
    if attended > MOST_ATTENDED * len(row.tokens) ** 2:
        return None
    return Branches(trunk, tuple(parts))


def share_beginnings(model: Any) -> bool:
    """Give `model` this attention, and return whether it can share beginnings.

    A model with an attention of its own keeps it, and computes shared tokens for every row.
    """
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    usual = model.config._attn_implementation  # noqa: SLF001 - there is no public name
    if getattr(model, "_supports_attention_backend", False):
        model.set_attn_implementation(NAME)
        if _hands_down(model):
            return True
        model.set_attn_implementation(usual)
    logger.info("%s: shared beginnings are computed row by row", type(model).__name__)
    return False


@dataclass(slots=True)
class Beginnings:
    """Keeps the last shared beginnings, by weights and tokens.

    A beginning that goes on from a kept one costs its new tokens only: another question to the
    same person begins with the same history, and options are scored after the prompt that
    reasoning was drawn for.

    Attributes:
        room: Memory of what is kept, bytes; the newest is kept even if it takes more.
        kept: Beginnings by weights and tokens, the one that was used last at the end.
    """

    room: int
    kept: OrderedDict[tuple[str, tuple[int, ...]], SharedPrefix] = field(
        default_factory=OrderedDict
    )

    def find(
        self, model: Any, weights: str, sequences: Sequence[Sequence[int]]
    ) -> SharedPrefix | None:
        """Return the beginning that all `sequences` share, computed once; None if it is short.

        Every sequence keeps at least one token of its own.

        Args:
            model: Runs what is not kept yet.
            weights: Tells adapters apart.
            sequences: Token ids, in sorted order.
        """
        length = _shared_length(sequences)
        if length < MIN_SHARED:
            return None
        tokens = tuple(sequences[0][:length])
        known = self._longest(weights, tokens)
        if known is not None and length - known.length < MIN_SHARED:
            return known
        target = length - length % STEP
        shared = _run(model, tokens[known.length if known else 0 : target], known)
        self.kept[weights, tokens[:target]] = shared
        size = sum(kept.size for kept in self.kept.values())
        while size > self.room and len(self.kept) > 1:
            _, dropped = self.kept.popitem(last=False)
            size -= dropped.size
        return shared

    def holds(self, weights: str, tokens: Sequence[int], length: int) -> bool:
        """Return whether at least the first `length` of `tokens` are kept."""
        begin = tuple(tokens[:length])
        return len(begin) == length and any(
            owner == weights and kept[:length] == begin for owner, kept in self.kept
        )

    def _longest(self, weights: str, tokens: tuple[int, ...]) -> SharedPrefix | None:
        """Return as much of the beginning of `tokens` as one of the kept holds."""
        best, length = None, MIN_SHARED - 1
        for key in reversed(self.kept):
            owner, begin = key
            if owner == weights and (common := common_length(tokens, begin)) > length:
                best, length = key, common
        if best is None:
            return None
        self.kept.move_to_end(best)
        return self.kept[best].first(length)


def _shared_length(sequences: Sequence[Sequence[int]]) -> int:
    """Return how much all of the sorted `sequences` share, at least one token left to each."""
    limit = min(len(sequence) for sequence in sequences) - 1
    return min(common_length(sequences[0], sequences[-1]), limit)


def _run(model: Any, tokens: Sequence[int], after: SharedPrefix | None = None) -> SharedPrefix:
    """Compute the keys and values of `tokens`, which go on from `after`."""
    import torch

    start = after.length if after else 0
    more = {"shared": after} if after else {}
    ids = torch.tensor([list(tokens)], device=model.device)
    last = torch.tensor([len(tokens) - 1], device=model.device)
    positions = torch.arange(start, start + len(tokens), device=model.device)[None]
    with torch.inference_mode():
        output = model(
            input_ids=ids, position_ids=positions, use_cache=True, logits_to_keep=last, **more
        )
    layers = tuple((layer.keys, layer.values) for layer in output.past_key_values.layers)
    return SharedPrefix(len(tokens), layers).behind(after)


def _hands_down(model: Any) -> bool:
    """Return whether `model` hands the shared beginning down to its attention.

    A model that swallows the argument would answer as if the beginning did not exist; a short
    pass with and without it tells.
    """
    import torch

    tokens = list(range(3, 19))
    begin = _run(model, tokens[:8])
    positions = torch.arange(8, 16, device=model.device)[None]
    with torch.inference_mode():
        whole = model(input_ids=torch.tensor([tokens], device=model.device)).logits[0, -1]
        tail = torch.tensor([tokens[8:]], device=model.device)
        mask = torch.zeros(1, 1, 8, 8, dtype=model.dtype, device=model.device)
        mask.masked_fill_(
            ~torch.ones(8, 8, dtype=torch.bool, device=model.device).tril(),
            torch.finfo(model.dtype).min,
        )
        split = model(
            input_ids=tail, position_ids=positions, attention_mask=mask, shared=begin
        ).logits[0, -1]
    scale = float(whole.abs().max()) or 1.0
    return float((whole - split).abs().max()) < 0.05 * scale
