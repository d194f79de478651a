"""`usersim explore`: what it prints, refuses, serves and writes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.fixtures.endpoint import ask
from tests.fixtures.people import engine
from tests.fixtures.runs import PEOPLE, fill, simulator
from usersim.cli.app import app
from usersim.errors import ConfigError, MissingDependencyError
from usersim.explorer import ServedExplorer, router

pytest.importorskip("fastapi", reason="the explorer needs the extra `server`")


ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with one run."""
    path = tmp_path / "people.usersim.db"
    fill(path)
    with simulator(path, engine(reasoning="It is fine. So yes.")) as sim:
        sim.run([(one, "Shall we?") for one in PEOPLE], name="pilot")
    return str(path)


def explore(*arguments: object) -> Result:
    """Run the command; its errors are raised."""
    result = CliRunner().invoke(app, ["explore", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_run_is_written_as_pages(store: str, tmp_path: Path) -> None:
    """The command says what was written and where it opens; measuring uses the engine."""
    out = tmp_path / "pages"
    result = explore("-c", store, "--export", out, "--no-engine")
    assert "4 answers of run 'pilot' written to" in result.stdout
    assert "it is a copy of personal data" in " ".join(result.stdout.split())
    assert "token by token" not in (out / "answer-1.html").read_text(encoding="utf-8")
    explore("-c", store, "--export", out, "--measure", "--engine", "scripted", "--run", "pilot")
    assert "token by token" in (out / "answer-1.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--run", "pilot"], "with --export"),
        (["--measure"], "with --export"),
        (["--export", "x", "--measure", "--no-engine"], "needs an engine"),
        (["--host", "0.0.0.0"], "can be reached from other machines"),
        (["--export", "x", "--run", "other"], "no run 'other'"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_done(
    store: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    """Each refusal names the option or value, and nothing is served or written."""
    monkeypatch.delenv("USERSIM_API_KEY", raising=False)
    monkeypatch.chdir(Path(store).parent)
    monkeypatch.setattr(ServedExplorer, "run", lambda _: pytest.fail("it was served"))
    with pytest.raises(ConfigError, match=said):
        explore("-c", store, *arguments)
    assert not (Path(store).parent / "x").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_address_is_told_and_ctrl_c_is_a_good_end(store: str, host: str) -> None:
    """The first line holds the address, Ctrl-C ends with status 0, and a key opens other hosts."""
    command = [sys.executable, "-c", "from usersim.cli import main; main()", "explore"]
    command += ["-c", store, "--host", host, "--port", "0", "--no-engine"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "USERSIM_API_KEY": "k",
    }
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as one:
        try:
            assert one.stdout is not None
            told = one.stdout.readline()
            address = re.search(r":(\d+)/", told)
            assert address is not None, told
            assert told.startswith(f"the explorer is at http://{host}:")
            answered = ask(f"http://127.0.0.1:{address[1]}/", headers={"Authorization": "Bearer k"})
            assert answered.status == 200
            one.send_signal(signal.SIGINT)
            _, said = one.communicate(timeout=120)
        finally:
            one.kill()
    assert one.returncode == 0, said
    assert "Traceback" not in said


def test_a_browser_is_opened_where_it_is_asked_for(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--open` opens the address that is told, and nothing is opened without it."""
    opened: list[str] = []

    def ready_at_once(_: object, *, ready: Callable[[str], None], **how: object) -> None:
        ready(f"http://{how['host']}/")

    monkeypatch.setattr("usersim.explorer.serve_explorer", ready_at_once)
    monkeypatch.setattr("webbrowser.open", opened.append)
    explore("-c", store, "--no-engine")
    assert opened == []
    explore("-c", store, "--no-engine", "--open")
    assert opened == ["http://127.0.0.1/"]


def test_without_the_extra_the_way_to_it_is_told(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the package and the extra."""
    monkeypatch.setattr(router.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match="'fastapi'") as caught:
        explore("-c", store, "--no-engine")
    assert 'pip install "usersim-recon[server]"' in caught.value.hint
