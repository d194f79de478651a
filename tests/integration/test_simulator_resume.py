"""Reconstruction cut off at any moment goes on and ends as if nothing had happened."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.fixtures.children import Nursery
from tests.fixtures.people import engine, person
from usersim import Corpus, UserSimulator
from usersim.config import GuardConfig, HistoryConfig, PipelineConfig, SynthesisConfig
from usersim.engines import GenerateRequest
from usersim.errors import EngineUnavailableError
from usersim.simulator import Reconstruction
from usersim.simulator.recon import CHUNK

CONFIG = PipelineConfig(
    history=HistoryConfig(recent=3, evidence=2),
    synthesis=SynthesisConfig(n_forward=2, n_backward=1),
    guards=GuardConfig(empty_without_gain=True),  # some are kept and some empty: both resume
)
N = 40  # 32 of them are learned from: two chunks
THOUGHT = "It says fine to me on such a day."

CHILD = """
import os, signal, sys
from tests.integration.test_simulator_resume import CONFIG, THOUGHT
from tests.fixtures.people import engine
from usersim import Corpus, UserSimulator

store, stage, done, how = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]

def report(now, finished, total):
    if (now, finished) == (stage, done):
        os.kill(os.getpid(), getattr(signal, how))

with Corpus.open(store) as corpus:
    sim = UserSimulator(corpus, engine=engine(reasoning=THOUGHT), config=CONFIG)
    sim.reconstruct(progress=report)
"""

COMMAND = """
import os, signal, sys
import usersim.simulator.face as face
from tests.integration.test_simulator_resume import THOUGHT
from tests.fixtures.people import engine, is_reasoning

asked = 0

def thought(request, index):
    global asked
    asked += 1
    if asked == 100:  # 64 draws are a chunk of the preset
        os.kill(os.getpid(), signal.SIGINT)
    return THOUGHT + "\\n</think>"

made = engine(reasoning=thought)
made.has_weights = True  # training is to begin, and is interrupted before it needs them
face.load_engine = lambda *a, **k: made
from usersim.cli import main
main()
"""

LOAD = """
import os, signal, sys
from usersim.corpus import loading
import usersim.cli.corpus as commands
from contextlib import contextmanager

@contextmanager
def impatient(*, quiet):
    yield lambda stage, done, total: os.kill(os.getpid(), signal.SIGINT)

commands.stages = impatient
loading._BATCH_ROWS = 200
from usersim.cli import main
main()
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one invented person."""
    path = tmp_path / "ada.usersim.db"
    with Corpus.open(path) as corpus:
        corpus.add(person("ada", N))
    return path


def reconstruct(store: str | Path, model=None, config=CONFIG) -> Reconstruction:
    """Reconstruct everything in a store."""
    with Corpus.open(store) as corpus:
        if not corpus.users():
            corpus.add(person("ada", N))
        chosen = model or engine(reasoning=THOUGHT)
        return UserSimulator(corpus, engine=chosen, config=config).reconstruct()


@pytest.fixture(scope="module")
def whole() -> Reconstruction:
    """What an uninterrupted run finds."""
    found = reconstruct(":memory:")
    assert 0 < found.kept < len(found.interactions)
    return found


def drawn_keys(model) -> int:
    """How many requests for traces were made."""
    return sum(isinstance(one, GenerateRequest) for one in model.requests)


def test_a_fault_loses_the_current_chunk_alone(store: Path, whole: Reconstruction) -> None:
    """Wherever the engine fails, the next run asks for the rest and ends the same."""
    per_item = 2  # a forward and a backward request
    total = per_item * len(whole.interactions)
    for calls in range(4):
        store.unlink(missing_ok=True)
        with pytest.raises(EngineUnavailableError, match="a scripted fault"):
            reconstruct(store, engine(reasoning=THOUGHT, fail_after=calls))
        again = engine(reasoning=THOUGHT)
        assert reconstruct(store, again) == whole
        assert drawn_keys(again) == total - per_item * CHUNK * min(calls, 2)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
@pytest.mark.parametrize(("stage", "done"), [("synthesize", CHUNK), ("score", CHUNK)])
def test_a_kill_loses_nothing_that_was_finished(
    store: Path, stage: str, done: int, whole: Reconstruction, children: Nursery
) -> None:
    """After kill -9 between two chunks a run completes the rest, and the result is the same."""
    killed = children.run(CHILD, store, stage, done, "SIGKILL")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = engine(reasoning=THOUGHT)
    assert reconstruct(store, again) == whole
    expected = 2 * CHUNK if stage == "synthesize" else 0
    assert drawn_keys(again) == expected


def test_ctrl_c_in_a_command_says_what_happened_and_goes_on(
    store: Path, whole: Reconstruction, children: Nursery
) -> None:
    """`usersim train` interrupted ends with status 130 and one sentence, and keeps its chunks."""
    done = children.run(COMMAND, "train", "--corpus", str(store), "--preset", "tiny")
    assert done.returncode == 130, done.stderr
    assert "interrupted; what was finished is stored" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    again = engine(reasoning=lambda request, index: THOUGHT + "\n</think>")
    found = reconstruct(store, again, PipelineConfig.preset("tiny"))
    assert len(found.selections) == len(whole.interactions)
    assert drawn_keys(again) == 2 * CHUNK


def test_ctrl_c_while_loading_leaves_whole_batches(tmp_path: Path, children: Nursery) -> None:
    """`usersim load` interrupted ends with status 130; the same command completes the load."""
    source = tmp_path / "ada.jsonl"
    source.write_text(
        "".join(json.dumps(row) + "\n" for row in person("ada", 450)), encoding="utf-8"
    )
    done = children.run(LOAD, "load", source)
    assert done.returncode == 130, done.stderr
    assert "interrupted; what was finished is stored" in " ".join(done.stderr.split())
    again = children.run("from usersim.cli import main; main()", "load", source)
    assert again.returncode == 0, again.stderr
    with Corpus.open(tmp_path / "ada.usersim.db") as corpus:
        assert [user.interactions for user in corpus.users()] == [450]
