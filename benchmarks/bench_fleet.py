"""Fleets: overhead of a task, memory of the driver, and two workers against one; with real Ray.

Run as `python benchmarks/bench_fleet.py [--tasks 1000 10000] [--people 40] [--work 0.2]
[--repeats 3] [--model FOLDER]`.
Each measurement is a process and a cluster of its own, the sizes alternating; medians count.
Time is that of the driver's loop alone, with workers that are ready: Ray's start is printed beside
it. An empty task costs a call, and two transactions of the ledger in a SQLite file; the growth of
the driver's memory is its peak since before the first task. Workers are compared by tasks of
`--work` seconds each, first waiting, which other programs on the machine do not disturb, then
hashing on one core; and with `--model` also by real trainings of that model, one thread each.
Two workers need two idle cores for the latter two.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from usersim import Corpus, PipelineConfig
from usersim.config import HistoryConfig, ScoringConfig, SynthesisConfig, TrainingConfig
from usersim.fleet import Job, Outcome, Resources, TrainJob, WorkerSettings
from usersim.fleet.cluster import cluster
from usersim.fleet.driver import Driver, first_worker, hold_fleet
from usersim.fleet.outcomes import attempt

BLOCK = b"x" * (1 << 20)
BRIEF = PipelineConfig(
    history=HistoryConfig(recent=1, evidence=0),
    synthesis=SynthesisConfig(n_forward=1, n_backward=0, max_tokens=16),
    scoring=ScoringConfig(option_orders=1, samples=2, diagnostics=1),
    training=TrainingConfig(epochs=1.0, evaluations=1, dtype="float32"),
)


@dataclass(frozen=True)
class HashJob:
    """A task of so many MiB to hash and so many seconds to wait; none is a task without work."""

    blocks: int
    wait: float = 0.0

    def open(self, worker: str) -> HashJob:  # noqa: ARG002 - of the Protocol
        """Nothing to open."""
        return self

    def close(self) -> None:
        """Nothing to close."""

    def settings(self, asked: Mapping[str, object]) -> dict[str, object]:
        """Nothing to know."""
        return dict(asked)

    def do(self, people: Sequence[str], about: str) -> list[Outcome]:  # noqa: ARG002 - too
        """Hash."""
        return [attempt(person, self._one) for person in people]

    def _one(self, person: str) -> dict[str, object]:
        told = sha256(person.encode())
        for _ in range(self.blocks):
            told.update(BLOCK)
        time.sleep(self.wait)
        return {"digest": told.hexdigest()}


def blocks_of(seconds: float) -> int:
    """Return how many MiB a core hashes in so many seconds."""
    began = time.process_time()
    HashJob(200).do(["x"], "")
    return round(200 * seconds / (time.process_time() - began))


def measure(tasks: int, workers: int, blocks: int, wait: float, model: str) -> dict[str, float]:
    """Drive a fleet, and return seconds and MiB."""
    with tempfile.TemporaryDirectory() as folder, Corpus.open(f"{folder}/c.usersim.db") as corpus:
        people = [f"p{n:05d}" for n in range(tasks)]
        corpus.add(
            {
                "user_id": person,
                "order": n,
                "context": f"Tea, {n}?",
                "action": "yes",
                "action_type": "choice",
                "options": ["yes", "no"],
            }
            for person in people
            for n in range(2 if model else 1)
        )
        setting = WorkerSettings(
            store=corpus.name, model=model, engine="transformers", config=BRIEF
        )
        job: Job = TrainJob(setting=setting) if model else HashJob(blocks, wait)
        record = corpus.fleets.begin("bench", "train", {})
        corpus.fleets.fill(record.id, people)
        began = time.perf_counter()
        with (
            hold_fleet(corpus.fleets, record.id) as hold,
            cluster(None, Resources(workers=workers)) as opened,
        ):
            hired = [first_worker(opened, job, {}, prefix="", retries=0)[0] for _ in range(workers)]
            before, started = peak(), time.perf_counter()
            status = Driver(
                fleets=corpus.fleets,
                fleet_id=record.id,
                hold=hold,
                cluster=opened,
                job=job,
                hired=hired,
            ).run()
            seconds = time.perf_counter() - started
        assert status.done == tasks, status
        return {
            "seconds": seconds,
            "start": started - began,
            "peak": peak(),
            "grown": peak() - before,
        }


def peak() -> float:
    """Return this process's peak memory, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_process(
    tasks: int, workers: int, *, blocks: int = 0, wait: float = 0.0, model: str = ""
) -> dict[str, float]:
    """Measure in a process of its own, with one thread in every worker."""
    given = [str(tasks), str(workers), str(blocks), str(wait), model]
    out = subprocess.run(
        [sys.executable, __file__, "--measure", *given],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return json.loads(out.stdout.splitlines()[-1])


def middle(found: Sequence[Mapping[str, float]], name: str) -> float:
    """Return the median of one figure."""
    return statistics.median(one[name] for one in found)


def overhead(sizes: Sequence[int], repeats: int) -> None:
    """Print what a task without work costs, and the driver's memory."""
    found: dict[int, list[dict[str, float]]] = {n: [] for n in sizes}
    for _ in range(repeats):
        for n in sizes:
            found[n].append(in_process(n, 2))
    print("tasks without work, 2 workers")
    print("  tasks   ms per task  ratio   driver peak MiB  ratio   grown by MiB   start s")
    first = found[sizes[0]]
    base = middle(first, "seconds") / sizes[0], middle(first, "peak")
    for n in sizes:
        each, memory = middle(found[n], "seconds") / n, middle(found[n], "peak")
        print(
            f"{n:7d}   {each * 1e3:11.2f}  {each / base[0]:5.2f}   {memory:15.0f}  "
            f"{memory / base[1]:5.2f}   {middle(found[n], 'grown'):12.1f}   "
            f"{middle(found[n], 'start'):7.1f}"
        )


def speedup(
    title: str, people: int, repeats: int, *, blocks: int = 0, wait: float = 0.0, model: str = ""
) -> None:
    """Print two workers against one."""
    found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for _ in range(repeats):
        for workers, times in found.items():
            times.append(in_process(people, workers, blocks=blocks, wait=wait, model=model))
    one, two = (middle(found[workers], "seconds") for workers in found)
    print(f"{title}: 1 worker {one:.1f} s, 2 workers {two:.1f} s, ratio {one / two:.2f}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="*", default=(1_000, 10_000))
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--work", type=float, default=0.2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", type=Path, help="model folder that is also trained")
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        tasks, workers, blocks, wait, model = options.measure
        print(json.dumps(measure(int(tasks), int(workers), int(blocks), float(wait), model)))
        return
    people, repeats = options.people, options.repeats
    if options.tasks:
        overhead(options.tasks, repeats)
    waiting = f"{people} tasks that wait {options.work} s, as for a GPU"
    speedup(waiting, people, repeats, wait=options.work)
    work = f"{people} tasks of {options.work} s of a core"
    speedup(work, people, repeats, blocks=blocks_of(options.work))
    if options.model is not None:
        trained = f"{people} trainings of {options.model.name}, one thread each"
        speedup(trained, people, repeats, model=str(options.model.resolve()))


if __name__ == "__main__":
    main()
