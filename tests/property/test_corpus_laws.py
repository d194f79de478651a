"""Laws of the corpus: identity, export and import, the split."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from usersim.corpus import Corpus
from usersim.corpus.store.split import Row, place
from usersim.corpus.store.values import CUT_MARK, clean_text, shortened

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).filter(
    str.strip
)
ANY_TEXT = st.text(st.characters(), max_size=20)  # lone surrogates and NUL included
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system"]), "content": TEXT},
    optional={"name": TEXT},
)
SPACE = st.sampled_from(
    [
        {"action": "yes", "options": ["no", "yes"]},
        {"action": "no", "options": ["no", "yes"], "action_type": "scale"},
        {"action": ["b"], "options": ["a", "b"]},
        {"action": [], "options": ["a", "b"], "action_type": "multi_choice"},
        {"action": 2.5, "low": 0, "high": 10, "unit": "kg", "action_type": "number"},
        {"action": -7},
        {"action": "free words"},
    ]
)
ROW = st.builds(
    lambda base, space: {**base, **space},
    st.fixed_dictionaries(
        {"user_id": st.sampled_from("abc"), "context": st.lists(MESSAGE, min_size=1, max_size=3)},
        optional={
            "timestamp": st.datetimes().map(lambda time: time.isoformat()),
            "order": st.integers(0, 50),
            "id": st.text("xyz", min_size=1, max_size=3),
            "conversation_id": st.text("uvw", min_size=1, max_size=2),
            "metadata": st.dictionaries(TEXT, st.integers() | ANY_TEXT, max_size=2),
            "mood": TEXT,
        },
    ),
    SPACE,
)
PLACES = st.lists(
    st.tuples(
        st.none() | st.sampled_from("uvwxyz"),
        st.none() | st.floats(0, 10),
        st.none() | st.integers(0, 5),
    ),
    max_size=40,
)


def content(corpus):
    """Everything that a reader sees, in order."""
    return list(corpus.interactions())


@settings(max_examples=15)
@given(st.lists(ROW, max_size=12), st.integers(0, 12))
def test_loading_twice_or_in_parts_is_loading_once(rows, cut):
    """The same rows add nothing, and a longer version adds what is new."""
    with Corpus.open(":memory:") as once, Corpus.open(":memory:") as parts:
        report = once.add(rows)
        assert len(report.refused) == 0, str(report)
        assert once.add(rows).kept == 0
        parts.add(rows[:cut])
        parts.add(rows)
        assert content(parts) == content(once)


@settings(max_examples=15)
@given(st.lists(ROW, max_size=12))
def test_export_then_import_is_the_identity(tmp_path_factory, rows):
    """A file that `export` wrote gives an equal corpus with equal keys and places."""
    path = tmp_path_factory.mktemp("export") / "rows.jsonl"
    with Corpus.open(":memory:") as first, Corpus.open(":memory:") as second:
        first.add(rows)
        if first.export(path):
            assert len(second.add(path).refused) == 0
        assert sorted(map(repr, content(second))) == sorted(map(repr, content(first)))
        assert first.digest() == second.digest()


@given(PLACES)
def test_the_split_is_exhaustive_and_keeps_conversations_whole(items):
    """Every row has one place, both parts are used, and no conversation is cut."""
    rows = [Row(arrival, *item) for arrival, item in enumerate(items)]
    places = place(rows)
    assert sorted(spot.arrival for spot in places) == list(range(len(rows)))
    assert [spot.position for spot in places] == list(range(len(rows)))
    parts: dict[object, set[str]] = {}
    for spot in places:
        talk = rows[spot.arrival].conversation or ("alone", spot.arrival)
        parts.setdefault(talk, set()).add(spot.split)
    assert all(len(found) == 1 for found in parts.values())
    expected = {"train", "held_out"} if len(parts) > 1 else {"train"} if parts else set()
    assert {spot.split for spot in places} == expected


@given(PLACES, st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order_of_rows(items, rng):
    """Shuffled input has the same places."""
    rows = [Row(arrival, *item) for arrival, item in enumerate(items)]
    shuffled = list(rows)
    rng.shuffle(shuffled)
    assert place(shuffled) == place(rows)


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_the_split_does_not_depend_on_load_order_or_other_users(seed, count):
    """With an order in the source, shuffled rows and other people change no place."""
    mine = [
        {
            "user_id": "a",
            "order": i,
            "context": "c",
            "action": f"x{i}",
            "conversation_id": f"{i // 3}",
        }
        for i in range(count)
    ]
    others = [{**row, "user_id": "b", "action": "other"} for row in mine]
    mixed = mine + others
    random.Random(seed).shuffle(mixed)
    with Corpus.open(":memory:") as alone, Corpus.open(":memory:") as crowd:
        alone.add(mine)
        crowd.add(mixed)
        assert list(crowd.interactions(["a"])) == content(alone)


@given(ANY_TEXT)
def test_clean_text_can_be_stored_and_is_stable(text):
    """The result is UTF-8 without NUL, and cleaning it again changes nothing."""
    cleaned = clean_text(text)
    assert "\x00" not in cleaned.encode().decode()
    assert clean_text(cleaned) is cleaned


@given(st.text(min_size=200), st.integers(100, 150))
def test_a_shortened_text_has_the_length_and_both_ends(text, limit):
    """So that it is never shortened again."""
    short = shortened(text, limit)
    assert len(short) == limit
    head, _, tail = short.partition(CUT_MARK)
    assert text.startswith(head)
    assert text.endswith(tail)
