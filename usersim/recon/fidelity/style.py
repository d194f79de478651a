"""How far apart two texts are in style, whatever they say. Pure text, no model."""

from __future__ import annotations

import re
from statistics import fmean

__all__ = ["style_distance"]

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE = re.compile(r"[^.!?…。！？\n]+")


def style_distance(first: str, second: str) -> float:
    """Return the distance in style of two texts, 0 (alike) to 1.

    The mean over seven features f of `|f1 - f2| / max(f1, f2)` (0 where both are 0): words in
    all, words per sentence, characters per word, and the shares of capitals, of punctuation, of
    digits and of non-ASCII characters (emoji, other scripts). It is symmetric.

    Example:
        >>> style_distance("Yes, sure.", "Yes, sure.")
        0.0
        >>> style_distance("ok", "I am afraid I cannot!") > 0.5
        True
    """
    pairs = zip(_features(first), _features(second), strict=True)
    return fmean(abs(a - b) / max(a, b) if max(a, b) > 0 else 0.0 for a, b in pairs)


def _features(text: str) -> tuple[float, ...]:
    words = _WORD.findall(text)
    sentences = [part for part in _SENTENCE.findall(text) if part.strip()]
    visible = [character for character in text if not character.isspace()]
    n = max(len(visible), 1)
    return (
        len(words),
        len(words) / max(len(sentences), 1),
        sum(map(len, words)) / max(len(words), 1),
        sum(character.isupper() for character in visible) / n,
        sum(not character.isalnum() for character in visible) / n,
        sum(character.isdigit() for character in visible) / n,
        sum(not character.isascii() for character in visible) / n,
    )
