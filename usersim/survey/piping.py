"""Earlier answers in later texts: `{{ question }}` is a placeholder, not a template.

One pass replaces each placeholder by the answer's words. What was put in is not looked at again,
so no answer can bring a placeholder of its own, and nothing in an answer is ever evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from usersim.survey.given import GivenAnswer

__all__ = ["fill", "malformed", "mentioned"]

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9_]*)\s*\}\}")
_BRACES = re.compile(r"\{\{|\}\}")


def mentioned(text: str) -> frozenset[str]:
    """Return the ids of the questions whose answers stand in `text`.

    Example:
        >>> sorted(mentioned("You said {{ a }} and {{b}}."))
        ['a', 'b']
    """
    return frozenset(_PLACEHOLDER.findall(text))


def malformed(text: str) -> bool:
    """Return whether double braces in `text` are no placeholder.

    Example:
        >>> malformed("{{ a.b }}"), malformed("{{ a }} {b}")
        (True, False)
    """
    return bool(_BRACES.search(_PLACEHOLDER.sub("", text)))


def fill(text: str, given: Mapping[str, GivenAnswer]) -> str:
    """Return `text` with the answers in place of their placeholders.

    Args:
        text: Its placeholders name questions with a text in `given`.
        given: What came of each earlier question.

    Example:
        >>> told = {"a": GivenAnswer(state="answered", items={"": "{{ b }}"})}
        >>> fill("You said {{ a }}.", told)
        'You said {{ b }}.'
    """
    return _PLACEHOLDER.sub(lambda match: given[match[1]].text, text)
