"""Requests that are none, to the endpoint and the explorer: refused, and nobody else notices."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from urllib.parse import quote, urlsplit

from tests.fixtures.endpoint import ask, chat, served
from tests.soak.attack import Field, patience
from tests.soak.files import TOKENS, changed

PATHS = ("/v1/chat/completions", "/v1/models", "/v1/models/user:ada", "/health", "/health/ready",
         "/metrics", "/openapi.json", "/v1/nothing", "/", "//", "/v1/../health")  # fmt: skip
VALUES: tuple[object, ...] = (
    None, True, -1, 0, 1e308, 2**70, "", "x", "\x00", "a" * 30_000, [], {}, [[]] * 50, {"a": {}},
    "user:ada", "user:nobody", ["stop"] * 30, [{"role": "user", "content": "Tea, number 1?"}],
    [{"role": "tool", "content": None}], {"type": "json_schema", "json_schema": {"schema": {}}},
)  # fmt: skip
FIELDS = ("model", "messages", "n", "stream", "seed", "temperature", "top_p", "max_tokens", "stop",
          "response_format", "x_usersim", "tools", "logprobs", "user", "metadata")  # fmt: skip


HEADS = ("chunked", "100-continue", "close", "websocket", "-1", "9" * 30, "evil.test",
         "[::1].evil.test", "null", "x" * 9_000, "\tx")  # fmt: skip


def body(rng: random.Random) -> bytes:
    """A chat request with something wrong in it."""
    asked: dict[str, object] = chat(f"Tea, number {rng.randrange(99)}?", n=rng.choice((1, 1, 3)))
    for _ in range(rng.choice((0, 1, 1, 2))):
        asked[rng.choice(FIELDS)] = rng.choice(VALUES)
    content = json.dumps(asked).encode()
    return changed(content, rng) if rng.random() < 0.5 else content


def raw(rng: random.Random, host: str) -> bytes:
    """A whole request as bytes, with something wrong in its head."""
    sent = body(rng)
    head = {"host": host, "content-type": "application/json", "content-length": str(len(sent))}
    for _ in range(rng.choice((0, 1, 2))):
        name = rng.choice((*head, "expect", "transfer-encoding", "connection", "upgrade", "origin",
                           "authorization", "x-forwarded-for", "cookie"))  # fmt: skip
        head[name] = rng.choice(HEADS)
    method = rng.choice(("POST", "POST", "GET", "PUT", "HEAD", "OPTIONS", "TRACE", "P\tT"))
    lines = [f"{method} {rng.choice(PATHS)} HTTP/1.1", *(f"{k}: {v}" for k, v in head.items())]
    content = "\r\n".join(lines).encode() + b"\r\n\r\n" + sent
    return changed(content, rng) if rng.random() < 0.3 else content


def status_of(host: str, port: int, content: bytes) -> int | None:
    """Send bytes; return the status of what comes back, None if nothing does."""
    with socket.create_connection((host, port), timeout=20) as wire:
        try:
            wire.sendall(content)
            wire.shutdown(socket.SHUT_WR)
            first = wire.recv(64)
        except (ConnectionError, TimeoutError):
            return None
    parts = first.split(b" ")
    return int(parts[1]) if len(parts) > 1 and parts[1][:3].isdigit() else None


@contextmanager
def endpoint() -> Iterator[str]:
    """An endpoint with limits that are reached soon."""
    limits = {"body_seconds": 2, "head_seconds": 2, "connections": 30, "max_body_bytes": 60_000,
              "request_seconds": 20}  # fmt: skip
    with served(**limits) as url:
        yield url


def once(field: Field) -> None:
    """Two hundred requests to one endpoint, and connections that say nothing beside them."""
    with endpoint() as url, ExitStack() as stack, patience("requests", 300):
        at = urlsplit(url)
        host, port = at.hostname or "", at.port or 0
        for number in range(200):
            if field.rng.random() < 0.2:
                wire = stack.enter_context(socket.create_connection((host, port), timeout=20))
                wire.sendall(raw(field.rng, host)[: field.rng.randrange(200)])
            if field.rng.random() < 0.5:
                status = _as_json(host, port, body(field.rng))
            else:
                status = status_of(host, port, raw(field.rng, f"{host}:{port}"))
            assert status is None or status < 500 or status == 503, f"status {status}"
            field.tally[f"requests: {'no reply' if status is None else f'{status // 100}xx'}"] += 1
            if number % 20 == 19:
                reply = ask(f"{url}/chat/completions", chat("Still there, number 9?", "user:bo"))
                assert reply.json["choices"][0]["message"]["content"] == "bo heard 9"
    _explorer(field)


def _as_json(host: str, port: int, content: bytes) -> int | None:
    connection = HTTPConnection(host, port, timeout=30)
    try:
        head = {"content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", content, head)
        reply = connection.getresponse()
        reply.read()
    except (HTTPException, ConnectionError, TimeoutError):
        return None
    finally:
        connection.close()
    return reply.status


def _explorer(field: Field) -> None:
    from starlette.testclient import TestClient

    from tests.fixtures.explored import fill
    from usersim.explorer.app import explorer_app
    from usersim.explorer.closeups import Explorer

    pages = ("person", "people", "answers", "interaction", "trace", "run", "answer", "compare")
    with fill(field.folder / "explored.db") as sim:
        client = TestClient(explorer_app(Explorer.of(sim)), base_url="http://127.0.0.1")
        for _ in range(60):
            token = field.rng.choice(TOKENS)[:2_000]
            name = field.rng.choice(("user", "q", "key", "name", "id", "answer", "other", "after",
                                     "before", "measure", "step"))  # fmt: skip
            value = field.rng.choice((quote(token, safe=""), "1", "ada", "-1", "9" * 30))
            reply = client.get(f"/{field.rng.choice(pages)}?{name}={value}")
            assert reply.status_code < 500, (reply.status_code, str(reply.url)[:300])
            field.tally["pages of the explorer"] += 1
