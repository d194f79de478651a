"""L1: does a trace copy, quote or assert the action? Pure text, no model."""

from __future__ import annotations

import re

from usersim.recon.leakage.mentions import asserts_option
from usersim.recon.words import find, longest_common_run, ngrams, tokens
from usersim.types import FreeText, Interaction, Leakage, MultiChoice, Number

__all__ = ["context_text", "copying"]

_GRAM = 4
_QUOTED = re.compile(
    r"\"([^\"]+)\"|“([^”]+)”|‘([^’]+)’|«([^»]+)»|„([^“”]+)[“”]|`([^`]+)`|(?<!\w)'(.+?)'(?!\w)",
    re.DOTALL,
)


def context_text(interaction: Interaction) -> str:
    """Return the context as one text: what a trace may repeat without having seen the action."""
    return "\n".join(message.content for message in interaction.context)


def copying(interaction: Interaction, reasoning: str) -> Leakage:
    """Return what of the action stands in a trace: the fields of L1, and no verdict.

    Words are compared without case, punctuation and width. A run that the context holds too is
    taken off (see `longest_common_run`); 4-grams that the context holds do not count. The
    whole action standing in the trace is a containment of 1 however short it is, except for
    closed questions, whose options are often common words: there `asserts_option` decides.

    Args:
        interaction: The observed pair.
        reasoning: The trace.
    """
    trace, action = tokens(reasoning), tokens(interaction.action_text)
    context = tokens(context_text(interaction))
    return Leakage(
        longest_run=longest_common_run(trace, action, without=context),
        containment=_containment(interaction, reasoning),
        quoted_span=_quoted_span(reasoning, action, context),
        asserts_option=_asserts(interaction, reasoning),
    )


def _containment(interaction: Interaction, reasoning: str) -> float:
    trace, action = tokens(reasoning), tokens(interaction.action_text)
    open_ended = isinstance(interaction.space, FreeText | Number)
    if open_ended and _states(interaction.action_text, action, reasoning, trace):
        return 1.0
    grams = ngrams(action, _GRAM)
    if not grams:
        return 0.0
    new = grams - ngrams(tokens(context_text(interaction)), _GRAM)
    return len(new & ngrams(trace, _GRAM)) / len(grams)


def _states(action: str, action_words: list[str], reasoning: str, trace: list[str]) -> bool:
    """Return whether the whole action stands in the trace; without words, as plain text."""
    if action_words:
        return bool(find(action_words, trace))
    return bool(action.strip()) and action.strip() in reasoning


def _quoted_span(reasoning: str, action: list[str], context: list[str]) -> int:
    quoted = ("".join(filter(None, match.groups())) for match in _QUOTED.finditer(reasoning))
    return max(
        (longest_common_run(tokens(span), action, without=context) for span in quoted), default=0
    )


def _asserts(interaction: Interaction, reasoning: str) -> bool:
    space = interaction.space
    if isinstance(space, FreeText | Number):
        return False
    if isinstance(space, MultiChoice):
        chosen = space.parse(interaction.action_text)
    else:
        chosen = (interaction.action_text,)
    context = context_text(interaction)
    return any(
        asserts_option(reasoning, space.options, space.options.index(option), context)
        for option in chosen
    )
