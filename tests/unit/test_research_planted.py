"""Planted users: rows, rules, balance, and whether traces name the planted reason."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest

from tests.fixtures.people import engine
from usersim import Corpus, UserSimulator
from usersim.config import HistoryConfig
from usersim.errors import EvaluationError
from usersim.research import (
    PlantedFacts,
    PlantedPopulation,
    PlantedRule,
    PlantedSituation,
    names_other,
    names_reason,
    naming_rate,
    planted_users,
)
from usersim.research.planted.users import _design
from usersim.research.planted.words import (
    ATTRIBUTES,
    CIRCUMSTANCES,
    CLOSINGS,
    DOMAINS,
    NAMES,
    OPENINGS,
    SYNONYMS,
    named_attributes,
)
from usersim.simulator.history import profile_of

FLIPPING = PlantedRule(attribute="price", circumstance="gift", flipped="guarantee")
OWN = PlantedSituation(circumstance="own", best={})
GIFT = PlantedSituation(circumstance="gift", best={})


@pytest.fixture(scope="module")
def people() -> PlantedPopulation:
    """Twenty people without noise, so that whatever is left is their rules."""
    return planted_users(users=20, interactions=54, noise=0)


def explained(people: PlantedPopulation, facts: PlantedFacts) -> float:
    """Return the share of the rows that `facts` explain."""
    return sum(map(facts.explains, people.rows)) / len(people.rows)


# ---------------------------------------------------------------------- rows


def test_equal_arguments_make_equal_people() -> None:
    """Rows and facts depend on the arguments alone, and on every one of them."""
    first = planted_users(users=3, interactions=9, seed=4)
    assert first == planted_users(users=3, interactions=9, seed=4)
    assert first.rows != planted_users(users=3, interactions=9, seed=5).rows
    assert first.facts.users != planted_users(users=3, interactions=9, seed=5).facts.users
    assert planted_users(users=6, interactions=9, seed=4).rows[: len(first.rows)] == first.rows


def test_rows_are_marked_and_carry_no_fact(people: PlantedPopulation) -> None:
    """Every row says that it is synthetic, and its metadata hold a number and nothing else."""
    for row in people.rows:
        assert row["metadata"] == {"synthetic": True, "planted_row": row["order"]}
        assert str(row["user_id"]).startswith("planted-")
        assert row["timestamp"] is None


def test_rows_load_without_refusals(people: PlantedPopulation) -> None:
    """A corpus takes every row as it stands, and finds the same facts for what it returns."""
    with Corpus.open(":memory:") as corpus:
        report = corpus.add(list(people.rows), strict=True)
        assert len(report.refused) == 0
        loaded = list(corpus.interactions())
        assert len(loaded) == len(people.rows)
        assert all(map(people.facts.explains, loaded))
        assert {i.space.kind for i in loaded} == {"choice", "free_text"}
        for user in corpus.users():
            assert user.held_out > 0


def test_no_model_is_shown_a_rule(people: PlantedPopulation) -> None:
    """Neither the profile that prompts begin with nor a question holds any fact."""
    with UserSimulator.from_corpus(list(people.rows), engine=engine(), strict=True) as sim:
        assert len(sim.users) == 20
    with Corpus.open(":memory:") as corpus:
        corpus.add(list(people.rows))
        for user in people.facts.users:
            assert profile_of(list(corpus.interactions([user.user_id]))) is None


def test_a_context_is_shown_whole_in_a_history() -> None:
    """No context is longer than what a prompt shows of a past one, so no offer is cut off."""
    rows = planted_users(users=40, interactions=100).rows
    longest = max(len(row["context"][0]["content"]) for row in rows)  # type: ignore[index]
    assert longest <= HistoryConfig().max_item_chars


def test_a_context_states_every_attribute_once_for_each_offer() -> None:
    """Every wording of every domain is recognized as its own attribute and as no other."""
    for domain in DOMAINS:
        assert set(domain.wording) == set(domain.values) == set(ATTRIBUTES)
        assert named_attributes(domain.thing) == frozenset()
        for attribute, wording in domain.wording.items():
            assert named_attributes(wording.format(3)) == {attribute}
            assert len(set(domain.values[attribute])) == 5


def test_no_answer_says_why() -> None:
    """Occasions, names and what people say name no attribute, and no name holds another."""
    for text in (*CIRCUMSTANCES.values(), *NAMES, *OPENINGS, *CLOSINGS):
        assert named_attributes(text) == frozenset(), text
    assert not any(a in b or b in a for a, b in combinations(NAMES, 2))


# ---------------------------------------------------------------------- rules


def test_without_noise_the_rule_explains_every_row(people: PlantedPopulation) -> None:
    """With noise 0 each choice and each sentence takes the offer that the rule says."""
    assert explained(people, people.facts) == 1
    kinds = Counter(row["action_type"] for row in people.rows)
    assert kinds == {"choice": 820, "free_text": 260}


def test_a_mutated_rule_is_caught(people: PlantedPopulation) -> None:
    """Whichever other attribute is put in a rule's place explains no more than chance."""
    for wrong in ATTRIBUTES:
        users = tuple(
            replace(user, rule=PlantedRule(attribute=wrong))
            for user in people.facts.users
            if user.rule.flipped is None and user.rule.attribute != wrong
        )
        ids = {user.user_id for user in users}
        own = [row for row in people.rows if row["user_id"] in ids]
        facts = PlantedFacts(users, people.facts.situations)
        assert 0.3 < sum(map(facts.explains, own)) / len(own) < 0.52


def test_a_forgotten_flip_is_caught(people: PlantedPopulation) -> None:
    """Without its flip a rule fails on that occasion, and on no other."""
    caught = 0
    for user in people.facts.users:
        plain = PlantedRule(attribute=user.rule.attribute)
        facts = PlantedFacts((replace(user, rule=plain),), people.facts.situations)
        for row in people.rows:
            if row["user_id"] == user.user_id and not facts.explains(row):
                assert facts.situation(row).circumstance == user.rule.circumstance
                caught += 1
    assert caught > 0


def test_the_offer_taken_can_be_read_from_the_context() -> None:
    """In every domain the rule's offer has the best value among those that are stated."""
    people = planted_users(users=5, interactions=48, noise=0, flipping=0, texts=0)
    for row in people.rows:
        content = row["context"][0]["content"]  # type: ignore[index]
        (domain,) = [d for d in DOMAINS if content.startswith(f"You need {d.thing}.")]
        attribute = people.facts.rule(str(row["user_id"])).attribute
        for value in domain.values[attribute]:
            stated = domain.wording[attribute].format(value)
            offers = [o for o in row["options"] if stated in _offer(content, o)]  # type: ignore[attr-defined]
            if offers:
                break
        assert offers == [row["action"]]


def _offer(content: str, name: str) -> str:
    """Return what a context says of one offer."""
    return content.partition(f"{name}: ")[2].partition(". ")[0]


@pytest.mark.parametrize("size", [2, 3])
def test_no_attribute_predicts_another(people: PlantedPopulation, size: int) -> None:
    """Any two attributes favor the same offer about as often as chance says."""
    rows = [row for row in people.rows if len(_names(row)) == size]
    best = [people.facts.situation(row).best for row in rows]
    assert len(best) == 540
    for first, second in combinations(ATTRIBUTES, 2):
        share = sum(one[first] == one[second] for one in best) / len(best)
        assert share == pytest.approx(1 / size, abs=0.03)
    assert all(len(set(one.values())) > 1 for one in best)


@pytest.mark.parametrize("size", [2, 3])
def test_a_block_of_questions_is_exactly_balanced(size: int) -> None:
    """In a whole block every pair of winners stands equally often, for any two attributes."""
    block = _design(size)
    for first, second in combinations(range(len(ATTRIBUTES)), 2):
        pairs = Counter((row[first], row[second]) for row in block)
        assert set(pairs.values()) == {size}
        assert len(pairs) == size**2


def test_neither_place_nor_occasion_tells_the_choice(people: PlantedPopulation) -> None:
    """The offer taken stands in each place, and each occasion occurs, about equally often."""
    places = Counter(
        _names(row).index(str(row["action"]))
        for row in people.rows
        if row["action_type"] == "choice" and len(_names(row)) == 2
    )
    assert places[0] / places.total() == pytest.approx(0.5, abs=0.06)
    occasions = Counter(people.facts.situation(row).circumstance for row in people.rows)
    assert set(occasions) == set(CIRCUMSTANCES)
    assert max(occasions.values()) - min(occasions.values()) <= 20


def _names(row: dict[str, object]) -> list[str]:
    """Return the offers of a row, in the order of its context."""
    content = row["context"][0]["content"]  # type: ignore[index]
    return sorted((n for n in NAMES if f"{n}: " in content), key=content.index)


def test_attributes_and_flips_are_dealt_evenly(people: PlantedPopulation) -> None:
    """Each attribute decides for as many people, and the share that flips is the one given."""
    rules = [user.rule for user in people.facts.users]
    assert Counter(rule.attribute for rule in rules) == dict.fromkeys(ATTRIBUTES, 4)
    assert sum(rule.flipped is not None for rule in rules) == 10
    assert all(rule.flipped != rule.attribute for rule in rules)
    assert all(rule.circumstance != "own" for rule in rules)
    for share, flips in ((0, 0), (1, 7), (0.3, 2)):
        found = planted_users(users=7, interactions=1, flipping=share).facts.users
        assert sum(user.rule.flipped is not None for user in found) == flips


def test_noise_is_told_in_the_facts() -> None:
    """As many rows are random as asked for, and every row that no rule explains is one."""
    people = planted_users(users=20, interactions=50, noise=0.4)
    odd = [row for row in people.rows if not people.facts.explains(row)]
    random = [row for row in people.rows if people.facts.situation(row).random]
    assert len(random) / len(people.rows) == pytest.approx(0.4, abs=0.05)
    assert len(odd) / len(random) == pytest.approx(7 / 12, abs=0.06)
    assert all(people.facts.situation(row).random for row in odd)


def test_facts_survive_a_file(people: PlantedPopulation) -> None:
    """Facts written as JSON are read back equal."""
    text = json.dumps(people.facts.to_json())
    assert PlantedFacts.of_json(json.loads(text)) == people.facts


# ---------------------------------------------------------------------- naming


@pytest.mark.parametrize(
    ("trace", "named"),
    [
        ("They always go for the CHEAPEST one.", {"price"}),
        ("I do not spend more than I must.", {"price"}),
        ("A long warranty is worth more than a quick delivery.", {"guarantee", "speed"}),
        ("It is only a short walk from home.", {"distance"}),
        ("Other buyers gave it the most stars.", {"rating"}),
        ("I can't wait nine days.", {"speed"}),
        ("Well-liked and close by.", {"rating", "distance"}),
        ("They like the sound of the name.", set()),
        ("Nearly every waiter stared, prompted by fasting.", set()),
        ("Breakfast is celebrated; a costume starts an early-morning review.", {"rating"}),
        ("", set()),
    ],
)
def test_traces_name_attributes_by_whole_words(trace: str, named: set[str]) -> None:
    """Words and their plurals count in any case; parts of other words do not."""
    assert named_attributes(trace) == named


def test_no_synonym_names_two_attributes() -> None:
    """Every listed word names its own attribute and no other."""
    for attribute, phrases in SYNONYMS.items():
        for phrase in phrases:
            assert named_attributes(f"so {phrase.upper()}, then") == {attribute}, phrase


def test_the_occasion_decides_which_reason_is_right() -> None:
    """A flipped rule makes the usual reason another one on that occasion, and only there."""
    cheap, safe, both = "It is cheap.", "It has a guarantee.", "Cheap, with a guarantee."
    assert names_reason(cheap, FLIPPING, OWN)
    assert names_other(cheap, FLIPPING, GIFT)
    assert not names_reason(cheap, FLIPPING, GIFT)
    assert names_reason(safe, FLIPPING, GIFT)
    assert names_other(safe, FLIPPING, OWN)
    for where in (OWN, GIFT):
        assert names_reason(both, FLIPPING, where)
        assert not names_other(both, FLIPPING, where)
        assert not names_reason("I like it.", FLIPPING, where)
        assert not names_other("I like it.", FLIPPING, where)


def test_naming_rate_counts_each_trace_once() -> None:
    """Shares of right, other and no reason sum to 1; random rows are left out."""
    people = planted_users(users=8, interactions=20, noise=0.2, flipping=1)
    facts = people.facts
    with Corpus.open(":memory:") as corpus:
        corpus.add(list(people.rows))
        rows = list(corpus.interactions())
    decided = [row for row in rows if not facts.situation(row).random]
    right = [(r, f"The {facts.rule(r.user_id).active(facts.situation(r))}.") for r in rows]
    rate = naming_rate(right, facts, resamples=100)
    assert (rate.n, rate.reason.value, rate.reason.low) == (len(decided), 1, 1)
    assert (rate.other.value, rate.neither.value, rate.alone.value) == (0, 0, 1)
    everything = naming_rate([(r, " ".join(ATTRIBUTES)) for r in rows], facts, resamples=100)
    assert (everything.reason.value, everything.alone.value) == (1, 0)
    same = naming_rate([(r, "The price.") for r in rows], facts, resamples=100)
    assert 0 < same.reason.low < same.reason.value < same.reason.high < 1
    assert same.reason.value + same.other.value == pytest.approx(1)
    empty = naming_rate([(r, "") for r in rows], facts, resamples=100)
    assert (empty.reason.value, empty.other.value, empty.neither.value) == (0, 0, 1)
    assert str(empty).startswith(f"{len(decided)} traces: names the reason 0.000")


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"users": 0}, "users must be at least 1; got 0"),
        ({"interactions": -3}, "interactions must be at least 1; got -3"),
        ({"noise": 1.5}, "noise must be between 0 and 1; got 1.5"),
        ({"flipping": -0.1}, "flipping must be between 0 and 1; got -0.1"),
        ({"texts": float("nan")}, "texts must be between 0 and 1; got nan"),
    ],
)
def test_impossible_people_are_refused(arguments: dict[str, float], message: str) -> None:
    """Counts below 1 and shares outside 0 to 1 raise, naming the value."""
    with pytest.raises(EvaluationError, match=message):
        planted_users(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attribute": "color"}, "'color' is not an attribute"),
        (
            {"attribute": "price", "circumstance": "rain", "flipped": "speed"},
            "'rain' is not a circ",
        ),
        (
            {"attribute": "price", "circumstance": "gift", "flipped": "smell"},
            "'smell' is not an attr",
        ),
        ({"attribute": "price", "circumstance": "gift"}, "got 'gift' and None"),
        ({"attribute": "price", "noise": 2.0}, "got 2.0"),
    ],
)
def test_impossible_rules_are_refused(arguments: dict[str, object], message: str) -> None:
    """A rule that cannot be followed raises, naming the value."""
    with pytest.raises(EvaluationError, match=message):
        PlantedRule(**arguments)  # type: ignore[arg-type]


def test_strangers_have_no_facts(people: PlantedPopulation) -> None:
    """Rows and people that were not planted raise, and so do files of something else."""
    with pytest.raises(EvaluationError, match="'ada' is not a planted user"):
        people.facts.rule("ada")
    row = {"user_id": "planted-00", "metadata": {"planted_row": 99}}
    with pytest.raises(EvaluationError, match=r"99.*'planted-00'"):
        people.facts.situation(row)
    with pytest.raises(EvaluationError, match=r"None.*'ada'"):
        people.facts.explains({"user_id": "ada"})
    with pytest.raises(EvaluationError, match=r"not a ground-truth file .*: KeyError: 'users'"):
        PlantedFacts.of_json({})
    with pytest.raises(EvaluationError, match="got 0 traces"):
        naming_rate([], people.facts)
