# pyright: basic
"""Seeded sampling: each draw has a random stream of its own, whatever else is in the batch.

One definition for every engine with access to the logits, so that a request and its seed give the
same text in process and through vLLM, up to rounding. Knows tensors; knows no model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["gumbel_max", "stream_of"]

NUCLEUS_SHORTLIST = 256
"""Tokens looked at before a full sort of the vocabulary; the cut is exact either way."""


def stream_of(seed: int, index: int) -> int:
    """Return the 63-bit random stream of draw `index` of a request with `seed`.

    Example:
        >>> stream_of(7, 0) == stream_of(7 + 2**64, 0) != stream_of(7, 1)
        True
    """
    sequence = np.random.SeedSequence((seed % 2**64, index))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def _noise(streams: Any, steps: Any, ids: Any) -> Any:
    """Return standard Gumbel noise that depends on stream, step and token id alone.

    The ids are hashed (splitmix64 of Steele, Lea and Flood, 2014), so that a shortlist of tokens
    has the noise that the whole vocabulary would give it.

    Args:
        streams: Shape `(b, 1)`.
        steps: Tokens drawn so far. Shape `(b, 1)`.
        ids: Token ids. Shape `(b, k)`.

    Returns:
        Shape `(b, k)`, float64.
    """

    def mixed(x: Any, shift: int) -> Any:
        return x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))  # a logical shift of int64

    x = streams + steps * _signed(0x9E3779B97F4A7C15) + ids * _signed(0xD1B54A32D192ED03)
    x = mixed(x, 30) * _signed(0xBF58476D1CE4E5B9)
    x = mixed(x, 27) * _signed(0x94D049BB133111EB)
    x = mixed(x, 31)
    uniform = ((x >> 11) & ((1 << 53) - 1)).double() * 2.0**-53 + 2.0**-54
    return -(-uniform.log()).log()


def _signed(value: int) -> int:
    """Return 64 bits as the int64 that holds them."""
    return value - (1 << 64) if value >= 1 << 63 else value


def gumbel_max(logits: Any, streams: Any, steps: Any, nucleus: Any) -> Any:
    """Sample as the likeliest token after Gumbel noise.

    A draw changes with the last bits of the logits only where two tokens all but tie; with the
    inverse of the cumulative distribution it would at every boundary between tokens. The
    shortlist decides where it holds the whole nucleus; the other rows are sorted in full.

    Args:
        logits: Shape `(b, vocabulary)`, divided by the temperature.
        streams: Each draw's stream. Shape `(b, 1)`.
        steps: Tokens that each draw has. Shape `(b, 1)`.
        nucleus: Share of the probability that may be drawn. Shape `(b,)`.

    Returns:
        Tokens. Shape `(b,)`.
    """
    import torch

    norm = torch.logsumexp(logits, dim=-1, keepdim=True)
    vocabulary = logits.shape[-1]
    tokens = torch.empty(len(logits), dtype=torch.long, device=logits.device)

    def pick(rows: Any, size: int) -> Any:
        top = logits[rows].topk(size, dim=-1)
        mass = (top.values - norm[rows]).exp()
        cumulative = mass.cumsum(-1)
        noisy = top.values.double() + _noise(streams[rows], steps[rows], top.indices)
        # A token is in the nucleus if the mass before it is below the cut.
        outside = (cumulative - mass) >= nucleus[rows, None]
        best = noisy.masked_fill(outside, float("-inf")).argmax(-1, keepdim=True)
        tokens[rows] = top.indices.gather(1, best)[:, 0]
        return cumulative[:, -1] >= nucleus[rows]

    everything = torch.arange(len(logits), device=logits.device)
    whole = everything[nucleus >= 1]
    if len(whole):
        ids = torch.arange(vocabulary, device=logits.device)[None]
        noisy = logits[whole].double() + _noise(streams[whole], steps[whole], ids)
        tokens[whole] = noisy.argmax(-1)
    cut = everything[nucleus < 1]
    if len(cut):
        size = min(NUCLEUS_SHORTLIST, vocabulary)
        rest = cut[~pick(cut, size)]
        if len(rest) and size < vocabulary:
            pick(rest, vocabulary)
    return tokens
