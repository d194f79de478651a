"""What a server can do: asked and tried with tiny requests, never assumed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from usersim.engines.base import GenerateRequest, ScoreRequest
from usersim.engines.remote.http import Transport
from usersim.engines.remote.wire import (
    Json,
    choice_of,
    draw_of,
    drawing,
    first,
    forcing,
    logprobs_of,
)
from usersim.engines.texts import Texts
from usersim.errors import EngineAccessError, EngineError, UsersimError

__all__ = ["Probed", "probe"]

logger = logging.getLogger(__name__)

_ASKED = (("user", "Tea?"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a server showed.

    Attributes:
        names: Models and adapters that it serves.
        limit: Tokens of prompt and answer together; None if unknown.
        directed: It holds our logits processor: exact scores, seeded draws.
        patterns: It keeps a draw to a regular expression.
        prefixes: It goes on with a text that was begun.
    """

    names: frozenset[str]
    limit: int | None
    directed: bool
    patterns: bool
    prefixes: bool


def probe(http: Transport, model: str, texts: Texts | None) -> Probed:
    """Ask a server what it serves, and try what the engine needs.

    Args:
        http: The server.
        model: Served name of the base model.
        texts: The model's tokens, if they are known here.

    Raises:
        EngineError: If it cannot be reached, or does not serve the model.
    """
    models = http.run(http.get("models", _models))
    if model not in models:
        raise EngineError(
            f"{http.base_url!r} does not serve {model!r}; it serves {sorted(models)[:8]!r}",
            hint="choose one of these models",
        )
    limit = models[model].get("max_model_len")
    found = Probed(
        names=frozenset(models),
        limit=limit if isinstance(limit, int) else None,
        directed=texts is not None and _tried(lambda: _forces(http, model, texts)),
        patterns=_tried(lambda: _keeps_to_patterns(http, model, texts)),
        prefixes=texts is not None or _tried(lambda: _goes_on(http, model)),
    )
    logger.info("%r at %r: %s", model, http.base_url, found)
    return found


def _models(answer: Json) -> dict[str, Json]:
    first(answer, "data")
    return {str(one["id"]): one for one in answer["data"]}


def _tried(attempt: Callable[[], bool]) -> bool:
    try:
        return attempt()
    except UsersimError as error:
        if error.retryable or isinstance(error, EngineAccessError):
            raise  # no answer is not a no, and neither is a locked door
        logger.debug("the server does not support: %s", error)
        return False


def _forces(http: Transport, model: str, texts: Texts) -> bool:
    ask = ScoreRequest(prompt=_ASKED, continuation="rain, letters", end=False)
    prompt, own = texts.scored(ask)
    body = {"model": model, **forcing(prompt, own)}
    choice = http.run(http.post("completions", body, lambda answer: first(answer, "choices")))
    return choice.get("token_ids") == own and len(logprobs_of(choice)) == len(own)


def _draw(http: Transport, model: str, texts: Texts | None, ask: GenerateRequest) -> str:
    path, body = drawing(texts, ask, 0, directed=False)

    def read(answer: Json) -> str:
        return draw_of(texts, choice_of(answer), ask).text

    return http.run(http.post(path, {"model": model, **body}, read))


def _keeps_to_patterns(http: Transport, model: str, texts: Texts | None) -> bool:
    ask = GenerateRequest(prompt=_ASKED, pattern="usersim[0-9]", max_tokens=16, temperature=0)
    return _draw(http, model, texts, ask).startswith("usersim")


def _goes_on(http: Transport, model: str) -> bool:
    """Return whether one letter of a begun turn makes the prompt one token longer.

    A server that does not go on closes that turn and opens another, which takes more tokens. What
    a model then says tells nothing: many go on with a count of their own accord.
    """

    def length(prefix: str) -> int | None:
        ask = GenerateRequest(prompt=_ASKED, prefix=prefix, max_tokens=1, temperature=0)
        path, body = drawing(None, ask, 0, directed=False)
        return http.run(http.post(path, {"model": model, **body}, _prompt_tokens))

    without, begun = length(""), length("A")
    return without is not None and begun is not None and begun <= without + 1


def _prompt_tokens(answer: Json) -> int | None:
    usage: object = answer.get("usage")
    told: object = cast("Json", usage).get("prompt_tokens") if isinstance(usage, dict) else None
    return told if isinstance(told, int) else None
