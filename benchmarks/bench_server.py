"""The endpoint under load: requests a second through it, against the engine called directly.

Run as `python benchmarks/bench_server.py [--clients 64] [--requests 1024] [--rounds 3]
[--minutes 0]`. The server runs in a thread of this process, over the engine that is also called
directly; the clients are a process of their own, each with its own connection. Both ways take
turns, and medians count. The scripted engine answers at once, so that the ratio is the protocol's
whole cost, the clients' share of the cores included; what the protocol takes of a core is this
process's CPU time beyond that of the direct calls. `benchmarks/on_vllm/bench_server.py` measures
a real model. `--minutes` then keeps the clients asking for so long, half of them streaming, and
counts what was lost, refused or mixed up: every reply must name the person and the question that
its client asked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from urllib.parse import urlsplit

from usersim import PipelineConfig, Question, ServerConfig, SimulationConfig, UserSimulator
from usersim.engines import Engine, GenerateRequest
from usersim.engines.scripted import ScriptedEngine
from usersim.server import serving
from usersim.simulator import asking
from usersim.transcript import REASONING_STOP
from usersim.types import Message, Number

PEOPLE = 16
HISTORY = 12
SIMULATION = SimulationConfig(traces=1, max_reasoning_tokens=32, max_action_tokens=16, redraws=1)
OPTIONS = ("tea", "coffee", "water")
PROTOCOL_MS = 2.0


def echo(request: GenerateRequest, _: int) -> str:
    """Answer with the person and the number of the question."""
    if REASONING_STOP in request.stop:
        return f"A quiet day.\n{REASONING_STOP}"
    person = request.prompt[0][1].split("You are ", 1)[1].split(".", 1)[0]
    return f"{person} heard {re.findall(r'number ([0-9]+)', request.prompt[-1][1])[-1]}"


class Forgetful(ScriptedEngine):
    """A scripted engine that keeps no record of what it was asked."""

    def _take(self, requests: Sequence[object]) -> None:
        pass


def body(number: int, *, real: bool, stream: bool) -> dict[str, object]:
    """Return the request of the n-th question, to one of the people in turn."""
    asked: dict[str, object] = {
        "model": f"user:user{number % PEOPLE}",
        "messages": [{"role": "user", "content": f"What would you say, number {number}?"}],
        "seed": number,
        "stream": stream,
    }
    if real:  # typed answers always fit a small model
        number_form = {"low": 0, "high": 100, "integer": True}
        asked["x_usersim"] = {"options": list(OPTIONS)} if number % 2 else number_form
    return asked


# ---------------------------------------------------------------------- the clients' process


@dataclass
class Tally:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)


class Client:
    """One connection that is kept, and nothing but what HTTP needs."""

    def __init__(self, url: str, tally: Tally, *, real: bool) -> None:
        self._at = urlsplit(url)
        self._tally = tally
        self._real = real

    async def run(self, numbers: asyncio.Queue[int], until: float, *, stream: bool) -> None:
        """Ask questions until there are no more, or the time is over."""
        reader, writer = await asyncio.open_connection(self._at.hostname, self._at.port)
        while not numbers.empty() and time.monotonic() < until:
            number = numbers.get_nowait()
            data = json.dumps(body(number, real=self._real, stream=stream)).encode()
            started = time.monotonic()
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
                b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                % (len(data), data)
            )
            status, reply = await self._read(reader)
            self._tally.seconds.append(time.monotonic() - started)
            self._tally.outcomes[self._judged(number, status, reply, stream=stream)] += 1
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        status = int(head.split(" ", 2)[1])
        length = re.search(r"content-length: (\d+)", head)
        if length is not None:
            return status, await reader.readexactly(int(length[1]))
        parts: list[bytes] = []
        while size := int(await reader.readline(), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readline()
        return status, b"".join(parts)

    def _judged(self, number: int, status: int, reply: bytes, *, stream: bool) -> str:
        """Tell how a reply ended, and whether it is this client's own."""
        if status != 200:
            return f"status {status}"
        if stream:
            if b'"error"' in reply or not reply.endswith(b"data: [DONE]\n\n"):
                return "broken stream"
            events = [json.loads(e[6:]) for e in reply.split(b"\n\n") if e.startswith(b"data: {")]
            content = "".join(e["choices"][0]["delta"].get("content", "") for e in events)
            about = events[-1]["choices"][0]["x_usersim"]
        else:
            choice = json.loads(reply)["choices"][0]
            content, about = choice["message"]["content"], choice["x_usersim"]
        person = f"user{number % PEOPLE}"
        own = about["user_id"] == person and about["seed"] == number
        if not self._real:
            own = own and content == f"{person} heard {number}"
        return "own answer" if own else "MIXED UP"


async def ask_all(
    url: str, clients: int, first: int, *, requests: int, minutes: float, real: bool
) -> Tally:
    """Run all clients; with `minutes`, half of them stream."""
    tally = Tally()
    numbers: asyncio.Queue[int] = asyncio.Queue()
    for number in range(first, first + requests):
        numbers.put_nowait(number)
    until = time.monotonic() + (minutes * 60 if minutes else 1e9)
    await asyncio.gather(
        *(
            Client(url, tally, real=real).run(numbers, until, stream=bool(minutes and n % 2))
            for n in range(clients)
        )
    )
    return tally


def as_clients(arguments: argparse.Namespace) -> None:
    """Be the clients' process: ask, and print what was seen as JSON."""
    url, first = arguments.ask
    started = time.perf_counter()
    tally = asyncio.run(
        ask_all(
            url,
            arguments.clients,
            int(first),
            requests=arguments.requests,
            minutes=arguments.minutes,
            real=arguments.engine == "vllm",
        )
    )
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "each": tally.seconds, "outcomes": tally.outcomes}))


# ---------------------------------------------------------------------- the server's process


def simulator(engine: Engine) -> UserSimulator:
    """Return a simulator of invented people."""
    rows = [
        {"user_id": f"user{u}", "order": i, "context": f"Question {i}?", "action": f"Answer {i}."}
        for u in range(PEOPLE)
        for i in range(HISTORY)
    ]
    config = PipelineConfig.preset("small").model_copy(update={"simulation": SIMULATION})
    return UserSimulator.from_corpus(rows, engine=engine, config=config)


def direct(sim: UserSimulator, first: int, requests: int, at_once: int, *, real: bool) -> float:
    """Answer the same questions by the simulator itself, `at_once` in a batch; return seconds."""
    started = time.perf_counter()
    for start in range(first, first + requests, at_once):
        numbers = range(start, min(start + at_once, first + requests))
        batch = sim.respond_many(
            [question(number, real=real) for number in numbers],
            user_id=[f"user{number % PEOPLE}" for number in numbers],
        )
        # A small model's text may stay malformed, here as through the server (status 502).
        assert real or not batch.failures, batch.failures[:1]
    return time.perf_counter() - started


def question(number: int, *, real: bool) -> asking.Context:
    """Return what `body` asks, as the simulator takes it."""
    text = f"What would you say, number {number}?"
    if not real:
        return text
    if number % 2:
        return asking.as_question(text, options=OPTIONS)
    return Question((Message(text),), Number(low=0, high=100, integer=True))


def served(url: str, first: int, arguments: argparse.Namespace, minutes: float = 0) -> dict:
    """Have the clients ask; return what they saw."""
    requests = 10_000_000 if minutes else arguments.requests
    command = [sys.executable, __file__, "--ask", url, str(first), "--requests", str(requests)]
    command += ["--clients", str(arguments.clients), "--minutes", str(minutes)]
    command += ["--engine", arguments.engine]
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def load_engine(name: str) -> Engine:
    """Return the engine."""
    if name == "scripted":
        return Forgetful(echo)
    from usersim import VllmConfig
    from usersim.engines.vllm.engine import VllmEngine

    return VllmEngine("embedded", VllmConfig(max_model_len=2048))


def told(seen: dict) -> str:
    """Return what clients saw, in a line."""
    cuts = quantiles(seen["each"], n=100)
    counts = ", ".join(f"{n} {name}" for name, n in sorted(seen["outcomes"].items()))
    return f"{counts}; {1e3 * cuts[49]:.0f} ms median, {1e3 * cuts[98]:.0f} ms for 99 %"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--engine", choices=("scripted", "vllm"), default="scripted")
    parser.add_argument("--ask", nargs=2, metavar=("URL", "FIRST"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    options = parse(arguments)
    if options.ask:
        as_clients(options)
        return
    config = ServerConfig(port=0, streams=max(options.clients // 2, 1))
    with simulator(load_engine(options.engine)) as sim, serving(sim, config) as url:
        compare(sim, url, options)
        if options.minutes:
            endure(url, options)


def compare(sim: UserSimulator, url: str, options: argparse.Namespace) -> None:
    """Ask both ways in turns, and print medians."""
    real = options.engine == "vllm"
    direct(sim, 0, options.clients, options.clients, real=real)  # imports, compiled kernels
    served(url, 0, options)
    load = os.getloadavg()[0]
    print(f"{options.engine}, {options.clients} clients, {os.cpu_count()} cores, load {load:.1f}")
    rates: dict[str, list[float]] = {"direct": [], "served": []}
    costs: dict[str, list[float]] = {"direct": [], "served": []}
    for turn in range(options.rounds):
        for way in ("direct", "served") if turn % 2 else ("served", "direct"):
            first = (1 + turn) * options.requests
            before = time.process_time()
            if way == "direct":
                seconds = direct(sim, first, options.requests, options.clients, real=real)
            else:
                seen = served(url, first, options)
                seconds = seen["seconds"]
                print(f"  {told(seen)}")
            rates[way].append(options.requests / seconds)
            costs[way].append(1e3 * (time.process_time() - before) / options.requests)
    for way, found in rates.items():
        runs = ", ".join(f"{one:.1f}" for one in found)
        print(f"  {way:<8} {median(found):8.1f} requests/s   ({runs})")
    print(f"  ratio {median(rates['served']) / median(rates['direct']):.3f}")
    for way, found in costs.items():
        runs = ", ".join(f"{one:.2f}" for one in found)
        print(f"  {way:<8} {median(found):8.2f} ms of CPU a request   ({runs})")
    protocol = median(costs["served"]) - median(costs["direct"])
    print(f"  protocol {protocol:8.2f} ms of CPU a request (at most {PROTOCOL_MS:g} wanted)")


def endure(url: str, options: argparse.Namespace) -> None:
    """Keep the clients asking, and print what was lost and how memory grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seen = served(url, 1_000_000, options, options.minutes)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    rate = len(seen["each"]) / seen["seconds"]
    print(f"  {options.minutes:g} minutes, half of them streaming: {rate:.1f} requests/s")
    print(f"  {told(seen)}; peak memory grew by {grown:.0f} MiB")


if __name__ == "__main__":
    main()
