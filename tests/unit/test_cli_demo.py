"""The demo from end to end on a small corpus, with the scripted engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from usersim.cli.app import app

LEVELS = ["never", "sometimes", "always"]


def write_survey(path: Path, people: int, questions: int = 10) -> Path:
    """Write answers of people who each have one inclination that shows in every answer."""
    random = np.random.default_rng(0)
    rows: list[str] = []
    for person in range(people):
        inclination = random.normal()
        # Asked in another order each time: what is held out of one is answered by others.
        for order, question in enumerate(random.permutation(questions)):
            felt = inclination + 0.6 * random.normal()
            row = {
                "user_id": f"p{person:03}",
                "order": order,
                "context": f"How often do you do thing {question}?",
                "action": LEVELS[int(felt > -0.5) + int(felt > 0.5)],
                "action_type": "scale",
                "options": LEVELS,
            }
            rows.append(json.dumps(row))
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_the_demo_answers_measures_and_says_what_the_reasoning_added(tmp_path: Path) -> None:
    """First answer, table with every predictor, reliability, words, three answers and files."""
    corpus = write_survey(tmp_path / "people.jsonl", people=60)
    out = tmp_path / "out"
    sizes = ["--people", "12", "--held-out", "24", "--engine", "scripted"]
    printed = CliRunner().invoke(
        app, ["demo", "--corpus", str(corpus), "--out", str(out), *sizes], env={"COLUMNS": "160"}
    )
    assert printed.exit_code == 0, printed.output
    text = " ".join(printed.output.replace("│", " ").split())  # lines of boxes go on
    assert "The first answer" in text
    for name in ("Chance", "others", "panel", "no reasoning", "the pool without reasoning"):
        assert name in text
    assert "24 answers of 12 people" in text
    assert "Reliability" in text
    assert "the reasoning added" in text
    assert text.count("what the person answered:") == 4
    # The first answer is given before anything is fitted here, the three after it.
    assert text.count("not calibrated on this corpus yet") == 1
    assert (out / "report.html").exists()
    assert (out / "metrics.csv").exists()


def test_a_corpus_of_open_answers_is_loaded_and_says_that_nothing_can_be_pooled(
    tmp_path: Path,
) -> None:
    """Without a choice or a scale there is no table, and no error."""
    rows = [
        {"user_id": "ada", "order": n, "context": f"Why {n}?", "action": "So."} for n in range(6)
    ]
    corpus = tmp_path / "ada.jsonl"
    corpus.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    printed = CliRunner().invoke(
        app,
        ["demo", "--corpus", str(corpus), "--out", str(tmp_path / "o"), "--engine", "scripted"],
    )
    assert printed.exit_code == 0, printed.output
    assert "nothing can be pooled" in printed.output
