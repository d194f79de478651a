# pyright: basic, reportMissingImports=false
"""A logits processor for vLLM: forces given tokens, and draws from a stream of the request's own.

Loaded by vLLM itself, in process or in a server (`--logits-processors`), and only there: hence the
one import of vLLM at module level. What a request wants stands in its extra arguments
(`SamplingParams.extra_args`, `vllm_xargs` over HTTP):

- `usersim_forced`: token ids. Step t leaves only the t-th; afterwards the request draws as usual.
  The raw log-probabilities that vLLM returns are taken before any processor, so this scores given
  text exactly, from the cached prefix, with the request's adapter.
- `usersim_stream`, `usersim_temperature`, `usersim_top_p`: every token is drawn here, with noise
  hashed from stream, step and token (`usersim.engines.sampling`). A draw depends on its own seed
  alone. vLLM's own per-request seeds kill its CPU engine as soon as a prefill is cut in two.

Both are greedy to vLLM: the chosen token is raised above all others.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil  # one of vLLM's own requirements
import torch
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

from usersim.engines.sampling import gumbel_max
from usersim.engines.vllm.directions import (
    CLIENT,
    FORCED,
    STREAM,
    TEMPERATURE,
    TOP_P,
    client_pid,
)

__all__ = ["DirectedDraws"]

CHOSEN = 1e9
"""Logit of the chosen token: above every other, and finite after division by a temperature."""
WATCH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Directions:
    """What one request wants.

    Attributes:
        output: Tokens so far; the list is vLLM's own and grows.
        forced: Tokens to be forced, in order.
        stream: Random stream; None leaves the draw to vLLM.
        temperature: Above 0.
        top_p: Nucleus cut.
    """

    output: list[int]
    forced: tuple[int, ...]
    stream: int | None
    temperature: float
    top_p: float


class DirectedDraws(LogitsProcessor):
    """Forces tokens and makes seeded draws, for the requests that ask for it."""

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Refuse extra arguments that cannot be followed; a server answers them with 400.

        Raises:
            ValueError: Naming the argument and the value.
        """
        extra: Mapping[str, Any] = sampling_params.extra_args or {}
        forced = extra.get(FORCED, ())
        if not isinstance(forced, list | tuple) or not all(_is_token(t) for t in forced):
            raise ValueError(f"{FORCED!r} must be a list of token ids; got {forced!r}")
        stream = extra.get(STREAM)
        if stream is not None and not _is_token(stream):
            raise ValueError(f"{STREAM!r} must be a whole number below 2**63, got {stream!r}")
        temperature = extra.get(TEMPERATURE, 1.0)
        if not isinstance(temperature, int | float) or temperature <= 0:
            raise ValueError(f"{TEMPERATURE!r} must be above 0, got {temperature!r}")
        top_p = extra.get(TOP_P, 1.0)
        if not isinstance(top_p, int | float) or not 0 < top_p <= 1:
            raise ValueError(f"{TOP_P!r} must be above 0 and at most 1, got {top_p!r}")

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:  # noqa: ARG002, FBT001 - vLLM's interface
        self._device = device
        self._requests: dict[int, _Directions] = {}
        _end_with_client()

    def is_argmax_invariant(self) -> bool:
        """Tell vLLM that greedy choices change."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow vLLM's batch: requests come, go and change places."""
        process_dict_updates(self._requests, batch_update, _directions)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Raise the chosen token of every directed row. Shape `(b, vocabulary)`."""
        rows, tokens = [], []
        drawn: list[tuple[int, _Directions]] = []
        for row, wanted in self._requests.items():
            step = len(wanted.output)
            if step < len(wanted.forced):
                rows.append(row)
                tokens.append(wanted.forced[step])
            elif wanted.stream is not None:
                drawn.append((row, wanted))
        if drawn:
            rows += [row for row, _ in drawn]
            tokens += self._draw(logits, drawn).tolist()
        if rows:
            at = torch.tensor([rows, tokens], device=logits.device)
            logits[at[0], at[1]] = CHOSEN
        return logits

    def _draw(self, logits: torch.Tensor, drawn: list[tuple[int, _Directions]]) -> torch.Tensor:
        """Return one token for each of `drawn`. Shape `(d,)`."""
        device = logits.device
        at = torch.tensor([row for row, _ in drawn], device=device)
        heat = torch.tensor([[w.temperature] for _, w in drawn], device=device)
        streams = torch.tensor([[w.stream] for _, w in drawn], device=device)
        # Forced tokens do not count: what follows them is step 0 of the draw.
        steps = torch.tensor([[len(w.output) - len(w.forced)] for _, w in drawn], device=device)
        nucleus = torch.tensor([w.top_p for _, w in drawn], device=device)
        return gumbel_max(logits[at] / heat, streams, steps, nucleus)


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _directions(params: Any, _: list[int] | None, output: list[int]) -> _Directions | None:
    """Return what a new request wants; None if nothing."""
    extra: Mapping[str, Any] = getattr(params, "extra_args", None) or {}
    if FORCED not in extra and STREAM not in extra:
        return None
    return _Directions(
        output,
        tuple(extra.get(FORCED, ())),
        extra.get(STREAM),
        float(extra.get(TEMPERATURE, 1.0)),
        float(extra.get(TOP_P, 1.0)),
    )


def _end_with_client() -> None:
    """End this worker when the process that asked for the engine is gone, even by `kill -9`.

    vLLM ends its workers when their engine dies, but the engine does not notice that its client
    was killed. The processor lives in every worker, whose end the engine does notice.
    """
    pid = client_pid(os.environ.get(CLIENT, ""))
    if pid is None or pid == os.getpid():
        return
    client = psutil.Process(pid)

    def watch() -> None:
        while _alive(client):
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="usersim-client-watch", daemon=True).start()


def _alive(client: psutil.Process) -> bool:
    """Return whether a process runs: not another one by now, and not one that is only unburied."""
    try:
        return client.is_running() and client.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
