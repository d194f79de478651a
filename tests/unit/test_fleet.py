"""Fleets without a cluster: the ledger of tasks, who is concerned, what is rejected before work."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from tests.fixtures.fleets import TINY, closed, simulate_job, train_job
from usersim import Corpus
from usersim.cli.app import app
from usersim.corpus import FleetStatus
from usersim.errors import (
    ConfigError,
    FleetHeldError,
    MissingDependencyError,
    RefusedRowsError,
    UserNotFoundError,
)
from usersim.fleet import (
    FleetOptions,
    ReconstructJob,
    Resources,
    WorkerSettings,
    run_fleet,
    shared_adapter,
    simulate,
)
from usersim.fleet import cluster as cluster_module
from usersim.fleet.cluster import fit_resources, remove_stale_folders
from usersim.fleet.driver import driver_name, hold_fleet
from usersim.fleet.outcomes import attempt

PEOPLE = ["ada", "bob", "cy"]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def corpus(request: pytest.FixtureRequest, tmp_path: Path):
    """A store with three people, on either database."""
    kind = request.param
    url = request.getfixturevalue("postgres") if kind == "postgres" else tmp_path / "a.usersim.db"
    with Corpus.open(url) as opened:
        opened.add([row for user in PEOPLE for row in closed(user, 3)])
        yield opened


def begun(corpus: Corpus) -> int:
    """A fleet of everybody, of which nothing was done."""
    record = corpus.fleets.begin("f", "train", {"work": "train"})
    corpus.fleets.fill(record.id, PEOPLE)
    return record.id


def states(corpus: Corpus, fleet: int) -> dict[str, tuple[str, int]]:
    """State and attempts by person."""
    return {one.user_id: (one.state, one.attempts) for one in corpus.fleets.tasks(fleet)}


def test_tasks_are_begun_finished_and_failed(corpus: Corpus) -> None:
    """A task waits, runs, and is done or failed, with its result, its reason and its attempts."""
    fleet, ledger = begun(corpus), corpus.fleets
    ada, bob = ledger.start(fleet, 2)
    assert [(one.user_id, one.attempts) for one in (ada, bob)] == [("ada", 1), ("bob", 1)]
    assert ledger.status(fleet) == FleetStatus(waiting=1, running=2)
    ledger.finish(fleet, ada, seconds=1.5, result={"adapter": "ada-1"})
    ledger.fail(fleet, bob, error="E", message="no\x00", seconds=0.5)
    assert str(ledger.status(fleet)) == "1 done, 1 failed, 1 waiting, 0 running of 3"
    done, failed, _ = ledger.tasks(fleet)
    assert (done.result, done.seconds, done.error) == ({"adapter": "ada-1"}, 1.5, "")
    assert (failed.error, failed.message, failed.state) == ("E", "no\ufffd", "failed")
    assert [one.user_id for one in ledger.tasks(fleet, state="waiting")] == ["cy"]


def test_who_was_tried_least_is_next(corpus: Corpus) -> None:
    """A task that is tried again comes after those that were not tried yet."""
    fleet, ledger = begun(corpus), corpus.fleets
    (ada,) = ledger.start(fleet, 1)
    ledger.fail(fleet, ada, error="E", message="lost", again=True)
    order = [one for _ in range(3) for one in ledger.start(fleet, 1)]
    assert [(one.user_id, one.attempts) for one in order] == [("bob", 1), ("cy", 1), ("ada", 2)]
    assert ledger.start(fleet, 1) == []


def test_what_a_dead_driver_had_running_waits_again(corpus: Corpus) -> None:
    """Its attempt does not count; what failed is tried again only if that is asked for."""
    fleet, ledger = begun(corpus), corpus.fleets
    ada, _ = ledger.start(fleet, 2)
    ledger.fail(fleet, ada, error="E", message="no")
    ledger.resume(fleet)
    assert states(corpus, fleet) == {
        "ada": ("failed", 1),
        "bob": ("waiting", 0),
        "cy": ("waiting", 0),
    }
    ledger.resume(fleet, failed=True)
    assert states(corpus, fleet)["ada"] == ("waiting", 0)


def test_a_fleet_has_one_driver(corpus: Corpus) -> None:
    """A second driver is refused by name while the first one lives, and not when it is gone."""
    fleet, ledger = begun(corpus), corpus.fleets
    here = socket.gethostname()
    ledger.hold(fleet, f"{here}:{os.getppid()}", seconds=60)
    with pytest.raises(FleetHeldError, match=f"train 'f' is already being driven by {here}:"):
        ledger.hold(fleet, driver_name(), seconds=60)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    ledger.let_go(fleet, f"{here}:{os.getppid()}")
    ledger.hold(fleet, f"{here}:{ended.pid}", seconds=60)
    with hold_fleet(ledger, fleet):
        assert ledger.all()[0].driver == driver_name()
    assert ledger.all()[0].driver == ""


def test_a_driver_elsewhere_lets_go_by_the_clock(tmp_path: Path) -> None:
    """Of a driver on another machine only the time says that it is gone."""
    now = [1_000.0]
    with Corpus.open(tmp_path / "a.usersim.db") as corpus:
        corpus.add([row for user in PEOPLE for row in closed(user, 3)])
        corpus.fleets._clock = lambda: now[0]
        fleet = begun(corpus)
        corpus.fleets.hold(fleet, "elsewhere:1", seconds=30)
        with pytest.raises(FleetHeldError, match="already being driven by elsewhere:1"):
            corpus.fleets.hold(fleet, driver_name(), seconds=30)
        now[0] += 31
        corpus.fleets.hold(fleet, driver_name(), seconds=30)


def test_a_driver_that_lost_its_fleet_is_told(tmp_path: Path) -> None:
    """A driver that slept while another one took over does not go on beside it."""
    with Corpus.open(tmp_path / "a.usersim.db") as corpus:
        corpus.add([row for user in PEOPLE for row in closed(user, 3)])
        fleet = begun(corpus)
        with hold_fleet(corpus.fleets, fleet, seconds=0.03) as hold:
            hold.check()
            corpus.fleets.let_go(fleet, driver_name())
            corpus.fleets.hold(fleet, f"{socket.gethostname()}:{os.getppid()}", seconds=600)
            while hold.lost is None:
                time.sleep(0.01)
            with pytest.raises(FleetHeldError, match="is already being driven by"):
                hold.check()


def test_a_forgotten_person_is_no_task_any_more(corpus: Corpus) -> None:
    """Their task goes with them, also one that is running, and is counted as forgotten."""
    fleet, ledger = begun(corpus), corpus.fleets
    ada, _ = ledger.start(fleet, 2)
    corpus.forget("ada")
    ledger.finish(fleet, ada, seconds=1.0, result={"adapter": "ada-1"})
    assert [one.user_id for one in ledger.tasks(fleet)] == ["bob", "cy"]
    assert str(ledger.status(fleet)) == "0 done, 0 failed, 1 waiting, 1 running, 1 forgotten of 3"


def test_a_fleet_that_was_not_stored_whole_is_stored_again(corpus: Corpus) -> None:
    """A driver killed while it stored the tasks leaves no person out and none twice."""
    record = corpus.fleets.begin("f", "train", {})
    assert not record.complete
    corpus.fleets.fill(record.id, ["bob"])
    corpus.fleets.fill(record.id, PEOPLE)
    assert [one.user_id for one in corpus.fleets.tasks(record.id)] == PEOPLE
    again = corpus.fleets.begin("f", "train", {})
    assert again.complete
    assert again.id == record.id


def test_a_run_is_counted_and_claimed_person_by_person(corpus: Corpus) -> None:
    """Items of some people are claimed alone, and given back by the beginning of the owner."""
    requests = corpus.requests([{"user_id": user, "context": "Tea?"} for user in PEOPLE * 2])
    run = corpus.runs.begin("r", "key", {})
    corpus.runs.fill(run.id, requests.lines())
    assert corpus.runs.people(run.id) == PEOPLE
    mine = corpus.runs.claim(run.id, "fleet: 1", limit=9, seconds=60, of=["bob"])
    assert [one.request.user_id for one in mine] == ["bob", "bob"]
    assert corpus.runs.claim(run.id, "x", limit=9, seconds=60, of=["bob", "nobody"]) == []
    corpus.runs.release_all(run.id, "fleet: ")
    assert len(corpus.runs.claim(run.id, "x", limit=9, seconds=60, of=["bob"])) == 2
    assert corpus.runs.counts(run.id, ["ada", "nobody"])["ada"].left == 2


def test_unknown_people_are_named(corpus: Corpus) -> None:
    """One unknown person brings similar ids, several are listed, and no fleet is stored."""
    job = train_job(corpus.name, "model")
    with pytest.raises(UserNotFoundError, match="'adda'") as one:
        run_fleet(corpus, job, users=["ada", "adda"])
    assert "did you mean 'ada'" in one.value.hint
    with pytest.raises(UserNotFoundError, match=r"2 users of 3.*'x', 'y'"):
        run_fleet(corpus, job, users=["ada", "y", "x"])
    assert corpus.fleets.all() == []


def test_an_empty_store_has_nobody_to_work_on(tmp_path: Path) -> None:
    """Without people there is no fleet."""
    with (
        Corpus.open(tmp_path / "a.usersim.db") as corpus,
        pytest.raises(ConfigError, match="nobody to work on in"),
    ):
        run_fleet(corpus, train_job(corpus.name, "model"))


def test_requests_that_cannot_be_asked_start_no_worker(corpus: Corpus) -> None:
    """Bad rows are reported before anything is started."""
    with pytest.raises(RefusedRowsError, match=r"1 row refused.*\n.*is not in the corpus"):
        simulate(corpus, simulate_job(corpus.name), [("nobody", "Tea?")])
    with pytest.raises(ConfigError, match="'w'"):
        simulate(corpus, simulate_job(corpus.name), name="w")


def test_a_training_needs_a_shared_adapter_or_none(corpus: Corpus) -> None:
    """That the store has no shared adapter is said, and fresh weights are never taken instead."""
    setting = WorkerSettings(store=corpus.name, model="m", engine="scripted")
    with pytest.raises(ConfigError, match="has no shared adapter of 'm' to start from") as error:
        shared_adapter(corpus, setting, "default")
    assert "--start none" in error.value.cli_hint
    assert shared_adapter(corpus, setting, "none") is None


def test_without_ray_the_extra_is_named(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The missing package is an error that installs it, and the fleet can be resumed later."""
    monkeypatch.setitem(sys.modules, "ray", None)
    job = ReconstructJob(setting=WorkerSettings(store=corpus.name, engine="scripted", config=TINY))
    with pytest.raises(MissingDependencyError, match="'ray'") as error:
        run_fleet(corpus, job, name="later")
    assert error.value.hint == 'install it with: pip install "usersim-recon[fleet]"'
    assert str(corpus.fleets.find("later").status) == "0 done, 0 failed, 3 waiting, 0 running of 3"


def test_ray_that_was_imported_before_is_warned_about(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A token that Ray would not read is not set, since its own processes would then be refused."""
    monkeypatch.setitem(sys.modules, "ray", object())
    monkeypatch.setattr(cluster_module, "_guarded", [])
    assert cluster_module._own_environment() == {}
    assert "set RAY_AUTH_MODE=token" in caplog.text


def test_a_cluster_that_is_too_small_is_an_error() -> None:
    """More workers than have room would wait for ever."""
    with pytest.raises(ConfigError, match=r"4 cores.* 1 GPU.* 2 workers"):
        fit_resources(Resources(workers=2), cpus=4, gpus=1)
    assert fit_resources(Resources(gpus=0.5), cpus=8, gpus=1).workers == 2
    assert fit_resources(Resources(workers=3, gpus=0), cpus=4, gpus=1).gpus == 0


def test_folders_of_killed_drivers_are_deleted(tmp_path: Path) -> None:
    """A folder whose driver lives, or is only just being made, stays."""
    alive, dead, new = (tmp_path / f"usersim-fleet-{name}" for name in ("alive", "dead", "new"))
    for folder in (alive, dead, new):
        folder.mkdir()
    (dead / "driver.lock").touch()
    with FileLock(alive / "driver.lock"):
        assert remove_stale_folders(tmp_path) == [dead]
    assert sorted(tmp_path.iterdir()) == [alive, new]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Resources(workers=0), "workers must be at least 1; got 0"),
        (lambda: Resources(cpus=0), "more than 0 cores"),
        (lambda: Resources(gpus=-1), "got 1 cores and -1 GPUs"),
        (lambda: FleetOptions(retries=-1), "retries must be at least 0"),
        (lambda: FleetOptions(people_at_once=0), "got 2 and 0"),
    ],
)
def test_resources_that_nobody_can_give_are_rejected(make, said: str) -> None:
    """Each number is checked where it is made."""
    with pytest.raises(ConfigError, match=said):
        make()


def test_an_outcome_says_whether_to_try_again() -> None:
    """An error of ours would come again, unless it says otherwise; anything else may not."""

    def fail(error: Exception):
        def work(_: str):
            raise error

        return attempt("ada", work)

    ours = fail(ConfigError("wrong", hint="mend it"))
    assert (ours.error, ours.message, ours.retryable) == ("ConfigError", "wrong; mend it", False)
    foreign = fail(RuntimeError())
    assert (foreign.error, foreign.message, foreign.retryable) == (
        "RuntimeError",
        "RuntimeError",
        True,
    )


def test_the_command_reads_people_from_a_file(tmp_path: Path) -> None:
    """A file that names nobody, or somebody unknown, is an error of usage."""
    store = tmp_path / "a.usersim.db"
    with Corpus.open(store) as corpus:
        corpus.add(closed("ada", 3))
    people = tmp_path / "people.txt"
    how = ["fleet", "train", "-c", str(store), "--start", "none", "--users", str(people)]
    people.write_bytes(b"\xff\xfe")
    unreadable = CliRunner().invoke(app, [*how, "--engine", "scripted"])
    assert "cannot be read" in str(unreadable.exception)
    people.write_text("\n")
    empty = CliRunner().invoke(app, [*how, "--engine", "scripted"])
    assert isinstance(empty.exception, ConfigError)
    assert "names nobody" in str(empty.exception)
    people.write_text("ada\neve\n")
    unknown = CliRunner().invoke(app, [*how, "--engine", "scripted"])
    assert "no user 'eve'" in str(unknown.exception)


def test_the_status_of_a_fleet_that_is_not_there(tmp_path: Path) -> None:
    """An unknown fleet or state is an error that lists what there is."""
    store = tmp_path / "a.usersim.db"
    with Corpus.open(store) as corpus:
        corpus.add([row for user in PEOPLE for row in closed(user, 3)])
        begun(corpus)
    asked = ["fleet", "status", "-c", str(store)]
    assert "there are ['f']" in str(CliRunner().invoke(app, [*asked, "g"]).exception)
    wrong = CliRunner().invoke(app, [*asked, "f", "--state", "gone"]).exception
    assert "unknown state 'gone'" in str(wrong)
    shown = CliRunner().invoke(app, [*asked, "f", "--state", "waiting"]).stdout
    assert "fleet f (train): 0 done, 0 failed, 3 waiting, 0 running of 3" in shown
    assert [line.split()[0] for line in shown.splitlines()[2:]] == PEOPLE
