"""Training the user model on the tiny random model, from examples to the adapter folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fixtures.children import Nursery
from usersim.config import TrainingConfig
from usersim.engines.base import ScoreRequest
from usersim.engines.transformers import TransformersEngine, load_model
from usersim.errors import DivergedError, NoTrainingDataError, TrainingError
from usersim.files import file_digest
from usersim.training import TrainedAdapter, load_artifact, train_user_model
from usersim.training import user_model as stage
from usersim.training.checkpoints import Checkpoints, run_folder
from usersim.training.dataset import split_validation
from usersim.transcript import action_text, prefix
from usersim.types import TrainingExample

FAST = TrainingConfig(rank=4, learning_rate=0.02, epochs=6.0, batch_tokens=256, evaluations=4)
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.integration.test_training_user_model import FAST, answers
from usersim.training import artifact, checkpoints, train_user_model
import peft, torch, transformers, transformers.trainer

model, out = sys.argv[1:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def die_at(step):
    return lambda done, *_: die() if done == step else None

def child(progress=None, prepare=lambda: None):
    # One interpreter for all: a fork before any computation has no threads to lose.
    number = os.fork()
    if number == 0:
        prepare()
        train_user_model(
            answers(), base_model=model, out_dir=out, name="ada", config=FAST, progress=progress
        )
        os._exit(0)
    status = os.waitpid(number, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

def in_the_middle_of_a_checkpoint():
    checkpoints.Checkpoints.seal = die

def before_the_manifest():
    artifact._write_texts = die

def before_the_checkpoints_are_cleared():
    checkpoints.Checkpoints.clear = die

print(child(die_at(2)))
print(child(None, in_the_middle_of_a_checkpoint))
print(child(die_at(9)))
print(child(die_at(10)))
print(child(None, before_the_manifest))
print(child(None, before_the_checkpoints_are_cleared))
print(child(die_at(1)))
"""


def answers(n: int = 12, users: tuple[str, ...] = ("ada", "bob")) -> list[TrainingExample]:
    """Return examples that can be learned: one person says yes, the other no."""
    return [
        TrainingExample(
            key=f"{user}-{i}",
            user_id=user,
            messages=(("system", f"You are {user}."), ("user", f"Walk {i} in the rain?")),
            reasoning="The garden is quiet." if i % 3 else "",
            action="Yes, the rain." if user == "ada" else "No, the train.",
        )
        for user in users
        for i in range(n)
    ]


def weights(adapter: TrainedAdapter) -> str:
    """Return the digest of the weights."""
    return file_digest(adapter.folder / "adapter_model.safetensors")


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedAdapter:
    """Return an adapter trained without interruption."""
    out = tmp_path_factory.mktemp("adapters")
    return train_user_model(
        answers(),
        base_model=str(tiny_model),
        out_dir=out,
        name="ada",
        config=FAST,
        provenance={"corpus_digest": "c0ffee", "prompts": {"answer": "1234"}},
    )


def test_the_loss_falls_and_the_actions_become_likelier(trained: TrainedAdapter):
    """After some thirty steps the validation actions are far likelier than before."""
    manifest = trained.manifest
    assert manifest.steps >= 20
    assert trained.losses[-1] < 0.6 * trained.losses[0]
    assert manifest.before is not None
    assert manifest.after is not None
    assert manifest.after.action_logprob > manifest.before.action_logprob + 1.0
    assert manifest.after.action_logprob_alone > manifest.before.action_logprob_alone + 1.0


def test_the_manifest_says_where_the_adapter_comes_from(trained: TrainedAdapter, tiny_model: Path):
    """Counts, users, settings, digests, versions and provenance are there."""
    manifest = trained.manifest
    assert manifest.users == ("ada", "bob")
    # One of twelve per user is for validation; 14 of the 22 others have a trace, 2 are marked.
    assert manifest.counts.model_dump() == {
        "train": 22,
        "with_reasoning": 12,
        "validation": 2,
        "refused": 0,
    }
    assert manifest.config == FAST
    assert manifest.config_key == FAST.key
    assert manifest.base_model == str(tiny_model)
    assert manifest.provenance == {"corpus_digest": "c0ffee", "prompts": {"answer": "1234"}}
    assert manifest.stopped == "complete"
    assert manifest.steps == manifest.planned_steps == len(trained.losses)
    assert set(manifest.versions) >= {"python", "torch", "transformers", "peft"}
    assert trained.ref.name.startswith("ada-")
    assert trained.ref.digest == manifest.adapter_digest
    assert [path.name for path in (trained.folder.parent / "checkpoints").iterdir()] == [
        f"{manifest.fingerprint[:16]}.lock"
    ]


def test_plain_peft_loads_the_adapter(trained: TrainedAdapter, tiny_model: Path):
    """Nothing of ours is needed to use it, and it changes the answers."""
    import torch
    from peft import PeftModel

    base = load_model(tiny_model, dtype="float32", device="cpu")
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        before = base(ids).logits.clone()
        loaded = PeftModel.from_pretrained(base, str(trained.folder))
        assert not torch.equal(loaded(ids).logits, before)
        with loaded.disable_adapter():
            assert torch.equal(loaded(ids).logits, before)
    assert loaded.peft_config["default"].base_model_name_or_path == str(tiny_model)


def test_the_engine_scores_the_actions_as_the_training_measured_them(
    trained: TrainedAdapter, tiny_model: Path
):
    """Tokens, positions and adapter are the same at run time: the two figures agree to 1e-4."""
    held = split_validation(answers(), FAST.validation_share)[1]
    requests = [
        ScoreRequest(
            prompt=example.messages,
            prefix=prefix(reasoning),
            continuation=action_text(example.action),
            adapter=trained.ref,
        )
        for example in held
        for reasoning in (example.reasoning, "")
    ]
    with TransformersEngine(tiny_model) as engine:
        means = [score.mean() for score in engine.score(requests)]
    after = trained.manifest.after
    assert after is not None
    assert after.action_logprob == pytest.approx(sum(means[::2]) / len(held), abs=1e-4)
    assert after.action_logprob_alone == pytest.approx(sum(means[1::2]) / len(held), abs=1e-4)


def test_a_finished_training_is_not_repeated(trained: TrainedAdapter, tiny_model: Path):
    """The same call returns the adapter that is there, without a step."""
    steps: list[int] = []
    again = train_user_model(
        answers(),
        base_model=str(tiny_model),
        out_dir=trained.folder.parent,
        name="ada",
        config=FAST,
        progress=lambda step, *_: steps.append(step),
    )
    assert (again, steps) == (trained, [])


def test_other_settings_are_another_adapter(trained: TrainedAdapter, tiny_model: Path, tmp_path):
    """What was cut off under other settings is not gone on with."""
    config = FAST.model_copy(update={"seed": 1, "epochs": 1.0, "evaluations": 1})
    steps: list[int] = []

    def stop() -> bool:
        return len(steps) == 2

    half = train_user_model(
        answers(),
        base_model=str(tiny_model),
        out_dir=tmp_path,
        config=config,
        stop_when=stop,
        progress=lambda step, *_: steps.append(step),
    )
    other = config.model_copy(update={"alpha": 4})
    seen: list[int] = []
    whole = train_user_model(
        answers(),
        base_model=str(tiny_model),
        out_dir=tmp_path,
        config=other,
        progress=lambda step, *_: seen.append(step),
    )
    assert half.manifest.stopped == "asked"
    assert half.manifest.steps == 2
    assert seen == list(range(1, whole.manifest.planned_steps + 1))
    assert weights(whole) not in {weights(half), weights(trained)}


def test_a_run_that_was_killed_again_and_again_ends_with_the_same_adapter(
    trained: TrainedAdapter, tiny_model: Path, tmp_path: Path, learners: Nursery
):
    """SIGKILL between steps, in a checkpoint, in the artifact, after it: the weights are equal."""
    found = learners.run(KILLED, tiny_model, tmp_path)
    # Killed six times; then the adapter is there, and the last call takes no step.
    assert found.stdout.split() == ["9"] * 6 + ["0"], found.stderr
    resumed = train_user_model(
        answers(), base_model=str(tiny_model), out_dir=tmp_path, name="ada", config=FAST
    )
    assert weights(resumed) == weights(trained)
    assert resumed.losses == trained.losses
    assert resumed.ref.digest == trained.ref.digest
    assert not list(tmp_path.glob(".half-made*"))


def test_a_run_out_of_time_ends_with_the_best_so_far_and_goes_on_when_asked(
    trained: TrainedAdapter, tiny_model: Path, tmp_path: Path
):
    """The clock gives a usable adapter; the next call completes it to the uninterrupted one."""
    arguments = {"base_model": str(tiny_model), "out_dir": tmp_path, "name": "ada", "config": FAST}
    first = train_user_model(answers(), **arguments, max_minutes=0.0)
    assert (first.manifest.stopped, first.manifest.steps) == ("time", 1)
    steps: list[int] = []
    whole = train_user_model(answers(), **arguments, progress=lambda step, *_: steps.append(step))
    assert steps[0] == 2
    assert whole.losses == trained.losses
    assert load_artifact(first.folder).ref == first.ref


def test_training_stops_when_validation_gets_worse_and_keeps_the_best(
    tiny_model: Path, tmp_path: Path
):
    """Validation answers that contradict the training ones become unlikelier at every step."""
    train = answers(users=("ada",))
    other_way = [
        TrainingExample(
            key="held", user_id="ada", messages=train[0].messages, reasoning="", action="No!"
        )
    ]
    config = FAST.model_copy(update={"evaluations": 12, "epochs": 12.0})
    adapter = train_user_model(
        train, base_model=str(tiny_model), out_dir=tmp_path, config=config, validation=other_way
    )
    manifest = adapter.manifest
    scores = [evaluation.action_logprob for evaluation in manifest.evaluations]
    assert manifest.stopped == "stalled"
    assert manifest.steps < manifest.planned_steps
    assert manifest.after is not None
    assert manifest.after.action_logprob == max(scores)
    assert scores[-3:].index(max(scores)) == 0
    assert manifest.counts.validation == 1


def test_without_validation_the_last_state_is_kept_and_nothing_is_claimed(
    tiny_model: Path, tmp_path: Path
):
    """Too few interactions for a validation part still give an adapter."""
    config = FAST.model_copy(update={"epochs": 1.0})
    adapter = train_user_model(
        answers(2), base_model=str(tiny_model), out_dir=tmp_path, config=config
    )
    assert adapter.manifest.counts.validation == 0
    assert (adapter.manifest.before, adapter.manifest.after) == (None, None)
    assert "nothing was measured" in (adapter.folder / "README.md").read_text(encoding="utf-8")


def test_a_diverging_run_names_step_and_loss_and_keeps_the_last_good_checkpoint(
    tiny_model: Path, tmp_path: Path
):
    """The error says where the checkpoint is, and plain peft can load it."""
    from peft import PeftModel

    config = FAST.model_copy(update={"learning_rate": 1e6, "evaluations": 40})
    with pytest.raises(DivergedError, match=r"at step \d+|after step \d+") as caught:
        train_user_model(answers(), base_model=str(tiny_model), out_dir=tmp_path, config=config)
    assert "learning_rate" in caught.value.hint
    (folder,) = (tmp_path / "checkpoints").glob("*/checkpoint-*")
    assert repr(str(folder)) in str(caught.value)
    assert Checkpoints(folder.parent).is_complete(int(folder.name.removeprefix("checkpoint-")))
    PeftModel.from_pretrained(load_model(tiny_model, dtype="float32", device="cpu"), str(folder))


def test_a_model_that_was_passed_in_is_left_as_it_was(
    trained: TrainedAdapter, tiny_model: Path, tmp_path: Path
):
    """Its weights are bit-identical, and the adapter is the one that a fresh model gives."""
    import torch

    model = load_model(tiny_model, dtype="float32", device="cpu")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    adapter = train_user_model(
        answers(),
        base_model=str(tiny_model),
        out_dir=tmp_path,
        name="ada",
        config=FAST,
        model=model,
    )
    assert weights(adapter) == weights(trained)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_examples_that_do_not_fit_are_refused_and_reported(tiny_model: Path, tmp_path: Path):
    """One long example costs only itself; the manifest tells which and why."""
    long = TrainingExample(
        key="long", user_id="ada", messages=(("user", "rain " * 600),), reasoning="", action="Yes."
    )
    config = FAST.model_copy(update={"epochs": 1.0, "validation_share": 0.0})
    adapter = train_user_model(
        [*answers(4), long], base_model=str(tiny_model), out_dir=tmp_path, config=config
    )
    (refused,) = adapter.manifest.refused
    assert refused.item == "long"
    assert "the model takes 512" in refused.message
    assert adapter.manifest.counts.train == 8
    with pytest.raises(NoTrainingDataError, match="none of the 1 examples of 'user' fits"):
        train_user_model([long], base_model=str(tiny_model), out_dir=tmp_path, config=config)


def test_provenance_that_cannot_be_written_is_refused_before_the_training(tmp_path: Path):
    """The key and the value are named."""
    with pytest.raises(TrainingError, match=r"provenance 'corpus.*' cannot be .*PosixPath"):
        train_user_model(
            answers(), base_model="none", out_dir=tmp_path, provenance={"corpus": Path("x")}
        )


def test_nothing_to_train_on_is_an_error(tiny_model: Path, tmp_path: Path):
    """It names whom the adapter was for."""
    with pytest.raises(NoTrainingDataError, match="nothing to train 'ada' on"):
        train_user_model([], base_model=str(tiny_model), out_dir=tmp_path, name="ada")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        """Return what a hostile pickle would run."""
        return (Path.touch, (self.path,))


def test_a_checkpoint_cannot_run_code(tiny_model: Path, tmp_path: Path):
    """The optimiser's state is read as tensors alone, even where digests were forged."""
    import torch

    arguments = {"base_model": str(tiny_model), "out_dir": tmp_path / "out", "config": FAST}
    train_user_model(answers(), **arguments, max_minutes=0.0)
    (folder,) = (tmp_path / "out" / "checkpoints").glob("*/checkpoint-1")
    torch.save({"state": Trap(tmp_path / "sprung")}, folder / "optimizer.pt")
    (folder / "complete.json").unlink()
    Checkpoints(folder.parent).seal(1)
    with pytest.raises(TrainingError, match="UnpicklingError"):
        train_user_model(answers(), **arguments)
    assert not (tmp_path / "sprung").exists()


def test_the_same_adapter_is_not_trained_twice_at_once(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The second process is refused while the first holds the run's folder."""
    fingerprints: list[str] = []

    def find(_: Path, fingerprint: str) -> None:
        fingerprints.append(fingerprint)

    monkeypatch.setattr(stage, "find_artifact", find)
    arguments = {"base_model": str(tiny_model), "out_dir": tmp_path, "config": FAST}
    train_user_model(answers(), **arguments, max_minutes=0.0)
    with (
        run_folder(tmp_path, fingerprints[0]),
        pytest.raises(TrainingError, match="another process is training the same"),
    ):
        train_user_model(answers(), **arguments, max_minutes=0.0)


def test_training_says_nothing_on_its_own(tiny_model: Path, tmp_path: Path, capfd):
    """No progress bars, no tables of losses: a library is silent."""
    config = FAST.model_copy(update={"epochs": 1.0})
    train_user_model(answers(4), base_model=str(tiny_model), out_dir=tmp_path, config=config)
    assert capfd.readouterr() == ("", "")


@pytest.mark.model
def test_a_few_steps_on_the_embedded_model_help(embedded_model: Path, tmp_path: Path):
    """The real model learns a person's habit within a dozen steps."""
    config = TrainingConfig(epochs=2.0, batch_tokens=256, evaluations=1)
    adapter = train_user_model(
        answers(), base_model=str(embedded_model), out_dir=tmp_path, config=config
    )
    assert adapter.manifest.before is not None
    assert adapter.manifest.after is not None
    assert adapter.manifest.after.action_logprob > adapter.manifest.before.action_logprob + 0.5
    assert json.loads((adapter.folder / "adapter_config.json").read_text())["r"] == config.rank
