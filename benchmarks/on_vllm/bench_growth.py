"""Cost as work grows: runs of 100, 1,000 and 10,000 requests through `UserSimulator.run` on vLLM.

    python benchmarks/on_vllm/bench_growth.py [--rounds 1] [--users 50] [--largest N] [--embedded 0]

Every request is a closed question whose three options are scored on vLLM. The model is one of a
few thousand random weights, so that what grows would be ours or vLLM's, not the model's;
`--embedded 1` takes the embedded model instead. One engine serves all sizes; every run has a
store of its own. Memory is that of this process, in which vLLM runs on a CPU.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil
from common import arguments, machine, text

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fixtures.tiny import make_model
from usersim import Corpus, PipelineConfig, SimulationConfig, UserSimulator
from usersim.config import HistoryConfig, VllmConfig
from usersim.engines.vllm.engine import VllmEngine
from usersim.types import Choice, Message, Question

HISTORY = 20
OPTIONS = Choice(("in the garden", "on the train", "in the rain"))
CONFIG = PipelineConfig(
    simulation=SimulationConfig(traces=0), history=HistoryConfig(recent=4, evidence=0)
)


def roomy(folder: Path) -> Path:
    """Write the small model with room for the library's prompts."""
    model = make_model(folder / "model")
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["max_position_embeddings"] = 4096
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return model


def measure(engine: VllmEngine, n: int, users: int, turn: int) -> tuple[float, float]:
    """Return milliseconds a request, and MiB by which this process grew."""
    rows = [
        {"user_id": f"user{u}", "order": i, "context": f"{text(6, u + i)}?", "action": text(3, i)}
        for u in range(users)
        for i in range(HISTORY)
    ]
    asked = (
        (f"user{i % users}", Question((Message(f"{turn}, {i}: where?"),), OPTIONS))
        for i in range(n)
    )
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder, Corpus.open(f"{folder}/c.db") as corpus:
        corpus.add(rows)
        sim = UserSimulator(corpus, engine=engine, config=CONFIG)
        before = process.memory_info().rss
        started = time.perf_counter()
        run = sim.run(asked)
        seconds = time.perf_counter() - started
        assert run.status.done == n, run.status
        grown = (process.memory_info().rss - before) / 2**20
    return seconds / n * 1e3, grown


def main() -> None:
    """Measure and print."""
    sizes = arguments(rounds=1, users=50, largest=10_000, embedded=0)
    counts = [n for n in (100, 1_000, 10_000) if n <= sizes.largest]
    found: dict[int, list[tuple[float, float]]] = {n: [] for n in counts}
    with tempfile.TemporaryDirectory() as folder:
        model = "embedded" if sizes.embedded else str(roomy(Path(folder)))
        with VllmEngine(model, VllmConfig(kv_cache_gib=0.5, max_model_len=2048)) as engine:
            measure(engine, 64, sizes.users, -1)  # starts vLLM
            for turn in range(sizes.rounds):
                for n in counts:
                    found[n].append(measure(engine, n, sizes.users, turn))
    print(f"{sizes.users} people; {machine()}")
    print("requests   ms per request   grown by MiB")
    for n, runs in found.items():
        print(
            f"{n:8d}   {median(ms for ms, _ in runs):14.2f}   {median(mb for _, mb in runs):12.1f}"
        )


if __name__ == "__main__":
    main()
