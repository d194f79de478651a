"""Whoever holds connections open and says nothing holds up nobody, and fills no log."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest

from tests.fixtures.endpoint import ask, chat, served
from usersim.server import connections
from usersim.server.connections import LineLimit, _origin

HALF = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: "


def opened(url: str, stack: ExitStack, sent: bytes = HALF) -> socket.socket:
    """A connection on which something was sent."""
    at = urlsplit(url)
    wire = stack.enter_context(socket.create_connection((at.hostname, at.port), timeout=20))
    wire.sendall(sent)
    return wire


def ended(wire: socket.socket) -> bytes:
    """What comes until the server closes a connection."""
    read = b""
    try:
        while part := wire.recv(65_536):
            read += part
    except ConnectionResetError:
        return read
    return read


def answers(url: str, number: int = 1) -> bool:
    """Whether an honest client is served."""
    reply = ask(f"{url}/chat/completions", chat(f"Tea number {number}?"), timeout=20)
    return reply.status == 200


@contextmanager
def unanswered(url: str) -> Iterator[socket.socket]:
    """One connection with half a head."""
    with ExitStack() as stack:
        yield opened(url, stack)


def test_more_half_sent_heads_than_connections_hold_up_nobody() -> None:
    """The oldest of them make room; honest clients are served while they are held."""
    with served(connections=40, head_seconds=60) as url, ExitStack() as stack:
        wires = [opened(url, stack) for _ in range(200)]
        assert all(answers(url, number) for number in range(20)), "within a client's own patience"
        assert ended(wires[0]) == b""
        assert answers(url)


@pytest.mark.parametrize(
    ("sent", "told"), [(HALF, b"408"), (b"", b""), (b"GET / HTTP/1.1\r\n", b"408")]
)
def test_a_head_that_does_not_come_is_not_waited_for(sent: bytes, told: bytes) -> None:
    """The connection is closed after `head_seconds`, with a word if something was sent."""
    with served(head_seconds=0.3) as url, ExitStack() as stack:
        reply = ended(opened(url, stack, sent))
        assert reply.split(b" ")[1:2] == [told][: bool(told)]
        assert answers(url)


def dribble(wire: socket.socket, *, seconds: float) -> None:
    """Send a byte now and then."""
    for _ in range(round(seconds / 0.05)):
        wire.sendall(b"G")
        time.sleep(0.05)


@pytest.mark.slow
def test_a_head_that_comes_a_byte_at_a_time_is_not_waited_for() -> None:
    """Also as the second one of a connection: each byte does not begin the time anew."""
    whole = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    with served(head_seconds=0.5) as url, ExitStack() as stack:
        wire = opened(url, stack, whole)
        assert wire.recv(65_536).startswith(b"HTTP/1.1 200")
        with pytest.raises(OSError):  # noqa: PT011 - reset or broken pipe, as it comes
            dribble(wire, seconds=20)


def test_a_request_takes_its_time_once_its_head_is_there() -> None:
    """A connection whose request is being answered is never the one that makes room."""
    with served(connections=3, head_seconds=0.2, body_seconds=20) as url, ExitStack() as stack:
        body = b'{"model": "user:ada", "messages": [{"role": "user", "content": "number 3?"}]}'
        head = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            b"content-type: application/json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n" % len(body)
        )
        wire = opened(url, stack, head)
        time.sleep(0.5)
        assert all(not ended(opened(url, stack, b"")) for _ in range(5))
        wire.sendall(body)
        assert b"ada heard 3" in ended(wire)


def test_connections_of_one_address_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of another machine beyond its number are refused with 503, and given back after."""
    monkeypatch.setattr(connections, "is_loopback", lambda address: False)
    with served(connections_per_address=4, head_seconds=60) as url:
        with ExitStack() as stack:
            held = [opened(url, stack) for _ in range(4)]
            time.sleep(0.2)
            assert b"503" in ended(opened(url, stack, b""))
            assert len(held) == 4
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with unanswered(url) as wire:
                wire.settimeout(0.2)
                try:
                    if not wire.recv(1):
                        continue
                except TimeoutError:
                    break
        else:
            pytest.fail("the connections were not given back")


def test_an_address_counts_for_its_network() -> None:
    """Whoever has a network of IPv6 has all its addresses."""
    assert _origin("2001:db8:1:2::5") == _origin("2001:db8:1:2:ffff::") != _origin("2001:db8:1:3::")
    assert _origin("::ffff:192.0.2.1") == "192.0.2.1"
    assert _origin("fe80::1%eth0") == "fe80::"


def test_a_flood_of_nonsense_writes_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """What is no HTTP is refused each time and logged now and then, with how many were left out."""
    with caplog.at_level(logging.INFO), served() as url:
        for _ in range(120):
            with ExitStack() as stack:
                assert b"400" in ended(opened(url, stack, b"\x16\x03\x01 nonsense\r\n\r\n"))
        assert answers(url)
    lines = [one for one in caplog.records if one.name == "uvicorn.error"]
    assert len(lines) <= 2 * connections.LINES["uvicorn.error"]


def test_a_limit_of_lines_says_what_it_left_out() -> None:
    """In the first line that passes again."""
    now = 0.0
    limit = LineLimit(2, 10, clock=lambda: now)

    def line() -> logging.LogRecord:
        return logging.LogRecord("x", logging.INFO, "", 1, "a %s", ("b",), None)

    assert [limit.filter(line()) for _ in range(5)] == [True, True, False, False, False]
    now = 10.0
    passing = line()
    assert limit.filter(passing)
    assert passing.getMessage() == "a b (3 lines before it were omitted)"
    again = line()
    assert limit.filter(again)
    assert again.getMessage() == "a b"
