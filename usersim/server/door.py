"""What every server of ours has at its door: names, a key, and a socket that listens.

Knows header values and addresses; knows no application.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hmac
import re
import socket

from usersim.errors import ConfigError

__all__ = ["CHALLENGES", "bare_name", "check_token", "knows_key", "listening", "url_of"]

_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]+))(?::\d{0,5})?", re.ASCII)
"""Name or address and port, and nothing before, between or after them."""

CHALLENGES = ("Bearer", 'Basic realm="usersim", charset="UTF-8"')
"""How whoever came without the key is asked for it: clients send a token, browsers a password."""


def bare_name(host: str) -> str:
    """Return a `Host` header's name, without its port; empty if it is neither name nor address.

    Example:
        >>> bare_name("[::1]:8000"), bare_name("LocalHost:80"), bare_name("[::1].evil.test")
        ('::1', 'localhost', '')
    """
    found = _HOST.fullmatch(host)
    return (found["address"] or found["name"]).lower() if found else ""


def check_token(key: str | None) -> None:
    """Check that a key is one that every client can send; None is not a key.

    Raises:
        ConfigError: If it is not.
    """
    if key is not None and (not key.strip() or not key.isascii() or key != key.strip()):
        raise ConfigError(
            "the key is empty, has surrounding white space, or characters outside ASCII",
            hint="make one with: openssl rand -hex 32",
        )


def knows_key(key: str, authorization: str) -> bool:
    """Tell whether an `Authorization` header holds the key, as token or as password.

    Takes a time that does not depend on how much of it is right.

    Example:
        >>> knows_key("k", "Bearer k"), knows_key("k", "Basic YW55b25lOms="), knows_key("k", "")
        (True, True, False)
    """
    scheme, _, given = authorization.strip().partition(" ")
    value = given.strip().encode()
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(value, key.encode())


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens; the caller's to close.

    Args:
        host: A name or an address of this machine.
        port: 0 takes a free one.

    Raises:
        ConfigError: If the port is taken, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # As uvicorn and nginx do: `::` is every address of this machine, those of IPv4 too.
    dual = host == "::" and socket.has_dualstack_ipv6()
    try:
        made = socket.create_server((host, port), family=family, backlog=1024, dualstack_ipv6=dual)
        # asyncio sets this itself only on sockets that it made: head and body of a reply leave at
        # once, instead of waiting 40 ms for each other.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "the port is already in use" if taken else error.strerror or str(error)
        raise ConfigError(
            f"cannot listen on {host!r}, port {port}: {reason}",
            hint="choose another --port, 0 for a free one; `ss -ltn` lists those in use"
            if taken
            else "use 127.0.0.1, or an address of this machine that `ip address` lists",
        ) from error
    return made


def url_of(host: str, listener: socket.socket) -> str:
    """Return the address of a socket that listens on `host`, as `http://127.0.0.1:8000`."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
