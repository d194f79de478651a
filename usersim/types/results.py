"""Results of work on many items: one item's failure is data, not the end of the batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar, overload, runtime_checkable

from usersim.errors import UsersimError
from usersim.types.counting import counted
from usersim.types.interactions import Interaction
from usersim.views import Cell, Sheet, printed, shortened

__all__ = ["Batch", "Failure", "PersonLesson", "Prediction", "TrainingExample"]

T = TypeVar("T")

_SHOWN = 20
"""Items that a printed batch shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One item that could not be done.

    Attributes:
        index: Place of the item in what was asked.
        item: Key or short form of the item.
        error: Class name of the error.
        message: What happened.
        text: The text that could not be used, whole.

    Example:
        >>> failure = Failure(index=3, item="k1", error="ContextLengthError", message="too long")
        >>> f"{failure.index}: {failure.error}"
        '3: ContextLengthError'
    """

    index: int
    item: str
    error: str
    message: str
    text: str = ""


@runtime_checkable
class _Listed(Protocol):
    """An item that says what stands of it in a list."""

    def cells(self) -> Mapping[str, Cell]: ...


def _listing(batch: Batch[object]) -> Sheet:
    failed = {one.index: one for one in batch.failures}
    told = [_cells(item) for item in batch.items[:_SHOWN]]
    heads = next((list(cells) for cells in told if cells), ["item"])
    rows = [
        (place, *cells.values())
        if cells
        else (place, f"failed: {_reason(failed.get(place))}", *[""] * (len(heads) - 1))
        for place, cells in enumerate(told)
    ]
    more = len(batch.items) - len(rows)
    notes = [f"{len(batch.items)} asked, {len(batch.failures)} failed"]
    if more:
        notes.insert(0, f"… and {more} more")
    return Sheet(columns=("#", *heads), rows=rows, notes=notes)


def _cells(item: object) -> Mapping[str, Cell]:
    if item is None:
        return {}
    return item.cells() if isinstance(item, _Listed) else {"item": shortened(str(item))}


def _reason(failure: Failure | None) -> str:
    return shortened(failure.message) if failure else "not processed"


@printed(_listing)
@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Items that were done, in the order asked, and those that were not.

    Iterating yields the items that were done; `batch[3]` is the item that was asked fourth.

    Attributes:
        items: One entry per item asked; None where it failed.
        failures: The failed ones.

    Example:
        >>> batch = Batch(("tea", None), (Failure(index=1, item="b", error="E", message="cut"),))
        >>> batch[0], list(batch), len(batch)
        ('tea', ['tea'], 2)
        >>> print(batch)
        #  item
        0  tea
        1  failed: cut
        2 asked, 1 failed
    """

    items: tuple[T | None, ...]
    failures: tuple[Failure, ...] = ()

    def __iter__(self) -> Iterator[T]:
        """Iterate over the items that were done."""
        return (item for item in self.items if item is not None)

    def __len__(self) -> int:
        """Return how many items were asked."""
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Batch[T]: ...
    def __getitem__(self, index: int | slice) -> T | Batch[T]:
        """Return the item at a place as asked, or the batch of a slice.

        Raises:
            IndexError: If there is no such place.
            UsersimError: If the item failed; the text that could not be used is in its notes.
        """
        if isinstance(index, slice):
            places = {place: new for new, place in enumerate(range(len(self.items))[index])}
            failures = [one for one in self.failures if one.index in places]
            return Batch(
                self.items[index],
                tuple(replace(one, index=places[one.index]) for one in failures),
            )
        item = self.items[index]
        if item is None:
            place = range(len(self.items))[index]
            error = _lost(next((one for one in self.failures if one.index == place), None))
            raise error
        return item

    def __repr__(self) -> str:
        """Say how many were asked and how many failed."""
        return f"Batch({counted(len(self.items), 'item')}, {len(self.failures)} failed)"


def _lost(failure: Failure | None) -> UsersimError:
    """Return the error of an item that failed."""
    if failure is None:
        return UsersimError("this item was not processed")
    error = UsersimError(failure.message)
    if failure.text:
        error.add_note(f"the draw was:\n{failure.text}")
    return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What some system predicts for one held-out question; the evaluation's input.

    Attributes:
        action: The predicted action; None if the system failed to answer.
        probabilities: Probability per option for closed questions; empty otherwise.
        log_likelihood: log p(true action), nats for the whole action, reasoning marginalized;
            None where the system does not report it.
        n_tokens: Action tokens behind `log_likelihood`, the end token included.
        detail: Whatever else is worth keeping (reasoning, seeds).

    Example:
        >>> one = Prediction(action="yes", probabilities={"yes": 0.8, "no": 0.2})
        >>> one.probabilities[one.action], one.log_likelihood
        (0.8, None)
    """

    action: str | None
    probabilities: Mapping[str, float] = field(default_factory=dict[str, float])
    log_likelihood: float | None = None
    n_tokens: int = 0
    detail: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLesson:
    """What a user model learns from one person: all of their interactions together.

    Attributes:
        user_id: Who.
        interactions: What they did, oldest first.
        reasonings: A trace by interaction key; none where there is none.
        after: Whether the traces are learned after the action, in a turn of their own, and the
            action without them. A control: the default puts them before it.
        held: Keys of interactions that only measure the training, and stand in no prompt that
            is learned from.
        ordered: Whether the order means anything; if not, it is another one in each epoch.
        profile: What is known of the person, shown first.

    Example:
        >>> from usersim.types import FreeText, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Always.", space=FreeText(), conversation="c")
        >>> lesson = PersonLesson(user_id="ada", interactions=(tea,),
        ...                       reasonings={"k": "I like tea."}, held=frozenset())
        >>> lesson.reasonings[lesson.interactions[0].key]
        'I like tea.'
    """

    user_id: str
    interactions: tuple[Interaction, ...]
    reasonings: Mapping[str, str] = field(default_factory=dict[str, str])
    held: frozenset[str] = frozenset()
    ordered: bool = True
    profile: str | None = None
    after: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingExample:
    """One (prompt, reasoning, action) for the user model.

    Attributes:
        key: The interaction's key.
        user_id: Whose it is.
        messages: The rendered prompt as (role, content) pairs.
        reasoning: Text that stands between; empty trains without reasoning.
        action: Text form of the action.
        options: Of a closed question, all options: the loss is normalized over them.
        after: Whether the reasoning is learned after the action, in a turn of its own.
    """

    key: str
    user_id: str
    messages: tuple[tuple[str, str], ...]
    reasoning: str
    action: str
    options: tuple[str, ...] = ()
    after: bool = False
