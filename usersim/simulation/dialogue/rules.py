"""When a dialogue ends: each rule by itself, from the turns and nothing else."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from itertools import takewhile

from usersim.simulation.answer import Answer
from usersim.simulation.dialogue.patience import Patience, folded
from usersim.simulation.dialogue.record import Stop
from usersim.simulation.dialogue.roles import DONE, GIVES_UP, Marks
from usersim.simulation.dialogue.turns import Turn, said_before
from usersim.simulation.reasoning import derive_seed
from usersim.types.counting import counted

__all__ = ["Reached", "asked", "limit", "out_of_patience", "repetition", "said"]

Reached = Callable[[Sequence[Turn]], bool]
"""A caller's test of whether the goal is reached, on all turns so far."""


def said(text: str, marks: Marks) -> tuple[str, Stop | None]:
    """Return a message without its marks, and the end that one of them announces.

    Case and the white space around a mark do not count. If both stand there, the last counts.

    Example:
        >>> said("That's it, thanks. [Done]", Marks("[done]", "[give up]"))
        ("That's it, thanks.", Stop(reason='done', detail='[Done]'))
    """
    pattern = re.compile(rf"\s*({re.escape(marks.done)}|{re.escape(marks.give_up)})", re.IGNORECASE)
    found = [match.group(1) for match in pattern.finditer(text)]
    if not found:
        return text, None
    done = found[-1].casefold() == marks.done.casefold()
    return pattern.sub("", text).strip(), Stop(
        reason="done" if done else "gave_up", detail=found[-1]
    )


def asked(answer: Answer) -> Stop | None:
    """Return the end that the answer to the question of going on means."""
    share = answer.probabilities.get(str(answer.action), 1.0)
    if answer.action == DONE:
        return Stop(reason="done", detail=f"asked; p = {share:.2f}")
    if answer.action == GIVES_UP:
        return Stop(reason="gave_up", detail=f"asked; p = {share:.2f}")
    return None


def repetition(turns: Sequence[Turn], repeats: int) -> Stop | None:
    """Return the end of a person who says the same more than `repeats` times in a row."""
    own = said_before(turns, "user")
    if not own:
        return None
    last = folded(own[-1])
    run = sum(1 for _ in takewhile(lambda text: folded(text) == last, reversed(own)))
    if run <= repeats:
        return None
    return Stop(reason="repetition", detail=f"{run} times in a row")


def out_of_patience(patience: Patience, turn: int, seed: int) -> Stop | None:
    """Return the end of a person who leaves after `turn` turns, drawn by `seed`."""
    hazard = patience.hazard(turn)
    stream = random.Random(derive_seed(seed, "patience", turn))  # noqa: S311 - not a secret
    if stream.random() >= hazard:
        return None
    return Stop(reason="patience", detail=f"p = {hazard:.2f} after turn {turn}; {patience}")


def limit(turn: int, most: int) -> Stop | None:
    """Return the end of a dialogue in which the person had all their turns."""
    return Stop(reason="limit", detail=counted(turn, "turn")) if turn >= most else None
