# pyright: basic
"""The in-process engine: any Hugging Face causal language model, on a CPU or one GPU.

Requests are packed into token trees for scoring (`usersim.engines.packing`) and decoded
together (`usersim.engines.transformers.decoding`). Adapters are PEFT folders, applied per request.
Knows models and tensors; knows nothing of corpora or traces.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from usersim.config import EngineConfig
from usersim.engines.adapters import check_adapter
from usersim.engines.base import (
    AdapterRef,
    Capabilities,
    Draw,
    GenerateRequest,
    Score,
    ScoreRequest,
    require_for_patterns,
)
from usersim.engines.embedded import model_folder
from usersim.engines.identity import model_digest
from usersim.engines.loading import import_torch, load_model, load_tokenizer
from usersim.engines.packing import LONG, PackedRow, by_beginning, pack
from usersim.engines.sampling import stream_of
from usersim.engines.texts import Pieces, Texts
from usersim.engines.transformers.attention import Beginnings, SharedPrefix, share_beginnings
from usersim.engines.transformers.decoding import DrawState, decode, forward_row
from usersim.engines.transformers.grouping import by_adapter, decode_batches
from usersim.errors import (
    AdapterLoadError,
    EngineError,
    boundary,
)
from usersim.views import Progress

__all__ = ["TransformersEngine"]

logger = logging.getLogger(__name__)

ADAPTERS_IN_MEMORY = 8
HEAD_ROWS = 256
"""Positions whose vocabulary-wide log-probabilities are normalized together; bounds memory."""


class TransformersEngine:
    """Runs a Hugging Face model in this process.

    Args:
        model: `"embedded"`, a model folder or a hub name.
        config: Arithmetic, device and batch sizes.

    Raises:
        ModelLoadError: If the model cannot be loaded.
        MissingDependencyError: If the extra `local` is not installed.

    Example:
        ```python
        engine = TransformersEngine("embedded")
        request = GenerateRequest(prompt=(("user", "Hello."),), max_tokens=8, temperature=0)
        engine.generate([request])[0][0].text
        ```
    """

    def __init__(self, model: str | Path, config: EngineConfig = EngineConfig()) -> None:
        folder = model_folder(model)
        self._name = str(model)
        self._folder = folder
        self._config = config
        self._tokenizer = load_tokenizer(folder)
        self._model: Any = load_model(folder, dtype=config.dtype, device=config.device)
        self._shares = share_beginnings(self._model)
        self._beginnings = Beginnings(config.kept_prompts_mib << 20)
        self._texts = Texts(
            self._tokenizer,
            getattr(self._model.config, "max_position_embeddings", None),
            _listed(self._model.generation_config.eos_token_id),
        )
        self._peft: Any = None
        self._loaded: OrderedDict[str, str] = OrderedDict()
        self._counter = 0
        self._lock = threading.RLock()
        dtype = str(self._model.dtype).removeprefix("torch.")
        self._digest = model_digest(folder)
        self._identity = f"{self._name}@{self._digest[:12]}/{dtype}/transformers"

    # ------------------------------------------------------------------ what it is

    @property
    def model(self) -> str:
        """Name or path of the base model, as it was given."""
        return self._name

    @property
    def identity(self) -> str:
        """Model, digest of its files, arithmetic and engine."""
        return self._identity

    @property
    def model_digest(self) -> str:
        """Digest of the model's files; what an adapter's base model is compared with."""
        return self._digest

    @property
    def capabilities(self) -> Capabilities:
        """Scores, adapters, streaming; seeds are exact up to rounding."""
        return Capabilities(
            logprobs=True,
            adapters=True,
            streaming=True,
            seeds="rounding",
            max_context=self._texts.limit,
        )

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self._tokenizer

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has by itself."""
        return self._texts.count(text)

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of `text` that has at most `max_tokens` tokens."""
        return self._texts.truncate(text, max_tokens)

    # ------------------------------------------------------------------ scoring

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[Score]:
        """Return the log-probability of each request's continuation, token by token.

        Whatever the requests share from the beginning is computed once.

        Raises:
            ScoringError: If a continuation has no token.
            ContextLengthError: If a request does not fit the model.
            AdapterLoadError: If an adapter cannot be used.
        """
        self._alive()
        results: list[Score | None] = [None] * len(requests)
        done = 0
        for adapter, members in by_adapter(requests):
            tokens = [self._texts.scored(requests[member]) for member in members]
            # The last token is predicted and predicts nothing: it needs no node.
            sequences = [prompt + own[:-1] for prompt, own in tokens]
            for row in self._rows(adapter, sequences):
                inside = [tokens[which] for which in row.members]
                with self._using(adapter):
                    shared = self._shared(adapter, [prompt for prompt, _ in inside])
                    scores = self._score_row(row, [own for _, own in inside], shared)
                for which, score in zip(row.members, scores, strict=True):
                    results[members[which]] = score
                done += len(row.members)
                if progress:
                    progress("score", done, len(requests))
        return [score for score in results if score is not None]

    def _rows(
        self, adapter: AdapterRef | None, sequences: Sequence[Sequence[int]]
    ) -> Iterator[PackedRow]:
        """Pack sequences by beginning; those that go on from a kept one are the first.

        Otherwise new beginnings could drop the kept ones before these were used.

        Yields:
            Rows; `members` are places in `sequences`.
        """
        owner = _owner(adapter)
        kept = partial(self._beginnings.holds, owner, length=LONG)
        groups = by_beginning(sequences, alone=kept)
        for group in sorted(groups, key=lambda group: not kept(sequences[group[0]])):
            for row in pack([sequences[i] for i in group], row_tokens=self._config.row_tokens):
                yield replace(row, members=tuple(group[i] for i in row.members))

    def _shared(
        self, adapter: AdapterRef | None, prompts: Sequence[Sequence[int]]
    ) -> SharedPrefix | None:
        """Return the beginning that `prompts` share, if it is worth it."""
        if not self._shares:
            return None
        with boundary(EngineError, "computing a shared beginning"):
            return self._beginnings.find(self._model, _owner(adapter), sorted(map(list, prompts)))

    def _score_row(
        self, row: PackedRow, targets: list[list[int]], shared: SharedPrefix | None
    ) -> list[Score]:
        """Score each path's targets; the node before predicts each, the last one the last."""
        torch = import_torch()
        if shared:
            row = row.after(shared.length)
        sources = [
            path[len(path) - len(own) :] for path, own in zip(row.paths, targets, strict=True)
        ]
        nodes = sorted({int(node) for source in sources for node in source})
        place = {node: i for i, node in enumerate(nodes)}
        pairs = [
            (place[int(node)], target)
            for source, own in zip(sources, targets, strict=True)
            for node, target in zip(source, own, strict=True)
        ]
        with torch.inference_mode(), boundary(EngineError, "scoring a packed row"):
            logits = forward_row(
                self._model, row, keep=torch.tensor(nodes), use_cache=False, shared=shared
            ).logits[0]
            norms = torch.cat([part.float().logsumexp(-1) for part in logits.split(HEAD_ROWS)])
            at = torch.tensor(pairs, device=logits.device)
            values = (logits[at[:, 0], at[:, 1]].float() - norms[at[:, 0]]).tolist()
        scores, offset = [], 0
        for source in sources:
            scores.append(Score(tuple(values[offset : offset + len(source)])))
            offset += len(source)
        return scores

    # ------------------------------------------------------------------ generating

    def generate(
        self, requests: Sequence[GenerateRequest], *, progress: Progress | None = None
    ) -> list[tuple[Draw, ...]]:
        """Return `n` draws per request, in the order of the requests.

        Raises:
            CapabilityError: If a request has a pattern.
            ContextLengthError: If a request does not fit the model.
            AdapterLoadError: If an adapter cannot be used.
        """
        require_for_patterns(self, requests)
        states = [self._states(request) for request in requests]
        done = 0
        for adapter, members in by_adapter(requests):
            queue = [state for member in members for state in states[member]]
            # Neighbors in this order share their prompts' beginnings.
            queue.sort(key=lambda state: state.prompt)
            for batch in decode_batches(queue, self._config.batch_draws, self._config.batch_tokens):
                with self._using(adapter), boundary(EngineError, "decoding a batch"):
                    for _ in self._decode(batch, adapter):
                        pass
                done += len(batch)
                if progress:
                    finished = sum(all(s.finish for s in group) for group in states)
                    progress("generate", finished, len(requests))
        return [tuple(_draw(state) for state in group) for group in states]

    def stream(self, request: GenerateRequest) -> Generator[str, None, Draw]:
        """Yield the first draw of `request` piece by piece.

        What could be the beginning of a stop string, or half a character, is held back, so
        that the pieces join to exactly the draw's text.

        Yields:
            Pieces of text.

        Returns:
            The draw.

        Raises:
            CapabilityError: If the request has a pattern.
            ContextLengthError: If the request does not fit the model.
            AdapterLoadError: If the adapter cannot be used.
        """
        require_for_patterns(self, [request])
        state = self._states(request)[0]
        pieces = Pieces(state.stop)
        steps = self._decode([state], request.adapter)
        while not state.finish:
            # Held for one step at a time: between two pieces the caller may use the engine.
            with self._using(request.adapter), boundary(EngineError, "streaming a draw"):
                next(steps)
            if piece := (
                pieces.last(state.text)
                if state.finish
                else pieces.more(self._texts.decode(state.tokens))
            ):
                yield piece
        return _draw(state)

    def _decode(self, batch: list[DrawState], adapter: AdapterRef | None) -> Iterator[None]:
        yield from decode(
            self._model,
            batch,
            ends=self._texts.ends,
            text_of=self._texts.decode,
            row_tokens=self._config.row_tokens,
            begin=partial(self._shared, adapter),
        )

    def _states(self, request: GenerateRequest) -> list[DrawState]:
        self._alive()
        prompt = self._texts.prompt(request)
        return [
            DrawState(
                prompt=prompt,
                max_tokens=request.max_tokens,
                temperature=request.temperature,
                top_p=request.top_p,
                stop=request.stop,
                stream=stream_of(request.seed, index),
            )
            for index in range(request.n)
        ]

    # ------------------------------------------------------------------ adapters

    @contextmanager
    def _using(self, adapter: AdapterRef | None) -> Iterator[None]:
        """Apply `adapter`, or none, to what is run inside."""
        with self._lock:
            self._alive()
            if adapter is not None:
                self._activate(adapter)
            wrapped = self._peft
            with wrapped.disable_adapter() if wrapped and not adapter else nullcontext():
                yield

    def _activate(self, adapter: AdapterRef) -> None:
        if adapter.name not in self._loaded:
            self._load(adapter)
        self._loaded.move_to_end(adapter.name)
        self._peft.set_adapter(self._loaded[adapter.name])

    def _load(self, adapter: AdapterRef) -> None:
        from peft import PeftModel

        check_adapter(adapter, self._folder)
        # PEFT keeps adapters in a ModuleDict, whose keys may hold no dot.
        self._counter += 1
        inner = f"adapter_{self._counter}"
        hint = "train it again, or load the folder that it was saved to"
        with boundary(AdapterLoadError, f"loading adapter {adapter.name!r}", hint=hint):
            if self._peft is None:
                self._peft = PeftModel.from_pretrained(
                    self._model, adapter.path, adapter_name=inner
                ).eval()
            else:
                self._peft.load_adapter(adapter.path, adapter_name=inner)
        self._loaded[adapter.name] = inner
        while len(self._loaded) > ADAPTERS_IN_MEMORY:
            _, oldest = self._loaded.popitem(last=False)
            self._peft.delete_adapter(oldest)

    # ------------------------------------------------------------------ life

    def _alive(self) -> None:
        if self._model is None:
            raise EngineError(f"the engine of {self._name!r} is closed")

    def forget_prompts(self) -> None:
        """Drop the tokens, keys and values of earlier prompts that are kept to go on from."""
        with self._lock:
            self._beginnings.kept.clear()

    def close(self) -> None:
        """Give the memory back."""
        self._model = self._peft = None
        self._beginnings.kept.clear()
        self._loaded.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _draw(state: DrawState) -> Draw:
    assert state.finish is not None, "decode returned before all draws had finished"
    return Draw(
        text=state.text,
        finish=state.finish,
        n_tokens=len(state.tokens),
        mean_logprob=sum(state.logprobs) / len(state.logprobs),
    )


def _owner(adapter: AdapterRef | None) -> str:
    """Return what tells the keys and values of one adapter from another's."""
    return adapter.name if adapter else ""


def _listed(tokens: int | list[int] | None) -> list[int | None]:
    return list(tokens) if isinstance(tokens, list) else [tokens]
