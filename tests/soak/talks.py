"""MCP clients and assistants that misbehave: the other side goes on, or is told in one error."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress

from tests.fixtures.children import ROOT
from tests.fixtures.people import engine, person
from tests.soak.attack import Field, patience, typed
from tests.soak.files import TOKENS, changed
from usersim import Corpus, UserSimulator
from usersim.config import DialogueConfig
from usersim.simulator.dialogue import Scenario

HELLO = {
    "jsonrpc": "2.0", "id": 0, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {},
               "clientInfo": {"name": "soak", "version": "1"}},
}  # fmt: skip
TOOLS = ("ask_user", "list_people", "run_survey", "read_trace", "nothing", 3, None)
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def _call(number: object, tool: object, arguments: object) -> dict[str, object]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def messages(rng: random.Random, count: int) -> Iterable[bytes]:
    """Lines that a client should not send."""
    arguments: tuple[object, ...] = (
        {"user_id": "ada", "message": "Tea?"}, {"user_id": "ada"}, {"user_id": 3, "message": []},
        {"user_id": "nobody", "message": "x"}, {}, [], None, "x", {"user_id": "ada", "message": ""},
        {"user_id": "ada", "message": "x" * 100_000}, {"survey": {"title": "x"}},
        {"survey": {"questions": [{"id": "q", "type": "yes_no", "text": "Tea?"}]}},
        {"user_id": "ada", "message": "\ud800"}, {"offset": -1, "limit": 2**70}, {"id": "x"},
    )  # fmt: skip
    for number in range(1, count + 1):
        tool = rng.choice(TOOLS)
        line = json.dumps(_call(number, tool, rng.choice(arguments))).encode()
        kind = rng.randrange(6)
        if kind == 0:
            line = changed(line, rng)
        elif kind == 1:
            line = rng.choice(TOKENS)
        elif kind == 2:
            method = rng.choice(("tools/list", "resources/list", "prompts/get", "ping", "x", ""))
            line = json.dumps({"jsonrpc": "2.0", "id": number, "method": method}).encode()
        yield line.replace(b"\n", b" ") + b"\n"


def mcp(field: Field) -> None:
    """A client that sends nonsense; afterwards it is answered all the same."""
    store = field.folder / "people.db"
    with Corpus.open(store) as corpus:
        corpus.add(person("ada", 6))
    start = "from usersim.cli import main; main()"
    command = [sys.executable, "-c", start, "mcp", "--corpus", str(store), "--engine", "scripted"]
    sent = [json.dumps(HELLO).encode() + b"\n", json.dumps(READY).encode() + b"\n"]
    sent += messages(field.rng, 40)
    last = _call("last", "ask_user", {"user_id": "ada", "message": "Tea or coffee?"})
    sent.append(json.dumps(last).encode() + b"\n")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        errors: list[bytes] = []
        reader = threading.Thread(target=lambda: errors.append(server.stderr.read()))  # type: ignore[union-attr]
        reader.start()
        try:
            with patience("an MCP client", 180):
                with suppress(BrokenPipeError):  # its own error is told below
                    server.stdin.write(b"".join(sent))
                    server.stdin.flush()
                for line in server.stdout:
                    told = json.loads(line)  # nothing else may stand on standard output
                    field.tally["MCP replies"] += 1
                    if told.get("id") == "last":
                        assert not told["result"].get("isError"), told
                        break
                else:
                    reader.join(5)
                    raise AssertionError(f"the server ended: {b''.join(errors)[-2_000:]!r}")
        finally:
            server.kill()
            server.wait()
            reader.join(5)
    field.tally["MCP clients"] += 1


class Awkward:
    """An assistant that says what no assistant should."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._lock = threading.Lock()

    def __call__(self, messages: object) -> object:
        """Reply."""
        with self._lock:
            kind = self._rng.randrange(10)
            token = self._rng.choice(TOKENS).decode("utf-8", "replace")
        if kind == 0:
            return None
        if kind == 1:
            return 3
        if kind == 2:
            raise RuntimeError(token[:200])
        if kind == 3:
            raise KeyError
        if kind == 4:
            return ""
        if kind == 5:
            return "x" * 200_000
        if kind == 6:
            return asyncio.sleep(0, result=token)
        if kind == 7:
            return "\ud800\x00\x1b[2J"
        if kind == 8:
            raise RecursionError
        return f"I can help. {token[:500]}"


def dialogues(field: Field) -> None:
    """Several people talk with such an assistant, and with its file on the disk."""
    rows = [row for name in ("ada", "bo") for row in person(name, 6)]
    path = field.folder / "talks.jsonl"
    config = DialogueConfig(max_turns=3)
    for _ in range(3):
        if path.exists() and field.rng.random() < 0.6:
            path.write_bytes(changed(path.read_bytes(), field.rng))

        def talk() -> None:
            with UserSimulator.from_corpus(rows, engine=engine(), config="tiny") as sim:
                batch = sim.dialogues(
                    Awkward(field.rng),  # type: ignore[arg-type]
                    [Scenario(user_id=name, goal="Buy tea.") for name in ("ada", "bo", "ada")],
                    config=config,
                    path=path,
                )
                assert len(batch) == 3
                field.tally["dialogues held"] += sum(one is not None for one in batch.items)

        typed(field, "dialogues with an awkward assistant", talk)


def once(field: Field) -> None:
    """One client, or one round of dialogues."""
    field.rng.choice((mcp, dialogues))(field)
