"""L2: blank in a trace what could only have come from the action. Pure text, no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from usersim.recon.leakage.copying import context_text
from usersim.recon.leakage.mentions import mentions
from usersim.recon.words import find, tokens, words
from usersim.types import FreeText, Interaction, Number

__all__ = ["BLANK", "mask"]

BLANK = "___"
"""Stands for what was blanked; holds no word, and parts the words around it."""
_GRAM = 3


def mask(interaction: Interaction, reasoning: str) -> str:
    """Return the trace with the action blanked out of it.

    Blanked are the 3-grams of words that occur in the action and not in the context; of an
    action of one or two words, the whole of it. For closed questions every naming of *any*
    option, whole or by the words that tell it apart, is blanked too: were only the chosen one
    blanked, the blank itself would tell which it was. Adjoining blanks become one.

    Args:
        interaction: The observed pair.
        reasoning: The trace.

    Returns:
        The masked trace; `reasoning` itself if nothing was blanked.

    Example:
        >>> from usersim.types import Message
        >>> pair = Interaction(
        ...     key="k", user_id="ada", position=0, context=(Message("Lunch?"),),
        ...     action="I would rather stay in.", space=FreeText(), conversation="c",
        ... )
        >>> mask(pair, "It rains and I would rather stay at home.")
        'It rains and ___ at home.'
    """
    found = words(reasoning)
    action = tokens(interaction.action_text)
    context = tokens(context_text(interaction))
    spans = [
        (found[i].start, found[i + n - 1].end)
        for i, n in _shared([word.text for word in found], action, context)
    ]
    space = interaction.space
    if not isinstance(space, FreeText | Number):
        spans += [(m.start, m.end) for m in mentions(reasoning, space.options)]
    return _blank(reasoning, spans)


def _shared(
    trace: Sequence[str], action: Sequence[str], context: Sequence[str]
) -> Iterable[tuple[int, int]]:
    """Yield (place, length) of each gram of the trace that the action holds and the context not."""
    n = min(_GRAM, len(action))
    if not n:
        return
    for i in range(len(trace) - n + 1):
        gram = trace[i : i + n]
        if find(gram, action) and not find(gram, context):
            yield i, n


def _blank(text: str, spans: list[tuple[int, int]]) -> str:
    """Return `text` with the spans replaced; spans with no word between them become one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and not tokens(text[merged[-1][1] : start]):
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    for start, end in reversed(merged):
        text = text[:start] + BLANK + text[end:]
    return text
