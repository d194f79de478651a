"""What goes over the wire: requests as JSON, and answers as draws and scores.

Pure functions of requests and answers; knows no connection.
"""

from __future__ import annotations

import queue
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, cast

from usersim import transcript
from usersim.engines.base import Draw, GenerateRequest
from usersim.engines.texts import Texts, cut_at
from usersim.engines.vllm.directions import drawn, forced
from usersim.errors import EngineError, EngineResponseError, EngineUnavailableError

__all__ = [
    "Json",
    "StreamAssembler",
    "choice_of",
    "draw_of",
    "drawing",
    "first",
    "forcing",
    "guessed_tokens",
    "logprobs_of",
    "pump",
]

Json = Mapping[str, Any]

FINISHED = frozenset({"stop", "length"})
"""Reasons for which a whole draw ends; others mean that it was given up."""
ENDS = ("stop_reason", "matched_stop")
"""What servers call the stop string that ended a draw: vLLM, SGLang."""
NEUTRAL = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
"""Said with token ids: vLLM otherwise takes the model's own sampling settings for its defaults."""
MOST_TOLD = 300
"""Characters of a server's own words in an error."""


def drawing(
    texts: Texts | None, request: GenerateRequest, index: int, *, directed: bool
) -> tuple[str, dict[str, Any]]:
    """Return path and body that ask for draw `index` of a request, the model left out.

    Args:
        texts: The model's tokens; None sends messages under the server's own template.
        request: What to draw.
        index: Which of the `n` draws.
        directed: Whether the server holds our logits processor.

    Returns:
        Path below `/v1`, and the body.
    """
    body: dict[str, Any] = {"max_tokens": request.max_tokens, "stop": list(request.stop) or None}
    if request.pattern:
        body["structured_outputs"] = {"regex": request.pattern}
    if texts is not None:
        body |= {"prompt": texts.prompt(request), "logprobs": 0, "return_token_ids": True}
        body |= {"stop_token_ids": sorted(texts.ends), **NEUTRAL}
        if directed:
            more = drawn(request, index)
            return "completions", body | {"temperature": 0} | ({"vllm_xargs": more} if more else {})
        return "completions", body | _sampling(request)
    messages = [{"role": role, "content": text} for role, text in request.prompt]
    if request.prefix:
        messages.append({"role": "assistant", "content": request.prefix})
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    body["messages"] = messages
    return "chat/completions", body | _sampling(request)


def _sampling(request: GenerateRequest) -> dict[str, Any]:
    return {"temperature": request.temperature, "top_p": request.top_p}


def forcing(prompt: Sequence[int], tokens: Sequence[int]) -> dict[str, Any]:
    """Return the body that has `tokens` produced after `prompt`, and their log-probabilities."""
    return {
        "prompt": list(prompt),
        "temperature": 0,
        "max_tokens": len(tokens),
        "min_tokens": len(tokens),
        "ignore_eos": True,
        "logprobs": 0,
        "return_token_ids": True,
        "vllm_xargs": forced(tokens),
    }


def draw_of(texts: Texts | None, choice: Json, request: GenerateRequest) -> Draw:
    """Read a choice of an answer as a draw.

    Token ids are read as every engine reads them. Without them the server's text is taken, with
    the length that the server reports; without one, it is counted or guessed from the bytes.
    Many servers call a stop string and the model's own end both "stop" without a distinction:
    where stop strings were asked for, theirs is then read as one.

    Args:
        texts: The model's tokens, if they are known here.
        choice: What `choice_of` or `StreamAssembler.choice` returned.
        request: What was asked for.

    Raises:
        EngineError: If the server gave the draw up.
    """
    if choice.get("finish_reason") not in FINISHED:
        raise EngineError(
            f"the server stopped a draw with {choice.get('finish_reason')!r}",
            hint="check the server's log",
        )
    tokens = choice.get("token_ids")
    finish: Literal["end", "stop", "length"]
    if texts is not None and isinstance(tokens, list):
        text, finish = texts.finished(cast("list[int]", tokens), request.stop)
        count = len(cast("list[int]", tokens))
    else:
        text, stopped = cut_at(_joined(*_parts_of(choice), request.prefix), request.stop)
        if choice.get("finish_reason") == "length":
            finish = "length"
        else:
            finish = "stop" if stopped or _stopped(choice, request.stop) else "end"
        told: object = choice.get("completion_tokens")
        guess = texts.count(text) if texts else guessed_tokens(text)
        count = told if isinstance(told, int) else guess
    values = logprobs_of(choice)
    known = bool(values) and not request.pattern
    mean = sum(values) / len(values) if known else None
    return Draw(text=text, finish=finish, n_tokens=count, mean_logprob=mean)


def _stopped(choice: Json, stops: Sequence[str]) -> bool:
    """Return whether a stop string, which servers leave out of the text, ended a draw."""
    told = [choice[name] for name in ENDS if name in choice]
    return any(end in stops for end in told) if told else bool(stops)


def guessed_tokens(text: str) -> int:
    """Return about how many tokens a text has: four bytes are one."""
    return -(-len(text.encode()) // 4)


def logprobs_of(choice: Json) -> list[float]:
    """Return the log-probability of each token, nats; empty unless the server reports all."""
    told = cast("dict[str, Any]", choice.get("logprobs") or {})
    values = cast("list[float | None]", told.get("token_logprobs") or [])
    return [] if None in values else [value for value in values if value is not None]


def first(answer: Json, name: str) -> Json:
    """Return the first object of a list in an answer.

    Raises:
        EngineResponseError: If there is none.
    """
    found: object = answer.get(name)
    if isinstance(found, list) and found and isinstance(found[0], dict):
        return cast("Json", found[0])
    shown = str(answer)[:MOST_TOLD]
    raise EngineResponseError(f"the server's answer has no {name!r}: {shown!r}")


def choice_of(answer: Json) -> Json:
    """Return the first choice of an answer, with the number of its tokens if the server reports it.

    Raises:
        EngineResponseError: If there is none.
    """
    return {**first(answer, "choices"), **_counted(answer)}


def _counted(answer: Json) -> dict[str, Any]:
    usage: object = answer.get("usage")
    if not isinstance(usage, dict):
        return {}
    return {"completion_tokens": cast("Json", usage).get("completion_tokens")}


class StreamAssembler:
    """Puts a streamed answer together again.

    Args:
        texts: The model's tokens; None takes the server's text.
        prefix: What the request began the model's turn with.
    """

    def __init__(self, texts: Texts | None, prefix: str) -> None:
        self._texts = texts
        self._prefix = prefix
        self._tokens: list[int] = []
        self._values: list[float] = []
        self._text = self._reasoning = ""
        self._last: dict[str, Any] = {}

    def more(self, event: Json) -> str:
        """Take one event and return the text so far; empty if it brought none."""
        self._last |= _counted(event)
        if not event.get("choices"):
            return ""
        choice = first(event, "choices")
        # That no stop string ended the draw is said by a null.
        self._last |= {n: value for n, value in choice.items() if value is not None or n in ENDS}
        self._values += logprobs_of(choice)
        tokens = choice.get("token_ids")
        if self._texts is not None and tokens is not None:
            self._tokens += cast("list[int]", tokens)
            return self._texts.decode(self._tokens)
        reasoning, content = _parts_of(choice)
        self._reasoning += reasoning
        self._text += content
        return _joined(self._reasoning, self._text, self._prefix)

    def choice(self) -> Json:
        """Return the whole as one choice.

        Raises:
            EngineUnavailableError: If the stream broke off before its end.
        """
        if "finish_reason" not in self._last:
            raise EngineUnavailableError("the server's stream ended early", hint="retry")
        message = {"reasoning": self._reasoning, "content": self._text}
        whole = {**self._last, "message": message}
        whole["logprobs"] = {"token_logprobs": self._values}
        whole.pop("delta", None)
        whole.pop("token_ids", None)
        return whole | {"token_ids": self._tokens} if self._tokens else whole


async def pump(events: AsyncIterator[Json], inbox: queue.SimpleQueue[Json | None]) -> None:
    """Hand events to another thread, and None at the end, however it comes."""
    try:
        async for event in events:
            inbox.put(event)
    finally:
        inbox.put(None)


def _parts_of(choice: Json) -> tuple[str, str]:
    """Return the reasoning that a server split off, in either spelling, and the rest."""
    message: object = choice.get("message") or choice.get("delta")
    if not isinstance(message, dict):
        return "", str(choice.get("text") or "")
    found = cast("dict[str, Any]", message)
    reasoning = found.get("reasoning") or found.get("reasoning_content") or ""
    return str(reasoning), str(found.get("content") or "")


def _joined(reasoning: str, content: str, prefix: str) -> str:
    """Put reasoning that a server split off back before the action.

    - After a prefix that opened the reasoning it goes on there; otherwise it is opened first.
    - A stream's is closed by the action. The line breaks at the tags are ours, once.
    - After a prefix that closed the reasoning, some servers call the whole action reasoning.
    """
    if not reasoning:
        return content
    if transcript.OPEN not in prefix:
        reasoning = transcript.OPEN + reasoning.lstrip("\n")
    if not content:
        return reasoning
    breaks = "\n" if reasoning.endswith("\n") else ""
    return reasoning + transcript.CLOSE.removeprefix(breaks) + content.lstrip("\n")
