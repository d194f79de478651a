"""Answers as replies: one completion, or the chunks of a stream.

Knows the wire format; replies are plain dicts. The trace stands in the reasoning field alone,
spelled both ways that clients spell it; it never reaches the content.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from usersim import transcript
from usersim.engines.texts import Pieces, cut_at
from usersim.errors import TranscriptError
from usersim.server.answering import CountedAnswer, Tokens
from usersim.server.asked import AnswerRequest, model_of
from usersim.simulation import Answer, Piece

__all__ = ["Reply"]

_NEVER = -9999.0
"""Log-probability of what cannot be, as OpenAI's own endpoint tells it."""
_TAGS = (transcript.OPEN.strip(), transcript.REASONING_STOP)


@dataclass(frozen=True, slots=True)
class Reply:
    """Writes the reply to one request.

    Attributes:
        asked: What was asked.
        fingerprint: Identity of engine and adapter.
        id: Of the completion.
        created: Seconds since 1970.
    """

    asked: AnswerRequest
    fingerprint: str
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(16)}")
    created: int = field(default_factory=lambda: int(time.time()))

    # ------------------------------------------------------------------ whole

    def completion(self, counted: Sequence[CountedAnswer]) -> dict[str, object]:
        """Return the reply that is not streamed."""
        answers = [one.outcome for one in counted if isinstance(one.outcome, Answer)]
        return {
            **self._head("chat.completion"),
            "choices": [
                {
                    "index": index,
                    "message": {
                        "role": "assistant",
                        "content": self._content(answer),
                        "refusal": None,
                        **self._reasoning(answer.reasoning),
                    },
                    "finish_reason": "stop",
                    "logprobs": self._logprobs(answer),
                    "x_usersim": self._about(answer),
                }
                for index, answer in enumerate(answers)
            ],
            "usage": _usage([one.tokens for one in counted]),
        }

    def chunks(self, counted: Sequence[CountedAnswer]) -> Iterator[dict[str, object]]:
        """Yield a stream of answers that are known as a whole.

        Yields:
            Chunks.
        """
        for index, one in enumerate(counted):
            answer = one.outcome
            assert isinstance(answer, Answer), "failures are reported before the stream begins"
            yield self._chunk(index, {"role": "assistant", "content": ""})
            if answer.reasoning and self.asked.shown:
                yield self._chunk(index, self._reasoning(answer.reasoning))
            delta = {"content": self._content(answer)}
            yield self._chunk(index, delta, logprobs=self._logprobs(answer))
            yield self._chunk(index, {}, finish="stop", about=self._about(answer))
        if self.asked.usage:
            yield {**self._head(), "choices": [], "usage": _usage([one.tokens for one in counted])}

    # ------------------------------------------------------------------ live

    async def live(
        self, pieces: AsyncIterator[Piece | Tokens]
    ) -> AsyncGenerator[dict[str, object]]:
        """Yield the chunks of an answer as it is drawn.

        Text is sent without white space around it, as an answer has none. A tag of the
        transcript format is not sent, nor what follows it: it is no part of an action.

        Yields:
            Chunks.

        Raises:
            TranscriptError: If the action held a tag.
        """
        yield self._chunk(0, {"role": "assistant", "content": ""})
        reasoning, action = _Sent(()), _Sent((*self.asked.stops, *_TAGS))
        async for piece in pieces:
            if isinstance(piece, Tokens):
                for chunk in self._ending(action, piece):
                    yield chunk
            elif piece.part == "action":
                if text := action.more(piece.text):
                    yield self._chunk(0, {"content": text})
            elif self.asked.shown and (text := reasoning.more(piece.text)):
                yield self._chunk(0, self._reasoning(text))

    def _ending(self, action: _Sent, tokens: Tokens) -> Iterator[dict[str, object]]:
        """Yield the last chunks of a live answer.

        Yields:
            Chunks.

        Raises:
            TranscriptError: If the action held a tag.
        """
        if any(tag in action.text for tag in _TAGS):
            raise TranscriptError("the action holds a tag", text=action.text)
        if rest := action.rest():
            yield self._chunk(0, {"content": rest})
        yield self._chunk(0, {}, finish="stop", about=self._told("free_text"))
        if self.asked.usage:
            yield {**self._head(), "choices": [], "usage": _usage([tokens])}

    # ------------------------------------------------------------------ parts

    def _head(self, kind: str = "chat.completion.chunk") -> dict[str, object]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": model_of(self.asked.user_id),
            "system_fingerprint": self.fingerprint,
        }

    def _chunk(
        self,
        index: int,
        delta: Mapping[str, object],
        *,
        finish: str | None = None,
        logprobs: object = None,
        about: Mapping[str, object] | None = None,
    ) -> dict[str, object]:
        choice: dict[str, object] = {
            "index": index,
            "delta": delta,
            "finish_reason": finish,
            "logprobs": logprobs,
        }
        if about is not None:
            choice["x_usersim"] = about
        usage = {"usage": None} if self.asked.usage else {}
        return {**self._head(), "choices": [choice], **usage}

    def _content(self, answer: Answer) -> str:
        return cut_at(self.asked.form.write(answer.action), self.asked.stops).text

    def _reasoning(self, text: str) -> dict[str, object]:
        return {"reasoning_content": text, "reasoning": text} if self.asked.shown else {}

    def _about(self, answer: Answer) -> dict[str, object]:
        told = self._told(answer.kind) | {"reasoning_weight": answer.trace.reasoning_weight}
        if answer.probabilities:
            told["probabilities"] = dict(answer.probabilities)
        if answer.trace.reasoning_failed:
            told["reasoning_failed"] = True
        return told

    def _told(self, kind: str) -> dict[str, object]:
        told: dict[str, object] = {
            "simulated": True,
            "user_id": self.asked.user_id,
            "kind": kind,
            "seed": self.asked.seed,
        }
        if self.asked.recognized is not None:
            told["recognized"] = self.asked.recognized
        return told

    def _logprobs(self, answer: Answer) -> dict[str, object] | None:
        """Return the options as if each were one token: the whole content, and its probability."""
        if self.asked.logprobs is None:
            return None
        entries = {
            option: _logprob(self.asked.form.write(option), p)
            for option, p in answer.probabilities.items()
        }
        ranked = sorted(entries.values(), key=lambda entry: -float(str(entry["logprob"])))
        top = ranked[: self.asked.logprobs]
        return {
            "content": [{**entries[str(answer.action)], "top_logprobs": top}],
            "refusal": None,
        }


class _Sent:
    """What may be sent of a growing text, trimmed; see `Pieces`."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._pieces = Pieces(stops)
        self.text = ""

    def more(self, text: str) -> str:
        """Take the next characters; return what may be sent now."""
        self.text += text
        return self._pieces.more(self.text.strip())

    def rest(self) -> str:
        """Return what was held back, at the end."""
        return self._pieces.last(cut_at(self.text.strip(), self._stops).text)


def _logprob(text: str, p: float) -> dict[str, object]:
    value = math.log(p) if p > 0 else _NEVER
    return {"token": text, "logprob": value, "bytes": list(text.encode())}


def _usage(tokens: Sequence[Tokens]) -> dict[str, object]:
    """Return the tokens of all answers; their common prompt counts once."""
    prompt = max((one.prompt for one in tokens), default=0)
    reasoning = sum(one.reasoning for one in tokens)
    written = reasoning + sum(one.action for one in tokens)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
