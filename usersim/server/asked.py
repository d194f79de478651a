"""A request, read: who is asked what, under which settings, and how the answer is written.

Knows the wire and the value objects; puts nothing to any engine.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from usersim.config import Roles, ServerConfig, SimulationConfig
from usersim.errors import ActionError, RefusedRequestError
from usersim.server.recognition import Recognized, recognize
from usersim.server.roles import context_of, is_scenario
from usersim.server.schema import Form, form_of_schema, form_of_space
from usersim.server.wire import (
    MIN_TOKENS,
    ChatMessage,
    ChatRequest,
    Extension,
    JsonSchemaFormat,
)
from usersim.types import Choice, FreeText, Question, Scale, action_space, is_closed

__all__ = ["MODEL_PREFIX", "AnswerRequest", "model_of", "read_request", "user_of"]

MODEL_PREFIX = "user:"
_SEED_BITS = 53
"""Drawn seeds survive a JSON reader that knows floating-point numbers only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRequest:
    """What one request asks.

    Attributes:
        user_id: The person.
        question: The conversation and what an answer may be.
        form: How the answer is written.
        simulation: How it is drawn.
        n: How many answers.
        seed: Seed of the first; the others' are derived from it.
        stops: The action ends before the first of these.
        shown: Whether the reply carries the reasoning.
        logprobs: Options with log-probabilities in the reply, beside the chosen one; None for
            no log-probabilities.
        stream: Whether the reply is streamed.
        usage: Whether the stream ends with its usage.
        recognized: Name of the form in which the prompt asks a closed question; None for none.
    """

    user_id: str
    question: Question
    form: Form
    simulation: SimulationConfig
    n: int
    seed: int
    stops: tuple[str, ...]
    shown: bool
    logprobs: int | None
    stream: bool
    usage: bool
    recognized: str | None = None


def model_of(user_id: str) -> str:
    """Return the model id of a person.

    Example:
        >>> model_of("ada")
        'user:ada'
    """
    return MODEL_PREFIX + user_id


def user_of(model: str) -> str:
    """Return whom a model id names.

    Raises:
        RefusedRequestError: If it names nobody.
    """
    if not model.startswith(MODEL_PREFIX) or model == MODEL_PREFIX:
        raise RefusedRequestError(
            f"model {model!r} does not name a simulated user",
            status=404,
            code="model_not_found",
            param="model",
            hint=f"a model id is {MODEL_PREFIX!r} and the person's id; GET /v1/models lists them",
        )
    return model.removeprefix(MODEL_PREFIX)


def read_request(
    request: ChatRequest,
    *,
    server: ServerConfig,
    simulation: SimulationConfig,
    roles_header: str | None = None,
) -> AnswerRequest:
    """Return what a request asks.

    Args:
        request: As it came, its shape checked.
        server: Defaults and limits.
        simulation: How answers are drawn where the request does not say.
        roles_header: The orientation that the header asks for.

    Returns:
        What is asked.

    Raises:
        RefusedRequestError: If it asks for what cannot be done, or for too much.
    """
    more = request.x_usersim or Extension()
    user_id = user_of(request.model)
    n = request.n or 1
    _within("messages", len(request.messages), server.max_messages)
    _within("n", n, server.max_n)
    found = _recognized(request, more) if server.recognize else None
    messages = request.messages if found is None else _asked_plainly(request.messages, found)
    context = context_of(messages, user_id=user_id, roles=_roles(more, roles_header, server))
    form = _form(request, more) if found is None else Form(found.space, found.write)
    stream = bool(request.stream)
    return AnswerRequest(
        user_id=user_id,
        question=Question(context, form.space),
        form=form,
        simulation=_simulation(request, more, simulation, form),
        n=n,
        seed=_seed(request, server),
        stops=() if found is not None else _stops(request, form),
        shown=server.reasoning == "shown" and more.reasoning is None,
        logprobs=_logprobs(request, form),
        stream=stream,
        usage=_usage(request, stream),
        recognized=None if found is None else found.form,
    )


def _recognized(request: ChatRequest, more: Extension) -> Recognized | None:
    """Return the closed question that the last message asks in a client's own form.

    A request that says itself what an answer may be is taken at its word, and a stop string that
    would cut an option leaves the question open.
    """
    told = isinstance(request.response_format, JsonSchemaFormat) or more.kind is not None
    last = request.messages[-1]
    if told or more.options is not None or _bounds(more) or is_scenario(last):
        return None
    found = recognize(last.text)
    if found is None or not request.stops:
        return found
    if not isinstance(found.space, Choice | Scale):
        return None
    written = [found.write(option) for option in found.space.options]
    return None if any(stop in one for stop in request.stops for one in written) else found


def _asked_plainly(messages: Sequence[ChatMessage], found: Recognized) -> list[ChatMessage]:
    """Return a conversation whose last message is the question alone, without the client's text."""
    kept = [
        one
        for one in messages[:-1]
        if not (found.preamble and is_scenario(one) and found.preamble.fullmatch(one.text.strip()))
    ]
    return [*kept, messages[-1].model_copy(update={"content": found.question})]


def _bounds(more: Extension) -> dict[str, float | str | bool]:
    return {
        name: value
        for name in ("low", "high", "unit", "integer")
        if (value := getattr(more, name)) is not None
    }


def _within(name: str, asked: int, most: int) -> None:
    """Check a limit.

    Raises:
        RefusedRequestError: If it is exceeded.
    """
    if asked > most:
        raise RefusedRequestError(
            f"{name}: got {asked}, more than the limit of {most} at once",
            code="limit_exceeded",
            param=name,
        )


def _roles(more: Extension, header: str | None, server: ServerConfig) -> Roles:
    """Return the orientation: the request's own word, then the header's, then the server's.

    Raises:
        RefusedRequestError: If the header names none.
    """
    if more.roles is not None:
        return more.roles
    named: Mapping[str, Roles] = {"flipped": "flipped", "natural": "natural"}
    if header is None:
        return server.roles
    if header not in named:
        raise RefusedRequestError(
            f"header X-Usersim-Roles is {header!r}, not 'flipped' or 'natural'",
            code="invalid_roles",
            param="x-usersim-roles",
        )
    return named[header]


def _form(request: ChatRequest, more: Extension) -> Form:
    """Return what an answer may be.

    Raises:
        RefusedRequestError: If the two ways to say so are used at once, or do not fit.
    """
    bounds = _bounds(more)
    if isinstance(request.response_format, JsonSchemaFormat):
        if more.options is not None or bounds or more.kind not in (None, "scale", "choice"):
            raise RefusedRequestError(
                "response_format and x_usersim both set the form of the answer",
                code="conflicting_parameters",
                param="x_usersim",
                hint="use one of them; beside a schema only kind='scale' is allowed",
            )
        return form_of_schema(request.response_format.json_schema.schema_, kind=more.kind)
    if more.options is None and more.kind is None and not bounds:
        return form_of_space(FreeText())
    kind = more.kind or ("choice" if more.options is not None else "number")
    try:
        options = tuple(more.options) if more.options is not None else None
        return form_of_space(action_space(kind, options, **bounds))
    except ActionError as error:
        raise RefusedRequestError(str(error), code="invalid_options", param="x_usersim") from error


def _simulation(
    request: ChatRequest, more: Extension, base: SimulationConfig, form: Form
) -> SimulationConfig:
    """Return how the answer is drawn: the server's settings with the request's own.

    Raises:
        RefusedRequestError: If the answer would not fit the token limit.
    """
    wanted: dict[str, object] = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "decision": more.decision,
        "traces": 0 if request.reasoning_effort == "none" else more.traces,
    }
    limit = request.token_limit
    if limit is not None and limit < MIN_TOKENS:
        _check_scored(limit, form, more)
        wanted["traces"] = 0
    elif limit is not None:
        # A scored answer draws no tokens of its own; otherwise the action keeps half.
        share = limit if is_closed(form.space) else limit // 2
        reasoning = min(base.max_reasoning_tokens, share)
        wanted["max_reasoning_tokens"] = reasoning
        wanted["max_action_tokens"] = min(base.max_action_tokens, limit - min(reasoning, share))
    changed = {name: value for name, value in wanted.items() if value is not None}
    if is_closed(form.space):
        changed.pop("max_action_tokens", None)
    return base.model_copy(update=changed)


def _check_scored(limit: int, form: Form, more: Extension) -> None:
    """Check that an answer fits a limit that has no room for reasoning: one that is scored does.

    Raises:
        RefusedRequestError: If it is written, or if traces are asked for.
    """
    if is_closed(form.space) and not more.traces:
        return
    raise RefusedRequestError(
        f"max_tokens={limit} leaves no room for reasoning and an answer",
        code="invalid_value",
        param="max_tokens",
        hint=f"send at least {MIN_TOKENS}, or leave max_tokens out; with less, only a closed "
        "question (x_usersim.options, or an enum) is answered, without reasoning",
    )


def _seed(request: ChatRequest, server: ServerConfig) -> int:
    for seed in (request.seed, server.seed):
        if seed is not None:
            return seed
    return secrets.randbits(_SEED_BITS)


def _stops(request: ChatRequest, form: Form) -> tuple[str, ...]:
    """Return the stop strings.

    Raises:
        RefusedRequestError: If the answer is not free text, of which a part is not an answer.
    """
    if request.stops and not isinstance(form.space, FreeText):
        raise RefusedRequestError(
            f"stop={list(request.stops)!r} would cut an answer of kind {form.space.kind!r}",
            code="unsupported_parameter",
            param="stop",
        )
    if request.stops and isinstance(request.response_format, JsonSchemaFormat):
        raise RefusedRequestError(
            "stop would cut the JSON of the answer", code="unsupported_parameter", param="stop"
        )
    return request.stops


def _logprobs(request: ChatRequest, form: Form) -> int | None:
    """Return how many options' log-probabilities are wanted; None for none.

    Raises:
        RefusedRequestError: If the answer is not scored but drawn.
    """
    if request.top_logprobs is not None and not request.logprobs:
        raise RefusedRequestError(
            "top_logprobs needs logprobs=true", code="invalid_value", param="top_logprobs"
        )
    if not request.logprobs:
        return None
    if not is_closed(form.space):
        raise RefusedRequestError(
            f"an answer of kind {form.space.kind!r} is drawn over several texts, and has no "
            "log-probabilities of its own",
            code="unsupported_parameter",
            param="logprobs",
            hint="closed questions have them: set x_usersim.options or an enum",
        )
    return request.top_logprobs or 0


def _usage(request: ChatRequest, stream: bool) -> bool:  # noqa: FBT001 - a fact of the request
    """Return whether a stream ends with its usage.

    Raises:
        RefusedRequestError: If there is no stream that could.
    """
    if request.stream_options is None:
        return False
    if not stream:
        raise RefusedRequestError(
            "stream_options needs stream=true", code="invalid_value", param="stream_options"
        )
    return bool(request.stream_options.include_usage)
