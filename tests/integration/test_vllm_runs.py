"""A run on a real vLLM server that is killed in the middle and started again."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.server import free_port, wait_until_ready
from usersim import PipelineConfig, RemoteConfig, SimulationConfig, UserSimulator, VllmConfig
from usersim.engines.remote.engine import RemoteEngine
from usersim.engines.serving import Server, server_command, server_environment
from usersim.engines.transformers.engine import TransformersEngine
from usersim.errors import EngineError

pytestmark = pytest.mark.vllm

CONFIG = PipelineConfig(simulation=SimulationConfig(traces=0))
OPTIONS = ["in the garden", "on the train", "in the rain"]


def rows() -> list[dict[str, object]]:
    """What three people did."""
    return [
        {"user_id": f"user{u}", "order": n, "context": f"Where, {n}?", "action": OPTIONS[u]}
        for u in range(3)
        for n in range(4)
    ]


def requests() -> list[dict[str, object]]:
    """Sixty closed questions to them."""
    return [
        {"user_id": f"user{n % 3}", "context": f"And on day {n}?", "options": OPTIONS}
        for n in range(60)
    ]


def start(server: Server, log: Path) -> subprocess.Popen:
    """Start a server of its own process group and wait for it."""
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            server_command(server),
            env=server_environment(server),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    wait_until_ready(process, server.port, log)
    return process


def end(process: subprocess.Popen) -> None:
    """Kill a server, whole."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def simulator(store: Path, server: Server) -> UserSimulator:
    """Return a simulator whose model is on the server."""
    asked = RemoteConfig(
        base_url=f"http://127.0.0.1:{server.port}/v1", tokenizer=server.model, tries=2
    )
    engine = RemoteEngine(server.model, asked)
    return UserSimulator.from_corpus(rows(), store=store, config=CONFIG, engine=engine)


def test_a_killed_server_costs_no_answer(tiny_model: Path, tmp_path: Path) -> None:
    """Every request has one answer in the end, that of the in-process engine; none is repeated."""
    server = Server(model=str(tiny_model), config=VllmConfig(kv_cache_gib=0.25), port=free_port())
    store = tmp_path / "people.db"
    running = start(server, tmp_path / "first")
    done: list[int] = []

    def killing(_stage: str, finished: int, _total: int) -> None:
        done.append(finished)
        if finished >= 20:
            end(running)

    try:
        with simulator(store, server) as sim, pytest.raises(EngineError):
            sim.run(requests(), name="wave", chunk=4, progress=killing)
        assert 20 <= max(done) < 60
        running = start(server, tmp_path / "second")
        resumed: list[int] = []
        with simulator(store, server) as sim:
            run = sim.run(
                requests(),
                name="wave",
                chunk=4,
                progress=lambda _stage, n, _total: resumed.append(n),
            )
            answers = [(item.place, answer.action) for item, answer in run.answers()]
    finally:
        end(running)
    assert min(resumed) >= 20  # what was finished is not asked again
    engine = TransformersEngine(tiny_model)
    with UserSimulator.from_corpus(rows(), config=CONFIG, engine=engine) as sim:
        expected = [(item.place, answer.action) for item, answer in sim.run(requests()).answers()]
    assert answers == expected
    assert [place for place, _ in answers] == list(range(60))
