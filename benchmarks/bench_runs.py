"""Runs: cost as work grows, through `UserSimulator.run` with the scripted engine.

Run as `python benchmarks/bench_runs.py [--sizes 100 1000 10000] [--repeats 3] [--users 50]`.
Each size runs in a process of its own, with its own store, the sizes alternating; medians count.
Time is that of the whole call (read, store, claim, answer, store); memory is what the process's
peak grew by from before the call, so that imports are not counted; it includes SQLite's page
cache, which fills up to 32 MiB for each of the client's two connections and then stays.
The engine answers at once and keeps nothing: a model only adds to what is measured.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from usersim import Corpus, PipelineConfig, UserSimulator
from usersim.engines import Draw, GenerateRequest
from usersim.engines.scripted import ScriptedEngine
from usersim.views import Progress

SIZES = (100, 1_000, 10_000)
HISTORY = 20
WARM = 64


class Forgetful(ScriptedEngine):
    """Answers by script and keeps no record of what it was asked."""

    def generate(
        self,
        requests: Sequence[GenerateRequest],
        *,
        progress: Progress | None = None,  # noqa: ARG002 - of the Protocol
    ) -> list[tuple[Draw, ...]]:
        """Return one draw for each; the scripted engine's own record would grow."""
        reply = "A quiet day calls for tea."
        return [
            tuple(
                Draw(text=reply, finish="stop" if one.stop else "end", n_tokens=7)
                for _ in range(one.n)
            )
            for one in requests
        ]


def requests(n: int, users: int, wave: str) -> Iterator[tuple[str, str]]:
    """Questions to everybody in turn."""
    return ((f"user{i % users}", f"{wave}: question {i}?") for i in range(n))


def measure(n: int, users: int, store: str) -> None:
    """Run `n` requests and print seconds and MiB as JSON."""
    rows = [
        {"user_id": f"user{u}", "order": i, "context": f"Question {i}?", "action": f"Answer {i}."}
        for u in range(users)
        for i in range(HISTORY)
    ]
    with Corpus.open(store) as corpus:
        corpus.add(rows)
    config = PipelineConfig.preset("small")
    with UserSimulator(Corpus.open(store), engine=Forgetful(), config=config) as sim:
        sim.run(requests(WARM, users, "warm"))  # imports, statements, the search index
        before = peak()
        started = time.perf_counter()
        run = sim.run(requests(n, users, "measured"))
        seconds = time.perf_counter() - started
        assert run.status.done == n, run.status
        assert sum(1 for _ in run.answers()) == n
        print(json.dumps({"seconds": seconds, "grown": peak() - before, "peak": peak()}))


def peak() -> float:
    """Return this process's peak memory, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_process(n: int, users: int) -> dict[str, float]:
    """Measure one size in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--measure", str(n), str(users), f"{folder}/c.db"]
        out = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument(
        "--measure", nargs=3, metavar=("N", "USERS", "STORE"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.measure:
        n, users, store = options.measure
        measure(int(n), int(users), store)
        return
    found: dict[int, list[dict[str, float]]] = {n: [] for n in options.sizes}
    for _ in range(options.repeats):
        for n in options.sizes:
            found[n].append(in_process(n, options.users))
    first = options.sizes[0]
    print(f"{options.users} people, history of {HISTORY}, {options.repeats} repeats")
    print("requests   ms per request  ratio   peak MiB  ratio   grown by MiB")
    base: dict[str, float] = {}
    for n in options.sizes:
        seconds = statistics.median(one["seconds"] for one in found[n]) / n
        memory = statistics.median(one["peak"] for one in found[n])
        grown = statistics.median(one["grown"] for one in found[n])
        if n == first:
            base = {"seconds": seconds, "memory": memory}
        print(
            f"{n:8d}   {seconds * 1e3:14.2f}  {seconds / base['seconds']:5.2f}   "
            f"{memory:8.1f}  {memory / base['memory']:5.2f}   {grown:8.1f}"
        )


if __name__ == "__main__":
    main()
