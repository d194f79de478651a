"""What could not be answered, each reason once."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.text import Text

from usersim.cli.console import notes

__all__ = ["print_reasons"]

NAMED = 5
"""Requests that are named of those that failed for one reason."""
_ABOUT = re.compile(r"^user .*?, (?:item|row) \d+: ")
"""What a failure's message begins with; the request is named beside the reason."""
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
"""What was drawn, which differs from request to request where the reason does not."""


def print_reasons(failures: Iterable[tuple[str, str]]) -> None:
    """Print every reason once, the most frequent first, with its count and first requests.

    Args:
        failures: Which request, and the message of its failure.
    """
    counts: dict[str, int] = {}
    named: dict[str, list[str]] = {}
    said: dict[str, set[str]] = {}
    for request, message in failures:
        reason = _ABOUT.sub("", message)
        kind = _QUOTED.sub("'…'", reason)
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= NAMED:
            named.setdefault(kind, []).append(request)
        said.setdefault(kind, set()).add(reason)
    for kind, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        shown = [*named[kind], *(["…"] if count > NAMED else [])]
        reason = next(iter(said[kind])) if len(said[kind]) == 1 else kind
        line = f"{count:,} failed ({', '.join(shown)}): {reason}"
        notes.print(Text(line, style="yellow"), soft_wrap=True)
