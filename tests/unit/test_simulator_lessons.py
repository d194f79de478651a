"""Which people and which of their answers a training learns from, and what it holds out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tests.fixtures.lessons import closed
from tests.fixtures.people import person
from usersim import Corpus
from usersim.config import HistoryConfig, TrainingConfig
from usersim.simulator.history import Histories
from usersim.simulator.lessons import held_out_people, person_lessons, shown_when_asked

CONFIG = TrainingConfig(validation_share=0.2, validation_people=0.1)


def rows(people: int, each: int = 10):
    """Return the answers of some people, one after the other."""
    return [one for n in range(people) for one in closed(f"p{n}", each)]


@dataclass
class _Manifest:
    learned_from: tuple[str, ...]
    held: tuple[str, ...]


@dataclass
class _Adapter:
    manifest: _Manifest


def test_the_newest_answers_of_each_person_are_held_out():
    """A share of each person's, rounded; one with few gives none; nothing else is left out."""
    found = person_lessons([*rows(2), *closed("few", 2)], {}, CONFIG, ordered={"p0"})
    assert [one.user_id for one in found] == ["p0", "p1", "few"]
    assert [len(one.interactions) for one in found] == [10, 10, 2]
    assert found[0].held == {"p0-8", "p0-9"}
    assert found[2].held == frozenset()
    assert [one.ordered for one in found] == [True, False, False]


def test_of_ten_people_or_more_some_are_held_out_as_a_whole():
    """Chosen by their ids alone, so that it does not matter in which order they come."""
    assert not any(len(one.held) == 10 for one in person_lessons(rows(9), {}, CONFIG, ordered=()))
    found = person_lessons(rows(30), {}, CONFIG, ordered=())
    whole = {one.user_id for one in found if len(one.held) == 10}
    users = [f"p{n}" for n in range(30)]
    assert len(whole) == 3
    assert whole == held_out_people(users, 0.1) == held_out_people(users[::-1], 0.1)
    none = TrainingConfig(validation_share=0.0, validation_people=0.0)
    assert not any(one.held for one in person_lessons(rows(30), {}, none, ordered=()))


def test_only_traces_that_exist_are_taken_over():
    """An empty trace is none."""
    (found,) = person_lessons(closed("ada", 3), {"ada-0": "Late.", "ada-1": ""}, CONFIG, ordered=())
    assert found.reasonings == {"ada-0": "Late."}


def test_what_the_shared_adapter_held_out_of_a_person_stays_held_out():
    """The newest might be what it learned from; whom it did not learn from is held out afresh."""
    start = _Adapter(_Manifest(learned_from=("p0", "p2"), held=("p0-3", "p0-4", "p1-0", "x")))
    found = person_lessons(rows(3), {}, CONFIG, ordered=(), start=start)
    assert found[0].held == {"p0-3", "p0-4"}
    assert found[1].held == {"p1-8", "p1-9"}
    assert found[2].held == {"p2-8", "p2-9"}


@pytest.mark.parametrize("share", [0.2, 0.0])
def test_what_is_held_out_is_measured_as_respond_would_ask_it(share: float):
    """As if the corpus ended where the learning does: recent rows, evidence, nothing held out.

    Of a person who is held out as a whole (share 0) the first half is what is known.
    """
    with Corpus.open(":memory:") as corpus:
        corpus.add(person("ada", 50))
        rows = list(corpus.interactions(["ada"], split="train"))
        histories = Histories(corpus, HistoryConfig(recent=4, evidence=2))
        (made,) = person_lessons(rows, {}, TrainingConfig(validation_share=share), ordered={"ada"})
        if not share:
            made = replace(made, held=frozenset(one.key for one in rows))
        asked = [one for one in rows if one.key in made.held][-5:]
        known = rows[: len(rows) - len(made.held)] or rows[: len(rows) // 2]
        end = known[-1].position + 1
        for one in asked:
            shown = shown_when_asked(histories, made, one)
            assert shown == histories.of("ada", one.question, before=end)
            assert {past.key for past in shown} <= {past.key for past in known}
            assert known[-1] in shown
            assert len(shown) >= 4
