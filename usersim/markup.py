r"""HTML as the words that a reader of the page sees, in one pass whatever the markup is like.

The standard library's parser looks for the end of every tag anew, so sixty kilobytes of tags that
never end take it minutes. Here every character is looked at once: a tag, comment or declaration
that does not end goes on to the end of the text, as in a browser. Knows tags; knows nothing of what
they mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Literal

__all__ = ["Piece", "pieces"]

Piece = tuple[Literal["start", "end", "text"], str]
"""A tag that begins or ends, by its name in lower case, or text with its entities resolved."""

# Possessive throughout: what was matched once is never looked at again.
_MARKUP = re.compile(
    r"""
      <!--(?:.*?-->|.*+)                                  # a comment
    | <(?P<raw>script|style)\b[^>]*+>?                    # what no reader sees, whole
      (?:.*?</(?P=raw)\b[^>]*+>|.*+)
    | <(?P<end>/)?(?P<name>[a-z][^\s/>]*+)                # a tag
      (?:[^>=]++|=\s*+(?:"[^"]*+"?|'[^']*+'?)?)*+>?       # with what stands in quotes after =
    | <[!?/][^>]*+>?                                      # a declaration, or nothing that is known
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


def pieces(html: str) -> Iterator[Piece]:
    """Yield the tags and the texts of a page, in order; scripts, styles and comments are left out.

    Args:
        html: The page, or a part of it.

    Yields:
        Pieces.

    Example:
        >>> list(pieces("Tea &amp; <B class='x'>milk</b>?"))
        [('text', 'Tea & '), ('start', 'b'), ('text', 'milk'), ('end', 'b'), ('text', '?')]
    """
    at = 0
    for found in _MARKUP.finditer(html):
        if found.start() > at:
            yield "text", unescape(html[at : found.start()])
        if found["name"]:
            yield "end" if found["end"] else "start", found["name"].lower()
        at = found.end()
    if at < len(html):
        yield "text", unescape(html[at:])
