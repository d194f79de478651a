"""Texts of a foreign instrument as plain ones: no markup, no braces, names that are identifiers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Container

from usersim.markup import pieces
from usersim.survey.base import RESERVED

__all__ = ["identifier", "media_in", "plain_label", "plain_text"]

_BREAKS = {"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "hr"}
_CELLS = {"td", "th"}
_MEDIA = {"img": "picture", "video": "video", "audio": "sound", "iframe": "frame",
          "object": "object", "embed": "object", "svg": "picture"}  # fmt: skip
_JOINERS = "\u200c\u200d"  # they shape letters and emoji
_LONGEST_ID = 60


def _words(source: object) -> str:
    """Return what a reader of a page sees, with line ends at its blocks."""
    words: list[str] = []
    for kind, value in pieces(str(source or "")):
        if kind == "text":
            words.append(value)
        elif value in _BREAKS:
            words.append("\n")
        elif value in _CELLS and kind == "start":
            words.append(" ")
    return "".join(words)


def plain_text(source: object) -> str:
    r"""Return HTML as plain text; double braces are pulled apart, since they are placeholders.

    Invisible characters (zero width, direction marks) are removed.

    Example:
        >>> plain_text("<b>How</b>&nbsp;old<br>are you?")
        'How old\nare you?'
    """
    text = _words(source).replace("\xa0", " ")
    if not text.isascii():
        text = "".join(c for c in text if c in _JOINERS or unicodedata.category(c) != "Cf")
    text = "".join(" " if unicodedata.category(c) == "Cc" and c != "\n" else c for c in text)
    lines = [" ".join(line.split()) for line in text.split("\n")]
    joined = re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip()
    return re.sub(r"\{(?=\{)|\}(?=\})", lambda m: f"{m[0]} ", joined)


def plain_label(source: object) -> str:
    """Return HTML as plain text on one line.

    Example:
        >>> plain_label("Bachelor<br>degree")
        'Bachelor degree'
    """
    return " ".join(plain_text(source).split())


def media_in(source: object) -> list[str]:
    """Return what a text shows beside words: pictures, videos, sounds, frames.

    Example:
        >>> media_in('<p>Look: <img src="a.png"></p>')
        ['picture']
    """
    tags = (value for kind, value in pieces(str(source or "")) if kind == "start")
    return [_MEDIA[tag] for tag in tags if tag in _MEDIA]


def identifier(wanted: str, taken: Container[str], *, prefix: str = "q") -> str:
    """Return a name that begins with a letter, holds no other signs, and is not taken.

    Args:
        wanted: What it is called in the source.
        taken: Names in use, in lower case.
        prefix: Put before what begins with something else.

    Returns:
        The name.

    Example:
        >>> identifier("Q1.2 age", {"q1_2_age"})
        'Q1_2_age_2v'
    """
    name = re.sub(r"[^A-Za-z0-9_]+", "_", wanted).strip("_")[:_LONGEST_ID] or prefix
    if not name[0].isalpha() or name.lower() in RESERVED:
        name = f"{prefix}_{name}"
    return _free(name, lambda one: one.lower() in taken)


def _free(name: str, taken: Callable[[str], bool]) -> str:
    number, found = 1, name
    while taken(found):
        number += 1
        found = f"{name}_{number}v"
    return found
