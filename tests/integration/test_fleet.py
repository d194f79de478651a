"""Fleets with real Ray on this machine: killed workers, killed drivers, people who fail."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.fixtures.children import HANG, Nursery
from tests.fixtures.fleets import MARK, TINY, closed, marked
from usersim import Corpus, Run, UserSimulator
from usersim.corpus import FleetTask

pytest.importorskip("ray", reason="the extra fleet is not installed")
pytestmark = pytest.mark.slow

CHILD = """
import sys
from tests.fixtures import fleets
getattr(fleets, sys.argv[1])(*sys.argv[2:])
"""
PEOPLE = [f"person {n:02d}" for n in range(40)]


def store_of(folder: Path, people: list[str], n: int = 2) -> Path:
    """A store of people with `n` answers each."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "people.usersim.db"
    with Corpus.open(path) as corpus:
        corpus.add([row for user in people for row in closed(user, n)])
    return path


def tasks(store: Path, name: str | None = None) -> list[FleetTask]:
    """The tasks of the only fleet of a store, or of the named one."""
    with Corpus.open(store) as corpus:
        (record,) = [one for one in corpus.fleets.all() if name in (None, one.name)]
        return list(corpus.fleets.tasks(record.id))


def wait_until_gone(mark: str) -> None:
    """Wait for the end of every process that inherited a mark."""
    end = time.monotonic() + HANG
    while marked(mark):
        assert time.monotonic() < end, [one.cmdline() for one in marked(mark)]
        time.sleep(0.1)


def busy_worker(mark: str) -> psutil.Process:
    """A worker that does something at this moment."""
    end = time.monotonic() + HANG
    while time.monotonic() < end:
        for process in marked(mark):
            try:
                if process.cmdline()[0].startswith("ray::FleetWorker.do"):
                    return process
            except (psutil.Error, IndexError):
                continue
    raise AssertionError("no worker is at work")


def weights(store: Path) -> dict[str, tuple[bytes, bytes]]:
    """Configuration and weights of every adapter, by person."""
    with Corpus.open(store) as corpus:
        return {
            record.user_ids[0]: (
                (Path(record.path) / "adapter_config.json").read_bytes(),
                (Path(record.path) / "adapter_model.safetensors").read_bytes(),
            )
            for record in corpus.ledger.adapters()
        }


def test_forty_people_on_two_workers_of_which_one_is_killed(
    children: Nursery, roomy_model: Path, tmp_path: Path
) -> None:
    """Only the person in hand is trained again; each adapter is a single process's, bit by bit."""
    store = store_of(tmp_path / "fleet", PEOPLE)
    driver = children.start(CHILD, "drive_training", store, roomy_model, **{MARK: str(tmp_path)})
    for line in driver.stdout:
        if int(line) >= 5:
            break
    busy_worker(str(tmp_path)).send_signal(signal.SIGKILL)
    _, said = driver.communicate()
    assert driver.returncode == 0, said
    found = tasks(store)
    assert [one.user_id for one in found] == PEOPLE
    assert {one.state for one in found} == {"done"}
    assert sorted(one.attempts for one in found)[-2:] == [1, 2]
    wait_until_gone(str(tmp_path))

    alone = store_of(tmp_path / "alone", PEOPLE)
    with UserSimulator.open(
        alone, model=roomy_model, engine="transformers", config=TINY
    ) as everybody:
        for person in PEOPLE:
            UserSimulator(
                everybody.corpus,
                user_id=person,
                model=roomy_model,
                engine=everybody.engine,
                config=TINY,
            ).train(progress=False)
    assert weights(store) == weights(alone)


def outcome(run: Run) -> list[tuple[object, ...]]:
    """What was answered, without what differs from run to run."""
    return [
        (item.place, item.request.user_id, answer.action, answer.reasoning, answer.trace.seed)
        for item, answer in run.answers()
    ]


def test_a_killed_driver_is_resumed(children: Nursery, tmp_path: Path) -> None:
    """Nothing of a killed driver's cluster is left; the rest is answered, and nothing twice."""
    people = PEOPLE[:6]
    store = store_of(tmp_path / "fleet", people)
    asked = [
        {"user_id": person, "context": f"Question {i} of the run?"}
        for i in range(4)
        for person in people
    ]
    requests = tmp_path / "requests.jsonl"
    requests.write_text("".join(json.dumps(row) + "\n" for row in asked))
    how = ("drive_simulation", store, requests)
    killed = children.run(CHILD, *how, 2, **{MARK: str(tmp_path)})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    wait_until_gone(str(tmp_path))
    before = {one.user_id for one in tasks(store) if one.state == "done"}
    assert len(before) >= 2

    resumed = children.run(CHILD, *how, -1)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.splitlines() == [
        "24 done, 0 failed, 0 left of 24",
        "6 done, 0 failed, 0 waiting, 0 running of 6",
    ]
    assert all(one.result == {"answered": 4, "failed": 0} for one in tasks(store))
    assert {one.attempts for one in tasks(store)} == {1}, "what a dead driver had begun is no try"
    with Corpus.open(store) as corpus:
        sim = UserSimulator(corpus, engine="scripted", config=TINY)
        fleet = outcome(sim.run(requests, name="wave", progress=False))
    alone = store_of(tmp_path / "alone", people)
    with UserSimulator.open(alone, engine="scripted", config=TINY) as sim:
        assert fleet == outcome(sim.run(requests, name="wave", progress=False))


@dataclass
class Faults:
    """A cluster on which tasks went wrong, and what others found who used it."""

    tasks: dict[str, FleetTask]
    stranger: str
    command: tuple[int, str, str]
    reconstructed: Path


@pytest.fixture(scope="module")
def faults(children: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Faults:
    """One cluster for several tests: each takes seconds to start."""
    folder = tmp_path_factory.mktemp("faults")
    store = store_of(folder, ["deadly", "empty", "fine", "once", "shaky"])
    other = store_of(folder / "other", ["ada", "bob"], 3)
    (folder / "met").mkdir()
    done = children.run(CHILD, "drive_faults", store, folder / "met", other, **{MARK: str(folder)})
    assert done.returncode == 0, done.stderr
    wait_until_gone(str(folder))
    told = json.loads((folder / "met" / "told.json").read_text())
    found = {one.user_id: one for one in tasks(store)}
    return Faults(found, told["stranger"], tuple(told["command"]), other)


def test_who_fails_is_reported_and_the_others_go_on(faults: Faults) -> None:
    """An error of ours fails at once, a deadly task after its retries, bad luck is tried again."""
    found = faults.tasks
    assert {user: (one.state, one.attempts) for user, one in found.items()} == {
        "deadly": ("failed", 3),
        "empty": ("failed", 1),
        "fine": ("done", 1),
        "once": ("done", 2),
        "shaky": ("done", 2),
    }
    assert found["empty"].message == "no training data of 'empty'"
    assert found["empty"].error == "EmptySplitError"
    assert found["deadly"].error == "WorkerLostError"
    assert found["deadly"].message.startswith("the worker was lost in attempt 3: ")
    assert found["fine"].result == {"seen": "fine"}


def test_a_cluster_is_for_those_who_have_its_token(faults: Faults) -> None:
    """A process of the same machine without it cannot join."""
    assert "joined" not in faults.stranger
    assert "Failed to connect to Ray cluster" in faults.stranger


def test_the_commands(faults: Faults, children: Nursery) -> None:
    """On a cluster with an address: who failed and why is said and listed, and not repeated."""
    status, out, said = faults.command
    assert status == 3, said
    assert "fleet first: 0 done, 2 failed, 0 waiting, 0 running of 2" in out
    assert "2 failed ('ada', 'bob'): EmptySplitError: no training data" in said
    store = faults.reconstructed
    told = children.run(COMMAND, "fleet", "status", "first", "--corpus", store, "--json")
    assert [(one["user"], one["state"]) for one in json.loads(told.stdout)["tasks"]] == [
        ("ada", "failed"), ("bob", "failed"),
    ]  # fmt: skip
    table = children.run(COMMAND, "fleet", "status", "--corpus", store).stdout
    assert table.splitlines()[1].split()[:2] == ["first", "reconstruct"]
    how = ("--corpus", store, "--engine", "scripted", "--name", "first", "--limit")
    again = children.run(COMMAND, "fleet", "reconstruct", *how, 0)
    assert (again.returncode, again.stdout) == (3, out), "nothing waits: no worker is started"
    other = children.run(COMMAND, "fleet", "reconstruct", *how, 1)
    assert other.returncode == 2
    assert "fleet 'first' was started with different settings: limit was 0 and is 1" in other.stderr


COMMAND = """
from usersim.cli import main
main()
"""
