"""What an evaluation will do: counted without a model, timed by the real steps."""

from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.people import engine, person
from tests.fixtures.runs import CONFIG
from usersim import UserSimulator
from usersim.cli.app import app
from usersim.engines import GenerateRequest, ScoreRequest
from usersim.errors import ArgumentError, ConfigError, EmptySplitError, EvaluationError
from usersim.simulator import face, plan_evaluation, time_evaluation

THOUGHT = "It says fine to me on such a day.\n</think>"


def simulator() -> UserSimulator:
    """Two people with 8 training pairs and 2 held-out answers each."""
    rows = [*person("ada", 10), *person("bob", 10)]
    return UserSimulator.from_corpus(rows, engine=engine(reasoning=THOUGHT), config=CONFIG)


def test_a_plan_counts_what_the_evaluation_does() -> None:
    """Pairs, traces, trainings and answers are those that the evaluation then has."""
    with simulator() as sim:
        each = CONFIG.synthesis.n_forward + CONFIG.synthesis.n_backward
        arms = ("chance", "others", "few_shot", "recon_memory")
        plan = plan_evaluation(sim, arms=arms, limit=3, held_out=4)
        assert sim._engine_choice.calls == 0, "a plan needs no model"
        assert (plan.people, len(plan.train), len(plan.held_out)) == (2, 6, 4)
        assert (plan.candidates, plan.trainings) == (6 * each, 0)
        assert (plan.predictions, plan.drawn) == (8, 4)
        measured = sim.evaluate(arms=arms, limit=3, held_out=4)
    assert len(measured.found.interactions) == len(plan.train)
    drawn = sum(len(many) for many in measured.found.scored.values())
    assert drawn == plan.candidates
    assert {one.key for one in measured.evaluation.interactions} == {
        one.key for one in plan.held_out
    }


def test_traces_for_some_are_counted_and_drawn_for_those_alone() -> None:
    """Of 6 pairs of a person 2 get traces, from either half of what they said; all are learned."""
    with simulator() as sim:
        each = CONFIG.synthesis.n_forward + CONFIG.synthesis.n_backward
        plan = plan_evaluation(sim, arms=("recon_memory",), limit=6, traced=2, held_out=2)
        measured = sim.evaluate(arms=("recon_memory",), limit=6, traced=2, held_out=2)
        with pytest.raises(ConfigError, match="got 0"):
            sim.evaluate(arms=("recon_memory",), traced=0)
        with pytest.raises(ConfigError, match="got -1"):
            plan_evaluation(sim, arms=("recon_memory",), traced=-1)
    assert (len(plan.train), plan.candidates) == (12, 4 * each)
    assert len(measured.found.interactions) == 12
    places = [i.position for i in measured.found.interactions if i.key in measured.found.scored]
    assert places == [3, 6, 3, 6]
    assert [i.position for i in plan.reconstructed] == places


def test_traces_for_some_are_the_same_whatever_the_store_has_already() -> None:
    """Traces of an earlier call with more of them are not learned from with fewer."""
    with simulator() as sim:
        sim.evaluate(arms=("recon_memory",), limit=6, held_out=2)
        measured = sim.evaluate(arms=("recon_memory",), limit=6, traced=2, held_out=2)
    assert len(measured.found.interactions) == 12
    assert len(measured.found.scored) == len(measured.found.selections) == 4


@pytest.mark.parametrize(
    ("arms", "candidates", "trainings", "answers"),
    [
        (("others",), False, 0, 0),
        (("none",), False, 1, 4),
        (("none", "backward"), True, 2, 8),
        (("recon_select",), True, 1, 8),  # and after the traces of other contexts
        (("recon_grpo",), False, 1, 4),
    ],
)
def test_arms_have_the_work_that_they_make(arms, candidates, trainings, answers) -> None:  # type: ignore[no-untyped-def]
    """Traces are drawn only where an arm learns from them; each trained arm is one adapter."""
    with simulator() as sim:
        plan = plan_evaluation(sim, arms=arms, held_out=4)
    found = (plan.candidates > 0, plan.trainings, plan.predictions)
    assert found == (candidates, trainings, answers)


def test_what_cannot_be_evaluated_is_an_error_of_the_plan() -> None:
    """An unknown arm, nothing held out, nothing to learn from: said before anything is timed."""
    with simulator() as sim, pytest.raises(ArgumentError, match="'best'"):
        plan_evaluation(sim, arms=("best",))
    alone = UserSimulator.from_corpus(person("ada", 1), engine=engine(), config=CONFIG)
    with alone, pytest.raises((EvaluationError, EmptySplitError)):
        plan_evaluation(alone, arms=("none",))


def test_the_estimate_grows_with_the_work() -> None:
    """A second a step: twice the pairs take twice as long, and arms add up."""
    ticks = count()
    rows = [*person("ada", 30), *person("bob", 30)]
    with UserSimulator.from_corpus(rows, engine=engine(reasoning=THOUGHT), config=CONFIG) as sim:
        arms = ("few_shot", "backward")
        small = plan_evaluation(sim, arms=arms, limit=10, held_out=2)
        large = plan_evaluation(sim, arms=arms, limit=20, held_out=4)
        first, second = (
            time_evaluation(plan, sim, now=lambda: float(next(ticks))) for plan in (small, large)
        )
        assert len(list(sim.corpus.ledger.responses())) == 0, "nothing that is timed is kept"
    assert set(first.stages) == {"traces", "training", "answers"}
    assert second.stages["answers"] == pytest.approx(2 * first.stages["answers"])
    assert second.stages["training"] == pytest.approx(2 * first.stages["training"])
    assert second.seconds > first.seconds > 0


def test_only_a_few_steps_are_timed() -> None:
    """The sample does not grow with the corpus, and an arm without a model times nothing of it."""
    rows = [row for name in ("ada", "bob", "cy") for row in person(name, 40)]
    model = engine(reasoning=THOUGHT)
    with UserSimulator.from_corpus(rows, engine=model, config=CONFIG) as sim:
        time_evaluation(plan_evaluation(sim, arms=("backward", "none")), sim)
    drawn = [one for one in model.requests if isinstance(one, GenerateRequest)]
    scored = [one for one in model.requests if isinstance(one, ScoreRequest)]
    assert len(drawn) <= 12
    assert len(scored) <= 200


def test_trainings_that_are_not_timed_are_named() -> None:
    """A synthesizer's training is not guessed; the line says that it comes on top."""
    with simulator() as sim:
        found = time_evaluation(plan_evaluation(sim, arms=("none", "recon_grpo")), sim)
    assert found.untimed == ("recon_grpo",)
    assert "recon_grpo" in str(found)


def test_evaluate_says_first_what_it_does_and_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts and time come before the first stage; `--dry-run` ends there and leaves no file."""
    monkeypatch.setattr(face, "load_engine", lambda *_, **__: engine(reasoning=THOUGHT))
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "people.jsonl"
    rows = [*person("ada", 10), *person("bob", 10), {"user_id": "ada", "context": "No action?"}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    arguments = ["evaluate", str(source), "--out", "report", "--arms", "others,few_shot"]
    dry = CliRunner().invoke(app, [*arguments, "--dry-run"], catch_exceptions=False)
    assert dry.exit_code == 0
    said = " ".join(dry.stderr.split())
    assert "2 people, 16 training pairs, 4 held-out answers, 2 arms: others, few_shot" in said
    assert "0 adapters to train, 4 answers to predict" in said
    assert re.search(r"less than a minute \(estimated in \d+:\d\d;", said)
    assert "report.refused" not in said
    assert not (tmp_path / "report").exists()
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stderr.index("estimated in") < result.stderr.index("measure: ")
    assert (tmp_path / "report" / "report.html").is_file()
