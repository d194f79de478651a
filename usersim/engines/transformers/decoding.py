# pyright: basic
"""The decode loop of the in-process engine: one prefill per distinct prompt, many draws.

`transformers.generate` prefills every draw of a prompt and every prompt of a person from the
start; here the prompts are packed into token trees (`usersim.engines.packing`), each token's
keys and values are computed once, and every draw gathers its own. Each draw has its own random
stream, so that it does not depend on its neighbors.

Knows tensors and tokens; knows nothing of chats, adapters or traces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from usersim.engines.packing import PackedRow, by_beginning, pack
from usersim.engines.sampling import gumbel_max
from usersim.engines.texts import cut_at
from usersim.engines.transformers.attention import SharedPrefix, worthwhile_branches

if TYPE_CHECKING:
    import torch

__all__ = ["DrawState", "decode", "forward_row"]

Begin = Callable[[Sequence[Sequence[int]]], SharedPrefix | None]


@dataclass
class DrawState:
    """One draw in progress.

    Attributes:
        prompt: Token ids of the prompt.
        max_tokens: Tokens to draw at the most.
        temperature: 0 takes the likeliest token.
        top_p: Nucleus cut.
        stop: Stop strings.
        stream: The draw's own random stream.
        tokens: Tokens drawn so far.
        logprobs: Log-probability of each, at temperature 1 and without a cut, nats.
        text: Their text, cut before the stop string.
        finish: Why the draw ended; None while it goes on.
    """

    prompt: list[int]
    max_tokens: int
    temperature: float
    top_p: float
    stop: tuple[str, ...]
    stream: int
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    text: str = ""
    finish: Literal["end", "stop", "length"] | None = None

    def take(
        self, token: int, logprob: float, ends: frozenset[int], text_of: Callable[[list[int]], str]
    ) -> None:
        """Add one drawn token, and notice the end."""
        self.logprobs.append(logprob)
        self.tokens.append(token)
        if token in ends:
            self.text, self.finish = text_of(self.tokens[:-1]), "end"
            return
        if self.stop or len(self.tokens) == self.max_tokens:
            self.text, stopped = cut_at(text_of(self.tokens), self.stop)
            if stopped:
                self.finish = "stop"
                return
        if len(self.tokens) == self.max_tokens:
            self.finish = "length"


def forward_row(
    model: Any,
    row: PackedRow,
    *,
    keep: torch.Tensor,
    use_cache: bool,
    shared: SharedPrefix | None = None,
) -> Any:
    """Run a model over one packed row.

    Args:
        model: A causal language model.
        row: The token tree, `t` nodes.
        keep: Nodes whose logits are wanted. Shape `(m,)`.
        use_cache: Whether to return keys and values.
        shared: The beginning that the row's sequences go on from.

    Returns:
        The model's output; `logits` has shape `(1, m, vocabulary)`.
    """
    import torch

    device = model.device
    visible = torch.from_numpy(row.mask()).to(device)[None, None]
    mask = torch.zeros(visible.shape, dtype=model.dtype, device=device)
    mask.masked_fill_(~visible, torch.finfo(model.dtype).min)
    more: dict[str, Any] = {"shared": shared} if shared else {}
    if branches := worthwhile_branches(model, row):
        more["branches"] = branches
    start = shared.length if shared else 0
    return model(
        input_ids=torch.from_numpy(row.tokens).to(device)[None],
        position_ids=torch.from_numpy(row.positions + start).to(device)[None],
        attention_mask=mask,
        logits_to_keep=keep.to(device),
        use_cache=use_cache,
        **more,
    )


def _prefills(
    prompts: Sequence[Sequence[int]], row_tokens: int, begin: Begin
) -> Iterator[tuple[PackedRow, SharedPrefix | None]]:
    """Pack prompts by beginning.

    Yields:
        Rows without what of them is computed already, and that; `members` are places in `prompts`.
    """
    for group in by_beginning(prompts, alone=lambda _: True):
        for row in pack([prompts[i] for i in group], row_tokens=row_tokens):
            members = tuple(group[i] for i in row.members)
            before = begin([prompts[i] for i in members])
            yield replace(row.after(before.length if before else 0), members=members), before


class _Rows:
    """Keys, values and next-token logits of a batch of draws, left-padded.

    Shapes: b = draws, l = layers, h = key/value heads, s = padded length, d = head width.
    """

    def __init__(
        self, model: Any, draws: Sequence[DrawState], row_tokens: int, begin: Begin
    ) -> None:
        import torch

        prompts = sorted({tuple(draw.prompt) for draw in draws})
        self.shared = begin(prompts)
        start = self.shared.length if self.shared else 0
        self.width = max(len(prompt) for prompt in prompts) - start
        room = self.width + max(draw.max_tokens for draw in draws)
        members: list[int] = []
        logits: list[Any] = []
        keys: dict[int, list[Any]] = {}
        values: dict[int, list[Any]] = {}
        for row, before in _prefills(prompts, row_tokens, begin):
            members.extend(row.members)
            last = torch.tensor([int(path[-1]) for path in row.paths])
            output = forward_row(model, row, keep=last, use_cache=True, shared=before)
            logits.append(output.logits[0])
            own = before.after(start) if before else None
            index = self._left_padded(row, own.length if own else 0).to(model.device)
            row_only = SharedPrefix(
                len(row.tokens), tuple((x.keys, x.values) for x in output.past_key_values.layers)
            )
            for number, layer in enumerate(row_only.behind(own).layers):
                # (1, h, t, d) -> (h, rows, s, d) -> (rows, h, s, d)
                keys.setdefault(number, []).append(layer[0][0][:, index].transpose(0, 1))
                values.setdefault(number, []).append(layer[1][0][:, index].transpose(0, 1))
        place = {prompts[member]: i for i, member in enumerate(members)}
        take = torch.tensor([place[tuple(draw.prompt)] for draw in draws], device=model.device)
        self.cache = _cache(
            [torch.cat(keys[n])[take] for n in sorted(keys)],
            [torch.cat(values[n])[take] for n in sorted(values)],
            room,
        )
        self.logits = torch.cat(logits)[take]
        own = torch.tensor([len(draw.prompt) - start for draw in draws], device=model.device)
        self.positions = own + start
        padding = torch.arange(self.width, device=model.device)[None] < self.width - own[:, None]
        self.mask = torch.zeros(padding.shape, dtype=model.dtype, device=model.device)
        self.mask.masked_fill_(padding, torch.finfo(model.dtype).min)

    def _left_padded(self, row: PackedRow, before: int) -> Any:
        """Return where each path's tokens are, `before` of all in front of the row's own."""
        import torch

        index = np.zeros((len(row.paths), self.width), dtype=np.int64)
        for which, path in enumerate(row.paths):
            own = [*range(before), *(path + before)]
            index[which, self.width - len(own) :] = own
        return torch.from_numpy(index)

    def step(self, model: Any, tokens: Any) -> None:
        """Feed one token per draw; afterwards `logits` are those of the next. Shape `(b,)`."""
        import torch

        self.mask = torch.cat([self.mask, self.mask.new_zeros(len(tokens), 1)], dim=1)
        more = {"shared": self.shared} if self.shared else {}
        output = model(
            input_ids=tokens[:, None],
            position_ids=self.positions[:, None],
            attention_mask=self.mask[:, None, None],
            past_key_values=self.cache,
            use_cache=True,
            **more,
        )
        self.positions = self.positions + 1
        self.logits = output.logits[:, -1]

    def keep(self, rows: Any) -> None:
        """Drop every draw but `rows`, so that finished ones cost nothing."""
        for layer in self.cache.layers:
            layer.select(rows)
        self.mask, self.positions = self.mask[rows], self.positions[rows]
        self.logits = self.logits[rows]


def _cache(keys: list[Any], values: list[Any], room: int) -> Any:
    """Return a cache that grows in place: appending a token copies nothing but that token."""
    from transformers.cache_utils import Cache, DynamicLayer

    class RoomyLayer(DynamicLayer):
        """A layer's keys and values at the front of a buffer with room for the draws."""

        def __init__(self, keys: Any, values: Any) -> None:
            super().__init__()
            self.lazy_initialization(keys, values)
            batch, heads, length, width = keys.shape
            self.length = length
            self.key_room = keys.new_empty(batch, heads, room, width)
            self.value_room = values.new_empty(batch, heads, room, values.shape[-1])
            self.key_room[:, :, :length], self.value_room[:, :, :length] = keys, values
            self._show()

        def _show(self) -> None:
            self.keys = self.key_room[:, :, : self.length]
            self.values = self.value_room[:, :, : self.length]

        def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> Any:
            end = self.length + key_states.shape[-2]
            self.key_room[:, :, self.length : end] = key_states
            self.value_room[:, :, self.length : end] = value_states
            self.length = end
            self._show()
            return self.keys, self.values

        def select(self, rows: Any) -> None:
            self.key_room, self.value_room = self.key_room[rows], self.value_room[rows]
            self._show()

    return Cache(layers=[RoomyLayer(k, v) for k, v in zip(keys, values, strict=True)])


def _choose(logits: Any, draws: Sequence[DrawState]) -> tuple[Any, Any]:
    """Choose the next token of each draw.

    Args:
        logits: Shape `(b, vocabulary)`.
        draws: The draws, `b` of them.

    Returns:
        Tokens, and their log-probabilities at temperature 1, nats. Shapes `(b,)`.
    """
    import torch

    logits = logits.float()
    norm = torch.logsumexp(logits, dim=-1)
    tokens = logits.argmax(dim=-1)
    warm = [i for i, draw in enumerate(draws) if draw.temperature > 0]
    if warm:
        rows = torch.tensor(warm, device=logits.device)
        heat = torch.tensor([draws[i].temperature for i in warm], device=logits.device)
        streams = torch.tensor([[draws[i].stream] for i in warm], device=logits.device)
        steps = torch.tensor([[len(draws[i].tokens)] for i in warm], device=logits.device)
        nucleus = torch.tensor([draws[i].top_p for i in warm], device=logits.device)
        part = logits[rows] / heat[:, None]
        tokens[rows] = gumbel_max(part, streams, steps, nucleus)
    return tokens, logits.gather(1, tokens[:, None])[:, 0] - norm


def decode(
    model: Any,
    draws: Sequence[DrawState],
    *,
    ends: frozenset[int],
    text_of: Callable[[list[int]], str],
    row_tokens: int,
    begin: Begin = lambda _: None,
) -> Iterator[None]:
    """Draw until every draw has finished; yields after each step, for streaming and progress.

    Args:
        model: A causal language model, on its device, in evaluation mode.
        draws: Decoded together; changed in place.
        ends: Tokens that end a turn.
        text_of: Turns token ids into text.
        row_tokens: Nodes of a packed row of the prefill.
        begin: Returns the beginning that prompts share, computed, or None.

    Yields:
        Nothing; look at `draws`.
    """
    import torch

    with torch.inference_mode():
        rows = _Rows(model, draws, row_tokens, begin)
    active = list(draws)
    while True:
        with torch.inference_mode():
            tokens, logprobs = _choose(rows.logits, active)
            for draw, token, logprob in zip(
                active, tokens.tolist(), logprobs.tolist(), strict=True
            ):
                if draw.finish is None:
                    draw.take(token, logprob, ends, text_of)
        yield
        going = [i for i, draw in enumerate(active) if draw.finish is None]
        if not going:
            return
        with torch.inference_mode():
            if len(going) <= 0.75 * len(active):  # copying the caches has its own price
                kept = torch.tensor(going, device=tokens.device)
                rows.keep(kept)
                tokens, active = tokens[kept], [active[i] for i in going]
            rows.step(model, tokens)
