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


def print_reasons(failures: Iterable[tuple[str, str]]) -> None:
    """Print every reason once, the most frequent first, with its count and first requests.

    Args:
        failures: Which request, and the message of its failure.
    """
    counts: dict[str, int] = {}
    named: dict[str, list[str]] = {}
    for request, message in failures:
        reason = _ABOUT.sub("", message)
        counts[reason] = counts.get(reason, 0) + 1
        if counts[reason] <= NAMED:
            named.setdefault(reason, []).append(request)
    for reason, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        shown = [*named[reason], *(["…"] if count > NAMED else [])]
        line = f"{count:,} failed ({', '.join(shown)}): {reason}"
        notes.print(Text(line, style="yellow"), soft_wrap=True)
