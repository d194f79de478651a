"""The proxies of `docs/how-to/put-it-on-a-network.md`, run with the configurations on the page."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.fixtures.endpoint import chat, echoing, served

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "put-it-on-a-network.md"
NAME = "people.example.org"
KEY = "k" * 64
HALF = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {NAME}\r\nX-Slow: ".encode()


class Front(NamedTuple):
    """A proxy that runs: its port, whom to trust, and where its log of requests is."""

    port: int
    trusted: ssl.SSLContext
    log: Path | None


class Told(NamedTuple):
    """A reply that was read to its end."""

    status: int
    kind: str
    text: str


def block(language: str) -> str:
    """The configuration that the page shows."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(found) == 1, language
    return found[0]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as wire:
        return wire.getsockname()[1]


def nginx(folder: Path, port: int, behind: str) -> tuple[list[str], Path | None]:
    """The command of an nginx with the page's configuration, and its log."""
    text = changed(
        block("nginx"),
        {
            "127.0.0.1:8000": behind,
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "/var/log/nginx/people.log": str(folder / "people.log"),
            "/etc/ssl/": f"{folder}/",
        },
    )
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{one}_temp_path {folder}/{one};" for one in places)
    whole = (
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{ worker_connections 2048; }}\nhttp {{ {temporary}\n{text} }}\n"
    )
    (folder / "nginx.conf").write_text(whole, encoding="utf-8")
    command = ["nginx", "-p", str(folder), "-e", f"{folder}/error.log", "-c"]
    return [*command, str(folder / "nginx.conf")], folder / "people.log"


def caddy(folder: Path, port: int, behind: str) -> tuple[list[str], Path | None]:
    """The command of a Caddy with the page's configuration; it keeps no log of requests."""
    text = changed(
        block("caddy"),
        {
            "127.0.0.1:8000": behind,
            "{\n\tservers {": "{\n\tadmin off\n\tauto_https disable_redirects\n\tservers {",
            f"\n{NAME} {{": f"\nhttps://{NAME}:{port} {{\n\tbind 127.0.0.1",
            "/etc/ssl/": f"{folder}/",
        },
    )
    (folder / "Caddyfile").write_text(text, encoding="utf-8")
    file = str(folder / "Caddyfile")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", file], None


def changed(text: str, places: dict[str, str]) -> str:
    """A configuration with this machine's places in it; each must be on the page."""
    for old, new in places.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextmanager
def running(
    program: Callable[[Path, int, str], tuple[list[str], Path | None]], folder: Path, behind: str
) -> Iterator[Front]:
    """Run a proxy in front of a server."""
    if shutil.which(program.__name__) is None:
        pytest.skip(f"{program.__name__} is not installed: make system")
    certificate, port = folder / "people.pem", free_port()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-out", str(certificate),
         "-keyout", str(folder / "people.key")],
        check=True, capture_output=True,
    )  # fmt: skip
    command, log = program(folder, port, behind)
    env = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/bin"}
    with (folder / "said").open("wb") as said:
        proxy = subprocess.Popen(command, env=env, stdout=said, stderr=said)
    try:
        until = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                break
            assert proxy.poll() is None, (folder / "said").read_text(encoding="utf-8")
            assert time.monotonic() < until
            time.sleep(0.05)
        yield Front(port, ssl.create_default_context(cafile=str(certificate)), log)
    finally:
        proxy.terminate()
        proxy.wait(30)


@pytest.fixture
def gate() -> threading.Event:
    """Answers are drawn while it is set."""
    open_ = threading.Event()
    open_.set()
    return open_


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
def front(request: pytest.FixtureRequest, tmp_path: Path, gate: threading.Event) -> Iterator[Front]:
    """Each proxy of the page, before a server that is started as the page says."""
    with (
        served(echoing(gate), key=KEY, allowed_hosts=[NAME]) as url,
        running(request.param, tmp_path, urlsplit(url).netloc) as one,
    ):
        yield one


def wire_to(front: Front, stack: ExitStack) -> ssl.SSLSocket:
    """A connection to the proxy, encrypted."""
    bare = socket.create_connection(("127.0.0.1", front.port), timeout=60)
    return stack.enter_context(front.trusted.wrap_socket(bare, server_hostname=NAME))


@contextmanager
def replying(
    front: Front, path: str, body: dict | None = None, *, key: str = KEY
) -> Iterator[http.client.HTTPResponse]:
    """Send one request to the proxy; the reply has begun, and is not read yet."""
    with ExitStack() as stack:
        wire = wire_to(front, stack)
        content = b"" if body is None else json.dumps(body).encode()
        wire.sendall(
            f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: {NAME}\r\n"
            f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
            f"Connection: close\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        )
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            wire.sendall(content)  # whoever refuses a body need not read it
        reply = stack.enter_context(http.client.HTTPResponse(wire))
        reply.begin()
        yield reply


def asked(front: Front, path: str, body: dict | None = None, *, key: str = KEY) -> Told:
    """Send one request to the proxy and read the reply."""
    with replying(front, path, body, key=key) as reply:
        return Told(reply.status, reply.getheader("content-type", ""), reply.read().decode())


def answered(front: Front, number: int = 1) -> bool:
    """Whether an honest client gets its own answer."""
    reply = asked(front, "/v1/chat/completions", chat(f"Tea number {number}?"))
    return reply.status == 200 and f"ada heard {number}" in reply.text


def ended(wire: ssl.SSLSocket) -> bytes:
    """What comes until the proxy closes a connection."""
    read = b""
    with suppress(ConnectionResetError, ssl.SSLEOFError):
        while part := wire.recv(65_536):
            read += part
    return read


def statuses(front: Front, path: str, count: int) -> list[int]:
    """The statuses of requests that are sent at once, on one connection."""
    one = f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\nAuthorization: Bearer {KEY}\r\n".encode()
    with ExitStack() as stack:
        wire = wire_to(front, stack)
        wire.sendall((one + b"\r\n") * (count - 1) + one + b"Connection: close\r\n\r\n")
        return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3})", ended(wire))]


def test_the_pages_proxy_passes_on_what_it_should_and_nothing_else(front: Front) -> None:
    """Answers and health; no metrics, no explorer, no wrong key, no long body, no names logged."""
    assert answered(front)
    assert asked(front, "/health", key="").status == 200
    assert asked(front, "/v1/models", key="wrong").status == 401
    assert [asked(front, path).status for path in ("/metrics", "/explore/", "/")] == [404] * 3
    assert asked(front, "/v1/chat/completions", chat("x" * 1_100_000)).status == 413
    assert asked(front, "/v1/chat/completions", chat("x" * 5_000_000)).status in {413, 502}
    assert asked(front, "/v1/models/user:ada").status == 200
    if front.log is not None:
        time.sleep(0.2)
        assert "ada" not in front.log.read_text(encoding="utf-8")


def test_a_stream_comes_through_the_pages_proxy_as_it_is_drawn(
    front: Front, gate: threading.Event
) -> None:
    """Its first lines are there while the answer is still being drawn."""
    gate.clear()
    with replying(front, "/v1/chat/completions", chat("Tea number 2?", stream=True)) as reply:
        assert reply.getheader("content-type", "").startswith("text/event-stream")
        assert reply.readline().startswith(b"data: ")
        gate.set()
        rest = reply.read().decode()
    assert "heard 2" in rest
    assert rest.rstrip().endswith("[DONE]")


@pytest.mark.slow  # it waits for the proxy's patience
def test_half_sent_heads_to_the_pages_proxy_hold_up_nobody(front: Front) -> None:
    """Three hundred of them are held; honest clients are served, and the half ones are closed."""
    with ExitStack() as stack:
        wires = [wire_to(front, stack) for _ in range(300)]
        for wire in wires:
            wire.sendall(HALF)
        began = time.monotonic()
        for number in range(10):
            assert answered(front, number)
        assert time.monotonic() - began < 30
        wires[0].settimeout(40)
        assert ended(wires[0])[:12] in {b"", b"HTTP/1.1 408", b"HTTP/1.1 400"}
        assert answered(front)


def test_many_requests_of_one_address_are_turned_away_by_nginx(tmp_path: Path) -> None:
    """A burst passes; beyond it 429, and a moment later the address is served again."""
    with (
        served(key=KEY, allowed_hosts=[NAME]) as url,
        running(nginx, tmp_path, urlsplit(url).netloc) as front,
    ):
        told = statuses(front, "/v1/models", 150)
        assert set(told) == {200, 429}
        assert told[:40] == [200] * 40
        time.sleep(1.5)
        assert answered(front)
