"""The examples run as they stand, on a tiny model in seconds and on the embedded one."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
SAID = {
    "quickstart": ("rows read", "Brought back from disk", "lake"),
    "survey_respondents": ("noor", "Mountains or sea?", "3 respondents", "same answers: True"),
    "testbed_openai_endpoint": (
        "user:ines",
        "assistant: Hello",
        "(thinks:",
        "simulated: True",
        "streamed:",
    ),
    "train_and_evaluate": ("Recon-Select", "B4e random of eligible", "Log score"),
    "collaboration_dialogue": ("ines:", "same dialogues from the file: True", "simulated"),
    "testbed_deepeval": ("user:", "assistant: Your parcel comes tomorrow"),
    "testbed_scenario": ("user:", "passed: True"),
    "chat_log": ("messages", "held_out: after 'We have a new pickup", "[reasoning]", "[action]"),
}

WITHOUT_END = {"[action]": "(not an answer:"}
"""What an example prints instead where the real model's text does not come to an end."""

NEEDED = {"testbed_deepeval": "deepeval", "testbed_scenario": "scenario"}
"""Testbeds that are too large for this project's environment: ADR 19 says how they are run."""

AT_LENGTH = {"testbed_openai_endpoint"}
"""Examples that need an end of every text, and so the room that the preset gives to a text."""


def run(example: Path, *given: str) -> None:
    """Run an example as a reader does who names no model; `given` to the one with options."""
    if needed := NEEDED.get(example.stem):
        pytest.importorskip(needed, reason=f"{needed} is not installed: see the example's head")
    own = runpy.run_path(str(example))["main"]
    # A program with options reads the test's own command line otherwise.
    own(list(given)) if example.stem == "train_and_evaluate" else own()


def test_every_example_has_an_expectation() -> None:
    """An example cannot be added without saying what it must print."""
    assert {example.stem for example in EXAMPLES} == set(SAID)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_on_the_tiny_model(
    example: Path,
    without_model: Callable[[], None],
    workplace: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every example runs to its end, prints what it is about and leaves nothing behind."""
    without_model()
    run(example)
    printed = capsys.readouterr().out
    for expected in SAID[example.stem]:
        assert expected in printed
    assert list(workplace.iterdir()) == []


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_on_the_embedded_model(
    example: Path,
    embedded_model: Path,
    workplace: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    """Every example runs on the model that a reader gets who names none."""
    if example.stem not in AT_LENGTH:
        request.getfixturevalue("brief_presets")
    run(example, "--rows", "4", "--held-out", "1")
    printed = capsys.readouterr().out
    for expected in SAID[example.stem]:
        assert expected in printed or WITHOUT_END.get(expected, expected) in printed
