"""Arms of the pool: what `respond` answers, from the train split alone, with and without parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast, get_args

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.fixtures.people import engine
from tests.fixtures.recon_engine import OverlapEngine
from usersim import UserSimulator
from usersim.cli.app import app
from usersim.config import HistoryConfig, PipelineConfig, PredictionConfig, SimulationConfig
from usersim.engines.scripted import ScriptedEngine
from usersim.errors import ArgumentError, ConfigError, EvaluationError
from usersim.evaluation import ARM_SPECS, ARMS, ArmName, check_arms, others_arm, title_of
from usersim.simulator.measure import reasoning_added
from usersim.types import Predictor, is_closed

LEVELS = ["never", "sometimes", "always"]
CONFIG = PipelineConfig(
    history=HistoryConfig(recent=1, evidence=2), simulation=SimulationConfig(traces=1, redraws=0)
)
POOLS: tuple[ArmName, ...] = ("own_scale", "panel", "pool_without_reasoning", "pool")


def survey(people: int, questions: int = 6, *, held: str = "") -> list[dict[str, object]]:
    """Return people asked the same questions in different orders; `held` replaces last answers."""
    random = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for person in range(people):
        inclination = random.normal()
        for place, question in enumerate(random.permutation(questions)):
            felt = inclination + 0.6 * random.normal()
            said = LEVELS[int(felt > -0.5) + int(felt > 0.5)]
            rows.append(
                {
                    "user_id": f"p{person:03}",
                    "order": place,
                    "context": f"How often do you do thing {question}?",
                    "action": held if held and place == questions - 1 else said,
                    "action_type": "scale",
                    "options": LEVELS,
                    "metadata": {"age": 20 + person, "column": int(question)},
                }
            )
    return rows


def simulator(rows: object, config: PipelineConfig = CONFIG, **how: object) -> UserSimulator:
    """Return a simulator in memory with a scripted model."""
    return UserSimulator.from_corpus(rows, engine=engine(), config=config, progress=False, **how)


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[UserSimulator]:
    """Thirty people in a store."""
    with simulator(survey(30), store=tmp_path / "s.db") as made:
        yield made


def test_the_pool_arm_answers_as_respond_does(sim: UserSimulator) -> None:
    """Every held-out answer has the probabilities that `respond` gives, before and after a fit."""
    for calibrate in (None, 40):
        found = sim.evaluate(arms=POOLS, calibrate=calibrate, progress=False).evaluation
        for arm, predictors in (
            ("pool", None),
            ("pool_without_reasoning", ["no_reasoning", "panel", "others", "own_scale"]),
            ("panel", ["panel"]),
            ("own_scale", ["own_scale"]),
        ):
            made = found.predictions[title_of(arm)]
            for asked, one in zip(found.interactions, made, strict=True):
                answer = sim.respond(
                    asked, user_id=asked.user_id, predictors=predictors, store=False
                )
                assert one.probabilities == pytest.approx(dict(answer.probabilities))
                assert one.action == answer.action
        assert len(found.interactions) == 30
        fitted = "fitted on training answers" if calibrate else "not calibrated"
        assert fitted in found.arms[title_of("pool")]
        assert fitted in found.arms[title_of("pool_without_reasoning")]


def test_no_held_out_answer_reaches_the_pool(tmp_path: Path) -> None:
    """Other held-out answers of everybody change neither the weights nor any probability."""
    said = []
    for place, held in enumerate(("never", "always")):
        with simulator(survey(30, held=held), store=tmp_path / f"{place}.db") as sim:
            found = sim.evaluate(arms=POOLS, calibrate=40, progress=False).evaluation
        assert {one.action for one in found.interactions} == {held}
        said.append({n: [p.probabilities for p in made] for n, made in found.predictions.items()})
    assert said[0] == said[1]


def test_the_report_says_what_reasoning_adds(sim: UserSimulator, tmp_path: Path) -> None:
    """The paired difference of both pools, with its interval, is a sentence of every view."""
    found = sim.evaluate(
        arms=("pool_without_reasoning", "pool"), calibrate=40, out=tmp_path / "out", progress=False
    )
    (said,) = reasoning_added(found.evaluation)
    (gap,) = (
        one.difference
        for one in found.evaluation.against(title_of("pool_without_reasoning"))
        if one.metric == "log_score"
    )
    assert f"{gap.value:+.3f} nats [{gap.low:+.3f}, {gap.high:+.3f}]" in said
    assert "30 answers of 30 people" in said
    assert said in str(found)
    assert found.report is not None
    page = found.report.read_text(encoding="utf-8")
    assert "What reasoning adds to everything else" in page
    assert reasoning_added(sim.evaluate(arms=("pool",), progress=False).evaluation) == []


def test_weights_are_fitted_once_for_the_same_answers(sim: UserSimulator, tmp_path: Path) -> None:
    """A repeated evaluation asks the model nothing; other answers, or other weights, it fits."""
    model = cast(ScriptedEngine, sim.engine)
    how = {"arms": ("pool_without_reasoning", "pool"), "out": tmp_path, "progress": False}
    first = sim.evaluate(calibrate=20, **how).evaluation  # pyright: ignore[reportArgumentType]
    asked = len(model.requests)
    again = sim.evaluate(calibrate=20, **how).evaluation  # pyright: ignore[reportArgumentType]
    assert len(model.requests) == asked
    assert again.predictions == first.predictions
    sim.evaluate(calibrate=24, **how)  # pyright: ignore[reportArgumentType]
    assert len(model.requests) > asked
    asked = len(model.requests)
    sim.evaluate(calibrate=20, **how)  # pyright: ignore[reportArgumentType]
    assert len(model.requests) > asked, "the weights in use are those of 24 answers"


def test_the_others_are_the_panel_of_those_who_are_measured(sim: UserSimulator) -> None:
    """Only the named people are measured, and everybody's training answers are counted."""
    found = sim.evaluate(arms=("panel", "pool"), people=["p000", "p001"], progress=False)
    everybody = sim.evaluate(arms=("panel", "pool"), progress=False).evaluation
    assert {one.user_id for one in found.evaluation.interactions} == {"p000", "p001"}
    panel = title_of("panel")
    known = {
        asked.key: one.probabilities
        for asked, one in zip(everybody.interactions, everybody.predictions[panel], strict=True)
    }
    for asked, one in zip(
        found.evaluation.interactions, found.evaluation.predictions[panel], strict=True
    ):
        assert one.probabilities == known[asked.key]
    others = sim.evaluate(arms=("others",), people=["p000", "p001"], progress=False).evaluation
    counted = others_arm(list(sim.corpus.interactions(split="train")))
    assert others.predictions["Others"] == counted.predict(others.interactions).items
    with pytest.raises(ArgumentError, match="p000"):
        sim.evaluate(arms=("panel",), people="p000", progress=False)


def test_k_of_an_evaluation_is_that_of_its_pool(sim: UserSimulator) -> None:
    """With K = 3 the pool reads three traces, and the arm says so; without reasoning none."""
    found = sim.evaluate(arms=POOLS, people=["p000"], traces=3, progress=False).evaluation
    (pool,) = found.predictions["Pool"]
    assert len(pool.detail["reasonings"]) == 3
    assert "K = 3" in found.arms["Pool"]
    assert found.predictions["Pool without reasoning"][0].detail["reasonings"] == []
    assert "K = " not in found.arms["Pool without reasoning"]


def test_what_is_not_known_is_alike_and_what_is_not_pooled_fails() -> None:
    """A panel of one knows nothing of a question; free text has no options to pool."""
    rows = survey(1, 10)
    rows[-1] |= {"action": "So.", "action_type": "free_text", "options": None}
    with simulator(rows) as sim:
        found = sim.evaluate(arms=("panel", "pool"), progress=False).evaluation
    closed = [is_closed(one.space) for one in found.interactions]
    assert closed == [True, False]
    assert set(found.predictions["Panel model"][0].probabilities.values()) == {1 / 3}
    assert found.predictions["Panel model"][0].action == LEVELS[1], "the middle of the scale"
    for arm in ("Panel model", "Pool"):
        assert [one.message for one in found.failures[arm]] == ["free text is not pooled"]


def test_a_pool_of_reasoning_alone_has_no_pool_without_it() -> None:
    """Settings that pool nothing else are an error that names the arm and the setting."""
    alone = CONFIG.model_copy(update={"prediction": PredictionConfig(predictors=("reasoning",))})
    with (
        simulator(survey(3), alone) as sim,
        pytest.raises(EvaluationError, match=r"'pool_without_reasoning'.*\['reasoning'\]"),
    ):
        sim.evaluate(arms=("pool_without_reasoning", "pool"), progress=False)


def test_the_persona_prompt_holds_facts_and_the_question_alone() -> None:
    """No past answer and no id of the person stand in it, and no trace is drawn."""
    model = OverlapEngine()
    with UserSimulator.from_corpus(survey(4), engine=model, config=CONFIG, progress=False) as sim:
        found = sim.evaluate(arms=("persona",), people=["p003"], progress=False).evaluation
    assert not model.generated
    (asked,) = found.interactions
    prompts = {one.prompt for batch in model.scored for one in batch}
    assert prompts
    for (_, system), (_, question) in prompts:
        assert "You are a person with: age: 23." in system
        assert "p003" not in system + question
        assert question.startswith(asked.context[0].content)
        assert question.count("How often") == 1


def test_the_table_of_arms_is_whole() -> None:
    """Every name has one entry, titles are unique, and the pools differ by reasoning alone."""
    assert tuple(ARM_SPECS) == ARMS
    assert all(spec.name == name for name, spec in ARM_SPECS.items())
    assert len({spec.title for spec in ARM_SPECS.values()}) == len(ARMS)
    assert ARM_SPECS["pool"].predictors == get_args(Predictor)
    without = {*ARM_SPECS["pool"].predictors} - {*ARM_SPECS["pool_without_reasoning"].predictors}
    assert without == {"reasoning"}
    assert all(
        (spec.training is not None) == (spec.answers == "adapter") for spec in ARM_SPECS.values()
    )
    with pytest.raises(ArgumentError, match=r"\['recon'\]") as caught:
        check_arms(["others", "recon"])
    assert "recon_" in caught.value.hint


def test_the_command_measures_some_people_with_the_others_as_the_panel(tmp_path: Path) -> None:
    """`--panel` loads people who are not measured, and needs to know who is."""
    source = tmp_path / "people.jsonl"
    source.write_text("\n".join(map(json.dumps, survey(20))), encoding="utf-8")
    asked = ["evaluate", str(source), "--out", str(tmp_path / "out"), "--engine", "scripted"]
    asked += ["--arms", "pool_without_reasoning,pool", "--panel", "12", "--calibrate", "16"]
    found = CliRunner().invoke(app, [*asked, "--people", "3"])
    assert found.exit_code == 0, found.output
    said = " ".join(found.output.split())
    assert "the reasoning added" in said
    assert "on 3 answers of 3 people" in said
    with UserSimulator.open(tmp_path / "out" / "people.usersim.db", engine=engine()) as stored:
        assert len(stored.users) == 15
    everybody = CliRunner().invoke(app, asked)
    assert isinstance(everybody.exception, ConfigError)
    assert "a panel of 12 people" in str(everybody.exception)
