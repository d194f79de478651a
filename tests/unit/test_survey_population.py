"""Populations: who is asked, with which weights, and what is made of their answers."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator

import pytest
from rich.console import Console

from usersim import UserSimulator
from usersim.errors import ConfigError, EmptyCellError, EvaluationError
from usersim.survey import (
    Budget,
    LikertScale,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Population,
    Survey,
    SurveyResponse,
    SurveyResults,
    YesNo,
    codes_of,
)
from usersim.survey.estimation import estimate_survey
from usersim.survey.samples import human_table, table_of

SURVEY = Survey(
    title="Tea",
    questions=(
        YesNo(id="tea", text="Tea?", refusal=("don't know",)),
        LikertScale(id="joy", text="Joy?", low="none", high="much", points=3, start=0),
        MultipleChoice(id="add", text="With?", options=("milk", "sugar")),
        NumberQuestion(id="cups", text="Cups?", low=0, high=9, refusal=("no idea",)),
        Budget(id="spend", text="Spend", options=("tea", "cake"), total=10),
    ),
)
PEOPLE = [f"p{i:02d}" for i in range(40)]


def rows() -> list[dict[str, object]]:
    """Forty people, three quarters of them f."""
    return [
        {
            "user_id": person,
            "context": f"Cup {i}?",
            "action": "Yes.",
            "metadata": {"sex": "f" if n % 4 else "m", "region": "nw"[n % 2], "column": f"c{i}"},
        }
        for n, person in enumerate(PEOPLE)
        for i in range(4)
    ]


@pytest.fixture(scope="module")
def sim() -> Iterator[UserSimulator]:
    """A simulator on the scripted engine."""
    with UserSimulator.from_corpus(rows(), engine="scripted") as simulator:
        yield simulator


def said(tea: dict[str, str], seed: int = 0) -> SurveyResults:
    """Results in which `tea` was answered as given."""
    responses = tuple(
        SurveyResponse(
            respondent=person, question="tea", value=value,
            code=codes_of(SURVEY.question("tea"))[value], refused=value == "don't know",
            probabilities={"yes": 0.9, "no": 0.1} if value == "yes" else {"yes": 0.2, "no": 0.8},
        )
        for person, value in tea.items()
    )  # fmt: skip
    return SurveyResults(survey=SURVEY, people=tuple(tea), responses=responses, seed=seed)


def test_a_population_is_run_like_any_respondents(sim: UserSimulator) -> None:
    """The same people give the same answers, with or without a population around them."""
    people = Population.of(sim).where(sex="m")
    assert len(people.people) == 10
    results = SURVEY.run(people)
    assert results.people == people.people
    plain = SURVEY.run(sim.respondents(list(people.people)))
    assert [r.value for r in results.responses] == [r.value for r in plain.responses]
    found = people.estimate(results, "joy")
    assert found.simulated
    assert sum(one.value for one in found.shares) == pytest.approx(1)


def test_several_simulators_answer_each_for_their_person(sim: UserSimulator) -> None:
    """Each with its own adapter; answers come back in the order asked."""
    first = UserSimulator(sim.corpus, user_id="p01", engine="scripted")
    second = UserSimulator(sim.corpus, user_id="p00", engine="scripted")
    both = Population.of([first, second])
    results = SURVEY.run(both)
    assert results.people == ("p01", "p00")
    assert {r.respondent for r in results.responses if r.value is not None} == {"p00", "p01"}
    assert len(results.runs) == len(set(results.runs)) > 1
    with pytest.raises(ConfigError, match="distinct people"):
        Population.of([first, first])


def test_attributes_are_metadata_that_do_not_change(sim: UserSimulator) -> None:
    """A column name differs from row to row and is none; given ones go first."""
    people = Population.of(sim, attributes={"p00": {"sex": "x"}})
    assert people.attributes["p01"] == {"sex": "f", "region": "w"}
    assert people.attributes["p00"]["sex"] == "x"


def test_filters_quotas_and_halves(sim: UserSimulator) -> None:
    """Each keeps weights and order, draws by its seed, and refuses what is not there."""
    people = Population.of(sim)
    assert people.where(sex="f", region=("n", "w")).people == people.where(sex="f").people
    drawn = people.quota("sex", {"f": 5, "m": 5}, seed=1)
    assert drawn == people.quota("sex", {"f": 5, "m": 5}, seed=1)
    assert sorted(drawn.attributes[p]["sex"] for p in drawn.people) == ["f"] * 5 + ["m"] * 5
    first, second = people.split_half(seed=3)
    assert sorted(first.people + second.people) == PEOPLE
    with pytest.raises(ConfigError, match="sex='d'"):
        people.where(sex="d")
    with pytest.raises(EmptyCellError, match=r"10 .*sex='m'.* 11"):
        people.quota("sex", {"m": 11})
    with pytest.raises(ConfigError, match=r"\['nobody'\]"):
        people.keep(["nobody"])
    with pytest.raises(ConfigError, match="cannot be halved"):
        people.keep(["p00"]).split_half()


def test_raked_weights_reach_the_estimates(sim: UserSimulator) -> None:
    """Ten men who all say yes become half of the population."""
    people = Population.of(sim).rake({"sex": {"f": 0.5, "m": 0.5}})
    assert people.weighting is not None
    assert people.weighting.effective_n == pytest.approx(30)
    tea = {p: "yes" if people.attributes[p]["sex"] == "m" else "no" for p in PEOPLE}
    counted = people.estimate(said(tea), "tea", by="answers")
    assert counted.shares[1].value == pytest.approx(0.5)
    assert people.keep(people.people[:20]).weighting is None


def test_refusals_codes_and_blanks_of_a_human_sample() -> None:
    """Labels and codes mean the same; refusals and blanks are no answer."""
    sample = [
        {"respondent": "a", "tea": "yes", "joy": "2", "add_1": "yes", "cups": "3", "spend_1": 4},
        {"respondent": "b", "tea": 0, "joy": 0.0, "add_1": 0, "cups": -1, "spend_1": float("nan")},
        {"respondent": "c", "tea": -1, "joy": None, "add_1": "", "cups": "no idea"},
    ]
    told = human_table(SURVEY, sample)
    keys = [item.key for item in told.items]
    values = dict(zip(keys, told.values[0].T.tolist(), strict=True))
    assert values["tea"][:2] == [1, 0]
    assert values["joy"][:2] == [2, 0]
    assert values["add_1"][:2] == [1, 0]
    assert values["cups"][0] == 3
    assert values["spend_1"][0] == 4
    blanks = [values["tea"][2], values["cups"][1], values["cups"][2], values["spend_1"][1]]
    assert all(math.isnan(value) for value in blanks)
    joy = human_table(SURVEY, {"a": {"joy": 2}}).item("joy")
    assert (joy.start, joy.ordered) == (0, True)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ([{"respondent": "a", "tea": "maybe"}], "'maybe' of 'a' is not a valid answer to 'tea'"),
        ([{"respondent": "a", "tea": 7}], "7 of 'a' is not a valid answer"),
        ([{"tea": "yes"}], "row 1 of the human sample has respondent None"),
        ([{"respondent": "a", "tea": "yes"}] * 2, "row 2"),
        ({"a": {"coffee": "yes"}}, "no answer to any question"),
    ],
)
def test_human_samples_that_do_not_fit_raise(sample: object, message: str) -> None:
    """With the value and the person."""
    with pytest.raises(EvaluationError, match=message):
        human_table(SURVEY, sample)  # type: ignore[arg-type]


def test_rectifying_pairs_people_by_their_ids(sim: UserSimulator) -> None:
    """The simulation says yes too often; those asked correct it, and the rest is simulated."""
    people = Population.of(sim)
    truth = {p: "yes" if n % 2 else "no" for n, p in enumerate(PEOPLE)}
    guess = {p: "yes" if n % 2 or n % 8 == 0 else "no" for n, p in enumerate(PEOPLE)}
    asked = {p: {"tea": truth[p]} for p in PEOPLE[:24]}
    (found,) = people.rectify(said(guess), {**asked, "stranger": {"tea": "no"}})
    yes = found.figures[1]
    assert (yes.n_human, yes.n_simulated) == (24, 16)
    assert yes.estimate.low < 0.5 < yes.estimate.high
    assert yes.effective_n > 24
    assert any(line.startswith("yes ") for line in str(found).splitlines())
    with pytest.raises(EvaluationError, match="no respondent"):
        people.rectify(said(guess), {"stranger": {"tea": "no"}})


def test_repeated_results_are_draws_and_compare_knows_groups(sim: UserSimulator) -> None:
    """Draws of one survey give test-retest; groups come from the attributes."""
    people = Population.of(sim)
    tea = {p: "yes" if n % 3 else "no" for n, p in enumerate(PEOPLE)}
    other = {**tea, "p00": "yes"}
    fit = people.compare([said(tea), said(other, 1)], {p: {"tea": v} for p, v in tea.items()})
    assert fit.same_again == pytest.approx(39 / 40)
    assert {g.category for g in fit.groups if g.attribute == "sex"} == {"f", "m"}
    both = table_of([said(tea), said(other, 1)])
    assert both.shares("tea")[1] == pytest.approx((26 + 27) / 80)
    drawn = people.estimate([said(tea), said(other, 1)], "tea", covers="draws")
    assert drawn.covers == "draws"
    with pytest.raises(EvaluationError, match="results of one survey"):
        table_of([])


def test_what_a_person_prints_is_a_table(sim: UserSimulator) -> None:
    """Estimates, comparisons, results, populations: text, a terminal, a notebook; short reprs."""
    people = Population.of(sim)
    tea = {p: "yes" if n % 3 else "no" for n, p in enumerate(PEOPLE)}
    human = {p: {"tea": v} for p, v in tea.items()}
    printed = {
        "yes": people.estimate(said(tea), "tea"),
        "rectified": people.rectify(said(tea), dict(list(human.items())[:24]), columns="tea")[0],
        "tea": people.compare(said(tea), human),
        "most frequent": said(tea),
        "40": people,
        "design effect": people.rake({"sex": {"f": 0.5, "m": 0.5}}).weighting,
        "simulated (95 %": estimate_survey(said(tea)),
    }
    for words, one in printed.items():
        out = io.StringIO()
        Console(file=out, width=120).print(one)
        assert words in str(one)
        assert words.split()[0] in out.getvalue()
        assert words.split()[0] in one._repr_html_()  # type: ignore[union-attr]
    assert all(len(repr(one)) < 120 for one in (said(tea), people))


def test_open_texts_are_left_to_readers() -> None:
    """They have no share and no mean."""
    survey = Survey(title="Why", questions=(OpenText(id="why", text="Why?"),))
    with pytest.raises(EvaluationError, match="no answer to any question"):
        human_table(survey, {"a": {"why": "because"}})
