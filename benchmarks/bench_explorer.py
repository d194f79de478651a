"""The explorer: a page at the end of a long run against its first page.

Run as `python benchmarks/bench_explorer.py [--answers 100000] [--people 1000] [--repeats 15]`.
A store is filled with one run of closed answers as large as real ones (a prompt of 4 kB, three
traces), without a model; then pages are asked of the explorer's server over HTTP, one after the
other, first and deep ones in turn. Medians count. The last line is the ratio that must not grow
with the store.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from usersim import Corpus, PipelineConfig
from usersim.corpus import Response
from usersim.explorer import ServedExplorer
from usersim.explorer.closeups import Explorer
from usersim.simulation import Answer, AnswerTrace, DrawnTrace

OPTIONS = ("never", "seldom", "sometimes", "often", "always")
TOLD = "I have done this before and would do it again when the day is long and the rain stays. "
CHUNK = 2_000


def answer(user_id: str, place: int) -> Answer:
    """One answer as a run stores it."""
    probabilities = {
        option: (i + 1 + place % 3) / (15 + 5 * (place % 3)) for i, option in enumerate(OPTIONS)
    }
    drawn = tuple(
        DrawnTrace(
            reasoning=f"Draw {k}. {TOLD * 3}",
            seed=k,
            action="always",
            probabilities=probabilities,
        )
        for k in range(3)
    )
    trace = AnswerTrace(
        user_id=user_id,
        question=f"Question {place}?",
        history=tuple(f"{k:040x}" for k in range(12)),
        prompt=(("system", f"You are {user_id}."), ("user", TOLD * 45)),
        prompt_id="respond@0",
        drawn=drawn,
        probabilities=probabilities,
        reasoning_weight=1.0,
        redraws=0,
        kept_gains={},
        adapter=None,
        engine="none",
        seed=place,
        seconds=0.0,
    )
    return Answer(action="always", kind="scale", reasoning=drawn[0].reasoning, trace=trace)


def lines(n: int, people: Sequence[str]) -> Iterator[bytes]:
    """The run's requests, as the store keeps them."""
    for place in range(n):
        yield orjson.dumps(
            {
                "user_id": people[place % len(people)],
                "context": [{"role": "user", "name": None, "content": f"Question {place}?"}],
                "kind": "scale",
                "space": {"options": OPTIONS},
            },
            option=orjson.OPT_SORT_KEYS,
        )


def fill(corpus: Corpus, n: int, people: int) -> None:
    """Store people, a run, and an answer to each of its requests."""
    corpus.add(
        {"user_id": f"user{u:06}", "order": i, "context": f"Tea {i}?", "action": f"Yes, {i}."}
        for u in range(people)
        for i in range(5)
    )
    fill_run(corpus, "long", n, [f"user{u:06}" for u in range(people)])


def fill_run(corpus: Corpus, name: str, n: int, people: Sequence[str]) -> None:
    """Store a run and an answer to each of its `n` requests, to people in turn."""
    run = corpus.runs.begin(name, name, {})
    corpus.runs.fill(run.id, lines(n, people))
    while items := corpus.runs.claim(run.id, "bench", limit=CHUNK, seconds=3600):
        done = {
            item.place: Response(
                user_id=item.request.user_id,
                question_key=str(item.place),
                record=answer(item.request.user_id, item.place).to_dict(),
            )
            for item in items
        }
        corpus.runs.finish(run.id, "bench", done)


def timed(connection: http.client.HTTPConnection, path: str) -> float:
    """Ask for a page; return seconds."""
    started = time.perf_counter()
    connection.request("GET", path)
    reply = connection.getresponse()
    body = reply.read()
    seconds = time.perf_counter() - started
    assert reply.status == 200, (path, reply.status)
    assert body.count(b'class="card"') in {0, 3, 50}, path
    return seconds


def measure(corpus: Corpus, pages: Mapping[str, str], repeats: int) -> dict[str, list[float]]:
    """Serve a store and ask for its pages in turn; return seconds by page."""
    explorer = Explorer(corpus, config=PipelineConfig.preset("small"))
    server = ServedExplorer(explorer, host="127.0.0.1", port=0, key=None)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    place = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
    found: dict[str, list[float]] = {name: [] for name in pages}
    for turn in range(repeats + 1):
        for name, path in pages.items():
            seconds = timed(connection, path)
            if turn:  # the first one fills caches
                found[name].append(seconds)
    connection.close()
    server.stop()
    thread.join()
    return found


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    n, people = options.answers, options.people
    pages = {
        "run, first page": "/run?name=long",
        "run, page in the middle": f"/run?name=long&after={n // 2}",
        "run, last full page": f"/run?name=long&after={n - 51}",
        "run, backwards from the end": f"/run?name=long&before={n}",
        "people, first page": "/people",
        "people, last full page": f"/people?after=user{people - 52:06}",
        "people, search": f"/people?q=r{people - 1:06}",
        "one answer": f"/answer?id={n - 5}",
        "overview": "/",
    }
    with tempfile.TemporaryDirectory() as folder, Corpus.open(Path(folder) / "c.db") as corpus:
        fill(corpus, n, people)
        size = sum(one.stat().st_size for one in Path(folder).iterdir()) / 2**20
        print(f"{n} answers, {people} people: {size:.0f} MiB")
        found = measure(corpus, pages, options.repeats)
    print("page                            median ms   largest ms")
    for name, seconds in found.items():
        print(f"{name:30}  {statistics.median(seconds) * 1e3:10.1f}   {max(seconds) * 1e3:10.1f}")
    first = statistics.median(found["run, first page"])
    deep = statistics.median(found["run, last full page"])
    print(f"deep / first: {deep / first:.2f}")


if __name__ == "__main__":
    main()
