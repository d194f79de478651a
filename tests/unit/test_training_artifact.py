"""The adapter folder: whole, unaltered, or an error that says what is wrong."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.disk import full_disk
from usersim.config import TrainingConfig
from usersim.engines.base import AdapterRef
from usersim.errors import ArtifactError
from usersim.training import ReasoningWeight, TrainedAdapter, load_artifact, set_reasoning_weight
from usersim.training import artifact as module
from usersim.training.artifact import find_artifact, write_artifact
from usersim.training.card import model_card
from usersim.training.manifest import Arithmetic, Counts, Manifest, SynthesizerRecord
from usersim.training.schedule import ActionEvaluation

WEIGHT = ReasoningWeight(w=0.01, low=0.0, high=0.2, n=30, gain=0.0)


def manifest(**changes: object) -> Manifest:
    """Return a manifest before its digests are known."""
    values: dict[str, object] = {
        "name": "ada",
        "created": "2026-01-01T00:00:00+00:00",
        "fingerprint": "f" * 64,
        "users": ("ada",),
        "base_model": "embedded",
        "base_model_digest": "b" * 64,
        "config": TrainingConfig(),
        "config_key": TrainingConfig().key,
        "examples_digest": "e" * 64,
        "versions": {"python": "3.11"},
        "counts": Counts(train=8, with_reasoning=6, validation=2, refused=1),
        "steps": 2,
        "planned_steps": 2,
        "stopped": "complete",
        "losses": (2.0, 1.0),
        "before": ActionEvaluation(step=0, action_logprob=-3.0, action_logprob_alone=-3.5),
        "after": ActionEvaluation(step=2, action_logprob=-1.0, action_logprob_alone=-1.5),
    }
    return Manifest.model_validate(values | changes)


def test_a_manifest_with_the_former_spelling_is_read() -> None:
    """A synthesizer that an earlier version trained still says that it is one."""
    record = SynthesizerRecord(recipe="dpo")
    values = manifest(synthesizer=record).model_dump(mode="json")
    values["synthesiser"] = values.pop("synthesizer")
    assert Manifest.model_validate_json(json.dumps(values)).synthesizer == record


@pytest.fixture
def copy_adapter(tiny_adapter: Callable[..., AdapterRef]) -> Callable[[Path], None]:
    """Return what writes PEFT's files of a tiny adapter into a folder."""
    source = Path(tiny_adapter("source").path)

    def write(folder: Path) -> None:
        for name in module.ADAPTER_FILES:
            shutil.copyfile(source / name, folder / name)

    return write


@pytest.fixture
def made(tmp_path: Path, copy_adapter: Callable[[Path], None]) -> TrainedAdapter:
    """Return a whole adapter folder."""
    return write_artifact(tmp_path, manifest(), copy_adapter)


def test_what_was_written_is_what_is_loaded(made: TrainedAdapter, tmp_path: Path):
    """The name carries the digest, and the folder holds four files and nothing half-made."""
    assert load_artifact(made.folder) == made
    assert made.folder.name == f"ada-{made.ref.digest[:8]}"
    assert sorted(path.name for path in made.folder.iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "usersim.json",
    ]
    assert [path.name for path in tmp_path.iterdir()] == [made.folder.name]


@pytest.mark.parametrize("name", ["../../etc", "a b/c", "..", "ад\u202eа", "x" * 300])
def test_no_name_leads_out_of_the_folder(
    tmp_path: Path, copy_adapter: Callable[[Path], None], name: str
):
    """A user's name may be anything; the path is made of harmless letters."""
    adapter = write_artifact(tmp_path / "out", manifest(name=name), copy_adapter)
    assert adapter.folder.parent == tmp_path / "out"
    assert adapter.manifest.name == name


def test_a_folder_without_manifest_is_not_an_artifact(made: TrainedAdapter):
    """The manifest is written last, so its absence means that the training was cut off."""
    (made.folder / "usersim.json").unlink()
    with pytest.raises(ArtifactError, match=r"cannot read 'usersim.json'") as caught:
        load_artifact(made.folder)
    assert "rerun it" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "Invalid JSON"),
        ("{}", "'name': Field required"),
        (manifest(format=99).model_dump_json(), "has format 99; this version reads 1"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_named(made: TrainedAdapter, text: str, match: str):
    """The message has the file and the field."""
    (made.folder / "usersim.json").write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=match):
        load_artifact(made.folder)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_or_altered_file_is_named(made: TrainedAdapter, name: str):
    """One changed byte is noticed, and so is a file that is gone."""
    path = made.folder / name
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=rf"{name}' was altered after the adapter of 'ada'"):
        load_artifact(made.folder)
    path.unlink()
    with pytest.raises(ArtifactError, match=rf"{name}' is missing from the adapter of 'ada'"):
        load_artifact(made.folder)


def test_an_adapter_that_no_engine_could_load_is_refused(made: TrainedAdapter):
    """A manifest that vouches for another kind of adapter does not help it."""
    path = made.folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"peft_type": "IA3"}
    path.write_text(json.dumps(config), encoding="utf-8")
    files = made.manifest.files | {path.name: module.file_digest(path)}
    changed = made.manifest.model_copy(update={"files": files})
    (made.folder / "usersim.json").write_text(changed.model_dump_json(), encoding="utf-8")
    with pytest.raises(ArtifactError, match="'IA3'"):
        load_artifact(made.folder)


def test_a_full_disk_leaves_nothing_half_made(tmp_path: Path):
    """The error names the folder; the folder holds what it held before."""

    def full(folder: Path) -> None:
        (folder / "adapter_config.json").write_text("{", encoding="utf-8")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ArtifactError, match=r"cannot be written to .*No space left on device"):
        write_artifact(tmp_path, manifest(), full)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_no_folder_is_an_error(tmp_path: Path, copy_adapter):
    """The operating system's reason is passed on."""
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="cannot be written"):
        write_artifact(tmp_path / "file", manifest(), copy_adapter)


def test_what_a_killed_process_left_is_removed(tmp_path: Path, copy_adapter):
    """The folder of the same run is made anew."""
    left = tmp_path / f".half-made-{'f' * 16}"
    left.mkdir()
    (left / "junk").touch()
    adapter = write_artifact(tmp_path, manifest(), copy_adapter)
    assert [path.name for path in tmp_path.iterdir()] == [adapter.folder.name]


def test_the_same_weights_made_again_keep_their_folder(made: TrainedAdapter, copy_adapter):
    """Weights on disk never change; the manifest tells the newest run."""
    again = write_artifact(made.folder.parent, manifest(steps=9), copy_adapter)
    assert again.ref == made.ref
    assert again.manifest.steps == 9


def test_only_finished_whole_adapters_are_found(tmp_path: Path, tiny_adapter, caplog):
    """Stopped runs go on, damaged adapters are passed over with a warning."""

    def writer(seed: int) -> Callable[[Path], None]:
        source = Path(tiny_adapter("source", seed=seed).path)

        def write(folder: Path) -> None:
            for name in module.ADAPTER_FILES:
                shutil.copyfile(source / name, folder / name)

        return write

    write_artifact(tmp_path, manifest(stopped="time"), writer(1))
    assert find_artifact(tmp_path, "f" * 64, manifest().name) is None
    finished = write_artifact(tmp_path, manifest(), writer(2))
    assert find_artifact(tmp_path, "f" * 64, manifest().name) == finished
    assert find_artifact(tmp_path, "0" * 64, manifest().name) is None
    assert find_artifact(tmp_path, "f" * 64, "somebody else") is None
    (finished.folder / "adapter_config.json").unlink()
    assert find_artifact(tmp_path, "f" * 64, manifest().name) is None
    assert "skipped" in caplog.text


def test_a_reasoning_weight_is_added_without_touching_the_weights(made: TrainedAdapter):
    """The reference stays, manifest and card tell the weight in words."""
    adapter = set_reasoning_weight(made, WEIGHT)
    assert adapter.ref == made.ref
    assert load_artifact(made.folder).manifest.reasoning_weight == WEIGHT
    card = (made.folder / "README.md").read_text(encoding="utf-8")
    assert "The reasoning does not help here \\(w = 0.01" in card


def test_a_reasoning_weight_that_cannot_be_written_is_an_error(
    made: TrainedAdapter,
):
    """A full disk is reported, and the manifest stays as it was."""
    with full_disk(), pytest.raises(ArtifactError, match="cannot be written"):
        set_reasoning_weight(made, WEIGHT)
    assert load_artifact(made.folder) == made


def test_the_card_tells_counts_scores_limits_and_that_it_is_simulated():
    """What a reader must know before use is on it."""
    card = model_card(manifest())
    for fact in (
        "**simulated**",
        "| training interactions | 8 |",
        "| of them with a reasoning trace, trained with and without it | 6 |",
        "Mean log-likelihood of 2 held-out answers",
        "| base model | -3.000 | -3.500 |",
        "license of the base model",
        "## Limits",
        "ended because all steps were done",
    ):
        assert fact in card


def test_the_card_tells_pace_arithmetic_and_start_where_they_were_noted():
    """An adapter that went on from another one says whose data it holds too."""
    noted = manifest(
        answers=1200,
        tokens=40_000,
        seconds=90.0,
        arithmetic=Arithmetic(dtype="bfloat16", chosen="measured"),
        people=("ada",),
        users=("ada", "bob"),
        start="shared-1c9e2b7a",
    )
    card = model_card(noted)
    for fact in (
        "| people | 1 |",
        "| started from the adapter | shared-1c9e2b7a, which was trained on 2 people",
        "1,200 answers learned in 1.5 minutes \\(40,000 tokens\\): 800 answers a minute.",
        "computed in bfloat16",
    ):
        assert fact in card
    assert "goes on from" not in model_card(manifest())
    assert (manifest().pace, manifest().learned_from) == ("", ("ada",))


def test_the_card_admits_a_training_that_did_not_help():
    """No better than the base model is said in bold."""
    worse = ActionEvaluation(step=2, action_logprob=-3.1, action_logprob_alone=-3.0)
    assert "**Training did not help**" in model_card(manifest(after=worse))
    assert "**Training did not help**" not in model_card(manifest())


def test_text_from_data_stays_text_in_the_card():
    """Neither Markdown nor HTML nor a template can be written into it by a user's name."""
    evil = "# x\n<script>alert(1)</script> [a](http://b) {{ 7*7 }} | `c`"
    card = model_card(manifest(name=evil, users=(evil,), provenance={evil: {"k": evil}}))
    assert "<script>" not in card
    assert "](http" not in card
    assert "49" not in card
    assert "\n# x" not in card.split("\n# ", 1)[1]
