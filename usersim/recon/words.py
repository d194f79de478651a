"""Words of a text, folded for comparison, with their places. Pure text, no model.

Guards, masks and similarities compare texts through these words and in no other way.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Word", "find", "longest_common_run", "ngrams", "tokens", "words"]

# Scripts without spaces between words count character by character.
_UNSPACED = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
_WORD = re.compile(rf"{_UNSPACED}|(?:(?!{_UNSPACED})[^\W_])+(?:['’](?:(?!{_UNSPACED})[^\W_])+)*")


@dataclass(frozen=True, slots=True)
class Word:
    """One word and where it stands.

    Attributes:
        text: Folded: Unicode NFKC, no case, one kind of apostrophe.
        start: Offset of its first character in the text.
        end: Offset behind its last character.
    """

    text: str
    start: int
    end: int


def words(text: str) -> list[Word]:
    """Return the words of `text`; punctuation, emoji and underscores are none.

    Example:
        >>> [word.text for word in words("Don’t WAIT, 2 go!")]
        ["don't", 'wait', '2', 'go']
    """
    return [Word(_fold(m.group()), m.start(), m.end()) for m in _WORD.finditer(text)]


def tokens(text: str) -> list[str]:
    """Return the folded words of `text` without their places."""
    return [word.text for word in words(text)]


def _fold(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold().replace("’", "'")


def ngrams(items: Sequence[str], n: int) -> set[tuple[str, ...]]:
    """Return the distinct runs of `n` items, at least 1; none if there are fewer items."""
    return {tuple(items[i : i + n]) for i in range(len(items) - n + 1)}


def find(needle: Sequence[str], items: Sequence[str]) -> list[int]:
    """Return every place where `needle` stands in `items` as a run; none for an empty needle."""
    n = len(needle)
    if not n:
        return []
    wanted = list(needle)
    return [i for i in range(len(items) - n + 1) if list(items[i : i + n]) == wanted]


def longest_common_run(
    first: Sequence[str], second: Sequence[str], *, without: Sequence[str] = ()
) -> int:
    """Return the length of the longest run of items that both hold.

    Args:
        first: Items.
        second: Items.
        without: From each common run, the length of its longest part that stands here as a
            run too is taken off: what the context already said is not copied from the action.

    Example:
        >>> longest_common_run("a b c d e".split(), "x a b c d".split(), without="b c".split())
        2
    """
    best = 0
    # Longest first: a run no longer than the best so far cannot beat it.
    for start, end in sorted(_common_runs(first, second), key=lambda run: run[0] - run[1]):
        if end - start <= best:
            break
        held = longest_common_run(first[start:end], without) if without else 0
        best = max(best, end - start - held)
    return best


def _common_runs(first: Sequence[str], second: Sequence[str]) -> Iterable[tuple[int, int]]:
    """Yield the maximal common runs as (start, end) in `first`, by the usual recurrence."""
    previous = [0] * (len(second) + 1)
    for i, item in enumerate(first):
        current = [0] * (len(second) + 1)
        for j, other in enumerate(second):
            if item == other:
                current[j + 1] = previous[j] + 1
                ends = i + 1 == len(first) or j + 1 == len(second)
                if ends or first[i + 1] != second[j + 1]:
                    yield i + 1 - current[j + 1], i + 1
        previous = current
