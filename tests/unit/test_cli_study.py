"""Commands for planning a study: what they write and print, and what they refuse."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from usersim import Corpus
from usersim.cli.app import app, main
from usersim.cli.console import figures_table
from usersim.research import PlantedFacts, comparisons_needed, planted_users


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are not broken in the middle of what a test looks for."""
    monkeypatch.setenv("COLUMNS", "200")


def run(*arguments: object) -> str:
    """Run a command that succeeds and return what it printed."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *arguments: object,
    status: int = 1,
) -> str:
    """Run a command that fails and return its standard error."""
    monkeypatch.setattr(sys, "argv", ["usersim", *(str(one) for one in arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (status, "")
    return " ".join(err.split())


def table(printed: str) -> list[list[str]]:
    """Return the cells of a printed table, without its head."""
    cells = [re.split(r"\s{2,}", line.strip()) for line in printed.splitlines()[1:]]
    return [row for row in cells if len(row) > 1]


def test_planted_writes_a_corpus_and_its_facts(tmp_path: Path) -> None:
    """The file loads as a corpus, and the facts beside it explain its rows."""
    out = tmp_path / "new" / "people.jsonl"
    options = ("--users", 3, "--interactions", 10, "--seed", 7, "--noise", 0)
    printed = run("study", "planted", out, *options)
    assert "30 rows of 3 synthetic people" in printed
    facts = PlantedFacts.of_json(
        json.loads(out.with_name("people.facts.json").read_text(encoding="utf-8"))
    )
    expected = planted_users(users=3, interactions=10, seed=7, noise=0)
    assert facts == expected.facts
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert rows == list(expected.rows)
    with Corpus.open(":memory:") as corpus:
        assert len(corpus.add(out, strict=True).refused) == 0
        assert all(map(facts.explains, corpus.interactions()))


@pytest.mark.parametrize("taken", ["people.jsonl", "people.facts.json"])
def test_planted_writes_over_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    taken: str,
) -> None:
    """A file that exists, perhaps of real people, is kept, and nothing is written beside it."""
    (tmp_path / taken).write_text("mine", encoding="utf-8")
    out = tmp_path / "people.jsonl"
    message = refused(capsys, monkeypatch, "study", "planted", out, status=2)
    assert f"{taken}' already exists" in message
    assert "next: choose another name" in message
    assert [file.read_text(encoding="utf-8") for file in tmp_path.iterdir()] == ["mine"]


def test_planted_refuses_impossible_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting out of its range is named, and no file is left."""
    out = tmp_path / "people.jsonl"
    assert "got 1.5" in refused(capsys, monkeypatch, "study", "planted", out, "--noise", 1.5)
    assert "got 0" in refused(capsys, monkeypatch, "study", "planted", out, "--users", 0)
    assert list(tmp_path.iterdir()) == []


def test_power_prints_the_rate_and_its_neighbors() -> None:
    """The table holds both numbers for each rate on this side of one half."""
    printed = run("study", "power", 0.547)
    rows = table(printed)
    assert ["0.547", "431", "886"] in rows
    assert [float(row[0]) for row in rows] == [0.527, 0.537, 0.547, 0.557, 0.567, 0.597]
    for rate, least, found in rows:
        assert int(least.replace(",", "")) == comparisons_needed(float(rate))
        assert int(found.replace(",", "")) == comparisons_needed(float(rate), power=0.8)
    assert "886 decisive comparisons for a win rate of 0.547" in printed


def test_power_takes_its_settings() -> None:
    """Power, level and design effect reach the formula, on either side of one half."""
    settings = ("--power", 0.9, "--alpha", 0.01, "--design-effect", 2)
    rows = table(run("study", "power", 0.45, *settings))
    needed = comparisons_needed(0.45, power=0.9, alpha=0.01, design_effect=2)
    assert f"{needed:,}" in next(row for row in rows if row[0] == "0.45")
    assert all(0 < float(row[0]) < 0.5 for row in rows)
    assert [row[0] for row in table(run("study", "power", 0.99))] == [
        "0.94",
        "0.97",
        "0.98",
        "0.99",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("0.5",), "win rate of 0.5"),
        (("54.7",), "win rate of 54.7"),
        (("0.6", "--power", "1"), "power 1.0"),
        (("0.6", "--design-effect", "0"), "got 0.0"),
    ],
)
def test_power_refuses_what_has_no_answer(
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Impossible rates and settings end with status 1 and name the value."""
    assert message in refused(capsys, monkeypatch, "study", "power", *arguments)


@pytest.mark.parametrize(
    ("command", "words"),
    [("planted", ("synthetic", "--noise", "no model may read it")), ("power", ("--alpha", "0.55"))],
)
def test_help_says_what_is_needed(command: str, words: tuple[str, ...]) -> None:
    """The help names the options and what the command is for."""
    printed = " ".join(run("study", command, "--help").split())
    assert all(word in printed for word in words)


def test_the_figures_of_a_training_stand_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """One heading, then a line a step in its columns; what a recipe lacks is left out."""
    note = figures_table()
    note(1, 20, {"reward": 0.5, "kl": 0.01, "other": 9.0})
    note(2, 20, {"reward": -0.25, "kl": 0.02})
    head, first, second = capsys.readouterr().err.splitlines()
    assert head.split() == ["step", "reward", "KL"]
    assert first.split() == ["1/20", "0.50", "0.01"]
    assert second.split() == ["2/20", "-0.25", "0.02"]
    assert len(head) == len(first) == len(second)
