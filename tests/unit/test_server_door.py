"""The door that both servers share: what listens, and where."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys

import pytest

from usersim import __version__
from usersim.config.addresses import is_loopback
from usersim.errors import ConfigError
from usersim.server.door import bare_name, check_token, knows_key, listening, url_of


def test_every_address_means_those_of_both_families() -> None:
    """Who listens on `::` is also reached by IPv4, and a name is an IPv4 address first."""
    with listening("localhost", 0) as named:
        assert url_of("localhost", named).startswith("http://localhost:")
        socket.create_connection(("127.0.0.1", named.getsockname()[1]), timeout=5).close()
    with contextlib.ExitStack() as stack:
        try:
            every = stack.enter_context(listening("::", 0))
        except ConfigError:
            pytest.skip("this machine has no IPv6")
        assert url_of("::", every).startswith("http://[::]:")
        socket.create_connection(("127.0.0.1", every.getsockname()[1]), timeout=5).close()


def test_what_cannot_be_listened_on_says_why() -> None:
    """A taken port and a foreign address are told apart, each with its next step."""
    with listening("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: the port is already in use") as caught:
            listening("127.0.0.1", port)
        assert "another --port" in caught.value.hint
    with pytest.raises(ConfigError, match=r"'192\.0\.2\.1'") as caught:
        listening("192.0.2.1", 0)
    assert "127.0.0.1" in caught.value.hint


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:8000", "localhost"),
        ("localhost:", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::1].evil.test", ""),
        ("[::1]evil.test:80", ""),
        ("[::1", ""),
        ("localhost:80.evil.test", ""),
        ("localhost@evil.test", ""),
        ("localhost:port", ""),
        ("", ""),
        ("127.0.0.1\tevil", ""),
    ],
)
def test_a_host_is_a_name_and_a_port_and_nothing_more(host: str, name: str) -> None:
    """What follows an address in brackets, or stands for a port, makes it nobody's name."""
    assert bare_name(host) == name
    assert is_loopback(bare_name(host)) == bool(name)


@pytest.mark.parametrize("key", ["", " k", "schlüssel"])
def test_a_key_is_a_token(key: str) -> None:
    """What a header cannot carry, or anybody could guess, is no key."""
    with pytest.raises(ConfigError, match="the key is empty"):
        check_token(key)


def test_only_the_whole_key_opens() -> None:
    """Parts, other schemes and malformed passwords do not."""
    assert knows_key("s3cret", "bearer   s3cret ")
    for header in ("", "s3cret", "Bearer", "Bearer s3cre", "Basic s3cret", "Digest s3cret"):
        assert not knows_key("s3cret", header)


def test_the_package_is_the_command() -> None:
    """`python -m usersim` is `usersim`."""
    told = subprocess.run(
        [sys.executable, "-m", "usersim", "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == __version__
