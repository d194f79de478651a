"""From `usersim train` to an answer by what was trained, with real weights.

The model is the tiny random one; the texts come from a script, as in `test_simulator_study`.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.people import person
from tests.integration.test_simulator_study import ScriptedDraws
from usersim import Corpus
from usersim.cli.app import app
from usersim.simulator import face


def run(*arguments: object) -> str:
    """Run a command that succeeds and return its standard output."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_that_train_prints_is_answered_by_what_was_trained(
    roomy_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trained for one person; the printed command and the list agree on the adapter."""
    store = tmp_path / "people.usersim.db"
    with Corpus.open(store) as corpus:
        corpus.add([*person("ada", 8), *person("bob", 8, "market")])
    monkeypatch.setattr(face, "load_engine", lambda model, **_: ScriptedDraws(Path(model)))
    how = ("--corpus", store, "--user", "ada", "--model", roomy_model, "--preset", "tiny")
    printed = run("train", *how, "--limit", 3)
    (line,) = (line for line in printed.splitlines() if "usersim respond" in line)
    _, *command = shlex.split(line.partition(": ")[2])
    answer = json.loads(run(*command, "--json"))
    listed = json.loads(run("adapters", "--corpus", store, "--model", roomy_model, "--json"))
    (mine,) = (one for one in listed if one["default_for"] == "ada")
    assert answer["trace"]["adapter"] == mine["name"]
    assert answer["trace"]["user_id"] == "ada"
    assert mine["problem"] == ""
