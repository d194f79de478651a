"""Laws of surveys: the expression language, placeholders, reductions and orders, on any input."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usersim.errors import ExpressionError
from usersim.survey import (
    GivenAnswer,
    MultipleChoice,
    Section,
    SingleChoice,
    Survey,
    YesNo,
    itinerary,
    parse,
)
from usersim.survey.elicitation import PartReply
from usersim.survey.expressions import MOST_CHARS, MOST_DEEP
from usersim.survey.piping import fill, malformed, mentioned
from usersim.survey.reduction import allocate, choose_several, rank

LAWS = settings(max_examples=50)
NAMES = ("a", "b", "c")
texts = st.text(
    st.characters(exclude_characters='"\\', categories=("L", "N", "P", "Zs")), max_size=8
)
values = st.one_of(texts, st.floats(allow_nan=False, allow_infinity=False, width=32))
givens = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        GivenAnswer,
        state=st.sampled_from(("answered", "refused", "skipped", "failed")),
        items=st.fixed_dictionaries({"": values}),
        label=texts,
    ),
)


def literal(value: str | float) -> str:
    """A value as an expression holds it."""
    return f'"{value}"' if isinstance(value, str) else repr(value)


comparisons = st.builds(
    "{} {} {}".format,
    st.sampled_from(NAMES),
    st.sampled_from(("==", "!=", "<", "<=", ">", ">=")),
    values.map(literal),
)
expressions = st.recursive(
    st.one_of(comparisons, st.sampled_from([f"answered({name})" for name in NAMES])),
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}) and ({two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}) or ({two[1]})"),
    ),
    max_leaves=6,
)


@LAWS
@given(st.text(max_size=200), givens)
def test_any_text_is_an_expression_or_a_typed_error(
    text: str, told: dict[str, GivenAnswer]
) -> None:
    """Nothing that can be written does more than be refused or be true or false."""
    try:
        read = parse(text)
    except ExpressionError:
        return
    assert read.holds(told) in {True, False}


@LAWS
@given(expressions, givens)
def test_reading_is_that_of_boolean_algebra(text: str, told: dict[str, GivenAnswer]) -> None:
    """Negation, double negation, `and` and `or` behave as logic says, whatever is known."""
    holds = parse(text).holds(told)
    assert parse(f"not ({text})").holds(told) is not holds
    assert parse(f"({text}) or not ({text})").holds(told)
    assert not parse(f"({text}) and not ({text})").holds(told)


@LAWS
@given(comparisons, st.sampled_from(("skipped", "failed")))
def test_no_comparison_is_true_of_what_was_not_answered(text: str, state: str) -> None:
    """A skipped or failed question makes every comparison false, `!=` included."""
    told = {name: GivenAnswer(state=state, items={"": "x"}) for name in NAMES}  # type: ignore[arg-type]
    assert not parse(text).holds(told)
    assert not parse(text).holds({})


@LAWS
@given(st.floats(-100, 100), st.floats(-100, 100))
def test_comparisons_of_numbers_are_those_of_python(a: float, b: float) -> None:
    """Each sign means what it means in Python."""
    told = {"q": GivenAnswer(state="answered", items={"": a})}
    for sign, right in {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "==": a == b,
                        "!=": a != b}.items():  # fmt: skip
        assert parse(f"q {sign} {b!r}").holds(told) is right


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "q.__class__ == 1", "q[0] == 1", "(lambda: 1)() == 1",
        "[x for x in q] == 1", "f'{q}' == 'a'", "q == b'a'", "q + 1 == 2", "q if q else q",
        "q", "1", "q == True", "q == None", "q is 1", "answered(q).x", "answered('q')",
        "selected(q)", "selected(q, 1)", "answered(q=1)", "item(q, 'a')", "answered(q) == 1",
        "eval(q) == 1", "(y := 1) == 1", "q == 1j", "q == ...", "*q == 1", "q == -'a'",
        "q == {1: 2}", "q == 'a' 'b' + 'c'", "", "q ==", "q == 'a\\n'", "q == 1\n", "q == '\0'",
        "answered(*q)", "q == 1e", "q == " + "9" * 400,
    ],
)  # fmt: skip
def test_what_is_outside_the_grammar_is_refused(text: str) -> None:
    """Attributes, indices, calls, arithmetic, comprehensions and the rest have no meaning."""
    with pytest.raises(ExpressionError, match="expression "):
        parse(text)


def test_length_and_depth_are_bounded() -> None:
    """Neither a long nor a deep expression is read."""
    deep = "not " * (MOST_DEEP + 1) + "answered(q)"
    with pytest.raises(ExpressionError, match="nested deeper than 12"):
        parse(deep)
    assert parse("not " * MOST_DEEP + "answered(q)").questions == {"q"}
    with pytest.raises(ExpressionError, match=f"{MOST_CHARS + 1}, exceeds"):
        parse("q == 1" + " " * (MOST_CHARS - 5))
    with pytest.raises(ExpressionError, match="cannot be read"):
        parse("(" * 300 + "q" + ")" * 300)


@LAWS
@given(texts)
def test_any_label_can_be_compared_with(label: str) -> None:
    """A quoted label means itself, as Python's own literal does."""
    told = {"q": GivenAnswer(state="answered", items={"": label})}
    assert ast.literal_eval(f'"{label}"') == label
    assert parse(f'q == "{label}"').holds(told)
    assert parse(f'q in ["{label}", "other"]').holds(told)
    assert not parse(f'q not in ["{label}"]').holds(told)


@LAWS
@given(st.text(max_size=80))
def test_an_answer_never_brings_a_placeholder(answer: str) -> None:
    """What was put into a text is not looked at again, and stays on one line."""
    told = {
        "a": GivenAnswer(state="answered", items={"": answer + "{{ b }}"}),
        "b": GivenAnswer(state="answered", items={"": "SECRET"}),
    }
    filled = fill("You said {{ a }}.", told)
    assert "SECRET" not in filled or "SECRET" in answer
    assert len(filled.splitlines()) == 1


@LAWS
@given(st.text("{} abc", max_size=30))
def test_braces_are_placeholders_or_malformed(text: str) -> None:
    """After the placeholders are taken out, no double brace is left unnoticed."""
    told = {name: GivenAnswer(state="answered", items={"": "x"}) for name in mentioned(text)}
    assert malformed(text) == any(pair in fill(text, told) for pair in ("{{", "}}"))


weights = st.lists(st.integers(1, 100), min_size=2, max_size=6).map(
    lambda found: {"abcdef"[place]: n / sum(found) for place, n in enumerate(found)}
)


@LAWS
@given(weights, st.integers(0, 10_000))
def test_rankings_are_permutations(worths: dict[str, float], seed: int) -> None:
    """Every option has one rank; the likeliest ranking sorts by worth."""
    for decision in ("likeliest", "sampled"):
        ranks = rank(worths, tuple(worths), decision=decision, seed=seed)  # type: ignore[arg-type]
        assert sorted(ranks.values()) == [float(place) for place in range(1, len(worths) + 1)]
    likeliest = rank(worths, tuple(worths), decision="likeliest", seed=seed)
    in_order = sorted(likeliest, key=likeliest.__getitem__)
    assert [worths[one] for one in in_order] == sorted(worths.values(), reverse=True)


def test_sampled_rankings_follow_plackett_luce() -> None:
    """Over many draws each ranking is as frequent as the model says."""
    worths = {"a": 0.5, "b": 0.3, "c": 0.2}
    drawn = [
        tuple(rank(worths, ("a", "b", "c"), decision="sampled", seed=seed)) for seed in range(4000)
    ]
    for order in [("a", "b", "c"), ("c", "b", "a"), ("b", "a", "c")]:
        first, second, _ = order
        expected = worths[first] * worths[second] / (1 - worths[first])
        assert drawn.count(order) / len(drawn) == pytest.approx(expected, abs=0.03)


@LAWS
@given(weights, st.integers(1, 1000))
def test_budgets_are_spent_to_the_unit(shares: dict[str, float], total: int) -> None:
    """Whole units add up to the total, each part within one unit of its exact share."""
    parts = allocate(shares, tuple(shares), float(total), True)
    assert sum(parts.values()) == total
    assert all(value.is_integer() and value >= 0 for value in parts.values())
    assert all(abs(parts[one] - total * shares[one]) < 1 for one in shares)
    exact = allocate(shares, tuple(shares), float(total), False)
    assert sum(exact.values()) == pytest.approx(total)


@LAWS
@given(
    st.lists(st.floats(0, 1), min_size=4, max_size=4), st.integers(0, 3), st.integers(1, 4),
    st.booleans(),
)  # fmt: skip
def test_several_choices_keep_the_rules(
    chances: list[float], least: int, most: int, alone: bool
) -> None:
    """Bounds and exclusive options hold, whatever the model says of each option."""
    options = ("w", "x", "y", "z")
    least = min(least, most)
    question = MultipleChoice(
        id="q", text="?", options=options, least=least, most=most,
        exclusive=("z",) if alone else (),
    )  # fmt: skip
    replies = {
        one: PartReply(action="yes" if p > 0.5 else "no", probabilities={"yes": p, "no": 1 - p},
                   traces=(), seed=0)
        for one, p in zip(options, chances, strict=True)
    }  # fmt: skip
    chosen = {one for one, value in choose_several(question, replies).items() if value == "yes"}
    assert len(chosen) <= most
    if alone and "z" in chosen:
        assert chosen == {"z"}
    else:
        assert len(chosen) >= min(least, 3 if alone else 4)


@LAWS
@given(st.integers(), st.text(min_size=1, max_size=5))
def test_orders_are_permutations_that_the_seed_gives_back(seed: int, person: str) -> None:
    """Every question comes once, fixed sections and last options keep their place."""
    sections = [
        Section(
            id=f"s{k}",
            fixed=k in {0, 3},
            random_order=True,
            questions=(
                SingleChoice(id=f"q{k}", text="?", options=("a", "b", "c", "other"),
                             random_order=True, last=("other",)),
                YesNo(id=f"r{k}", text="?"),
            ),
        )
        for k in range(4)
    ]  # fmt: skip
    survey = Survey(title="T", sections=tuple(sections), random_sections=True)
    way = itinerary(survey, person, seed=seed)
    assert sorted(step.question.id for step in way) == sorted(
        question.id for question in survey.all_questions
    )
    assert [way[0].section.id, way[-1].section.id] == ["s0", "s3"]
    for step in way:
        if step.question.type == "single_choice":
            assert sorted(step.shown) == ["a", "b", "c", "other"]
            assert step.shown[-1] == "other"
    assert itinerary(survey, person, seed=seed) == way


@pytest.mark.parametrize("signs", [2, 13, 989, 3_000])
def test_many_signs_before_a_number_are_a_typed_error(signs: int) -> None:
    """One sign makes a number negative; a thousand of them are refused, not computed."""
    assert parse("q == -1").holds({}) is False
    with pytest.raises(ExpressionError):
        parse(f"q == {'-' * signs}1")
