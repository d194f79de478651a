"""A study from its plan to its page, with real arms: killed, resumed and printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.people import ThoughtEngine, engine
from tests.unit.test_simulator_pool_arms import survey
from usersim.cli.app import app
from usersim.engines import Engine
from usersim.errors import ConfigError
from usersim.research.study import read_plan
from usersim.research.study.cells import cells_of
from usersim.simulator.face import LOADING
from usersim.simulator.studies import Study

PLAN = """
title: What reasoning adds
main: {arm: pool, against: pool_without_reasoning}
also:
  - {arm: panel, against: others}
arms: [others, panel, persona, few_shot, pool_without_reasoning, pool]
seeds: [0, 1]
defaults: {preset: tiny, engine: scripted, traces: 1, calibrate: 16}
sets:
  - {name: habits, corpus: people.jsonl, people: 4, panel: 14, held_out: 8, shuffle: true}
  - name: planted
    planted: {users: 3, interactions: 8}
    held_out: 3
    arms: [persona, pool, pool_without_reasoning]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a plan and a corpus whose people were all asked in the same order."""
    rows = [{**row, "order": row["metadata"]["column"]} for row in survey(20, 10)]  # pyright: ignore[reportIndexIssue]
    (tmp_path / "people.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "plan.yaml").write_text(PLAN, encoding="utf-8")
    return tmp_path


def study(home: Path, out: str, model: Engine) -> Study:
    """The study of `home` on one engine."""
    return Study(
        plan=read_plan(home / "plan.yaml"),
        data=home,
        out=home / out,
        load=lambda _name, _engine, _dtype: model,
    )


@pytest.mark.slow
def test_a_killed_study_resumes_and_ends_as_an_uninterrupted_one(home: Path) -> None:
    """Its figures are the same, and what was finished before the kill is not asked again."""
    whole = engine()
    done = study(home, "whole", whole)
    assert len(done.run().done) == 4
    dying = engine()
    answered = type(dying).score
    calls = 0

    def score(self: ThoughtEngine, requests: object, **how: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 14:
            raise KeyboardInterrupt
        return answered(self, requests, **how)  # pyright: ignore[reportArgumentType]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(dying), "score", score)
        with pytest.raises(KeyboardInterrupt):
            study(home, "killed", dying).run()
    again = engine()
    killed = study(home, "killed", again)
    assert "started" in killed.states().values()
    assert {*killed.run().done} == {*killed.cells}
    assert len(again.requests) < len(whole.requests)
    figures = [
        json.loads((home / of / "study.json").read_text("utf-8")) for of in ("whole", "killed")
    ]
    assert figures[0] == figures[1]
    asked = len(again.requests)
    killed.run()
    assert len(again.requests) == asked, "nothing is left to measure"


def test_a_model_that_loads_is_named_in_the_progress(home: Path) -> None:
    """Loading may take a minute, in which nothing else is told; a loaded model is told no more."""
    told: list[tuple[str, int, int | None]] = []
    made = study(home, "out", ThoughtEngine())
    settings = cells_of(made.plan)[0].settings
    for _ in range(2):
        made._engine("m", settings, lambda *step: told.append(step))
    assert told == [(LOADING, 0, 1), (LOADING, 1, 1)]


def test_seeds_share_answers_and_the_panel_knows_the_questions(home: Path) -> None:
    """People are shuffled once, so that both seeds pool the same answers of known questions."""
    found = study(home, "out", engine())
    assert not found.run().failed
    rows = {
        (row["set"], row["arm"]): row
        for row in json.loads((home / "out" / "study.json").read_text("utf-8"))
    }
    main = rows["habits", "pool"]
    assert (main["seeds"], main["answers"], main["people"]) == (2, 8, 4)
    assert len(main["by_seed"]) == 2
    panel = rows["habits", "panel"]
    assert abs(panel["difference"]) > 0, "a panel that knows no question would answer like chance"
    page = (home / "out" / "study.md").read_text(encoding="utf-8")
    assert "Pool against Pool without reasoning" in page
    assert "pooled over 2 seeds, 8 answers of 4 people" in page
    assert len(list((home / "out" / "habits").glob("people-*.jsonl"))) == 1


def test_a_missing_corpus_and_too_few_people_are_said(home: Path) -> None:
    """A file that is not there stops the study at once; a set that is too small fails alone."""
    small = PLAN.replace("people: 4, panel: 14", "people: 40")
    (home / "plan.yaml").write_text(small, encoding="utf-8")
    run = study(home, "out", engine()).run()
    assert {cell.source.name for cell, _ in run.failed} == {"habits"}
    assert "the plan measures 40" in (home / "out" / "study.md").read_text(encoding="utf-8")
    (home / "people.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"'habits'.*people\.jsonl"):
        study(home, "other", engine()).run()


def test_the_command_shows_the_cells_then_runs_them(home: Path) -> None:
    """`--dry-run` prints what is left and runs nothing; the run prints pooled sentences."""
    arguments = ["study", "run", str(home / "plan.yaml"), "--out", str(home / "out"), "--sets"]
    shown = CliRunner().invoke(app, [*arguments, "planted", "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert "2 of 2 cells left to measure" in shown.output
    assert not (home / "out").exists()
    ran = CliRunner().invoke(app, [*arguments, "planted"])
    assert ran.exit_code == 0, ran.output
    assert "pooled over 2 seeds" in " ".join(ran.output.split())
    listed = CliRunner().invoke(app, [*arguments, "planted", "--dry-run", "--json"])
    assert {row["state"] for row in json.loads(listed.stdout)} == {"done"}
    unknown = CliRunner().invoke(app, [*arguments, "habits", "--size", "gpu"])
    assert unknown.exit_code != 0
