"""Nobody's rows under another name: loads, readers and runs held while people are forgotten.

Each test plays two clients of one store, step by step: what one of them holds across its
transactions, the other pulls away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import islice

import pytest

from usersim.corpus import Corpus, Response, loading
from usersim.corpus.runs import runs as run_module
from usersim.corpus.store import reading, writer
from usersim.errors import NotStoredError, UserForgottenError, UserNotFoundError
from usersim.types import Candidate, Selection

Rows = Iterator[Mapping[str, object]]


def row(user: str, index: int = 0) -> dict[str, object]:
    """A row that says whose it is in every text."""
    return {
        "user_id": user,
        "order": index,
        "context": f"{user} is asked {index}?",
        "action": f"{user} says {index}",
        "conversation_id": f"talk {index // 4}",
    }


def rows(user: str, count: int) -> list[dict[str, object]]:
    """Rows of one user."""
    return [row(user, index) for index in range(count)]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request, tmp_path) -> str:
    """A store of each kind; batches and pages of four rows."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres")
    return str(tmp_path / "c.db")


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch) -> None:
    monkeypatch.setattr(loading, "_BATCH_ROWS", 4)
    monkeypatch.setattr(reading, "_PAGE", 4)
    monkeypatch.setattr(run_module, "_STORED_AT_ONCE", 4)


@contextmanager
def two(store: str) -> Iterator[tuple[Corpus, Corpus]]:
    """Two clients of one store."""
    with Corpus.open(store) as one, Corpus.open(store) as other:
        yield one, other


def check_names(corpus: Corpus) -> dict[str, int]:
    """Check that every row stands under the name that its texts give; return their counts."""
    counts: dict[str, int] = {}
    for item in corpus.interactions():
        assert item.action_text.startswith(f"{item.user_id} says"), item
        assert item.context[0].content.startswith(f"{item.user_id} is asked"), item
        counts[item.user_id] = counts.get(item.user_id, 0) + 1
    for run in corpus.runs.all():
        for item in corpus.browse.items(run.id, limit=1_000).items:
            assert item.item.request.user_id in item.item.request.question.context[0].content
    return counts


# Loading


def interrupted(user: str, step) -> Rows:
    """Rows of a user; another client acts in the middle."""
    yield from islice(iter(rows(user, 12)), 6)
    step()
    yield from rows(user, 12)[6:]


@pytest.mark.parametrize("back", [False, True], ids=["forgotten", "and loaded again"])
def test_a_load_stops_where_its_person_was_forgotten(store, back) -> None:
    """Forgetting and loading another person in between: no row of one stands under the other."""
    with two(store) as (one, other):
        one.add(rows("zoe", 3))

        def forget() -> None:
            other.forget("victim")
            other.add(rows("other", 3))
            if back:
                other.add(rows("victim", 2))

        with pytest.raises(UserForgottenError, match="'victim'") as caught:
            one.add(interrupted("victim", forget))
        assert caught.value.user_ids == ("victim",)
        expected = {"other": 3, "zoe": 3} | ({"victim": 2} if back else {})
        assert check_names(other) == expected
        assert one.add(rows("victim", 12)).kept == 12 - (2 if back else 0)


def test_a_load_remembers_whom_it_met_however_many_people_came_since(store, monkeypatch) -> None:
    """A person who left the cache, and was then forgotten, is not made anew."""
    monkeypatch.setattr(writer, "_CACHED", 2)
    crowd = [row(f"u{index}") for index in range(40)]

    with two(store) as (one, other):

        def source() -> Rows:
            yield from rows("victim", 4)
            yield from crowd
            other.forget("victim")
            yield from rows("victim", 12)[4:]

        with pytest.raises(UserForgottenError, match="'victim'"):
            one.add(source())
        assert set(check_names(other)) == {one["user_id"] for one in crowd}


def test_others_of_a_load_are_kept_when_one_is_forgotten(store) -> None:
    """Batches before the error stay; the same load again, without the person, adds the rest."""
    with two(store) as (one, other):

        def source() -> Rows:
            yield from rows("ada", 8)
            yield from rows("victim", 4)
            other.forget("victim")
            yield from rows("ada", 12)[8:]
            yield from rows("victim", 8)[4:]

        with pytest.raises(UserForgottenError):
            one.add(source())
        assert check_names(other) == {"ada": 12}


def test_a_strict_load_keeps_others_waiting_and_its_people(store) -> None:
    """One transaction: nobody can be forgotten in the middle of it, so it ends well."""
    with Corpus.open(store) as one:
        assert one.add(rows("ada", 12), strict=True).kept == 12


# Reading


@pytest.mark.parametrize("back", [False, True], ids=["forgotten", "and loaded again"])
@pytest.mark.parametrize("whom", [["ada"], None], ids=["one", "everybody"])
def test_a_reader_stops_where_its_person_was_forgotten(store, back, whom) -> None:
    """No row of another, and no end in silence: a typed error that names the person."""
    with two(store) as (one, other):
        one.add(rows("ada", 10))
        with closing(one.interactions(whom)) as reader:
            seen = [item.user_id for item in islice(reader, 6)]
            other.forget("ada")
            other.add(rows("carl", 10))
            if back:
                other.add(rows("ada", 10))
            with pytest.raises(UserForgottenError, match="'ada'"):
                seen += [item.user_id for item in reader]
        assert set(seen) == {"ada"}


def test_reading_everybody_passes_over_whoever_was_forgotten_before_their_turn(store) -> None:
    """What was not begun cannot be half: the others come, as if read after the forgetting."""
    with two(store) as (one, other):
        one.add([*rows("ada", 5), *rows("bob", 5), *rows("cy", 5)])
        with closing(one.interactions()) as reader:
            first = next(reader)
            other.forget("bob")
            other.add(rows("dora", 5))
            seen = {first.user_id, *(item.user_id for item in reader)}
        assert seen == {"ada", "cy"}
        assert one.digest() == other.digest()


def test_reading_whoever_is_unknown_is_not_forgetting(store) -> None:
    """A name that the store does not know stays an unknown user."""
    with Corpus.open(store) as one:
        one.add(rows("ada", 2))
        with pytest.raises(UserNotFoundError) as caught:
            list(one.interactions(["adda"]))
        assert not isinstance(caught.value, UserForgottenError)
        assert issubclass(UserForgottenError, UserNotFoundError)


# Runs


def requests(corpus: Corpus, *names: str):
    """Questions in turn to these people, ready to be stored."""
    asked = [
        {"user_id": names[at % len(names)], "context": f"{names[at % len(names)]} is asked {at}?"}
        for at in range(12)
    ]
    return corpus.requests(asked).lines()


@pytest.mark.parametrize("back", [False, True], ids=["forgotten", "and loaded again"])
def test_a_runs_items_of_a_forgotten_person_are_counted_and_the_run_ends(store, back) -> None:
    """Forgotten while the items are stored: none stands under another name, none stays open."""
    with two(store) as (one, other):
        one.add([*rows("ada", 2), *rows("victim", 2)])
        run = one.runs.begin("r", "f", {})

        def forget(_stage: str, done: int, _total: int | None) -> None:
            if done == 4:
                other.forget("victim")
                other.add(rows("other", 2))
                if back:
                    other.add(rows("victim", 2))

        one.runs.fill(run.id, requests(one, "ada", "victim"), progress=forget)
        check_names(other)
        status = other.runs.find("r").status
        assert (status.left, status.forgotten, status.total) == (6, 6, 12)
        claimed = other.runs.claim(run.id, "me", limit=99, seconds=9)
        assert {item.request.user_id for item in claimed} == {"ada"}


def test_answers_to_items_of_a_forgotten_person_are_not_stored(store) -> None:
    """Forgotten, and another loaded, between claim and answer: the answer finds no item."""
    with two(store) as (one, other):
        one.add([*rows("ada", 2), *rows("victim", 2)])
        run = one.runs.begin("r", "f", {})
        one.runs.fill(run.id, requests(one, "ada", "victim"))
        claimed = one.runs.claim(run.id, "me", limit=99, seconds=9)
        other.forget("victim")
        other.add([*rows("other", 2), *rows("victim", 2)])
        done = {
            item.place: Response(
                user_id=item.request.user_id, question_key="q", record={"by": item.request.user_id}
            )
            for item in claimed
        }
        assert one.runs.finish(run.id, "me", done) == 6
        assert {row.item.request.user_id for row in other.runs.answers(run.id)} == {"ada"}
        assert {answer.user_id for answer in other.ledger.responses()} == {"ada"}
        assert str(other.runs.status(run.id)) == "6 done, 0 failed, 0 left, 6 forgotten of 12"


# Traces and answers


def drawn(item, **fields):
    """A candidate for an interaction."""
    return Candidate(
        interaction_key=item.key,
        direction="forward",
        draw=0,
        reasoning=f"{item.user_id} thinks so.",
        complete=True,
        model="m",
        prompt_id="p",
        seed=1,
        **fields,
    )


def test_traces_of_a_forgotten_person_are_refused_by_name(store) -> None:
    """The interactions that they were drawn for are gone, whoever has their row ids now."""
    with two(store) as (one, other):
        one.add([*rows("ada", 2), *rows("victim", 2)])
        items = list(one.interactions())
        other.forget("victim")
        other.add(rows("other", 2))
        with pytest.raises(UserForgottenError, match="'victim'"):
            one.ledger.put_candidates("s", [drawn(item) for item in items], of=items)
        with pytest.raises(UserForgottenError, match="'victim'"):
            one.ledger.put_selections(
                "s",
                [Selection(interaction_key=item.key, kept=None, reason="r") for item in items],
                of=items,
            )
        with pytest.raises(NotStoredError, match=items[-1].key):
            one.ledger.put_candidates("s", [drawn(items[-1])])
        assert other.ledger.candidates("s", [item.key for item in items]) == {}
        one.ledger.put_candidates("s", [drawn(items[0])], of=items)


def test_an_answer_made_from_forgotten_interactions_is_refused(store) -> None:
    """Also where the person was loaded again since, with other interactions."""
    with two(store) as (one, other):
        one.add([*rows("ada", 2), *rows("victim", 2)])
        (shown, _) = one.interactions(["victim"])
        (kept, _) = one.interactions(["ada"])
        answers = [
            Response(user_id="victim", question_key="q", record={}, shown=(shown.key,)),
            Response(user_id="ada", question_key="q", record={}, shown=(kept.key,)),
        ]
        other.forget("victim")
        other.add([row("victim", 9)])
        with pytest.raises(UserForgottenError, match="'victim'"):
            one.ledger.put_responses(answers)
        assert list(other.ledger.responses()) == []
        one.ledger.put_responses(answers[1:])
        assert [answer.user_id for answer in other.ledger.responses()] == ["ada"]
