"""Connections of a server: how many, of whom, how long they may say nothing, and what is logged.

uvicorn gives up a connection that is idle between two requests, and bounds the size of a
request's head; it waits without end for a head that was begun, and takes whoever comes. Knows
connections and log lines; knows no request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from usersim.config.addresses import is_loopback

if TYPE_CHECKING:
    from usersim.config import ServerConfig

__all__ = ["Connections", "LineLimit", "limit_lines", "limited_protocol"]

_RESERVED_FILES = 200
"""Files and sockets that the process needs beside its connections: store, model, other servers."""
_NETWORK_BITS = 64
"""Of an IPv6 address, those that name a network; whoever has one has all its addresses."""
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n"
    b"content-length: 0\r\n\r\n"
)
_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

LINES = {"uvicorn.error": 20, "asyncio": 20, "usersim.server": 100, "usersim.server.access": 1_000}
"""Lines of each logger in `LINES_SECONDS`, a traceback being one; further ones are counted."""
LINES_SECONDS = 10.0

logger = logging.getLogger("usersim.server")


class Connections:
    """The open connections of one server.

    Args:
        config: The limits.

    Attributes:
        head_seconds: How long the head of a request may take.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.head_seconds = config.head_seconds
        self._most = min(config.connections, _spare_files())
        self._most_per_address = config.connections_per_address
        self._open: dict[LimitedProtocol, str] = {}
        self._waiting: dict[LimitedProtocol, None] = {}  # longest first
        self._by_address: Counter[str] = Counter()

    def admit(self, protocol: LimitedProtocol, address: str) -> bool:
        """Tell whether a new connection may stay, and note it.

        Where there are too many, the one that has waited longest without a whole request makes
        room: whoever holds connections open and says nothing holds up nobody else.

        Args:
            protocol: The connection.
            address: Of the other side; empty if unknown.
        """
        origin = "" if not address or is_loopback(address) else _origin(address)
        if origin and self._by_address[origin] >= self._most_per_address:
            return False
        if len(self._open) >= self._most:
            longest = next(iter(self._waiting), None)
            if longest is None:
                return False
            self.leave(longest)
            longest.drop()
        self._open[protocol] = origin
        self._by_address[origin] += 1
        return True

    def wait(self, protocol: LimitedProtocol) -> None:
        """Note that a connection has no request under way."""
        if protocol in self._open:
            self._waiting.setdefault(protocol)

    def work(self, protocol: LimitedProtocol) -> None:
        """Note that a whole head came: the connection is in nobody's way until it is answered."""
        self._waiting.pop(protocol, None)

    def leave(self, protocol: LimitedProtocol) -> None:
        """Forget a connection."""
        self._waiting.pop(protocol, None)
        origin = self._open.pop(protocol, None)
        if origin is not None:
            self._by_address[origin] -= 1
            if not self._by_address[origin]:
                del self._by_address[origin]


def _spare_files() -> int:
    """Return how many connections this process has room for."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return 1 << 30
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if most == resource.RLIM_INFINITY else max(most - _RESERVED_FILES, 16)


def _origin(address: str) -> str:
    """Return who an address counts for: itself, or its network where it is of IPv6.

    Example:
        >>> _origin("192.0.2.7"), _origin("2001:db8::1:2")
        ('192.0.2.7', '2001:db8::')
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    spare = 128 - _NETWORK_BITS
    return str(IPv6Address(int(found) >> spare << spare))


class LimitedProtocol(H11Protocol):
    """uvicorn's connection, with a time limit for the head of each request.

    Args:
        connections: All of them.
        **uvicorn: What uvicorn gives to its protocol.
    """

    def __init__(self, connections: Connections, **uvicorn: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(**uvicorn)
        self._all = connections
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin, or send away who is one too many."""
        super().connection_made(transport)
        if not self._all.admit(self, self.client[0] if self.client else ""):
            logger.info("a connection over the limit was rejected")
            transport.write(_BUSY)
            transport.close()
            return
        self._await_request(self._all.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_clock()
        self._all.leave(self)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take what came; a new request stops the clock."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._stop_clock()
            self._all.work(self)

    def on_response_complete(self) -> None:
        """Wait for the next request; what is left of this one may not take longer either."""
        self._await_request(self.timeout_keep_alive + self._all.head_seconds)
        super().on_response_complete()

    def drop(self) -> None:
        """Close the connection at once."""
        self._stop_clock()
        self.transport.abort()

    def _await_request(self, seconds: float) -> None:
        self._stop_clock()
        self._all.wait(self)
        self._deadline = self.loop.call_later(seconds, self._late)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        if not self.transport.is_closing():
            if self.conn.trailing_data[0]:  # something was sent, so somebody may read the reply
                with suppress(OSError):
                    self.transport.write(_LATE)
            self.transport.close()


def limited_protocol(config: ServerConfig) -> type[asyncio.Protocol]:
    """Return what uvicorn makes a connection of, as its setting `http`."""
    connections = Connections(config)

    def made(**uvicorn: Any) -> LimitedProtocol:  # noqa: ANN401 - uvicorn's own
        return LimitedProtocol(connections, **uvicorn)

    return cast("type[asyncio.Protocol]", made)


# ---------------------------------------------------------------------- log lines


class LineLimit(logging.Filter):
    """Lets so many lines pass in so many seconds, and says how many it left out.

    Args:
        lines: How many.
        seconds: In which time.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        lines: int,
        seconds: float = LINES_SECONDS,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._lines = lines
        self._seconds = seconds
        self._clock = clock
        self._since = clock()
        self._passed = 0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line passes."""
        now = self._clock()
        if now - self._since >= self._seconds:
            self._since, self._passed = now, 0
        if self._passed >= self._lines:
            self._left_out += 1
            return False
        self._passed += 1
        if self._left_out:
            record.msg = f"{record.getMessage()} ({self._left_out} lines before it were omitted)"
            record.args = None
            self._left_out = 0
        return True


def limit_lines() -> None:
    """Limit the lines of every logger that a client can make write."""
    for name, lines in LINES.items():
        one = logging.getLogger(name)
        if not any(isinstance(known, LineLimit) for known in one.filters):
            one.addFilter(LineLimit(lines))
