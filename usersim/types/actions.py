"""Action spaces: what a person could have done, and the text form of what they did.

Knows values and their text; knows nothing of prompts, models or storage.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Literal, TypeGuard, cast, get_args

from pydantic import Discriminator, TypeAdapter, ValidationError

from usersim.errors import ActionError

__all__ = [
    "ActionKind",
    "ActionSpace",
    "ActionValue",
    "Choice",
    "FreeText",
    "MultiChoice",
    "Number",
    "Scale",
    "action_space",
    "as_options",
    "asked_space",
    "is_closed",
    "match_option",
]

ActionKind = Literal["free_text", "choice", "scale", "number", "multi_choice"]
ActionValue = str | float | tuple[str, ...]
"""`str` for free text, choice and scale; `float` for a number; a tuple for multiple choice."""

_OPEN = ("free_text", "number")
_WITH_OPTIONS = ("choice", "scale", "multi_choice")
MULTI_SEPARATOR = " | "
NOTHING_CHOSEN = "(none of these)"
_ROUNDING = 1e-9
"""Relative difference of two probabilities that are equal."""
_QUOTES = "\"'“”‘’«»`*"


def _fold(text: str) -> str:
    """Normalize for comparison: Unicode NFKC, one space between words, no case."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def match_option(text: str, options: tuple[str, ...]) -> str:
    """Return the option that `text` names.

    An exact match wins; then a match without case, surrounding quotes or one final full stop,
    provided that it is unique.

    Raises:
        ActionError: If no option, or more than one, matches.
    """
    if text in options:
        return text
    loose = _fold(text.strip().strip(_QUOTES).removesuffix(".").strip(_QUOTES))
    found = [option for option in options if loose in {_fold(option), _fold(option.rstrip("."))}]
    if len(found) == 1:
        return found[0]
    raise ActionError(f"{text!r} is not among the options {list(options)!r}")


def _check_options(options: tuple[str, ...], kind: str) -> None:
    if isinstance(options, str):  # its letters would become the options
        as_options(options)
    if len(options) < 2:  # noqa: PLR2004 - one option is no choice
        raise ActionError(
            f"a {kind} needs at least two options; got {list(options)!r}; "
            "name every option that can be chosen"
        )
    if any(not option.strip() for option in options):
        raise ActionError(f"a {kind} has an empty option: {list(options)!r}")
    if len(set(options)) != len(options):
        raise ActionError(f"a {kind} has the same option twice: {list(options)!r}")


@dataclass(frozen=True, slots=True)
class FreeText:
    """Any text: an utterance, a comment, an open answer.

    Example:
        >>> FreeText().parse("With milk, please.")
        'With milk, please.'
    """

    kind: Literal["free_text"] = "free_text"

    def render(self, value: ActionValue) -> str:
        """Return the text form of `value`."""
        return str(value)

    def parse(self, text: str) -> str:
        """Return `text` as it is.

        Raises:
            ActionError: If it is empty.
        """
        if not text.strip():
            raise ActionError("the action is empty")
        return text


@dataclass(frozen=True, slots=True)
class Choice:
    """One of K options without an order.

    Example:
        >>> drink = Choice(("tea", "coffee"))
        >>> drink.parse("Tea.")
        'tea'
    """

    options: tuple[str, ...]
    kind: Literal["choice"] = "choice"

    def __post_init__(self) -> None:
        _check_options(self.options, self.kind)

    def render(self, value: ActionValue) -> str:
        """Return the option's text."""
        return str(value)

    def likeliest(self, probabilities: Mapping[str, float]) -> str:
        """Return the most probable option, of several equal ones the first.

        Args:
            probabilities: Of the options; one that is missing has probability 0.
        """
        return _highest(self.options, probabilities)[0]

    def parse(self, text: str) -> str:
        """Return the option that `text` names.

        Raises:
            ActionError: If it names none, or more than one.
        """
        return match_option(text, self.options)


@dataclass(frozen=True, slots=True)
class Scale:
    """One of K options in order, first to last: a Likert item, a rating.

    Example:
        >>> agree = Scale(("disagree", "neither", "agree"))
        >>> agree.parse("Agree"), agree.rank("agree")
        ('agree', 2)
    """

    options: tuple[str, ...]
    kind: Literal["scale"] = "scale"

    def __post_init__(self) -> None:
        _check_options(self.options, self.kind)

    def render(self, value: ActionValue) -> str:
        """Return the option's text."""
        return str(value)

    def likeliest(self, probabilities: Mapping[str, float]) -> str:
        """Return the most probable option, of several equal ones the nearest to the median.

        Shares of few answers are often equal, and those of an unknown question always: the first
        one would be an extreme of the scale.

        Args:
            probabilities: Of the options; one that is missing has probability 0.

        Example:
            >>> Scale(("never", "rarely", "often")).likeliest({})
            'rarely'
        """
        middle = _median_rank([probabilities.get(option, 0.0) for option in self.options])
        highest = _highest(self.options, probabilities)
        return min(highest, key=lambda option: abs(self.options.index(option) - middle))

    def parse(self, text: str) -> str:
        """Return the option that `text` names.

        Raises:
            ActionError: If it names none, or more than one.
        """
        return match_option(text, self.options)

    def rank(self, value: ActionValue) -> int:
        """Return the position of `value` on the scale, 0 for the first option."""
        return self.options.index(str(value))


@dataclass(frozen=True, slots=True)
class Number:
    """A number, within a range where one is known.

    Example:
        >>> cups = Number(low=0, high=20, unit="cups", integer=True)
        >>> cups.parse("3 cups"), cups.render(3.0)
        (3.0, '3')
    """

    low: float | None = None
    high: float | None = None
    unit: str | None = None
    integer: bool = False
    kind: Literal["number"] = "number"

    def __post_init__(self) -> None:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if low > high:
            raise ActionError(
                f"the lowest number, {self.low!r}, is above the highest, {self.high!r}"
            )
        if self.integer and math.isfinite(low) and math.ceil(low) > high:
            raise ActionError(f"there is no whole number from {self.low!r} to {self.high!r}")

    def render(self, value: ActionValue) -> str:
        """Return the shortest decimal text of `value`, without the unit."""
        number = float(value)  # type: ignore[arg-type]
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)  # noqa: PLR2004 - beyond it a float has no unit digit

    def parse(self, text: str) -> float:
        """Return the number that `text` is; thousands commas, a unit and `$`/`%` are dropped.

        Raises:
            ActionError: If it is not one finite number within the range.
        """
        bare = text.strip().strip(_QUOTES).removesuffix(".")
        if self.unit:
            bare = re.sub(rf"\s*{re.escape(self.unit)}\s*$", "", bare, flags=re.IGNORECASE)
        bare = bare.strip().lstrip("$€£").rstrip("%").strip()
        if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", bare):
            bare = bare.replace(",", "")
        try:
            number = float(bare)
        except ValueError:
            raise ActionError(f"{text!r} is not a number") from None
        return self._checked(number, text)

    def _checked(self, number: float, text: str) -> float:
        if not math.isfinite(number):
            raise ActionError(f"{text!r} is not a finite number")
        if self.integer and not number.is_integer():
            raise ActionError(f"{text!r} is not a whole number")
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low <= number <= high:
            raise ActionError(f"{text!r} is outside the range {self.low} to {self.high}")
        return number


@dataclass(frozen=True, slots=True)
class MultiChoice:
    """Any subset of K options.

    Example:
        >>> taken = MultiChoice(("milk", "sugar", "lemon"))
        >>> taken.render(("milk", "lemon"))
        'milk | lemon'
        >>> taken.parse("lemon | milk")
        ('milk', 'lemon')
    """

    options: tuple[str, ...]
    kind: Literal["multi_choice"] = "multi_choice"

    def __post_init__(self) -> None:
        _check_options(self.options, "multiple choice")
        for option in self.options:
            if MULTI_SEPARATOR.strip() in option:
                raise ActionError(f"option {option!r} contains {MULTI_SEPARATOR.strip()!r}")

    def render(self, value: ActionValue) -> str:
        """Return the chosen options, in the options' order, with ` | ` between them."""
        chosen = {value} if isinstance(value, str) else set(value)  # type: ignore[arg-type]
        return MULTI_SEPARATOR.join(o for o in self.options if o in chosen) or NOTHING_CHOSEN

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the chosen options in the options' order; possibly none.

        Raises:
            ActionError: If a part of `text` is not an option.
        """
        if text.strip() == NOTHING_CHOSEN:
            return ()
        parts = [part.strip() for part in text.split(MULTI_SEPARATOR.strip())]
        chosen = {match_option(part, self.options) for part in parts}
        return tuple(option for option in self.options if option in chosen)


ActionSpace = Annotated[FreeText | Choice | Scale | Number | MultiChoice, Discriminator("kind")]
"""What a person could have done; distinguished by `kind`."""

_ADAPTER: TypeAdapter[FreeText | Choice | Scale | Number | MultiChoice] = TypeAdapter(ActionSpace)


def action_space(
    kind: str, options: tuple[str, ...] | None = None, **extra: object
) -> FreeText | Choice | Scale | Number | MultiChoice:
    """Make an action space from its name and options.

    Args:
        kind: One of `free_text`, `choice`, `scale`, `number`, `multi_choice`.
        options: The options of a closed space.
        **extra: `low`, `high`, `unit`, `integer` of a number.

    Returns:
        The action space.

    Raises:
        ActionError: If the name is unknown or the options do not fit.

    Example:
        >>> action_space("scale", ("low", "high")).parse("HIGH")
        'high'
    """
    values: dict[str, object] = {"kind": kind, **extra}
    if options:
        values["options"] = options
    try:
        return _ADAPTER.validate_python(values)
    except ValidationError as error:
        if kind not in get_args(ActionKind):
            known = ", ".join(get_args(ActionKind))
            raise ActionError(f"{kind!r} is not a kind of action; the kinds are {known}") from None
        if kind in _WITH_OPTIONS and not options:
            raise ActionError(f"a {kind} needs options") from None
        first = error.errors()[0]
        if first["type"] == "value_error":  # raised by the space itself, with the value
            raise ActionError(first["msg"].removeprefix("Value error, ")) from None
        # Named, not shown: a bound may have more digits than Python writes out.
        where = ".".join(str(part) for part in first["loc"] if part != kind)
        raise ActionError(f"{where!r} of a {kind}: {first['msg']}") from None


def as_options(options: object) -> tuple[str, ...]:
    """Return the options of a question, in order.

    Raises:
        ActionError: If they are a lone text, have no order, or one is not a text.

    Example:
        >>> as_options(["tea", "coffee"])
        ('tea', 'coffee')
    """
    if isinstance(options, str | bytes):
        raise ActionError(
            f"options must be a list of texts; got the text {options!r}",
            hint=f"pass a list of all options: options=[{options!r}, …]",
            cli_hint="repeat --option for every option",
        )
    if not isinstance(options, Iterable) or isinstance(options, Mapping | AbstractSet):
        raise ActionError(
            f"options must be a list of texts, in order; got {options!r}",
            hint='for example options=["tea", "coffee"]',
            cli_hint="repeat --option for every option",
        )
    found = tuple(cast("Iterable[object]", options))
    wrong = [one for one in found if not isinstance(one, str)]
    if wrong:
        raise ActionError(
            f"options must be texts; got {wrong[0]!r}",
            hint=f"write it as a text: {str(wrong[0])!r}",
        )
    return cast("tuple[str, ...]", found)


def asked_space(options: object, kind: str | None) -> ActionSpace:
    """Return the action space that a caller asks for by options, kind, or both.

    Args:
        options: Options of a closed question, in order; None if it has none.
        kind: Name of the space; None takes `choice` where options are given, else free text.

    Raises:
        ActionError: If they do not fit each other.

    Example:
        >>> asked_space(["low", "high"], "scale")
        Scale(options=('low', 'high'), kind='scale')
    """
    given = None if options is None else as_options(options)
    chosen = kind or ("free_text" if given is None else "choice")
    if given is not None and chosen in _OPEN:
        raise ActionError(
            f"answers of kind {chosen!r} have no options; got {list(given)!r}",
            hint=f"leave out options=, or choose a kind that has them: {_WITH_OPTIONS!r}",
            cli_hint=f"leave out --option, or choose a --kind that has them: {_WITH_OPTIONS!r}",
        )
    return action_space(chosen, given)


def _highest(options: Sequence[str], probabilities: Mapping[str, float]) -> list[str]:
    """Return the most probable options; rounding does not tell two apart."""
    top = max(probabilities.get(option, 0.0) for option in options)
    return [one for one in options if probabilities.get(one, 0.0) >= top * (1 - _ROUNDING)]


def _median_rank(shares: Sequence[float]) -> float:
    """Return the rank that half of the shares lie below; between two ranks their middle."""
    total = sum(shares)
    if not total:
        return (len(shares) - 1) / 2
    below = [part / total for part in accumulate(shares)]
    first = next(rank for rank, part in enumerate(below) if part >= 0.5 - _ROUNDING)
    last = next(rank for rank, part in enumerate(below) if part > 0.5 + _ROUNDING)
    return (first + last) / 2


def is_closed(space: ActionSpace) -> TypeGuard[Choice | Scale]:
    """Return whether `space` is a choice or a scale, whose options can all be scored."""
    return isinstance(space, Choice | Scale)
