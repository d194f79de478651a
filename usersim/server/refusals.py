"""Errors as replies: which status and which word each error of the library becomes.

The one place that knows both the tree of errors and OpenAI's error objects.
"""

from __future__ import annotations

from collections.abc import Sequence

from usersim.errors import (
    ActionError,
    CapabilityError,
    ConfigError,
    ContextLengthError,
    CorpusError,
    EngineError,
    RefusedRequestError,
    TranscriptError,
    UserNotFoundError,
    UsersimError,
)
from usersim.server.answering import CountedAnswer
from usersim.types import Failure

__all__ = ["error_body", "failed", "refusal_of"]

RETRY_SECONDS = 2
"""How long a client is asked to wait after a fault of the engine or the store."""
_KINDS: tuple[tuple[type[UsersimError], int, str, int | None], ...] = (
    (UserNotFoundError, 404, "model_not_found", None),
    (ContextLengthError, 400, "context_length_exceeded", None),
    (CapabilityError, 400, "unsupported_by_engine", None),
    (TranscriptError, 502, "malformed_answer", None),
    (ActionError, 502, "malformed_answer", None),
    (ConfigError, 400, "invalid_value", None),
    (EngineError, 503, "engine_failed", RETRY_SECONDS),
    (CorpusError, 503, "store_failed", RETRY_SECONDS),
)
"""(error, status, code, seconds after which to ask again); the first that fits counts."""
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_SERVER = 500


def refusal_of(error: UsersimError) -> RefusedRequestError:
    """Return an error as what the endpoint replies.

    Example:
        >>> refusal_of(ContextLengthError(9_000, 8_192)).code
        'context_length_exceeded'
    """
    if isinstance(error, RefusedRequestError):
        return error
    for kind, status, code, retry_after in _KINDS:
        if isinstance(error, kind):
            return RefusedRequestError(
                str(error),
                status=status,
                code=code,
                param="model" if code == "model_not_found" else None,
                retry_after=retry_after,
                hint=error.hint,
            )
    return RefusedRequestError(str(error), status=_SERVER, code="internal_error", hint=error.hint)


def failed(counted: Sequence[CountedAnswer]) -> RefusedRequestError | None:
    """Return why a request has no reply, if one of its answers failed."""
    failures = [one.outcome for one in counted if isinstance(one.outcome, Failure)]
    if not failures:
        return None
    first = failures[0]
    if first.error == ContextLengthError.__name__:
        return RefusedRequestError(first.message, code="context_length_exceeded", param="messages")
    return RefusedRequestError(
        f"{len(failures)} of {len(counted)} answers were malformed: {first.message}",
        status=502,
        code="malformed_answer",
        hint="retry with another seed, or allow more tokens",
    )


def error_body(refusal: RefusedRequestError) -> dict[str, object]:
    """Return OpenAI's error object.

    Example:
        >>> error_body(RefusedRequestError("no", code="limit_exceeded", param="n"))["error"]
        {'message': 'no', 'type': 'invalid_request_error', 'param': 'n', 'code': 'limit_exceeded'}
    """
    kind = "server_error" if refusal.status >= _SERVER else "invalid_request_error"
    message = f"{refusal}; {refusal.hint}" if refusal.hint else str(refusal)
    return {
        "error": {
            "message": message,
            "type": _TYPES.get(refusal.status, kind),
            "param": refusal.param,
            "code": refusal.code,
        }
    }
