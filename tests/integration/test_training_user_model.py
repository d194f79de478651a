"""Training the user model on the tiny random model, from people to the adapter folder."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from tests.fixtures.children import Nursery
from tests.fixtures.lessons import LIKING, THINGS, answered, engine_encoder, lesson
from usersim.config import HistoryConfig, TrainingConfig
from usersim.engines.base import ScoreRequest
from usersim.engines.options import OptionQuery, option_probabilities
from usersim.engines.transformers.engine import TransformersEngine, load_model
from usersim.errors import DivergedError, NoTrainingDataError, TrainingError
from usersim.files import file_digest
from usersim.prompts import respond_prompt
from usersim.training import (
    TrainedAdapter,
    arithmetic,
    load_artifact,
    train_user_model,
)
from usersim.training import user_model as stage
from usersim.training.checkpoints import Checkpoints, run_folder
from usersim.training.manifest import Arithmetic, SynthesizerRecord
from usersim.training.schedule import FINISHED
from usersim.training.windows import Windows
from usersim.transcript import action_text, prefix
from usersim.types import PersonLesson, Scale

FAST = TrainingConfig(
    rank=4,
    learning_rate=0.008,
    epochs=6.0,
    batch_tokens=400,
    evaluations=4,
    dtype="float32",
)
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.integration.test_training_user_model import FAST, people
from usersim.training import artifact, checkpoints, run, train_user_model
import peft, torch, transformers, transformers.trainer

model, out = sys.argv[1:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def after_step(step):
    def prepare():
        after_loss = run.TrainingRun.after_loss
        def cut(self, at, loss):
            after_loss(self, at, loss)
            if at == step:
                die()
        run.TrainingRun.after_loss = cut
    return prepare

def child(prepare):
    # One interpreter for all: a fork before any computation has no threads to lose.
    number = os.fork()
    if number == 0:
        prepare()
        train_user_model(people(), base_model=model, out_dir=out, name="ada", config=FAST)
        os._exit(0)
    status = os.waitpid(number, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

def in_the_middle_of_a_checkpoint():
    checkpoints.Checkpoints.seal = die

def before_the_manifest():
    artifact._write_texts = die

def before_the_checkpoints_are_cleared():
    checkpoints.Checkpoints.clear = die

print(child(after_step(2)))
print(child(in_the_middle_of_a_checkpoint))
print(child(after_step(9)))
print(child(after_step(10)))
print(child(before_the_manifest))
print(child(before_the_checkpoints_are_cleared))
print(child(after_step(1)))
"""


def rows(user: str, n: int = 12):
    """Return answers that can be learned: one person likes everything, the other nothing."""
    likes = user.startswith("ada")
    return [
        answered(
            f"{user}-{i}",
            f"Do you like {THINGS[i % 8]} {i}?",
            ("Yes, the rain." if likes else "No, the train.")
            if i % 4 == 0
            else LIKING.options[2 if likes else 0],
            user=user,
            place=i,
            **({} if i % 4 == 0 else {"space": LIKING}),
        )
        for i in range(n)
    ]


def person(user: str, n: int = 12, held: int = 2) -> PersonLesson:
    """Return one person with traces on most answers, the newest held out."""
    own = rows(user, n)
    return lesson(
        own,
        held=[one.key for one in own[n - held :]],
        reasonings={one.key: "The garden is quiet." for one in own if one.position % 3},
        ordered=user == "ada",
    )


def people() -> list[PersonLesson]:
    """Return two people who are learned from, one in order and one not, and one who is not."""
    return [person("ada"), person("bob"), person("cleo", 4, held=4)]


def weights(adapter: TrainedAdapter) -> str:
    """Return the digest of the weights."""
    return file_digest(adapter.folder / "adapter_model.safetensors")


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedAdapter:
    """Return an adapter trained without interruption."""
    out = tmp_path_factory.mktemp("adapters")
    return train_user_model(
        people(),
        base_model=str(tiny_model),
        out_dir=out,
        name="ada",
        config=FAST,
        provenance={"corpus_digest": "c0ffee", "prompts": {"answer": "1234"}},
    )


def test_the_loss_falls_and_the_actions_become_likelier(trained: TrainedAdapter):
    """After some thirty steps the held-out actions are far likelier than before."""
    manifest = trained.manifest
    assert manifest.steps >= 20
    assert fmean(trained.losses[-6:]) < 0.6 * fmean(trained.losses[:6])
    assert manifest.before is not None
    assert manifest.after is not None
    assert manifest.after.action_logprob > manifest.before.action_logprob + 1.0
    assert manifest.after.action_logprob_alone > manifest.before.action_logprob_alone + 1.0


@pytest.mark.parametrize("useful", [True, False])
def test_a_training_that_made_answers_less_likely_is_warned_of(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, useful: bool
):
    """Somebody who changes their mind in the held-out part: the warning names both figures."""
    own = rows("ada")
    opposite = [replace(one, action="no") if one.space == LIKING else one for one in own[9:]]
    made = lesson(own if useful else [*own[:9], *opposite], held=[one.key for one in own[9:]])
    config = FAST.model_copy(update={"epochs": 4.0, "evaluations": 1})
    adapter = train_user_model(
        [made], base_model=str(tiny_model), out_dir=tmp_path, name="ada", config=config
    )
    before, after = adapter.manifest.before, adapter.manifest.after
    assert before is not None
    assert after is not None
    assert (after.watched > before.watched) is useful
    warned = [r.getMessage() for r in caplog.records if "no better than the model" in r.message]
    assert len(warned) == (not useful)
    assert all(f"held-out answers {after.watched:.3f} after" in text for text in warned)


def test_the_manifest_says_where_the_adapter_comes_from(trained: TrainedAdapter, tiny_model: Path):
    """Counts, users, settings, digests, versions and provenance are there."""
    manifest = trained.manifest
    assert manifest.users == manifest.people == manifest.learned_from == ("ada", "bob")
    assert manifest.held == tuple(sorted(one for made in people() for one in made.held))
    # Of the ten that are learned from each, four have no trace; cleo's first half is shown.
    assert manifest.counts.model_dump() == {
        "train": 20,
        "with_reasoning": 12,
        "validation": 6,
        "refused": 0,
    }
    assert manifest.config == FAST
    assert manifest.config_key == FAST.key
    assert manifest.base_model == str(tiny_model)
    assert manifest.provenance == {"corpus_digest": "c0ffee", "prompts": {"answer": "1234"}}
    assert manifest.stopped == "complete"
    assert manifest.steps == manifest.planned_steps == len(trained.losses)
    assert set(manifest.versions) >= {"python", "torch", "transformers", "peft"}
    assert (manifest.form, manifest.start) == ("turns", None)
    assert trained.ref.name.startswith("ada-")
    assert trained.ref.digest == manifest.adapter_digest
    assert [path.name for path in (trained.folder.parent / "checkpoints").iterdir()] == [
        f"{manifest.fingerprint[:16]}.lock"
    ]


def test_the_manifest_tells_what_was_learned_and_how_fast(trained: TrainedAdapter):
    """Each answer as often as it was learned, the tokens, the time, the arithmetic."""
    manifest = trained.manifest
    assert manifest.answers == 6 * 20
    assert 0 < manifest.tokens <= 400 * manifest.steps
    assert manifest.seconds > 0
    assert manifest.arithmetic is not None
    assert (manifest.arithmetic.dtype, manifest.arithmetic.chosen) == ("float32", "asked")
    assert manifest.pace.startswith("120 answers learned in ")
    card = (trained.folder / "README.md").read_text(encoding="utf-8")
    assert "120 answers learned in" in card.replace("\\", "")


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


def test_the_engine_scores_the_answers_as_the_training_measured_them(
    trained: TrainedAdapter, tiny_model: Path
):
    """Tokens, positions, options and adapter are the same at run time: figures agree to 1e-4."""
    figures: dict[bool, list[float]] = {True: [], False: []}
    view = HistoryConfig()
    cut = Windows(
        people(), engine_encoder(tiny_model), view, window_tokens=FAST.batch_tokens, max_tokens=512
    )
    measured = [w for step in cut.validation(most=FAST.validation_most) for w in step.windows]
    with TransformersEngine(tiny_model) as engine:
        for window in measured:
            made = people()[window.lesson]
            own = [made.interactions[member] for member in window.members]
            shown = own[: window.first]
            for one in own[window.first :]:
                prompt = respond_prompt(one.user_id, one.question, shown, config=view)
                for traced in (True, False):
                    before = prefix(made.reasonings.get(one.key, "") if traced else "")
                    if isinstance(one.space, Scale):
                        query = OptionQuery(
                            prompt=prompt,
                            prefix=before,
                            options=one.space.options,
                            adapter=trained.ref,
                        )
                        (found,) = option_probabilities(engine, [query])
                        figure = math.log(found[one.space.options.index(one.action_text)])
                    else:
                        request = ScoreRequest(
                            prompt=prompt,
                            prefix=before,
                            continuation=action_text(one.action_text),
                            adapter=trained.ref,
                        )
                        figure = engine.score([request])[0].mean()
                    figures[traced].append(figure)
    after = trained.manifest.after
    assert after is not None
    assert after.n == len(figures[True]) == 6
    assert after.action_logprob == pytest.approx(fmean(figures[True]), abs=1e-4)
    assert after.action_logprob_alone == pytest.approx(fmean(figures[False]), abs=1e-4)


def test_progress_counts_answers_and_the_whole_run(tiny_model: Path, tmp_path: Path):
    """After each step: the answers learned, of all that will be; the last one is the whole."""
    seen: list[tuple[str, int, int | None]] = []
    config = FAST.model_copy(update={"epochs": 1.0, "evaluations": 1})
    adapter = train_user_model(
        people(),
        base_model=str(tiny_model),
        out_dir=tmp_path,
        config=config,
        progress=lambda *at: seen.append(at),
    )
    manifest = adapter.manifest
    answers = [done for _, done, _ in seen]
    assert len(answers) == manifest.planned_steps
    assert answers == sorted(set(answers))
    assert {(stage, total) for stage, _, total in seen} == {("train", 20)}
    assert answers[-1] == manifest.answers


def test_a_finished_training_is_not_repeated(trained: TrainedAdapter, tiny_model: Path):
    """The same call returns the adapter that is there, without a step."""
    steps: list[tuple[object, ...]] = []
    again = train_user_model(
        people(),
        base_model=str(tiny_model),
        out_dir=trained.folder.parent,
        name="ada",
        config=FAST,
        # How many are shown at run time changes nothing in a window.
        history=HistoryConfig(recent=1, evidence=1),
        progress=lambda *at: steps.append(at),
    )
    assert (again, steps) == (trained, [])


def test_other_settings_are_another_adapter(trained: TrainedAdapter, tiny_model: Path, tmp_path):
    """What was cut off under other settings is not gone on with."""
    config = FAST.model_copy(update={"seed": 1, "epochs": 1.0, "evaluations": 1})
    steps: list[tuple[object, ...]] = []

    def stop() -> bool:
        return len(steps) == 2

    half = train_user_model(
        people(),
        base_model=str(tiny_model),
        out_dir=tmp_path,
        config=config,
        stop_when=stop,
        progress=lambda *at: steps.append(at),
    )
    other = config.model_copy(update={"alpha": 4})
    seen: list[tuple[object, ...]] = []
    whole = train_user_model(
        people(),
        base_model=str(tiny_model),
        out_dir=tmp_path,
        config=other,
        progress=lambda *at: seen.append(at),
    )
    assert half.manifest.stopped == "asked"
    assert half.manifest.steps == 2
    assert len(seen) == whole.manifest.planned_steps
    assert weights(whole) not in {weights(half), weights(trained)}


def test_a_run_that_was_killed_again_and_again_ends_with_the_same_adapter(
    trained: TrainedAdapter, tiny_model: Path, tmp_path: Path, learners: Nursery
):
    """SIGKILL between steps, in a checkpoint, in the artifact, after it: the weights are equal."""
    found = learners.run(KILLED, tiny_model, tmp_path)
    # Killed six times; then the adapter is there, and the last call takes no step.
    assert found.stdout.split() == ["9"] * 6 + ["0"], found.stderr
    resumed = train_user_model(
        people(), base_model=str(tiny_model), out_dir=tmp_path, name="ada", config=FAST
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
    first = train_user_model(people(), **arguments, max_minutes=0.0)
    assert (first.manifest.stopped, first.manifest.steps) == ("time", 1)
    steps: list[tuple[object, ...]] = []
    whole = train_user_model(people(), **arguments, progress=lambda *at: steps.append(at))
    assert len(steps) == whole.manifest.steps - 1
    assert whole.losses == trained.losses
    assert load_artifact(first.folder).ref == first.ref


def test_training_stops_when_validation_gets_worse_and_keeps_the_best(
    tiny_model: Path, tmp_path: Path
):
    """Held-out answers that contradict the learned ones become unlikelier at every step."""
    own = [answered(f"k{i}", "Walk?", "No!" if i > 7 else "Yes.", place=i) for i in range(10)]
    config = FAST.model_copy(update={"evaluations": 12, "epochs": 40.0})
    adapter = train_user_model(
        [lesson(own, held=["k8", "k9"])],
        base_model=str(tiny_model),
        out_dir=tmp_path,
        config=config,
    )
    manifest = adapter.manifest
    scores = [evaluation.watched for evaluation in manifest.evaluations]
    assert manifest.stopped == "stalled"
    assert manifest.steps < manifest.planned_steps
    assert manifest.after is not None
    assert manifest.after.watched == max(scores)
    assert scores[-3:].index(max(scores)) == 0
    assert manifest.counts.validation == 2


def test_without_validation_the_last_state_is_kept_and_nothing_is_claimed(
    tiny_model: Path, tmp_path: Path
):
    """Too few interactions for a validation part still give an adapter."""
    config = FAST.model_copy(update={"epochs": 1.0})
    adapter = train_user_model(
        [person("ada", 4, held=0)], base_model=str(tiny_model), out_dir=tmp_path, config=config
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
        train_user_model(people(), base_model=str(tiny_model), out_dir=tmp_path, config=config)
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
        people(),
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


def test_interactions_that_do_not_fit_are_refused_and_reported(tiny_model: Path, tmp_path: Path):
    """One long interaction costs only itself; the manifest tells which and why."""
    long = answered("long", "rain " * 2500, "Yes.", place=4)
    history = HistoryConfig(max_context_chars=20_000)
    config = FAST.model_copy(update={"epochs": 1.0})
    adapter = train_user_model(
        [lesson([*rows("ada", 4), long])],
        base_model=str(tiny_model),
        out_dir=tmp_path,
        config=config,
        history=history,
    )
    (refused,) = adapter.manifest.refused
    assert refused.item == "long"
    assert "the model takes 512" in refused.message
    assert adapter.manifest.counts.train == adapter.manifest.answers == 4
    with pytest.raises(NoTrainingDataError, match=r"'user'.*'long'"):
        train_user_model(
            [lesson([long])],
            base_model=str(tiny_model),
            out_dir=tmp_path,
            config=config,
            history=history,
        )


def test_one_persons_adapter_goes_on_from_a_shared_one(
    trained: TrainedAdapter, tiny_model: Path, tmp_path: Path
):
    """It begins as good as the shared one ended, says where it comes from, and holds its people."""
    arguments = {"base_model": str(tiny_model), "out_dir": tmp_path, "name": "adam"}
    config = FAST.model_copy(update={"epochs": 1.0, "evaluations": 1, "learning_rate": 1e-9})
    own = [person("adam", 8)]
    went_on = train_user_model(own, **arguments, config=config, start=trained)
    fresh = train_user_model(own, **arguments, config=config)
    first, other = went_on.manifest, fresh.manifest
    assert first.start == trained.ref.name
    assert (first.people, first.users) == (("adam",), ("ada", "adam", "bob"))
    assert (other.start, other.users) == (None, ("adam",))
    assert first.fingerprint != other.fingerprint
    assert first.before == other.before
    assert first.after is not None
    assert other.after is not None
    assert other.after.watched == pytest.approx(other.before.watched, abs=1e-3)
    assert first.after.watched > other.after.watched + 0.5
    card = (went_on.folder / "README.md").read_text(encoding="utf-8")
    assert "which was trained on 3 people including these" in card


def test_an_adapter_that_does_not_fit_is_no_start(
    trained: TrainedAdapter, tiny_model: Path, tmp_path: Path
):
    """Another model's, another rank's, one that writes traces: refused, with both named."""
    arguments = {"base_model": str(tiny_model), "out_dir": tmp_path, "config": FAST}

    def altered(**fields: object) -> TrainedAdapter:
        manifest = trained.manifest.model_copy(update=fields)
        return trained.model_copy(update={"manifest": manifest})

    foreign = altered(base_model_digest="f" * 64, base_model="other")
    with pytest.raises(TrainingError, match="'other'"):
        train_user_model(people(), **arguments, start=foreign)
    writer = altered(synthesizer=SynthesizerRecord(recipe="rft"))
    with pytest.raises(TrainingError, match="writes reasoning traces"):
        train_user_model(people(), **arguments, start=writer)
    wide = {**arguments, "config": FAST.model_copy(update={"rank": 8})}
    with pytest.raises(TrainingError, match=r"rank 4.* 32.*rank 8"):
        train_user_model(people(), **wide, start=trained)


def test_a_run_goes_on_in_the_arithmetic_that_it_began_in(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A measurement that comes out otherwise after an interruption changes nothing."""
    measured: list[str] = []

    def faster(kind: str):
        def measure(_: object) -> Arithmetic:
            measured.append(kind)
            return Arithmetic(dtype=kind, chosen="measured", float32_ms=1.0, bfloat16_ms=1.0)

        return measure

    monkeypatch.setenv("USERSIM_CACHE", str(tmp_path / "cache"))
    config = FAST.model_copy(update={"dtype": "auto", "epochs": 1.0})
    arguments = {"base_model": str(tiny_model), "out_dir": tmp_path, "config": config}
    monkeypatch.setattr(arithmetic, "_measured", faster("bfloat16"))
    half = train_user_model(people(), **arguments, max_minutes=0.0)
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setattr(arithmetic, "_measured", faster("float32"))
    whole = train_user_model(people(), **arguments)
    assert measured == ["bfloat16"]
    assert half.manifest.arithmetic == whole.manifest.arithmetic
    assert whole.manifest.arithmetic is not None
    assert whole.manifest.arithmetic.dtype == "bfloat16"
    assert whole.losses[0] == half.losses[0]
    assert whole.manifest.stopped in FINISHED


def test_provenance_that_cannot_be_written_is_refused_before_the_training(tmp_path: Path):
    """The key and the value are named."""
    with pytest.raises(TrainingError, match=r"'corpus.*'.*PosixPath"):
        train_user_model(
            people(), base_model="none", out_dir=tmp_path, provenance={"corpus": Path("x")}
        )


def test_nothing_to_train_on_is_an_error(tiny_model: Path, tmp_path: Path):
    """It names whom the adapter was for; people who are all held out are nobody to learn from."""
    for nobody in ([], [person("cleo", 4, held=4)]):
        with pytest.raises(NoTrainingDataError, match="no training data for 'ada'"):
            train_user_model(nobody, base_model=str(tiny_model), out_dir=tmp_path, name="ada")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        """Return what a hostile pickle would run."""
        return (Path.touch, (self.path,))


def test_a_checkpoint_cannot_run_code(tiny_model: Path, tmp_path: Path):
    """The optimizer's state is read as tensors alone, even where digests were forged."""
    import torch

    arguments = {"base_model": str(tiny_model), "out_dir": tmp_path / "out", "config": FAST}
    train_user_model(people(), **arguments, max_minutes=0.0)
    (folder,) = (tmp_path / "out" / "checkpoints").glob("*/checkpoint-1")
    torch.save({"state": Trap(tmp_path / "sprung")}, folder / "optimizer.pt")
    (folder / "complete.json").unlink()
    Checkpoints(folder.parent).seal(1)
    with pytest.raises(TrainingError, match="UnpicklingError"):
        train_user_model(people(), **arguments)
    assert not (tmp_path / "sprung").exists()


def test_the_same_adapter_is_not_trained_twice_at_once(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The second process is refused while the first holds the run's folder."""
    fingerprints: list[str] = []

    def find(_: Path, fingerprint: str, _name: str) -> None:
        fingerprints.append(fingerprint)

    monkeypatch.setattr(stage, "find_artifact", find)
    arguments = {"base_model": str(tiny_model), "out_dir": tmp_path, "config": FAST}
    train_user_model(people(), **arguments, max_minutes=0.0)
    with (
        run_folder(tmp_path, fingerprints[0]),
        pytest.raises(TrainingError, match="another process is training the same"),
    ):
        train_user_model(people(), **arguments, max_minutes=0.0)


def test_training_says_nothing_on_its_own(tiny_model: Path, tmp_path: Path, capfd):
    """No progress bars, no tables of losses: a library is silent."""
    config = FAST.model_copy(update={"epochs": 1.0})
    train_user_model(people(), base_model=str(tiny_model), out_dir=tmp_path, config=config)
    assert capfd.readouterr() == ("", "")


@pytest.mark.model
@pytest.mark.slow
def test_a_few_steps_on_the_embedded_model_help(embedded_model: Path, tmp_path: Path):
    """The real model learns a person's habit within a dozen steps."""
    config = TrainingConfig(epochs=4.0, batch_tokens=512, evaluations=1)
    adapter = train_user_model(
        people(), base_model=str(embedded_model), out_dir=tmp_path, config=config
    )
    assert adapter.manifest.before is not None
    assert adapter.manifest.after is not None
    assert adapter.manifest.after.action_logprob > adapter.manifest.before.action_logprob + 0.5
    assert json.loads((adapter.folder / "adapter_config.json").read_text())["r"] == config.rank
