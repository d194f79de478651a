r"""Closed questions that clients write into the prompt: found, and answered in the form asked for.

A client that knows no `x_usersim` lists the options in its message and says how to answer. Each
form of doing so is one entry of `PROMPT_FORMS`, with an example. A form reads a whole message or
nothing: what does not fit word for word is an open question, as before. Knows texts and action
spaces; knows no request, no person and no engine.

Example:
    >>> found = recognize("Tea or coffee?\nA) tea\nB) coffee\nAnswer with the letter only.")
    >>> found.form, found.question, found.space.options, found.write("coffee")
    ('labeled options', 'Tea or coffee?', ('tea', 'coffee'), 'B')
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from usersim.errors import ActionError
from usersim.server.recognition.edsl import EDSL_FORMS
from usersim.server.recognition.parts import ClosedQuestion, PromptForm
from usersim.server.recognition.plain import PLAIN_FORMS
from usersim.types import ActionSpace, ActionValue

__all__ = ["LONGEST", "PROMPT_FORMS", "PromptForm", "Recognized", "recognize"]

PROMPT_FORMS: tuple[PromptForm, ...] = (*EDSL_FORMS, *PLAIN_FORMS)
"""Every form that is recognized; a further one is a further entry."""
LONGEST = 20_000
"""Characters of a message that is still looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognized:
    """A closed question found in a message.

    Attributes:
        form: Name of the form that it is written in.
        question: The question alone, without options and instruction.
        space: What an answer may be.
        write: Turns an answer into the reply that the message asks for.
        preamble: A system message that matches is the client's own text, and no scenario.
    """

    form: str
    question: str
    space: ActionSpace
    write: Callable[[ActionValue], str]
    preamble: re.Pattern[str] | None = None


def recognize(text: str) -> Recognized | None:
    """Return the closed question that a message asks; None for any other message.

    Args:
        text: The message that the person is to answer.

    Returns:
        The question, if exactly one form reads the message.

    Example:
        >>> recognize("Shall we have tea or coffee?") is None
        True
    """
    if len(text) > LONGEST:
        return None
    found = [(form, read) for form in PROMPT_FORMS if (read := _read(form, text)) is not None]
    if len(found) != 1:
        return None
    ((form, read),) = found
    return Recognized(
        form=form.name,
        question=read.question,
        space=read.space,
        write=read.write,
        preamble=form.preamble,
    )


def _read(form: PromptForm, text: str) -> ClosedQuestion | None:
    """Read a message; options that cannot be ones (two alike, only one) are none."""
    try:
        found = form.read(text)
    except ActionError:
        return None
    return found if found is not None and found.question else None
