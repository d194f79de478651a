"""The suite itself: with a list of allowed skips, any other skip fails the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.skips import AllowedSkip, read

ROOT = Path(__file__).parents[2]
LIST = ROOT / "tests" / "allowed_skips.toml"
ONE_TEST = "import pytest\n\ndef test_one():\n    pytest.skip('no browser')\n"
WHOLE_FILE = "import pytest\n\npytest.importorskip('no_such_module', reason='no browser')\n"
EXPECTED_TO_FAIL = "import pytest\n\n@pytest.mark.xfail\ndef test_one():\n    assert False\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a list that allows one reason, in files named test_far*."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "skips.toml").write_text(
        '[[skip]]\nreason = "no browser.*"\ntests = "*far*"\nwhy = "because"\n', encoding="utf-8"
    )
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run pytest with the plugin alone; return its status and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.fixtures.skips", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "1")])
def test_a_skip_that_is_not_listed_fails_the_run(folder: Path, workers: tuple[str, ...]) -> None:
    """A test and a whole file that are skipped fail, with the reason; also in xdist's workers."""
    if workers:
        pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    (folder / "test_near.py").write_text(ONE_TEST, encoding="utf-8")
    (folder / "test_nearer.py").write_text(WHOLE_FILE, encoding="utf-8")
    status, said = run(
        folder, "--allowed-skips=skips.toml", "--continue-on-collection-errors", *workers
    )
    assert status != 0
    for name in ("test_near.py::test_one", "test_nearer.py"):
        assert f"{name} was skipped: no browser" in said
    assert "skips.toml does not list this reason" in said
    assert "2 failed" in said or "1 failed, 1 error" in said


def test_a_listed_skip_is_a_skip(folder: Path) -> None:
    """A test and a whole file with a listed reason are skipped as ever."""
    (folder / "test_far.py").write_text(ONE_TEST, encoding="utf-8")
    (folder / "test_farther.py").write_text(WHOLE_FILE, encoding="utf-8")
    status, said = run(folder, "--allowed-skips=skips.toml")
    assert (status, "2 skipped" in said) == (0, True), said


def test_without_a_list_every_skip_is_one(folder: Path) -> None:
    """Whoever runs the tests by hand, on a machine that lacks something, sees no failure."""
    (folder / "test_near.py").write_text(ONE_TEST, encoding="utf-8")
    status, said = run(folder)
    assert (status, "1 skipped" in said) == (0, True), said


def test_an_expected_failure_is_no_skip(folder: Path) -> None:
    """Tests that are expected to fail, and do, are left alone."""
    (folder / "test_near.py").write_text(EXPECTED_TO_FAIL, encoding="utf-8")
    status, said = run(folder, "--allowed-skips=skips.toml")
    assert (status, "1 xfailed" in said) == (0, True)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('reason = "no browser"\n', "why"),
        ('reason = "no browser"\nwhy = " "\n', "needs a reason and a why"),
        ('reason = "no browser"\nwhy = "so"\nbecause = "so"\n', "because"),
    ],
)
def test_an_entry_without_a_why_is_refused(tmp_path: Path, entry: str, message: str) -> None:
    """Nothing is allowed without a reason for it, and no field is misspelled."""
    path = tmp_path / "skips.toml"
    path.write_text(f"[[skip]]\n{entry}", encoding="utf-8")
    with pytest.raises(pytest.UsageError, match=message):
        read(path)


def test_the_list_of_this_repository_can_be_read() -> None:
    """Every entry has a reason and a why; what CI installs itself is not on it."""
    found = read(LIST)
    assert all(isinstance(one, AllowedSkip) for one in found)
    for reason in ("no Chromium on this machine: apt-get install chromium", "no PostgreSQL server"):
        assert not any(one.covers("tests/any.py::test", reason) for one in found)


def test_a_machine_without_apt_is_told_what_to_install() -> None:
    """Where nothing can be installed, `make system` names what is missing, and fails."""
    done = subprocess.run(
        ["/bin/bash", str(ROOT / ".ci" / "system-packages")],
        env={"PATH": "/nowhere"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "has no apt-get. Install by hand: chromium" in done.stderr
