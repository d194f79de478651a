"""Checkpoints are complete or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from usersim.errors import TrainingError
from usersim.training.checkpoints import Checkpoints, History, run_folder
from usersim.training.schedule import ActionEvaluation


def make(checkpoints: Checkpoints, step: int, *, sealed: bool = True) -> Path:
    """Write what stands for a checkpoint."""
    folder = checkpoints.path(step)
    folder.mkdir()
    (folder / "weights").write_bytes(bytes([step]) * 100)
    History([1.0] * step).write(folder)
    if sealed:
        checkpoints.seal(step)
    return folder


def test_the_newest_sealed_checkpoint_counts_and_unsealed_ones_are_removed(tmp_path: Path):
    """A process killed while it wrote leaves nothing that is taken for a checkpoint."""
    checkpoints = Checkpoints(tmp_path)
    make(checkpoints, 3)
    half = make(checkpoints, 10, sealed=False)
    assert checkpoints.newest() == 3
    assert not half.exists()


@pytest.mark.parametrize("damage", [b"", b"\x03" * 99, b"\x04" * 100])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, damage: bytes):
    """Cut or altered bytes are noticed by their digest, and the one before is used."""
    checkpoints = Checkpoints(tmp_path)
    make(checkpoints, 2)
    (make(checkpoints, 3) / "weights").write_bytes(damage)
    assert checkpoints.newest() == 2


def test_a_checkpoint_without_one_of_its_files_is_not_complete(tmp_path: Path):
    """Every file that was there when it was sealed must be there."""
    checkpoints = Checkpoints(tmp_path)
    (make(checkpoints, 3) / "weights").unlink()
    assert not checkpoints.is_complete(3)
    assert checkpoints.newest() is None


def test_keep_removes_all_others_and_strangers_are_left_alone(tmp_path: Path):
    """Only folders named like a checkpoint are ours."""
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 3):
        make(checkpoints, step)
    (tmp_path / "checkpoint-notes").mkdir()
    checkpoints.keep({1, 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-1",
        "checkpoint-3",
        "checkpoint-notes",
    ]


def test_the_history_survives_writing_and_reading(tmp_path: Path):
    """Losses and evaluations come back exactly."""
    evaluation = ActionEvaluation(step=2, action_logprob=-0.1, action_logprob_alone=-0.3)
    History([0.1, 1 / 3], [evaluation]).write(tmp_path)
    back = History.read(tmp_path)
    assert (back.losses, back.evaluations) == ([0.1, 1 / 3], [evaluation])


def test_runs_of_different_fingerprints_have_different_folders(tmp_path: Path):
    """One can neither be resumed from the other nor be in its way."""
    with run_folder(tmp_path, "a" * 64) as one, run_folder(tmp_path, "b" * 64) as two:
        make(one, 1)
        assert two.newest() is None


def test_two_processes_cannot_train_the_same(tmp_path: Path):
    """The second is told what to do."""
    with (
        run_folder(tmp_path, "a" * 64),
        pytest.raises(TrainingError, match="another process is training the same adapter"),
        run_folder(tmp_path, "a" * 64),
    ):
        pass


def test_a_training_that_is_one_of_several_processes_is_refused_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under `accelerate launch` each process would wait for the others on one store's locks."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(TrainingError, match=r"there are 2"),
        run_folder(tmp_path, "f" * 20),
    ):
        pass
    assert not list(tmp_path.iterdir())
