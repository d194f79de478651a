"""Where a text names options of a closed question, whole or by the words that distinguish them.

Small models asked for reasoning on a closed question tend to name an option. Options are often
short and common words ("No", "2"), contain each other ("accurate", "moderately accurate"), and
are named by their core ("that is accurate"). Pure text, no model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from usersim.recon.words import Word, find, tokens, words

__all__ = ["Mention", "asserts_option", "mentions"]

_DEGREE_WORDS = """
    very strongly somewhat moderately slightly extremely quite fairly rather completely mostly
    totally definitely probably generally highly really much more less most a an the of bit
    little lot at all not
"""
_DEGREES = frozenset(_DEGREE_WORDS.split())
"""Words of degree: options that differ in them alone are of one family."""

_COMMON_WORDS = "no a i an one none other all any some same more less most it like"
_COMMON = frozenset(_COMMON_WORDS.split())
"""Words too common to say, by themselves, that an option is meant."""

_ANNOUNCE = (
    r"choos\w*|chose|pick\w*|select\w*|answer\w*|say|said|rat(?:e|ed|ing)|option|score|giv(?:es?|ing)"
    r"|gave|vot\w+|mark\w*|respon[ds]\w*|reply|replied|go with|went with|opt\w* for|tick\w*"
)
_DESCRIBE = (
    r"would be|(?:that|it|this)(?:['’]s| is| was| feels| sounds)|lean\w*|therefore|describe\w*"
)
_CUE = re.compile(
    rf"\b(?:{_ANNOUNCE}|{_DESCRIBE})\W+(?:(?!(?:whether|if|n?or|than)\b)\w+\W+){{0,3}}$",
    re.IGNORECASE,
)
"""Announces an answer, up to three words before it; "whether" and "or" weigh options instead."""
_NEAR_CUE = re.compile(
    rf"\b(?:{_ANNOUNCE})\W+(?:(?:an?|the|is|be|it|with|to|option|number)\W+){{0,2}}$",
    re.IGNORECASE,
)
"""Announces an answer even where the option is a common word."""


@dataclass(frozen=True, slots=True)
class Mention:
    """An option, or its family, named in a text.

    Attributes:
        options: Indices of the options that it can mean: one for a whole option's text, the
            family for its core.
        start: Offset of its first character.
        end: Offset behind its last character.
        cued: A word that announces an answer stands before it, or it begins a sentence and is
            set off from the rest ("No, ...").
        common: It is a word too common to mean the option without such a cue.
    """

    options: tuple[int, ...]
    start: int
    end: int
    cued: bool
    common: bool


def core(option: Sequence[str]) -> tuple[str, ...]:
    """Return the words of an option without those of degree; all of them if no others are left.

    Example:
        >>> core(["moderately", "accurate"])
        ('accurate',)
    """
    return tuple(word for word in option if word not in _DEGREES) or tuple(option)


def mentions(text: str, options: Sequence[str]) -> list[Mention]:
    """Return the places where `text` names an option, in order, the longest name at each place.

    Args:
        text: A trace.
        options: The options of the question.
    """
    names = _names([tuple(tokens(option)) for option in options])
    found = words(text)
    result: list[Mention] = []
    at = 0
    while at < len(found):
        name = next((n for n in names if _stands(n, found, at)), None)
        if name is None:
            at += 1
            continue
        first, last = found[at], found[at + len(name) - 1]
        result.append(
            Mention(
                options=names[name],
                start=first.start,
                end=last.end,
                cued=_is_cued(text, first.start, last.end, common=_is_common(name)),
                common=_is_common(name),
            )
        )
        at += len(name)
    return result


def asserts_option(text: str, options: Sequence[str], chosen: int, context: str) -> bool:
    """Return whether `text` gives the chosen option away (guard L1d).

    It does if the option, or its family, is named after a word that announces an answer; or if
    it is named at all and no option outside its family is named as often. A family's core that
    the context holds (as in "How accurate is this?") and words too common to mean an option
    count only after such a word.

    Args:
        text: A trace.
        options: The options of the question.
        chosen: Index of the option that was chosen.
        context: Text that stood before the person acted.

    Example:
        >>> asserts_option("I keep my desk tidy, so I agree.", ["Agree", "Disagree"], 0, "")
        True
        >>> asserts_option("I have no time for it.", ["Yes", "No"], 1, "")
        False
    """
    said = mentions(text, options)
    if any(m.cued and chosen in m.options for m in said):
        return True
    context_words = tokens(context)
    counts: Counter[int] = Counter()
    for mention in said:
        name = tokens(text[mention.start : mention.end])
        family = len(mention.options) > 1
        if mention.common or (family and find(name, context_words)):
            continue
        counts.update(mention.options)
    rivals = (count for option, count in counts.items() if not _same(options, option, chosen))
    return counts[chosen] > max(rivals, default=0)


def _names(options: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[int, ...]]:
    """Return what can stand for which options, longest first.

    An option that is its family's core ("Agree" beside "Strongly agree") stands for the family:
    naming it gives the direction away. A core that all options share ("like me" in a scale of
    likeness) tells nothing and is left out; so is an option without words.
    """
    cores = [core(option) for option in options]
    names: dict[tuple[str, ...], tuple[int, ...]] = {}
    if len(set(cores)) > 1:
        for own in cores:
            names[own] = tuple(i for i, other in enumerate(cores) if other == own)
    for index, option in enumerate(options):
        names.setdefault(option, (index,))
    names.pop((), None)
    return dict(sorted(names.items(), key=lambda entry: -len(entry[0])))


def _same(options: Sequence[str], first: int, second: int) -> bool:
    return core(tokens(options[first])) == core(tokens(options[second]))


def _stands(name: tuple[str, ...], found: Sequence[Word], at: int) -> bool:
    return tuple(word.text for word in found[at : at + len(name)]) == name


def _is_common(name: tuple[str, ...]) -> bool:
    return len(name) == 1 and (name[0] in _COMMON or name[0].isdigit() or len(name[0]) == 1)


def _is_cued(text: str, start: int, end: int, *, common: bool) -> bool:
    before = text[:start]
    opens = not before.strip(" \"'“”‘’*(") or re.search(r"[.!?…:\n]\W*$", before) is not None
    set_off = re.match(r"[\"'”’*)]*\s*(?:[,.!?;:…—–-]|$)", text[end:]) is not None
    cue = _NEAR_CUE if common else _CUE
    return (opens and set_off) or cue.search(before) is not None
