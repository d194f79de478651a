"""`usersim serve` as a process: it asks for a key, serves, drains and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.endpoint import ask, chat
from tests.fixtures.people import person
from tests.fixtures.server import free_port
from usersim import Corpus
from usersim.cli.app import app
from usersim.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one person."""
    path = tmp_path / "people.usersim.db"
    with Corpus.open(path) as corpus:
        corpus.add(person("ada"))
    return path


@contextmanager
def process(store: Path, port: int, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Run `usersim serve` on the scripted engine."""
    command = [sys.executable, "-c", "from usersim.cli import main; main()", "serve"]
    command += ["-c", str(store), "--engine", "scripted", "--port", str(port), *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as one:
        try:
            yield one
        finally:
            one.kill()


def wait_for(url: str, one: subprocess.Popen[str]) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + 60
    while True:
        assert one.poll() is None, one.stdout and one.stdout.read()
        assert time.monotonic() < end, "it did not start"
        try:
            if ask(f"{url}/health/ready").status == 200:
                return
        except OSError:
            time.sleep(0.1)


def test_a_server_serves_and_ends_when_it_is_told_to(store: Path) -> None:
    """SIGTERM ends it, everything answered; a line a request, and no text; the explorer beside."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    answers: list[int] = []

    def client(number: int) -> None:
        body = chat(f"Secret {number}?", n=8)
        answers.append(ask(f"{url}/v1/chat/completions", body).status)

    with process(store, port, "--reasoning", "hidden", "--explore") as one:
        wait_for(url, one)
        pages = ask(f"{url}/explore/person?user=ada")
        assert pages.status == 200
        assert b"Question 0 about the garden" in pages.body
        assert (
            "reasoning"
            not in ask(f"{url}/v1/chat/completions", chat()).json["choices"][0]["message"]
        )
        clients = [threading.Thread(target=client, args=(n,)) for n in range(6)]
        for each in clients:
            each.start()
        while not answers:
            time.sleep(0.005)
        one.send_signal(signal.SIGTERM)
        for each in clients:
            each.join(30)
        said, _ = one.communicate(timeout=120)
    assert one.returncode == 0
    assert "serving 1 person as 'user:ada'" in said
    assert "POST /v1/chat/completions 200" in said
    assert "Secret" not in said
    assert said.rstrip().endswith("stopped")
    # Who had been let in was answered; who came later was told so.
    assert set(answers) <= {200, 503}
    assert answers[0] == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], r"host '0\.0\.0\.0' can be reached"),
        (["--key-file", "missing"], "the key cannot be read from 'missing'"),
        (["--engine", "remote"], "do not go together"),
    ],
)
def test_a_server_that_may_not_start_says_why(
    store: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key there is no server for other machines, whatever else is right."""
    monkeypatch.delenv("USERSIM_API_KEY", raising=False)
    with pytest.raises(ConfigError, match=said):
        CliRunner().invoke(
            app,
            ["serve", "-c", str(store), "--engine", "scripted", *arguments],
            catch_exceptions=False,
        )


def test_a_taken_port_is_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is in use is an error with the next step, not a traceback."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(ConfigError, match=f"port {port}: the port is already in use"):
            CliRunner().invoke(
                app,
                ["serve", "-c", str(store), "--engine", "scripted", "--port", port],
                catch_exceptions=False,
            )


def test_a_missing_extra_is_named(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without FastAPI the command says what to install."""
    from usersim.errors import MissingDependencyError

    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(MissingDependencyError, match="'fastapi'") as raised:
        CliRunner().invoke(app, ["serve", "-c", str(store)], catch_exceptions=False)
    assert "usersim-recon[server]" in raised.value.hint
