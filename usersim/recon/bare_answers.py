"""Draws that answer the question instead of giving a reason: only a rating, only an option.

Small models that are asked for reasoning often write nothing but a rating. Such a draw is not a
trace: it gives no reason, and where it names another option than the true one no guard sees it.
Pure text, no model.
"""

from __future__ import annotations

from usersim.recon.leakage.mentions import mentions
from usersim.recon.words import words
from usersim.types import FreeText, Interaction, Number

__all__ = ["is_bare_answer"]

_ANSWERING_WORDS = """
    i i'd i'll i'm my me mine would will do does did is are am be was it it's that that's this the
    a an of to on in as at for with by and or so out than from one's
    answer answers answered option options choice choices choose chose choosing pick picked select
    selected rate rated rating ratings score scored scale point points number level give gave say
    said think feel believe guess describe describes described statement question response respond
    reply mark tick vote say go went opt
    very strongly somewhat moderately slightly extremely quite fairly rather completely mostly
    totally definitely probably generally highly really much more less most bit little lot all not
    don't doesn't no none medium average partly partially absolutely mildly strong kind sort usually
"""
"""Words that announce, frame or grade an answer and give no reason by themselves."""
_RATING_WORDS = """
    agree agrees agreed agreement disagree disagrees disagreed disagreement neutral neither nor
    undecided unsure accurate inaccurate true false yes yeah no nope likely unlikely satisfied
    dissatisfied important unimportant approve disapprove favor favour oppose support always often
    sometimes rarely seldom never good bad fair poor excellent high low one two three four five six
    seven eight nine ten zero
"""
"""Labels of common rating scales, whatever the question's own options are called."""
_ANSWERING = frozenset(_ANSWERING_WORDS.split())
_RATING = frozenset(_RATING_WORDS.split())


def is_bare_answer(text: str, interaction: Interaction) -> bool:
    """Return whether a draw answers the question and says nothing else.

    It does if it names an option, a number or a label of a common rating scale, and all its
    other words only announce or grade an answer, or repeat the question. A text that gives a
    reason and an answer is left to the guards.

    Args:
        text: What was drawn.
        interaction: What it was drawn for.

    Example:
        >>> from usersim.types import Message, Scale
        >>> asked = Interaction(
        ...     key="k",
        ...     user_id="ada",
        ...     position=0,
        ...     context=(Message("I like parties."),),
        ...     action="Agree",
        ...     space=Scale(("Disagree", "Agree")),
        ...     conversation="c",
        ... )
        >>> is_bare_answer("I like parties: I strongly agree.", asked)
        True
        >>> is_bare_answer("Noise tires me, so I disagree.", asked)
        False
    """
    found = words(text)
    space = interaction.space
    options = () if isinstance(space, FreeText | Number) else space.options
    named = [(m.start, m.end) for m in mentions(text, options)] if options else []
    rest = [w.text for w in found if not any(s <= w.start and w.end <= e for s, e in named)]
    rated = [word for word in rest if word in _RATING or word[0].isdigit()]
    if not named and not rated:
        return False
    # Not a whole conversation: of an open question the last message is what is answered.
    asked = {w.text for message in interaction.context[-1:] for w in words(message.content)}
    if isinstance(space, Number) and space.unit:
        asked |= {w.text for w in words(space.unit)}
    return all(
        word in _ANSWERING or word in _RATING or word[0].isdigit() or word in asked for word in rest
    )
