"""A short slice of every attack of `make soak`, with fixed seeds: the same cases every time."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fixtures.children import Nursery
from tests.fixtures.postgres import database
from tests.soak import disks, files, kills, pages, power, races, requests, stores, talks
from tests.soak.attack import Field

pytestmark = pytest.mark.slow


def field(seed: int, folder: Path, children: Nursery) -> Field:
    """Where an attack takes place."""
    return Field(random.Random(seed), folder, children)


@pytest.mark.parametrize("seed", range(6))
def test_changed_files_are_read_or_refused(seed: int, tmp_path: Path, children: Nursery) -> None:
    """Every format: what cannot be read is one of our errors, whatever stands in it."""
    files.once(field(seed, tmp_path, children))


@pytest.mark.parametrize("seed", range(12))
def test_damaged_stores_end_in_typed_errors(seed: int, tmp_path: Path, children: Nursery) -> None:
    """Flipped bits, lost pages, wrong values and changed tables, and everything asked of them."""
    stores.once(field(seed, tmp_path, children))


@pytest.mark.parametrize("attack", [kills.load, kills.run, kills.export])
def test_a_kill_loses_nothing_that_was_told(attack, tmp_path: Path, children: Nursery) -> None:
    """A load, a run and an export, killed at some moment, end the same when done again."""
    attack(field(1, tmp_path, children))


def test_many_at_once_keep_everybodys_rows_apart(tmp_path: Path, children: Nursery) -> None:
    """Processes that load, read, run and forget on one SQLite store."""
    races.race(field(2, tmp_path, children), str(tmp_path / "a.db"))


@pytest.mark.postgres
def test_many_at_once_on_postgres(tmp_path: Path, children: Nursery, postgres_server: Path) -> None:
    """The same on PostgreSQL, with several writers."""
    races.race(field(3, tmp_path, children), database(postgres_server))


@pytest.mark.parametrize("seed", range(2))
def test_a_small_disk_is_a_typed_error(seed: int, tmp_path: Path, children: Nursery) -> None:
    """Loads and files until it is full; what was there stays whole."""
    disks.once(field(seed, tmp_path, children))


@pytest.mark.parametrize("case", power.CASES)
def test_a_loss_of_power_leaves_whole_files_and_stores(
    case, tmp_path: Path, children: Nursery
) -> None:
    """At some of the writes: what was synced is there, what was forgotten does not come back."""
    if power.library() is None:
        pytest.skip("no C compiler, or not Linux")
    steps = power.steps_of(case)
    power.lost(field(4, tmp_path, children), case, [2, steps // 2, steps + 1], images=4)


def test_requests_that_are_none_hold_up_nobody(tmp_path: Path, children: Nursery) -> None:
    """Two hundred of them, beside connections that say nothing."""
    pytest.importorskip("fastapi")
    requests.once(field(5, tmp_path, children))


def test_an_mcp_client_that_sends_nonsense_is_answered(tmp_path: Path, children: Nursery) -> None:
    """Forty messages that are none, then one that is."""
    pytest.importorskip("mcp")
    talks.mcp(field(6, tmp_path, children))


def test_an_awkward_assistant_is_an_error_of_one_dialogue(
    tmp_path: Path, children: Nursery
) -> None:
    """Whatever it returns or raises, and whatever happened to the file."""
    talks.dialogues(field(7, tmp_path, children))


def test_hostile_text_does_not_run_in_a_browser(tmp_path: Path, children: Nursery) -> None:
    """A survey's page and an exported run in a real Chromium: no script, nothing fetched."""
    pytest.importorskip("playwright.sync_api")
    if not Path("/usr/bin/chromium").exists():
        pytest.skip("no Chromium")
    pages.once(field(8, tmp_path, children))
