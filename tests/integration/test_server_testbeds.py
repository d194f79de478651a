"""Testbeds that ask a user model by base URL, against the endpoint: `make testbeds`.

Each runs in a process of its own, as a reader runs the example.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.endpoint import served
from tests.fixtures.people import engine

EDSL = Path(__file__).parents[2] / ".venv-edsl" / "bin" / "python"
FIVE = ("ada", "bo", "cleo", "dan", "eve")
EXAMPLES = Path(__file__).parents[2] / "examples" / "testbeds"
ENOUGH = 240
"""Seconds; some take half a minute to import."""


def needs(module: str) -> None:
    """Skip where a testbed is not installed."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: make testbeds")


def run(folder: Path, *arguments: str, python: str | Path = sys.executable) -> str:
    """Run a program in an empty folder; return what it printed."""
    done = subprocess.run(  # noqa: PLW1510 - checked below, with what was said
        [python, *arguments],
        cwd=folder,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        timeout=ENOUGH,
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return done.stdout


def test_inspect_ai_talks_with_a_simulated_user(tmp_path: Path) -> None:
    """A loop of inspect-ai asks the endpoint; the trace never reaches the model under test."""
    needs("inspect_ai")
    with served(engine(action="where is it then")) as url:
        said = run(tmp_path, str(EXAMPLES / "inspect_ai_user.py"), url, "ada")
    assert said.count("user: where is it then") == 3
    assert "score: 1.0" in said
    assert "quiet day" not in said


def test_langwatch_scenario_talks_with_a_simulated_user(tmp_path: Path) -> None:
    """The user simulator agent of scenario asks the endpoint, flipped, through litellm."""
    needs("scenario")
    own = engine(action="where is it then")
    with served(own) as url:
        said = run(tmp_path, str(EXAMPLES / "langwatch_scenario.py"), url, "ada")
    assert said.count("user: where is it then") == 2
    assert "success: True" in said
    assert "quiet day" not in said
    last = own.requests[-1].prompt[-1][1]
    assert "Me: where is it then" in last
    assert "assistant: I am sorry." in last


def test_edsl_surveys_everybody(tmp_path: Path) -> None:
    """Six question types over five people give a valid answer in every cell, scored not written."""
    if not EDSL.exists():
        pytest.skip("edsl is not installed: make testbeds")
    own = engine(action="12")
    with served(own, people=FIVE) as url:
        said = run(tmp_path, str(EXAMPLES / "edsl_survey.py"), url, python=EDSL)
    rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert sorted(row["person"] for row in rows) == [f"user:{name}" for name in FIVE]
    for row in rows:
        assert row["drink"] in {"tea", "coffee", "water"}
        assert row["likely"] in {1, 2, 3, 4, 5}
        assert row["garden"] in {"Yes", "No"}
        assert row["offers"]
        assert set(row["offers"]) <= {"tea", "coffee", "water"}
        assert row["cups"] == 12
        assert "gree" in row["agree"] or row["agree"] == "Neutral"
    asked = [request.prompt[-1][1] for request in own.requests]
    assert not any("may be selected" in text or "break character" in text for text in asked)


LITELLM = """
import asyncio, litellm, sys
litellm.suppress_debug_info = True
how = dict(model="openai/user:bo", api_base=sys.argv[1], api_key="unused")
how["messages"] = [{"role": "user", "content": "Tea, number 4?"}]
one = litellm.completion(**how, seed=3).choices[0].message
print(one.content, "|", one.reasoning_content)
print("".join(c.choices[0].delta.content or "" for c in litellm.completion(**how, stream=True)))
print(asyncio.run(litellm.acompletion(**how)).choices[0].message.content)
try:
    litellm.completion(**{**how, "model": "openai/user:nobody"})
except litellm.NotFoundError as error:
    print(type(error).__name__)
"""


def test_litellm_asks_in_every_way(tmp_path: Path) -> None:
    """Replies, streams, the trace and errors come through litellm."""
    needs("litellm")
    with served() as url:
        said = run(tmp_path, "-c", LITELLM, url)
    assert said.splitlines()[-4:] == [
        "bo heard 4 | A quiet day calls for tea.",
        "bo heard 4",
        "bo heard 4",
        "NotFoundError",
    ]
