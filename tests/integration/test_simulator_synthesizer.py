"""Training the synthesizer from the face: recipes, what is stored, and what is forgotten.

Texts and scores come from a script, so that traces are readable and some help; the weights that
are trained are those of the tiny model.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.people import ThoughtEngine, is_reasoning, person
from usersim import UserSimulator
from usersim.config import (
    HistoryConfig,
    PipelineConfig,
    SimulationConfig,
    SynthesisConfig,
    SynthesizerConfig,
    TrainingConfig,
)
from usersim.engines import GenerateRequest
from usersim.errors import ArtifactError, ConfigError
from usersim.simulator.experimental import action_worth
from usersim.training import Board
from usersim.types import Choice, FreeText, Interaction, Message, Scale

CONFIG = PipelineConfig(
    history=HistoryConfig(recent=1, evidence=0, max_item_chars=60, max_context_chars=100),
    synthesis=SynthesisConfig(n_forward=3, n_backward=3, max_tokens=32),
    training=TrainingConfig(rank=2, epochs=1, evaluations=1, batch_tokens=512),
    synthesizer=SynthesizerConfig(
        rank=2,
        rounds=2,
        rft_epochs=1,
        held_out_share=0.25,
        grpo_steps=3,
        group=3,
        prompts=2,
        evaluations=1,
    ),
    simulation=SimulationConfig(traces=1, redraws=0, max_reasoning_tokens=24),
)
THOUGHTS = ("Nothing comes to mind.", "It was fine before.", "The day is fine and long, it is.")


def scripted(model: Path) -> ThoughtEngine:
    """Return an engine whose thoughts differ by draw, so that some reconstruct better."""

    def reply(request: GenerateRequest, index: int) -> str:
        if not is_reasoning(request):
            return "ada says the garden is fine."
        return THOUGHTS[(index + len(request.prompt[-1][1])) % len(THOUGHTS)] + "\n</think>"

    return ThoughtEngine(reply, name=str(model))


@pytest.fixture(scope="module")
def model(roomy_model: Path) -> Path:
    """The tiny model with room for the library's prompts."""
    return roomy_model


def simulator(home: Path, model: Path) -> UserSimulator:
    """A simulator of two people, stored in `home`."""
    return UserSimulator.from_corpus(
        [*person("ada", 10), *person("bob", 10, "market")],
        store=home / "people.usersim.db",
        model=model,
        engine=scripted(model),
        config=CONFIG,
    )


@pytest.mark.parametrize("recipe", ["rft", "dpo", "grpo"])
def test_a_recipe_trains_a_synthesizer_and_then_the_user_model(model, tmp_path, recipe) -> None:
    """It is measured on people's newest pairs, its traces are learned, and it answers as nobody."""
    told: set[str] = set()
    with simulator(tmp_path, model) as sim:
        adapter = sim.train(recipe=recipe, progress=lambda stage, *_: told.add(stage))
        synthesizer = sim.synthesizer
        assert synthesizer is not None
        record = synthesizer.manifest.synthesizer
        assert record is not None
        assert record.recipe == recipe
        assert record.before is not None
        assert record.after is not None
        assert record.after.n == record.before.n > 0
        assert adapter.manifest.synthesizer is None
        assert f"shared-recon-select-{recipe}" == adapter.manifest.name
        assert synthesizer.manifest.users == ("ada", "bob")
        assert any(stage.startswith("measure shared-synthesizer") for stage in told)
        drawn_by = {
            one.candidate.adapter for many in sim.reconstruct().scored.values() for one in many
        }
        assert drawn_by == {synthesizer.ref.name}
        card = (synthesizer.folder / "README.md").read_text(encoding="utf-8")
        assert "**synthesizer** of reasoning traces" in card
        again = sim.train(recipe=recipe)
        assert again.ref == adapter.ref
        with pytest.raises(ArtifactError, match="cannot answer questions"):
            sim.use_adapter(synthesizer)
        folder = sim.save(tmp_path / "saved")
    with UserSimulator.load(folder, engine="scripted") as back:
        assert back.synthesizer is not None
        assert back.synthesizer.ref == synthesizer.ref
        assert back.adapter is not None
        assert back.adapter.ref == adapter.ref


def test_an_unknown_recipe_is_refused_before_any_work(model, tmp_path) -> None:
    """The recipes are listed, and no model was asked."""
    with simulator(tmp_path, model) as sim:
        with pytest.raises(ConfigError, match=r"'ppo'.*'grpo'"):
            sim.train(recipe="ppo")  # type: ignore[arg-type]
        assert sim.engine.calls == 0  # type: ignore[attr-defined]


def test_forgetting_a_person_removes_every_synthesizer_that_learned_from_them(
    model, tmp_path
) -> None:
    """All rounds of expert iteration go with the person, folders included."""
    with simulator(tmp_path, model) as sim:
        sim.train(recipe="rft")
        removal = sim.corpus.forget("bob")
    assert len(removal.adapters) == 3  # two rounds and the user model
    assert not list(tmp_path.rglob("adapter_model.safetensors"))


def test_a_second_reconstructor_is_measured_and_stored(model, tmp_path) -> None:
    """Where one is named, both gains stand in the record, and the second one decides (L8)."""
    with simulator(tmp_path, model) as sim:
        sim.train(recipe="grpo", second=ThoughtEngine(name="another family"))
        record = sim.synthesizer.manifest.synthesizer
        assert record.before.second_gain is not None
        assert record.after.second_gain is not None
        assert "another family" in str(sim.synthesizer.manifest.provenance["second reconstructor"])


def test_trained_synthesizers_are_arms_like_any_other(model, tmp_path) -> None:
    """They learn from the answers that Recon-Select learns from, and own arms join."""
    from usersim.evaluation import uniform_arm

    with simulator(tmp_path, model) as sim:
        measured = sim.evaluate(
            arms=("recon_select", "recon_rft", "forward", "memory_eligible", "memory_backward"),
            more=[uniform_arm()],
            held_out=2,
            out=tmp_path / "out",
        )
    names = set(measured.evaluation.predictions)
    assert {"Recon-Select", "Recon-RFT", "B6 forward reasoning SFT"} <= names
    assert {"B1 with random-eligible traces", "B1 with backward traces"} <= names
    # Those, Recon-Select without and with swapped traces, and the caller's own.
    assert len(names) == 8, names
    # Steps hold so many tokens, and traces differ in length; the answers learned are the same.
    learned = {adapter.manifest.counts.train for adapter in measured.adapters.values()}
    assert len(learned) == 1
    assert {arm: w.manifest.synthesizer.recipe for arm, w in measured.synthesizers.items()} == {
        "recon_rft": "rft"
    }
    page = measured.report.read_text(encoding="utf-8")
    assert "<h2>The synthesizer of Recon-RFT</h2>" in page
    assert "Training the synthesizer of Recon-RFT" in page
    assert measured.synthesizers["recon_rft"].ref.name in page


def test_an_evaluation_of_trained_synthesizers_alone_has_their_guards_figures(
    model, tmp_path
) -> None:
    """Without traces of the base model the leakage table is that of the trained synthesizer."""
    with simulator(tmp_path, model) as sim:
        measured = sim.evaluate(arms=("none", "recon_rft"), held_out=2)
    assert sum(row.n for row in measured.leakage.rows) > 0
    assert measured.leakage.n_interactions > 0


def test_without_training_the_arms_are_compared_with_recon_memory(model, tmp_path) -> None:
    """Arms that need no adapter are enough for an evaluation, and Recon's stands in the middle."""
    with simulator(tmp_path, model) as sim:
        measured = sim.evaluate(arms=("few_shot", "recon_memory", "memory_eligible"), held_out=2)
    assert measured.adapters == {}
    assert measured.evaluation.baseline == "Recon-Memory"
    assert measured.faithfulness is None


def test_controls_train_the_user_model_itself(model, tmp_path) -> None:
    """B9 and B11 are arms that share pairs with the others and are trained by their own reward."""
    with simulator(tmp_path, model) as sim:
        measured = sim.evaluate(arms=("none", "likelihood_rl", "e2e_grpo"), held_out=2)
    assert {"B9 likelihood RL", "B11 E2E-GRPO"} <= set(measured.evaluation.predictions)
    likelihood = measured.adapters["likelihood_rl"].manifest.synthesizer
    action = measured.adapters["e2e_grpo"].manifest.synthesizer
    assert likelihood.figures[0]["spread"] > 0.0
    assert 0.0 < action.figures[0]["reward"] <= 1.0


@pytest.mark.parametrize(
    ("space", "true", "drawn", "worth"),
    [
        (Scale(("1", "2", "3", "4", "5")), "5", "4", 0.75),
        (Scale(("1", "2", "3", "4", "5")), "5", "five", 0.0),
        (Choice(("tea", "coffee")), "tea", " tea ", 1.0),
        (Choice(("tea", "coffee")), "tea", "coffee", 0.0),
        (FreeText(), "Tea, with milk.", "Tea, with milk.", 1.0),
        (FreeText(), "Tea, with milk.", "<think> again", 0.0),
    ],
)
def test_an_action_is_worth_its_likeness_to_the_true_one(space, true, drawn, worth) -> None:
    """Options count whole, scale points by distance, texts by likeness; stray tags are nothing."""
    pair = Interaction(
        key="k",
        user_id="ada",
        context=(Message("?"),),
        space=space,
        action=true,
        position=0,
        conversation="c",
    )
    assert action_worth(pair, drawn) == pytest.approx(worth, abs=1e-6)


def test_the_figures_of_a_training_are_a_tensorboard_log(model, tmp_path) -> None:
    """Every step's reward stands in the log under its step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with simulator(tmp_path, model) as sim:
        sim.train(recipe="grpo", note=Board(tmp_path / "board"))
        figures = sim.synthesizer.manifest.synthesizer.figures
    log = EventAccumulator(str(tmp_path / "board"))
    log.Reload()
    events = log.Scalars("synthesizer/reward")
    assert [event.step for event in events] == [1, 2, 3]
    assert [event.value for event in events] == pytest.approx([one["reward"] for one in figures])


def test_forgetting_reaches_trainings_that_never_ended(model, tmp_path) -> None:
    """Checkpoints of a person's unfinished training go with them; another person's stay."""
    folder = tmp_path / "people.usersim.adapters"
    with simulator(tmp_path, model) as sim:
        sim.train(recipe="grpo", max_minutes=0.0)
        other = folder / "checkpoints" / "0123456789abcdef"
        other.mkdir(parents=True)
        (other / "users.json").write_text('["carol"]', encoding="utf-8")
        assert list(folder.glob("checkpoints/*/checkpoint-*"))
        removal = sim.corpus.forget("ada")
    assert removal.checkpoints
    assert "checkpoints deleted" in str(removal)
    assert not list(tmp_path.rglob("*.safetensors"))
    assert other.is_dir()


def test_without_held_out_pairs_the_last_round_counts(model, tmp_path) -> None:
    """Where nothing is kept to measure on, expert iteration ends with its last round."""
    config = CONFIG.model_copy(
        update={"synthesizer": CONFIG.synthesizer.model_copy(update={"held_out_share": 0.0})}
    )
    with simulator(tmp_path, model) as sim:
        sim.config = config
        sim.train(recipe="rft")
        record = sim.synthesizer.manifest.synthesizer
        assert record.before is None
        assert record.after is None
        assert sim.synthesizer.manifest.name.endswith("-round-2")
