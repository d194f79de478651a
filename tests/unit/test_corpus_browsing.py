"""Reading a store page by page: every row once, in both directions, whatever stands in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.people import person
from tests.fixtures.runs import PEOPLE, fill, simulator
from usersim import Corpus, Message
from usersim.corpus import Page
from usersim.errors import NotStoredError, UserNotFoundError


@pytest.fixture
def corpus() -> Iterator[Corpus]:
    """Seven people with awkward ids."""
    names = ["a", "A_b", "a%b", "b!", "ab", "zoë", "<b>"]
    with Corpus.open(":memory:") as opened:
        opened.add([row for name in names for row in person(name, 7)])
        yield opened


def _walk(read, column) -> tuple[list[object], list[object]]:  # type: ignore[no-untyped-def]
    """Walk a list to its end and back again; return what was seen each way."""
    forth: list[object] = []
    page: Page[object] = read()
    while True:
        forth += [column(one) for one in page.items]
        if page.after is None:
            break
        page = read(after=page.after)
    back = [column(one) for one in page.items]
    while page.before is not None:
        page = read(before=page.before)
        back = [column(one) for one in page.items] + back
    return forth, back


@pytest.mark.parametrize("limit", [1, 3, 7, 50])
def test_pages_show_every_person_once_in_both_directions(corpus: Corpus, limit: int) -> None:
    """Forward and backward give the same people, each once, in order."""
    names = sorted(one.user_id for one in corpus.users())
    forth, back = _walk(
        lambda **at: corpus.browse.people(limit=limit, **at), lambda one: one.user_id
    )
    assert forth == names
    assert back == names


def test_a_person_has_the_numbers_of_what_they_did(corpus: Corpus) -> None:
    """The list tells interactions of the page's people, and answers simulated for them."""
    rows = corpus.browse.people().items
    assert {one.interactions for one in rows} == {7}
    assert {one.answers for one in rows} == {0}


@pytest.mark.parametrize(
    ("search", "found"),
    [("A", {"a", "A_b", "a%b", "ab"}), ("%", {"a%b"}), ("_", {"A_b"}), ("!", {"b!"}), ("q", set())],
)
def test_a_search_takes_every_character_as_it_is(
    corpus: Corpus, search: str, found: set[str]
) -> None:
    """Wildcards of the database are plain characters, and case does not count."""
    assert {one.user_id for one in corpus.browse.people(search=search).items} == found


def test_pages_of_interactions_follow_the_positions(corpus: Corpus) -> None:
    """A person's interactions come by position, and nobody else's among them."""
    forth, back = _walk(
        lambda **at: corpus.browse.interactions("a%b", limit=3, **at), lambda one: one.position
    )
    assert forth == back == list(range(7))
    with pytest.raises(UserNotFoundError, match="'nobody'"):
        corpus.browse.interactions("nobody")


def test_what_somebody_did_in_a_context_is_found(corpus: Corpus) -> None:
    """The same messages find the interaction; another name on them does not."""
    (row,) = corpus.browse.interactions("ab", limit=1).items
    assert [one.key for one in corpus.browse.acts_in("ab", row.context)] == [row.key]
    renamed = [Message(row.context[0].content, name="someone")]
    assert corpus.browse.acts_in("ab", renamed) == []


def test_a_run_is_read_with_answers_and_failures(tmp_path: Path) -> None:
    """Each item has its place, its state and, where it was answered, the answer's row id."""
    store = tmp_path / "p.db"
    fill(store)
    with simulator(store) as sim:
        run = sim.run([(PEOPLE[i % 4], f"Question {i}?") for i in range(9)], name="r")
        browse = sim.corpus.browse
        forth, back = _walk(
            lambda **at: browse.items(run.id, limit=4, **at), lambda one: one.item.place
        )
        assert forth == back == list(range(9))
        item = browse.items(run.id, after=4, limit=1).items[0]
        assert item.state == "done"
        assert item.answer_id is not None
        stored = browse.answer(item.answer_id)
        assert (stored.run, stored.item) == ("r", item.item)
        assert stored.response.user_id == item.item.request.user_id
        (same,) = browse.answers_to(PEOPLE[1], [Message("Question 5?")])
        assert same.id == item.answer_id
        forth, back = _walk(lambda **at: browse.answers("ada", limit=2, **at), lambda one: one.id)
        assert len(forth) == 3
        assert forth == back == sorted(forth, reverse=True), "the newest answer comes first"
        counts = browse.counts()
    assert (counts.people, counts.runs, counts.answers) == (4, 1, 9)


def test_an_answer_that_is_not_there_says_so(corpus: Corpus) -> None:
    """An unknown row id is an error that names it."""
    with pytest.raises(NotStoredError, match="no answer 17"):
        corpus.browse.answer(17)
    with pytest.raises(NotStoredError, match="'abc'"):
        corpus.interaction("abc")
