"""Leakage table, population distances and the report folder."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from usersim.cli.simulate import print_measurement
from usersim.errors import EvaluationError, MissingDependencyError
from usersim.evaluation import (
    Arm,
    Evaluation,
    Example,
    LeakageTable,
    Section,
    caution,
    evaluate,
    uniform_arm,
    write_report,
)
from usersim.evaluation.report.plots import calibration, forest
from usersim.survey.estimates import population_rows
from usersim.survey.estimates.distances import (
    entropy_ratio,
    jensen_shannon,
    population_score,
    split_half_floor,
    total_variation,
    wasserstein_1,
)
from usersim.types import (
    Batch,
    Candidate,
    Choice,
    FreeText,
    Interaction,
    Leakage,
    Message,
    Prediction,
    Scale,
    ScoredCandidate,
    Selection,
    TraceScores,
)

POINTS = Scale(("no", "maybe", "yes"))


def items(n: int = 24) -> list[Interaction]:
    """Scale answers of four people with awkward names to two questions."""
    return [
        Interaction(
            key=f"k{i}",
            user_id=f"<i>$user_{i % 4}</i>",
            position=i,
            context=(Message(f"Question {i % 2}"),),
            action=POINTS.options[(i * 7) % 3],
            space=POINTS,
            conversation=f"c{i}",
            split="held_out",
        )
        for i in range(n)
    ]


def right(interactions) -> Batch[Prediction]:
    """Predict the truth."""
    return Batch(
        tuple(
            Prediction(
                action=str(i.action),
                probabilities={o: float(o == i.action) for o in POINTS.options},
            )
            for i in interactions
        )
    )


def scored(index: int, *, direction="backward", gain=1.0, reasons=()) -> ScoredCandidate:
    """Return a scored candidate that `reasons` refuse."""
    return ScoredCandidate(
        candidate=Candidate(
            interaction_key="k",
            direction=direction,
            draw=index,
            reasoning=f"r{index}",
            complete=True,
            model="m",
            prompt_id="p",
            seed=0,
        ),
        scores=TraceScores(
            scorer="s", unit="nats", raw_gain=gain, masked_gain=gain / 2, reported_gain=0
        ),
        leakage=Leakage(
            containment=0.5 if reasons else 0.0, trace_only_share=0.25, reasons=tuple(reasons)
        ),
    )


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Two arms, one of them perfect."""
    return evaluate([uniform_arm(), Arm("$\\frac$ <b>& 🙂", right, "says the truth")], items())


def test_leakage_table_by_hand() -> None:
    """Shares per guard, gains of passed and refused, kept and empty shares are plain counts."""
    found = [
        scored(0, gain=2.0, reasons=["L1 copy: 9", "L4 plausibility: -2"]),
        scored(1, gain=1.0, reasons=["cut at the limit"]),
        scored(2, gain=0.5),
        scored(3, gain=0.1, direction="forward"),
    ]
    decisions = [
        Selection(interaction_key="k", kept=found[2].candidate.key, reason=""),
        Selection(interaction_key="j", kept=None, reason=""),
    ]
    table = LeakageTable.of(found, decisions, diagnostics={"L6": 0.1})
    forward, backward = table.rows
    assert (forward.source, forward.n, forward.refused, forward.kept) == ("forward", 1, 0, 0)
    assert backward.refused_by == pytest.approx({"L1": 1 / 3, "L4": 1 / 3, "other": 1 / 3})
    assert (backward.raw_gain_valid, backward.raw_gain_refused) == (0.5, 1.5)
    assert backward.masking_cost == pytest.approx((1 + 0.5 + 0.25) / 3)
    assert (backward.trace_only_share, backward.kept) == (0.25, pytest.approx(1 / 3))
    assert math.isnan(forward.plausibility)
    assert (table.empty_share, table.unit, len(table.points)) == (0.5, "nats", 4)
    assert math.isnan(LeakageTable.of([]).empty_share)


def test_distances_by_hand() -> None:
    """Distances, score and entropy ratio of small distributions are what the formulas give."""
    assert total_variation([1, 1, 0], [0, 1, 1]) == pytest.approx(0.5)
    assert wasserstein_1([1, 1, 0], [0, 1, 1]) == pytest.approx((0.5 + 0.5) / 2)
    assert jensen_shannon([1, 1], [1, 1]) == 0
    assert entropy_ratio([1, 1, 0, 0], [1, 1, 1, 1]) == pytest.approx(0.5)
    assert math.isnan(entropy_ratio([1, 1], [2, 0]))
    assert population_score([1, 1, 1], [3, 0, 0]) == pytest.approx(0)
    assert population_score([3, 0, 0], [3, 0, 0]) == pytest.approx(100)
    assert math.isnan(population_score([1, 1], [1, 1]))


def test_distances_agree_with_scipy() -> None:
    """Wasserstein-1 and Jensen–Shannon equal scipy's."""
    stats, distance = (
        pytest.importorskip("scipy.stats"),
        pytest.importorskip("scipy.spatial.distance"),
    )
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))
    ranks = np.arange(5) / 4
    assert wasserstein_1(p, q) == pytest.approx(stats.wasserstein_distance(ranks, ranks, p, q))
    assert jensen_shannon(p, q) == pytest.approx(distance.jensenshannon(p, q, base=2) ** 2)


def test_split_half_floor() -> None:
    """Halves of the same people differ, less so the more people there are."""
    assert 0 < split_half_floor([500, 500]) < split_half_floor([5, 5]) < 1
    assert split_half_floor([8, 0]) == 0
    assert math.isnan(split_half_floor([1, 0]))
    with pytest.raises(EvaluationError, match=r"\[-1, 2\]"):
        split_half_floor([-1, 2])


@pytest.mark.parametrize(("p", "q"), [([1], [1, 2]), ([0, 0], [1, 1]), ([-1, 2], [1, 1]), ([], [])])
def test_impossible_distributions_are_refused(p, q) -> None:
    """Unequal lengths, negative values and nothing at all raise."""
    with pytest.raises(EvaluationError, match=r"two distributions|must not be negative"):
        total_variation(p, q)


def test_population_rows() -> None:
    """One row per question with enough people; a perfect simulation has distance 0."""
    asked = items(24)
    rows = population_rows(asked, list(right(asked)))
    assert [(r.n, r.total_variation, r.wasserstein, r.failures) for r in rows] == [
        (12, 0, 0, 0)
    ] * 2
    assert population_rows(asked, list(right(asked)), min_people=13) == []
    assert population_rows(asked, [Prediction(action=None)] * 24) == []
    plain = Interaction(
        key="c", user_id="u", position=0, context=(), action="a", space=Choice(("a", "b")),
        conversation="c", split="held_out",
    )  # fmt: skip
    (row,) = population_rows([plain], [Prediction(action="b")], min_people=1)
    assert math.isnan(row.wasserstein)
    assert row.total_variation == 1


def test_report_folder(tmp_path, evaluation) -> None:
    """The folder holds table, figures, every prediction and one page that loads nothing."""
    table = LeakageTable.of([scored(0), scored(1, reasons=["L1 copy: 9"])], diagnostics={"L6": 0.1})
    page = write_report(
        evaluation,
        tmp_path / "out",
        title="Tea & <script>",
        provenance={"command": "usersim evaluate <x>"},
        leakage=table,
        examples=[
            Example(
                user_id="ada",
                question="{{ 7*7 }} \u202egnirts",
                action="<img src=x onerror=alert(1)>",
                reasoning="I <think> so",
                true_action="no",
            )
        ],
        also_against=["$\\frac$ <b>& 🙂"],
        sections=[Section(heading="More", paragraphs=("<p>",), columns=("a",), rows=(("1",),))],
    )
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {
        "metrics.csv", "metrics.json", "predictions.jsonl", "command.json", "report.html"
    }  # fmt: skip
    html = page.read_text(encoding="utf-8")
    for danger in ("<script", "<img src=x", "<think>", "<i>$user", "http://", "https://"):
        assert danger not in html.replace("http-equiv", ""), danger
    assert "{{ 7*7 }}" in html
    assert "not what the person thought" in html
    assert "$\\frac$ &lt;b&gt;&amp; 🙂 is better than Chance" in html
    assert html.count("data:image/svg+xml;base64,") == 5


def test_the_report_begins_with_its_headline_and_folds_the_rest(tmp_path, evaluation) -> None:
    """Result, arms and their picture are in view; everything else is folded, in order."""
    write_report(
        evaluation,
        tmp_path,
        title="t",
        provenance={"command": "usersim evaluate"},
        leakage=LeakageTable.of([scored(0)]),
        sections=[Section(heading="More")],
    )
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    head, *folded = html.split("<details>")
    assert re.findall(r"<h2>(.*?)</h2>", head) == ["Result", "Arms"]
    assert "Log score: " in head
    assert "Accuracy: " not in head, "the headline is one metric in words"
    assert "Differences to" in head
    assert [re.search(r"<summary><h2>(.*?)</h2>", one)[1] for one in folded] == [
        "All headline metrics in words", "More plots", "Leakage", "More",
        "Comparisons with Chance", "All metrics", "Definitions", "Provenance",
    ]  # fmt: skip
    assert html.count("<details>") == html.count("</details>")
    assert html.count("<h2>") == 2 + len(folded)


def test_every_column_of_the_calibration_plot_has_its_numbers() -> None:
    """Ticks stand at quarters, and under the lowest panel of each column, in full rows or not."""
    arms = [Arm(f"arm {n}", right, "") for n in range(6)]
    plot = calibration(evaluate(arms, items(), bootstrap=20))
    assert plot is not None
    texts = re.findall(r"<!-- (.*?) -->", plot.svg)
    assert texts.count("¼") == 4 + 2, "four columns below, two rows beside"
    assert texts.count("0.5") == 0


def test_report_files_can_be_read_back(tmp_path, evaluation) -> None:
    """CSV, JSON and JSON Lines agree with the evaluation, and NaN is no JSON."""
    write_report(evaluation, tmp_path, title="t", provenance={"seed": 3, "bad": math.nan})
    with (tmp_path / "metrics.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == len(evaluation.estimates)
    assert float(rows[0]["value"]) == evaluation.estimates[0].interval.value
    figures = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert figures["n_items"] == 24
    assert figures["leakage"] is None
    lines = (tmp_path / "predictions.jsonl").read_text("utf-8").splitlines()
    first = json.loads(lines[0])
    assert len(lines) == 24
    assert first["arms"]["Chance"]["scores"]["ece"] is None
    assert first["arms"]["$\\frac$ <b>& 🙂"]["scores"]["accuracy"] == 1
    command = json.loads((tmp_path / "command.json").read_text("utf-8"))
    assert command["seed"] == 3
    assert command["bad"] is None
    assert "numpy" in command


def test_plots_are_the_same_twice(evaluation) -> None:
    """Equal figures give equal pictures, to the byte."""
    first, second = (forest(evaluation, evaluation.comparisons) for _ in range(2))
    assert first is not None
    assert first == second


def test_report_faults(tmp_path, evaluation, monkeypatch) -> None:
    """An impossible folder, an unknown arm and a missing matplotlib raise and write no report."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(EvaluationError, match=r"the report cannot be written to .*file"):
        write_report(evaluation, tmp_path / "file", title="t", provenance={})
    with pytest.raises(EvaluationError, match="'B4e'"):
        write_report(evaluation, tmp_path, title="t", provenance={}, also_against=["B4e"])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match="'matplotlib'"):
        write_report(evaluation, tmp_path / "none", title="t", provenance={})
    assert not (tmp_path / "none" / "report.html").exists()


def test_a_frame_needs_pandas(evaluation, monkeypatch) -> None:
    """Without pandas the data frame names the extra."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match="'pandas'"):
        evaluation.to_frame()


def _says(text: str):
    return lambda asked: Batch(tuple(Prediction(action=text) for _ in asked))


def test_report_of_free_text(tmp_path) -> None:
    """Free text of many people, several sources missing, still makes a whole page and table."""
    asked = [
        Interaction(
            key=f"k{n}",
            user_id=f"u{n}",
            position=0,
            context=(Message("And then?"),),
            action=f"We went home at {n}.",
            space=FreeText(),
            conversation="c",
            split="held_out",
        )
        for n in range(10)
    ]
    told = Arm("Told", lambda xs: Batch(tuple(
        Prediction(action=i.action_text, log_likelihood=-3.0, n_tokens=6) for i in xs
    )))  # fmt: skip
    wordy = Arm("An arm whose name is longer than any axis has room for", _says("Well, no! " * 9))
    found = evaluate([Arm("Home", _says("We went home.")), told, wordy], asked, bootstrap=200)
    page = write_report(
        found,
        tmp_path,
        title="t",
        provenance={},
        leakage=LeakageTable.of([]),
        also_against=["Told"],
    ).read_text("utf-8")
    assert "Calibration" not in page
    assert "Gain against leakage" not in page
    assert "Log-likelihood" in page
    assert "chrF: Told is better than Home" in page
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(found)
    assert "-0.500..-0.500" in console.export_text()


def test_report_of_one_arm(tmp_path) -> None:
    """A single arm has nothing to be compared with, and the page says so."""
    alone = evaluate([uniform_arm()], items(6), bootstrap=20)
    page = write_report(alone, tmp_path, title="t", provenance={}).read_text("utf-8")
    assert "Nothing was compared." in page
    said = caution(alone.n_users)
    assert said is not None
    assert said.startswith("With 4 people the intervals are too narrow to generalize")
    assert said in page


def test_results_of_few_people_are_not_printed_without_a_caution(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The terminal says it as the page does, before any verdict."""
    alone = evaluate([uniform_arm()], items(6), bootstrap=20)
    none = {"judgments": (), "agreement": None, "faithfulness": None, "report": None}
    measured = SimpleNamespace(evaluation=alone, leakage=SimpleNamespace(warnings=()), **none)
    print_measurement(measured)  # type: ignore[arg-type]
    assert "With 4 people the intervals are too narrow" in capsys.readouterr().out
