"""Plans of studies: read as a whole, run cell by cell, resumed, pooled and written as a page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from usersim.errors import ConfigError, EvaluationError, TrainingError
from usersim.evaluation import title_of
from usersim.research.study import (
    Cell,
    Settings,
    StudyPlan,
    cells_of,
    figures_of,
    read_plan,
    run_cells,
    states_of,
    write_study_page,
)

PLAN = """
title: Does it help?
main: {arm: recon_select, against: backward}
also:
  - {arm: pool, against: pool_without_reasoning}
arms: [recon_select, backward, pool, pool_without_reasoning]
seeds: [0, 1]
defaults: {preset: tiny, pairs: 4}
sizes:
  gpu: {model: big, pairs: 16}
sets:
  - {name: people, corpus: people.jsonl, people: 3, pairs: 2}
  - name: planted
    planted: {users: 4, interactions: 10}
    seeds: [0]
    arms: [recon_select, backward]
"""


def plan(tmp_path: Path, text: str = PLAN) -> StudyPlan:
    """Read a plan from a file."""
    path = tmp_path / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return read_plan(path)


def report(cell: Cell, folder: Path, shift: float = 0.3) -> None:
    """Write the predictions of a cell in which every first arm is better by `shift`."""
    rng = np.random.default_rng(cell.seed)
    lines = []
    for n in range(24):
        base = rng.normal(-1.0, 0.3)
        arms = {
            title_of(arm): {
                "scores": {
                    "log_score": base + shift * (arm in {"recon_select", "pool"}),
                    "log_likelihood": base,
                }
            }
            for arm in cell.arms
        }
        row = {"key": f"k{n}", "user_id": f"u{n % 6}", "conversation": f"c{n}", "kind": "scale"}
        lines.append(json.dumps({**row, "arms": arms}))
    (folder / "predictions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_plan_is_sets_by_seeds_with_settings_resolved(tmp_path: Path) -> None:
    """What a set leaves out comes from the defaults; a size and the caller go before both."""
    made = plan(tmp_path)
    cells = cells_of(made)
    assert [one.name for one in cells] == ["people, seed 0", "planted, seed 0", "people, seed 1"]
    people, planted, _ = cells
    assert (people.settings.pairs, planted.settings.pairs) == (2, 4)
    assert (people.settings.model, people.settings.traces) == ("embedded", None)
    assert people.arms == ("backward", "recon_select", "pool_without_reasoning", "pool")
    assert planted.arms == ("backward", "recon_select")
    large = cells_of(made, size="gpu", given=Settings(model="other"), sets=["people"])
    assert {one.source.name for one in large} == {"people"}
    assert (large[0].settings.pairs, large[0].settings.model) == (16, "other")
    with pytest.raises(ConfigError, match="'cpu'"):
        cells_of(made, size="cpu")
    with pytest.raises(ConfigError, match="'peple'"):
        cells_of(made, sets=["peple"])
    with pytest.raises(ConfigError, match="panel of 9 people"):
        cells_of(made, given=Settings(panel=9))


def test_a_plan_changes_single_settings_of_a_preset(tmp_path: Path) -> None:
    """What `config` names differs, the rest is the preset's under the cell's seed."""
    text = PLAN.replace("preset: tiny,", "preset: tiny, config: {training: {epochs: 1}},")
    changed, plain = (cells_of(plan(tmp_path, one))[2].pipeline for one in (text, PLAN))
    assert (plain.training.epochs, changed.training.epochs) == (2.0, 1.0)
    assert changed.with_seed(0) == plain.with_seed(0).model_copy(
        update={"training": plain.training.model_copy(update={"epochs": 1.0, "seed": 0})}
    )
    assert changed.training.seed == 1
    for wrong, said in (
        ("{training: {epoch: 1}}", r"training\.epoch"),
        ("{trainig: {epochs: 1}}", "trainig"),
        ("{training: {epochs: 1, seed: 7}}", r"'training\.seed' cannot be set"),
        ("{history: {evidence_by: me}}", r"'history\.evidence_by' cannot be set"),
        ("{training: {epochs: 0}}", r"training\.epochs: .*greater than 0"),
    ):
        text = PLAN.replace("preset: tiny,", f"preset: tiny, config: {wrong},")
        with pytest.raises(ConfigError, match=said):
            cells_of(plan(tmp_path, text))


def test_single_settings_of_a_set_and_of_the_defaults_are_merged(tmp_path: Path) -> None:
    """A set changes what it names; moved lines and empty stages do not make another plan."""
    both = "config: {training: {rank: 8, epochs: 1}},"
    text = PLAN.replace("preset: tiny,", f"preset: tiny, {both}")
    text = text.replace("people: 3, pairs: 2", "people: 3, pairs: 2, config: {training: {rank: 4}}")
    first, *_ = cells_of(plan(tmp_path, text))
    assert (first.pipeline.training.rank, first.pipeline.training.epochs) == (4, 1.0)
    moved = "config: {synthesis: {}, training: {epochs: 1, rank: 8}},"
    again, *_ = cells_of(plan(tmp_path, text.replace(both, moved)))
    assert again.key == first.key
    empty, *_ = cells_of(plan(tmp_path, PLAN.replace("preset: tiny,", "preset: tiny, config: {},")))
    assert empty.key == cells_of(plan(tmp_path))[0].key


def test_settings_that_are_younger_than_a_study_do_not_make_it_another(tmp_path: Path) -> None:
    """A cell is measured again for a setting that was named, not for one that now exists."""
    (cell, *_) = cells_of(plan(tmp_path))
    assert not {"traced", "config"} & set(json.loads(cell.settings.model_dump_json()))
    (other, *_) = cells_of(plan(tmp_path, PLAN.replace("pairs: 4", "pairs: 4, traced: 2")))
    assert other.key != cell.key


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("sizes:", "size:", "size: unknown key; did you mean 'sizes'?"),
        ("people: 3,", "peoples: 3,", "sets.0.peoples: unknown key; did you mean 'people'?"),
        ("pairs: 16", "piars: 16", "sizes.gpu.piars: unknown key; did you mean 'pairs'?"),
        ("users: 4", "user: 4", "sets.1.planted.user: unknown key; did you mean 'users'?"),
        ("against: backward", "agianst: backward", "did you mean 'against'?"),
        ("[recon_select, backward, ", "[recon_selct, backward, ", "did you mean 'recon_select'?"),
        ("{arm: pool,", "{arm: pol,", "also.0.arm: unknown arm 'pol'; did you mean 'pool'?"),
        ("seeds: [0, 1]", "seeds: [-1]", "seeds.0"),
        ("name: planted\n", "name: people\n", "two sets have the name 'people'"),
        ("name: planted\n", "name: ../up\n", "sets.1.name"),
        ("corpus: people.jsonl, ", "", "needs either 'corpus' or 'planted'"),
        ("{arm: pool,", "{arm: chance,", "no set measures both 'chance'"),
        ("preset: tiny", "preset: huge", "defaults.preset"),
        ("{arm: pool,", "{arm: pool_without_reasoning,", "compares 'pool_without_reasoning' with"),
    ],
)
def test_a_mistake_is_named_with_what_was_meant(
    tmp_path: Path, was: str, now: str, said: str
) -> None:
    """Unknown keys and arms name the nearest one; every other problem names its place."""
    assert was in PLAN
    with pytest.raises(ConfigError) as caught:
        plan(tmp_path, PLAN.replace(was, now, 1))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("title: &a T\nmain: *a", "alias"),
        ("title: T\ntitle: U", "'title' twice"),
        ("[" * 40, "deeper"),
        ("- 1", "the file"),
    ],
)
def test_a_hostile_plan_is_refused_by_the_reader(tmp_path: Path, text: str, said: str) -> None:
    """Code, aliases, doubled keys and deep nesting are errors before anything is made of them."""
    with pytest.raises(ConfigError, match=said):
        plan(tmp_path, text)


def test_a_killed_study_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    """Finished cells are kept, one that was cut off is measured, a changed one is refused."""
    cells, out = cells_of(plan(tmp_path)), tmp_path / "out"
    asked: list[str] = []

    def dies(cell: Cell, folder: Path) -> None:
        asked.append(cell.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        report(cell, folder)

    assert set(states_of(cells, out).values()) == {"left"}
    with pytest.raises(KeyboardInterrupt):
        run_cells(cells, out, dies)
    assert list(states_of(cells, out).values()) == ["done", "started", "left"]

    again: list[str] = []

    def works(cell: Cell, folder: Path) -> None:
        again.append(cell.name)
        report(cell, folder)

    found = run_cells(cells, out, works)
    assert again == ["planted, seed 0", "people, seed 1"]
    assert [cell.name for cell in found.done] == [cell.name for cell in cells]
    assert run_cells(cells, out, works).done == tuple(cells)
    assert len(again) == 2, "nothing is left to measure"

    more = PLAN.replace("pool, pool_without", "pool, none, pool_without", 1)
    assert states_of(cells_of(plan(tmp_path, more)), out)["people, seed 0"] == "started"
    other = cells_of(plan(tmp_path, PLAN.replace("pairs: 2", "pairs: 3")))
    with pytest.raises(ConfigError, match="pairs=2 is now 3"):
        run_cells(other, out, works)
    (out / "people" / "seed-0" / "cell.json").write_text("{", encoding="utf-8")
    with pytest.raises(EvaluationError, match="damaged"):
        states_of(cells, out)


def test_a_cell_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    """Its error is kept, the rest is measured, and the next run tries it again."""
    cells, out = cells_of(plan(tmp_path)), tmp_path / "out"
    told: list[tuple[str, str]] = []

    def fails(cell: Cell, folder: Path) -> None:
        if cell.source.name == "planted":
            raise TrainingError("the loss is NaN")
        report(cell, folder)

    found = run_cells(cells, out, fails, note=lambda cell, state: told.append((cell.name, state)))
    assert [(cell.name, str(error)) for cell, error in found.failed] == [
        ("planted, seed 0", "the loss is NaN")
    ]
    assert len(found.done) == 2
    assert ("planted, seed 0", "failed") in told
    assert [cell.name for cell in run_cells(cells, out, report).done] == [c.name for c in cells]


def test_the_page_pools_over_seeds_and_shows_the_main_comparison_first(tmp_path: Path) -> None:
    """HTML and Markdown hold the pooled figure, its interval and what is not finished yet."""
    made, out = plan(tmp_path), tmp_path / "out"
    cells = cells_of(made)

    def partly(cell: Cell, folder: Path) -> None:
        if cell.source.name == "planted":
            raise TrainingError("no <b>luck</b>")
        report(cell, folder, shift=0.3 + 0.1 * cell.seed)

    run = run_cells(cells, out, partly)
    figures = figures_of(made, cells, run.done, out)
    (main,) = figures.main
    assert main.pooled.difference.value == pytest.approx(0.35)
    assert main.pooled.by_run == pytest.approx((0.3, 0.4))
    assert main.metric.name == "log_score"
    assert (main.people, main.better) == (6, True)
    states = {**states_of(cells, out), "planted, seed 0": "failed"}
    page = write_study_page(
        figures,
        cells,
        states,
        out,
        provenance={"command": "usersim study run"},
        errors={"planted, seed 0": "no <b>luck</b>"},
    ).read_text(encoding="utf-8")
    text = (out / "study.md").read_text(encoding="utf-8")
    said = "people: Recon-Select is better than B3 Backward Synthesis: +0.350"
    for shown in (page, text):
        assert said in shown
        assert "pooled over 2 seeds, 24 answers of 6 people" in shown
        assert "1 cell of 3 not finished" in shown
        assert shown.index("Main comparison") < shown.index("Further comparisons")
        assert "people/seed-0/report.html" in shown
        assert "K = 2 traces" in shown
    assert "<b>luck</b>" not in page
    assert "data:image/svg+xml" in page
    (row, pool) = json.loads((out / "study.json").read_text(encoding="utf-8"))
    assert (row["comparison"], pool["comparison"]) == ("main", "further")
    assert row["low"] < row["difference"] < row["high"]
    assert "main" in (out / "study.csv").read_text(encoding="utf-8")


def test_the_page_leads_to_finished_reports_and_warns_of_few_people(tmp_path: Path) -> None:
    """A cell that failed has no report to open; six people are too few to generalize."""
    made, out = plan(tmp_path), tmp_path / "out"
    cells = cells_of(made)
    run = run_cells(cells, out, lambda cell, folder: report(cell, folder, shift=0.3))
    states = {**states_of(cells, out), "planted, seed 0": "failed"}
    figures = figures_of(made, cells, run.done, out)
    page = write_study_page(figures, cells, states, out, provenance={}).read_text(encoding="utf-8")
    assert '<a href="people/seed-0/report.html">' in page
    assert "planted/seed-0/report.html" not in page
    assert "With 6 people the intervals are too narrow to generalize" in page


def test_a_study_without_a_finished_cell_has_a_page_that_says_so(tmp_path: Path) -> None:
    """Before the first cell is finished the page has no figure and no plot."""
    made, out = plan(tmp_path), tmp_path / "out"
    cells = cells_of(made)
    page = write_study_page(
        figures_of(made, cells, [], out), cells, states_of(cells, out), out, provenance={}
    )
    said = page.read_text(encoding="utf-8")
    assert "No set is finished yet" in said
    assert ">error<" not in said, "a column without an error is none"
    assert not (out / "forest.svg").exists()
