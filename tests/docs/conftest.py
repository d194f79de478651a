"""What documentation and examples are executed with when they name no model of their own.

Answers and scores come from the scripted engine, weights from the tiny model: every stage runs,
training included, in seconds. Tests marked `model` execute the same code on the model that a
reader has, with as little of each stage's work as shows that it works.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures import brief
from usersim.config import PipelineConfig
from usersim.engines.scripted import ScriptedEngine


@pytest.fixture
def without_model(monkeypatch: pytest.MonkeyPatch, roomy_model: Path) -> Callable[[], None]:
    """Return a switch: after it, simulators answer by script and train the tiny model."""

    def load(model: str, **how: object) -> ScriptedEngine:
        return ScriptedEngine(name=str(roomy_model))

    def switch() -> None:
        for module in ("usersim", "usersim.simulator.face", "usersim.engines.select"):
            monkeypatch.setattr(f"{module}.load_engine", load)

    return switch


@pytest.fixture
def brief_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every preset ask for few and short texts."""
    monkeypatch.setattr(PipelineConfig, "preset", brief.preset)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
