"""A real `usersim serve-engine`: it answers, and ends with its own process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.fixtures.server import free_port, wait_until_ready

pytestmark = pytest.mark.vllm


def ask(port: int, body: dict[str, object]) -> dict:
    """POST to the server's completions."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_it_serves_and_leaves_nothing_behind(
    tiny_model: Path, tmp_path: Path, end: signal.Signals
) -> None:
    """Forced tokens come back as they were forced; after Ctrl-C or `kill -9` no process is left."""
    port = free_port()
    command = [sys.executable, "-c", "from usersim.cli import main; main()", "serve-engine"]
    command += ["--model", str(tiny_model), "--port", str(port), "--kv-cache-gib", "0.25"]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
        ) as server,
    ):
        try:
            wait_until_ready(server, port, tmp_path / "log")
            forced = {"usersim_forced": [40, 41, 42]}
            body = {"model": str(tiny_model), "prompt": [5, 9], "temperature": 0, "max_tokens": 3}
            answer = ask(port, {**body, "return_token_ids": True, "vllm_xargs": forced})
            assert answer["choices"][0]["token_ids"] == [40, 41, 42]
            with pytest.raises(urllib.error.HTTPError, match="400"):
                ask(port, {**body, "vllm_xargs": {"usersim_stream": "seven"}})
            family = psutil.Process(server.pid).children(recursive=True)
            assert family
            server.send_signal(end)
            _, left = psutil.wait_procs([psutil.Process(p.pid) for p in family], timeout=120)
            assert not left
        finally:
            for process in psutil.Process(server.pid).children(recursive=True):
                process.kill()
            server.kill()
