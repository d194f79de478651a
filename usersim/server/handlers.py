"""Whatever goes wrong in the application becomes one of OpenAI's error objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from usersim.errors import RefusedRequestError, UsersimError
from usersim.server.refusals import error_body, refusal_of
from usersim.server.wire import UNSUPPORTED

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["add_handlers"]

_SHOWN_PROBLEMS = 3
_SHOWN_CHARS = 200
_CODES = {404: "not_found", 405: "method_not_allowed"}


def add_handlers(app: FastAPI) -> None:
    """Report every error of `app` as an error object."""
    app.add_exception_handler(UsersimError, _told)
    app.add_exception_handler(RequestValidationError, _misshapen)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _defect)


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, UsersimError), "registered for these alone"
    return _reply(refusal_of(error))


async def _misshapen(_: Request, error: Exception) -> Response:
    """Tell what is wrong with a request's shape: the first problems, the first one by name."""
    assert isinstance(error, RequestValidationError), "registered for these alone"
    problems = [cast("Mapping[str, object]", one) for one in error.errors()]
    first = problems[0]
    if isinstance(first.get("input"), bytes):
        return _reply(
            RefusedRequestError(
                "the body was not sent as JSON",
                code="invalid_value",
                hint="send the header 'content-type: application/json'",
            )
        )
    if refusal := _unsupported(problems):
        return _reply(refusal)
    unknown = first["type"] == "extra_forbidden"
    told = "; ".join(_problem(one) for one in problems[:_SHOWN_PROBLEMS])
    return _reply(
        RefusedRequestError(
            told,
            code="invalid_json"
            if first["type"] == "json_invalid"
            else ("unsupported_parameter" if unknown else "invalid_value"),
            param=_place(first) or None,
            hint="this server rejects fields that it cannot honor" if unknown else "",
        )
    )


def _unsupported(problems: Sequence[Mapping[str, object]]) -> RefusedRequestError | None:
    """Return in words that a field is one for which a simulated person has no use."""
    for problem in problems:
        parts = _place(problem).split(".")
        for depth, name in enumerate(parts, start=1):
            if name in UNSUPPORTED:
                return RefusedRequestError(
                    f"{name!r} is not supported: {UNSUPPORTED[name]}",
                    code="unsupported_parameter",
                    param=".".join(parts[:depth]),
                    hint=f"remove {name!r}",
                )
    return None


def _problem(problem: Mapping[str, object]) -> str:
    given = problem.get("input")
    shown = repr(given)
    if len(shown) > _SHOWN_CHARS:
        shown = shown[:_SHOWN_CHARS] + "…"
    where = _place(problem) or "the body"
    value = "" if isinstance(given, dict) or given is None else f" (given {shown})"
    return f"{where}: {problem['msg']}{value}"


def _place(problem: Mapping[str, object]) -> str:
    """Return where a problem is, as `messages.0.role`."""
    parts = cast("tuple[object, ...]", problem["loc"])
    return ".".join(str(part) for part in parts[1:])


async def _http(request: Request, error: Exception) -> Response:
    """Tell of a path that is not there; and of a body that the guard cut off."""
    assert isinstance(error, HTTPException), "registered for these alone"
    cause = error.__cause__
    if isinstance(cause, RefusedRequestError):
        # What is left of the body is not read: the connection cannot be used again.
        return _reply(cause, {"connection": "close"})
    code = _CODES.get(error.status_code, "invalid_value")
    refusal = RefusedRequestError(str(error.detail), status=error.status_code, code=code)
    if error.status_code in _CODES:
        asked = f"{request.method} {request.url.path}"
        refusal = RefusedRequestError(
            f"{asked!r} is not served here",
            status=error.status_code,
            code=code,
            hint=f"served are {', '.join(_served(request.app))}",
        )
    return _reply(refusal, error.headers)


def _served(app: FastAPI) -> list[str]:
    """Return method and path of everything that the API's document describes."""
    paths = cast("Mapping[str, Mapping[str, object]]", app.openapi()["paths"])
    return sorted(
        f"{method.upper()} {path}" for path, methods in paths.items() for method in methods
    )


async def _defect(_: Request, error: Exception) -> Response:
    """Tell of a defect of ours, without its message: that may hold a text."""
    name = type(error).__name__
    return _reply(
        RefusedRequestError(
            f"internal server error: {name}",
            status=500,
            code="internal_error",
            hint="its log has the traceback; please report it",
        )
    )


def _reply(refusal: RefusedRequestError, headers: Mapping[str, str] | None = None) -> Response:
    more = dict(headers or {})
    if refusal.retry_after is not None:
        more["retry-after"] = str(refusal.retry_after)
    body = orjson.dumps(error_body(refusal), option=orjson.OPT_NON_STR_KEYS)
    return Response(body, refusal.status, headers=more, media_type="application/json")
