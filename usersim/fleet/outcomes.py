"""What a worker says of one person's task: what it made, or why it failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from usersim.errors import UserNotFoundError, UsersimError

__all__ = ["Outcome", "attempt"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one person's task ended.

    Attributes:
        user_id: The person.
        seconds: How long it took.
        result: What it made, as plain data.
        error: Class name of the error; empty if it is done.
        message: What happened.
        retryable: Whether another attempt may succeed.
    """

    user_id: str
    seconds: float
    result: Mapping[str, object] = field(default_factory=dict[str, object])
    error: str = ""
    message: str = ""
    retryable: bool = False


def attempt(user_id: str, work: Callable[[str], Mapping[str, object]]) -> Outcome:
    """Do one person's task; what fails is data, so that the others go on.

    An error of ours says that the same attempt would fail again, unless it says otherwise. What
    anything else means is not known, so it is tried again.

    Args:
        user_id: The person.
        work: Does it, and returns what it made.

    Example:
        >>> attempt("ada", lambda user: {"adapter": f"{user}-1"}).result
        {'adapter': 'ada-1'}
    """
    began = time.monotonic()
    try:
        made = work(user_id)
    except UsersimError as error:
        return _failed(user_id, began, error, retryable=error.retryable)
    except Exception as error:
        logger.exception("the task of %r failed", user_id)
        return _failed(user_id, began, error, retryable=True)
    return Outcome(user_id=user_id, seconds=_since(began), result=made)


def _failed(user_id: str, began: float, error: Exception, *, retryable: bool) -> Outcome:
    said = str(error) or type(error).__name__
    hint = getattr(error, "cli_hint", "")
    return Outcome(
        user_id=user_id,
        seconds=_since(began),
        error=type(error).__name__,
        message=f"{said}; {hint}" if hint and not isinstance(error, UserNotFoundError) else said,
        retryable=retryable,
    )


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
