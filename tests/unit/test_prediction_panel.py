"""The panel model: what it learns, what it never does, and what it does with strange panels."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from usersim.errors import ArtifactError, ConfigError
from usersim.prediction.contingency import make_items
from usersim.prediction.panel import PanelModel
from usersim.prediction.solving import cholesky_solver
from usersim.types import Choice, MultiChoice, Number, Panel, PanelQuestion, Scale

LIKERT = Scale(("never", "rarely", "often", "always"))


def likert_panel(people: int, questions: int = 12, *, signal: float = 1.0, seed: int = 0) -> Panel:
    """Return people whose answers share one trait, more so the larger `signal` is."""
    random = np.random.default_rng(seed)
    trait = random.normal(size=(people, 1))
    latent = signal * trait + random.normal(size=(people, questions))
    cells = np.digitize(latent, [-1.0, 0.2, 1.2]).astype(float)
    asked = tuple(PanelQuestion(f"q{i}", LIKERT, f"Statement {i}") for i in range(questions))
    names = tuple(f"p{i}" for i in range(people))
    return Panel(names, asked, cells, np.ones(people))


def answers_of(panel: Panel, row: int, leave_out: int) -> dict[str, str]:
    """Return a person's answers by key, without one question."""
    return {
        question.key: LIKERT.options[int(panel.answers[row, i])]
        for i, question in enumerate(panel.questions)
        if i != leave_out and np.isfinite(panel.answers[row, i])
    }


def log_scores(model: PanelModel, panel: Panel, rows: range, *, asked: int) -> tuple[float, float]:
    """Return the mean log score of the model and of its marginal on new people."""
    own, others = [], []
    for row in rows:
        found = model.predict(answers_of(panel, row, asked), [f"q{asked}"])[0]
        assert found is not None
        truth = LIKERT.options[int(panel.answers[row, asked])]
        own.append(np.log(found.probabilities[truth]))
        others.append(np.log(found.others[truth]))
    return float(np.mean(own)), float(np.mean(others))


def part(panel: Panel, rows: slice) -> Panel:
    """Return some people of a panel."""
    return Panel(panel.people[rows], panel.questions, panel.answers[rows], panel.weights[rows])


@pytest.fixture(scope="module")
def trait_model() -> tuple[PanelModel, Panel]:
    """Return a model of 200 people whose answers share a trait, and all 400."""
    panel = likert_panel(400)
    return PanelModel.fit(part(panel, slice(0, 200))), panel


def test_other_answers_tell_more_than_the_marginal(trait_model: tuple[PanelModel, Panel]) -> None:
    """Where answers share a trait, the person's other answers beat the panel's marginal."""
    model, panel = trait_model
    own, others = log_scores(model, panel, range(200, 400), asked=3)
    assert own > others + 0.1
    assert model.fitted.gain > 3 * model.fitted.error > 0


@pytest.mark.parametrize("people", [1, 2, 5, 12, 40, 150])
def test_unrelated_answers_fall_back_to_the_marginal(people: int) -> None:
    """Answers that say nothing of each other cost less than 0.01 nats, at any panel size."""
    panel = likert_panel(people + 400, signal=0.0, seed=people)
    model = PanelModel.fit(part(panel, slice(0, people)))
    own, others = log_scores(model, panel, range(people, people + 400), asked=2)
    assert own > others - 0.01


def test_a_member_is_predicted_without_their_own_row() -> None:
    """What a member answered does not come back as the panel's opinion of them."""
    panel = likert_panel(20, questions=4)
    cells = panel.answers.copy()
    cells[:, 0] = 0.0
    cells[7, 0] = 3.0  # one person alone says "always"
    model = PanelModel.fit(Panel(panel.people, panel.questions, cells, panel.weights))
    as_member = model.predict({}, ["q0"], person="p7")[0]
    as_stranger = model.predict({}, ["q0"])[0]
    assert as_member is not None
    assert as_stranger is not None
    assert as_member.respondents == 19
    assert as_member.others["always"] < as_stranger.others["always"]
    without = np.delete(np.arange(20), 7)
    left = PanelModel.fit(
        Panel(tuple(panel.people[i] for i in without), panel.questions, cells[without], np.ones(19))
    )
    alone = left.predict({}, ["q0"])[0]
    assert alone is not None
    scale = model.fitted.smoothing / left.fitted.smoothing
    if scale == 1:
        assert as_member.others == pytest.approx(dict(alone.others))


def test_the_question_itself_is_never_evidence(trait_model: tuple[PanelModel, Panel]) -> None:
    """A known answer to the question that is asked changes nothing."""
    model, panel = trait_model
    known = answers_of(panel, 210, 5)
    without = model.predict(known, ["q5"])[0]
    known_too = model.predict(known | {"q5": "always"}, ["q5"])[0]
    assert without is not None
    assert known_too is not None
    assert dict(known_too.probabilities) == pytest.approx(dict(without.probabilities))


def test_a_whole_questionnaire_agrees_with_single_questions(
    trait_model: tuple[PanelModel, Panel],
) -> None:
    """Asking many at once gives what asking one by one gives."""
    model, panel = trait_model
    known = {key: value for key, value in answers_of(panel, 300, 0).items() if key < "q5"}
    keys = [question.key for question in panel.questions]
    together = model.predict(known, keys)
    for key, found in zip(keys, together, strict=True):
        alone = model.predict(known, [key])[0]
        assert found is not None
        assert alone is not None
        assert dict(found.probabilities) == pytest.approx(dict(alone.probabilities))


def test_what_is_kept_of_the_last_people_does_not_mix_them_up(
    trait_model: tuple[PanelModel, Panel],
) -> None:
    """Whoever was asked before, with whichever known answers: each answer is a fresh model's."""
    model, panel = trait_model
    fresh = model.to_bytes()
    keys = [question.key for question in panel.questions]
    known = [answers_of(panel, row, row % 3) for row in range(4)]
    for row in (0, 1, 0, 2, 3, 1, 0):
        for person in (panel.people[row], panel.people[3 - row], None):
            of = PanelModel.from_bytes(fresh)
            assert model.predict(known[row], keys, person=person) == of.predict(
                known[row], keys, person=person
            )
            own = model.parts(known[row], keys[row % 3], person=person)
            assert own == of.parts(known[row], keys[row % 3], person=person)
    copied = pickle.loads(pickle.dumps(model))
    assert copied.predict(known[0], keys) == model.predict(known[0], keys)


def test_associated_questions_are_named(trait_model: tuple[PanelModel, Panel]) -> None:
    """Questions that share a trait are associated, one of another subject is not."""
    _, panel = trait_model
    random = np.random.default_rng(1)
    cells = np.hstack([panel.answers, random.integers(4, size=(400, 1)).astype(float)])
    asked = (*panel.questions, PanelQuestion("noise", LIKERT))
    model = PanelModel.fit(Panel(panel.people, asked, cells, panel.weights))
    found = model.associations("q0")
    assert "q0" not in found
    assert found["noise"][0] < 0.1 < min(found[f"q{i}"][0] for i in range(1, 12))
    assert found["q1"][1] == 400


def test_parts_of_an_answer_add_up(trait_model: tuple[PanelModel, Panel]) -> None:
    """What the known answers add to an option explains the step from marginal to prediction."""
    model, panel = trait_model
    known = answers_of(panel, 260, 0)
    parts = model.parts(known, "q0")
    assert set(parts) == set(known)
    for moved in parts.values():
        assert sum(moved.values()) == pytest.approx(0.0, abs=1e-9)
    high, low = (dict.fromkeys(known, value) for value in ("always", "never"))
    assert sum(moved["always"] for moved in model.parts(high, "q0").values()) > 0
    assert sum(moved["always"] for moved in model.parts(low, "q0").values()) < 0
    assert model.parts({}, "q0") == {}
    assert model.parts(known, "unheard of") == {}


def test_weights_count_people() -> None:
    """A person of weight 3 counts as three people."""
    cells = np.array([[0.0], [1.0]])
    asked = (PanelQuestion("q", Choice(("tea", "coffee"))),)
    weighted = PanelModel.fit(Panel(("a", "b"), asked, cells, np.array([3.0, 1.0])))
    found = weighted.predict({}, ["q"])[0]
    assert found is not None
    assert found.others["tea"] > found.others["coffee"]


def test_missing_answers_are_normal() -> None:
    """With four fifths of the cells empty the model still beats the marginal."""
    panel = likert_panel(1_000, questions=20, signal=1.5)
    random = np.random.default_rng(0)
    cells = np.where(random.random(panel.answers.shape) < 0.2, panel.answers, np.nan)
    model = PanelModel.fit(Panel(panel.people[:800], panel.questions, cells[:800], np.ones(800)))
    own, others = log_scores(model, panel, range(800, 1_000), asked=4)
    assert own > others + 0.1


@pytest.mark.parametrize(
    ("weight", "value"), [(np.nan, "nan"), (-1.0, "-1.0"), (0.0, "0.0"), (np.inf, "inf")]
)
def test_a_weight_that_is_no_positive_number_names_the_person(weight: float, value: str) -> None:
    """The error names whose weight it is, and the weight."""
    asked = (PanelQuestion("q", Choice(("tea", "coffee"))),)
    with pytest.raises(ConfigError, match=f"'b'.*{value}"):
        Panel(("a", "b"), asked, np.zeros((2, 1)), np.array([1.0, weight]))


def test_nobody_is_no_panel() -> None:
    """A panel without people is an error, not a distribution."""
    with pytest.raises(ConfigError, match="no people"):
        PanelModel.fit(Panel((), (), np.zeros((0, 0)), np.zeros(0)))


@pytest.mark.filterwarnings("error")
def test_strange_panels_give_probabilities() -> None:
    """One person, one answer, all alike, an empty column: always a distribution, never NaN."""
    asked = (
        PanelQuestion("alike", LIKERT),
        PanelQuestion("empty", LIKERT),
        PanelQuestion("once", Choice(("tea", "coffee", "milk"))),
        PanelQuestion("several", MultiChoice(("bus", "train"))),
        PanelQuestion("age", Number(integer=True)),
        PanelQuestion("same age", Number()),
    )
    for people in (1, 3, 30):
        cells = np.full((people, len(asked)), np.nan)
        cells[:, 0] = 2.0
        cells[0, 2] = 1.0
        cells[:, 3] = np.arange(people) % 4
        cells[:, 4] = 20 + np.arange(people)
        cells[:, 5] = 40.0
        model = PanelModel.fit(Panel(tuple(map(str, range(people))), asked, cells, np.ones(people)))
        known = {"alike": "often", "several": ("bus",), "age": 31.0, "unheard of": "x"}
        for key in ("alike", "once", "several", "age"):
            found = model.predict(known, [key], person="0")[0]
            if found is None:
                continue
            shares = np.array(list(found.probabilities.values()))
            assert np.isfinite(shares).all()
            assert ((shares >= 0) & (shares <= 1)).all()
            if key != "several":
                assert shares.sum() == pytest.approx(1.0)
        assert model.predict(known, ["empty", "unheard of"]) == [None, None]


def test_numbers_are_binned_at_the_panels_quantiles() -> None:
    """A number that goes with another answer is predicted in the right bins."""
    random = np.random.default_rng(0)
    old = random.integers(2, size=400)
    age = np.where(old, random.integers(60, 90, 400), random.integers(18, 40, 400)).astype(float)
    asked = (
        PanelQuestion("retired", Choice(("no", "yes"))),
        PanelQuestion("age", Number(integer=True)),
    )
    model = PanelModel.fit(
        Panel(
            tuple(map(str, range(400))),
            asked,
            np.column_stack([old.astype(float), age]),
            np.ones(400),
        )
    )
    found = model.predict({"retired": "yes"}, ["age"])[0]
    assert found is not None
    above = sum(p for value, p in found.probabilities.items() if float(value) >= 60)
    assert above > 0.9


def test_too_many_categories_leave_the_rarest_questions_out() -> None:
    """The most answered questions stay, and those left out are named."""
    panel = likert_panel(10, questions=6)
    cells = panel.answers.copy()
    cells[3:, 1] = np.nan
    small = make_items(Panel(panel.people, panel.questions, cells, panel.weights), limit=20)
    assert small.left_out == (1,)
    assert len(small.items) == 5


def test_bytes_give_the_same_model(trait_model: tuple[PanelModel, Panel]) -> None:
    """A stored model predicts what the one in memory does; damaged bytes are an error."""
    model, panel = trait_model
    data = model.to_bytes()
    again = PanelModel.from_bytes(data)
    known = answers_of(panel, 250, 1)
    assert again.predict(known, ["q1"]) == model.predict(known, ["q1"])
    assert again.to_bytes() == data
    with pytest.raises(ArtifactError, match="panel model"):
        PanelModel.from_bytes(data[: len(data) // 2])


def test_the_same_panel_and_seed_give_the_same_fit() -> None:
    """Nothing in the fit depends on anything but the panel and the seed."""
    panel = likert_panel(40, questions=6)
    assert PanelModel.fit(panel, seed=3).fitted == PanelModel.fit(panel, seed=3).fitted


def test_a_matrix_that_is_not_positive_is_solved_with_its_small_eigenvalues_raised() -> None:
    """Correlations of pairs with gaps may be indefinite: only what is too small changes."""
    random = np.random.default_rng(0)
    vectors, _ = np.linalg.qr(random.normal(size=(30, 30)))
    values = np.linspace(-0.5, 2.0, 30)
    raised = (vectors * np.maximum(values, 0.05)) @ vectors.T
    right = random.normal(size=(30, 2))
    solve = cholesky_solver((vectors * values) @ vectors.T, least_eigenvalue=0.05)
    assert solve(right) == pytest.approx(np.linalg.solve(raised, right))
    positive = np.eye(3) + 0.1
    assert cholesky_solver(positive, least_eigenvalue=0.05)(np.ones(3)) == pytest.approx(
        np.linalg.solve(positive, np.ones(3))
    )


@pytest.mark.parametrize("people", [5, 12, 40])
def test_the_marginal_is_as_good_as_laplaces_rule_whatever_the_number_of_options(
    people: int,
) -> None:
    """Each option gets as many added answers, so that two options do not pay for seven."""
    random = np.random.default_rng(people)
    spaces = [Choice(tuple(f"{n}" for n in range(size))) for size in [2, 7] * 20]
    shares = [random.dirichlet(np.ones(len(space.options))) for space in spaces]
    cells = np.array([[random.choice(len(p), p=p) for p in shares] for _ in range(people)], float)
    cells[random.random(cells.shape) < 0.3] = np.nan
    names = tuple(map(str, range(people)))
    asked = tuple(PanelQuestion(f"q{i}", space) for i, space in enumerate(spaces))
    model = PanelModel.fit(Panel(names, asked, cells, np.ones(people)))
    found = model.predict({}, [question.key for question in asked])
    gains = []
    for i, (one, p) in enumerate(zip(found, shares, strict=True)):
        if one is None:
            continue
        counts = np.bincount(cells[np.isfinite(cells[:, i]), i].astype(int), minlength=len(p))
        laplace = (counts + 1) / (counts.sum() + len(p))
        own = np.array([one.others[option] for option in spaces[i].options])
        gains.append(p @ (np.log(own) - np.log(laplace)))
    assert np.mean(gains) > -0.002
