"""Forgetting somebody while others learn from them: trainings stop, and nothing of them is left.

Texts and scores come from a script; the weights that are trained are those of the tiny model.
"""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from pathlib import Path

import pytest

from tests.fixtures.lessons import answered
from tests.fixtures.people import ThoughtEngine, is_reasoning, person
from usersim import Corpus, UserSimulator
from usersim.config import (
    HistoryConfig,
    PipelineConfig,
    SimulationConfig,
    SynthesisConfig,
    SynthesizerConfig,
    TrainingConfig,
)
from usersim.engines import GenerateRequest
from usersim.errors import TrainingError, UserForgottenError
from usersim.simulator import train as training_stage
from usersim.training import train_user_model
from usersim.types import PersonLesson

CONFIG = PipelineConfig(
    history=HistoryConfig(recent=1, similar=0, max_item_chars=60, max_context_chars=100),
    synthesis=SynthesisConfig(n_forward=2, n_backward=1, max_tokens=24),
    training=TrainingConfig(rank=2, epochs=1, evaluations=1, batch_tokens=512),
    synthesizer=SynthesizerConfig(
        rank=2, held_out_share=0.25, grpo_steps=2, group=2, prompts=2, evaluations=1
    ),
    simulation=SimulationConfig(traces=1, redraws=0, max_reasoning_tokens=24),
)


@pytest.fixture(scope="module")
def model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with room for the library's prompts."""
    folder = tmp_path_factory.mktemp("roomy") / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["max_position_embeddings"] = 8192
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture
def sim(tmp_path: Path, model: Path):
    """A simulator of two people, stored on disk."""

    def reply(request: GenerateRequest, index: int) -> str:
        if is_reasoning(request):
            return f"It was fine on day {index}.\n</think>"
        return "The garden is fine."

    with UserSimulator.from_corpus(
        [*person("ada", 8), *person("bob", 8, "market")],
        store=tmp_path / "people.usersim.db",
        model=model,
        engine=ThoughtEngine(reply, name=str(model)),
        config=CONFIG,
    ) as made:
        yield made


def forget(sim: UserSimulator) -> None:
    """Forget ada as another client of the store, and load somebody else."""
    with Corpus.open(sim.corpus.name) as other:
        if other.holds("ada"):
            other.forget("ada")
            other.add(person("carol", 4))


def check_nothing_left(sim: UserSimulator, tmp_path: Path) -> None:
    """No weights, no adapter, no training, and nothing that was forgotten in the store."""
    assert not list(tmp_path.rglob("*.safetensors"))
    assert sim.corpus.ledger.adapters() == []
    assert sim.corpus.finish_forgetting("ada").nothing
    assert {one.user_id for one in sim.corpus.interactions()} == {"bob", "carol"}


@pytest.mark.parametrize(
    ("recipe", "stage"),
    [("select", "synthesize"), ("select", "score"), ("select", "train"), ("grpo", "train")],
)
def test_a_training_stops_when_somebody_in_it_is_forgotten(sim, tmp_path, recipe, stage) -> None:
    """In whichever stage, by whichever client: an error that names them, and no weights."""

    def progress(at: str, done: int, total: int) -> None:
        if at.startswith(stage) and done:
            forget(sim)

    with pytest.raises(UserForgottenError, match="'ada'"):
        sim.train(recipe=recipe, progress=progress)
    check_nothing_left(sim, tmp_path)


@pytest.mark.parametrize("step", ["before", "after"])
def test_an_adapter_that_was_written_is_not_registered_for_somebody_forgotten(
    sim, tmp_path, monkeypatch, step
) -> None:
    """Between writing and registering: the adapter is removed, by whoever comes second."""
    register = training_stage.register

    def late(corpus, adapter, purpose, training) -> None:
        if step == "before":
            forget(sim)
        register(corpus, adapter, purpose, training)
        forget(sim)

    monkeypatch.setattr(training_stage, "register", late)
    if step == "before":
        with pytest.raises(UserForgottenError, match="'ada'"):
            sim.train(traces="none")
    else:
        sim.train(traces="none")
    check_nothing_left(sim, tmp_path)


def test_an_adapter_of_a_training_that_was_killed_before_registering_is_forgotten(
    sim, tmp_path, monkeypatch
) -> None:
    """The store does not know it; its manifest does, and forgetting names it."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training_stage, "register", killed)
        with pytest.raises(KeyboardInterrupt):
            sim.train(traces="none")
    (weights,) = tmp_path.rglob("*.safetensors")
    removal = sim.corpus.forget("ada")
    assert removal.adapters == (weights.parent.name,)
    assert removal.complete
    assert not weights.exists()


def test_an_evaluation_stops_when_somebody_in_it_is_forgotten(sim, tmp_path) -> None:
    """It trains as well, so it ends the same."""

    def progress(at: str, done: int, total: int) -> None:
        if at.startswith("train") and done:
            forget(sim)

    with pytest.raises(UserForgottenError, match="'ada'"):
        sim.evaluate(arms=("none", "few_shot"), progress=progress)
    check_nothing_left(sim, tmp_path)


def test_a_training_that_no_store_knows_stops_with_its_checkpoints(sim, tmp_path, model) -> None:
    """Called by itself, in the store's folder: what was deleted does not come back."""
    lessons = [
        PersonLesson(
            user_id=user,
            interactions=tuple(
                answered(f"{user}{index}", f"How is day {index}?", "Fine.", user=user, place=index)
                for index in range(8)
            ),
        )
        for user in ("ada", "bob")
    ]
    with pytest.raises(TrainingError, match="somebody in its data was forgotten"):
        train_user_model(
            lessons,
            base_model=str(model),
            out_dir=sim.corpus.adapters_root,
            config=CONFIG.training,
            progress=lambda *_: forget(sim),
        )
    check_nothing_left(sim, tmp_path)


def test_forgetting_drops_the_prompts_that_the_engine_keeps(tmp_path: Path, model: Path) -> None:
    """After the person is forgotten, the process holds no tokens of what was said about them."""
    with UserSimulator.from_corpus(
        person("ada", 8), store=tmp_path / "ada.usersim.db", model=model, config=CONFIG
    ) as sim:
        sim.respond("Is the garden fine?", options=["yes", "no"])
        kept = sim.engine._beginnings.kept  # pyright: ignore[reportAttributeAccessIssue]
        assert kept
        sim.corpus.forget("ada")
        assert not kept


def test_a_corpus_holds_no_simulator_that_is_gone() -> None:
    """A simulator that nobody uses any more, and its engine, are given back before the corpus."""
    with Corpus.open(":memory:") as corpus:
        corpus.add(person("ada", 4))
        sim = UserSimulator(corpus, engine=ThoughtEngine("Fine."))
        gone = weakref.ref(sim)
        del sim
        gc.collect()
        assert gone() is None
        assert corpus.forget("ada")
