"""The suite itself: Hypothesis draws the same in every run, and anew when asked to explore."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DRAW = """
import sys
from hypothesis import given, settings, strategies as st
from tests.fixtures import profiles

profiles.register()
if profile := sys.argv[1]:
    settings.load_profile(profile)
if "more" in sys.argv:
    import usersim.corpus, usersim.prompts, usersim.survey

@settings(max_examples=200)
@given(st.text(max_size=30), st.integers(), st.floats())
def draw(text, number, share):
    print(ascii(text), number, share)

draw()
"""


def drawn(folder: Path, profile: str, *arguments: str, hash_seed: int = 0) -> str:
    """What a property test draws in a fresh process, as text."""
    script = folder / "draw.py"
    script.write_text(DRAW, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script, profile, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(hash_seed)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert len(done.stdout.splitlines()) >= 200
    return done.stdout


def test_examples_are_the_same_whatever_was_imported_before(tmp_path: Path) -> None:
    """Neither modules of ours that are loaded already nor the hash seed change what is drawn."""
    alone = drawn(tmp_path, "", hash_seed=1)
    assert drawn(tmp_path, "", "more", hash_seed=2) == alone


def test_fuzzing_draws_anew(tmp_path: Path) -> None:
    """The profile `fuzz` draws other examples in each process."""
    first, second = (drawn(tmp_path, "fuzz") for _ in range(2))
    assert first != second
