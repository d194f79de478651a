"""How the endpoint serves: where it listens, what it shows, and what it takes on at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from usersim.config.base import Config

__all__ = ["Roles", "ServerConfig", "Shown"]

Roles = Literal["flipped", "natural"]
"""Whose turns a request's roles are; see `ServerConfig.roles`."""
Shown = Literal["shown", "hidden"]


class ServerConfig(Config):
    """How the endpoint serves simulated people.

    Example:
        >>> config = ServerConfig(port=0, reasoning="hidden", seed=7)
        >>> config.host, config.roles
        ('127.0.0.1', 'flipped')
    """

    host: str = "127.0.0.1"
    """Address to listen on. Any but loopback needs a key."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 takes a free one."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which clients may reach it (`Host` header). Empty: on loopback the loopback
    names alone, so that no web page can get here by a name of its own; elsewhere any name."""
    reasoning: Shown = "shown"
    """Whether replies carry the trace, in the reasoning field. A request may hide it, but not
    show what is hidden here."""
    roles: Roles = "flipped"
    """`flipped`: the simulated person speaks as `assistant`, whoever talks with them as `user`,
    as when any model is asked to play the user. `natural`: the person is the conversation's
    `user`, and the assistant under test its `assistant`. A request may say otherwise."""
    recognize: bool = True
    """Whether a closed question that a client writes into its message, options and instruction
    included, is answered as one: scored, and written as the instruction says."""
    seed: int | None = None
    """Seed of requests that name none; None draws one for each and returns it in the reply."""
    keep: bool = True
    """Whether answers are kept in the store, as those of `UserSimulator.respond` are. Live
    streams never are."""
    workers: Annotated[int, Field(ge=1)] | None = None
    """Threads that put batches to the engine. None: 4 for an engine that computes calls from
    several threads together (vLLM, a server), otherwise 1."""
    batch: Annotated[int, Field(ge=1)] = 64
    """Most answers in one batch."""
    gather_seconds: Annotated[float, Field(ge=0)] = 0.002
    """A batch waits for further requests until none came for so long, ten times as long at the
    most."""
    queue: Annotated[int, Field(ge=1)] = 512
    """Answers that may wait for a batch, and live streams that may wait for a thread; more are
    refused with 429."""
    streams: Annotated[int, Field(ge=1)] = 16
    """Live streams at a time."""
    max_n: Annotated[int, Field(ge=1)] = 16
    """Most answers to one request."""
    max_messages: Annotated[int, Field(ge=1)] = 400
    """Most messages of one request."""
    max_body_bytes: Annotated[int, Field(ge=1_000)] = 1_000_000
    """Longest request body."""
    connections: Annotated[int, Field(ge=1)] = 512
    """Most connections at a time, also bounded by how many files the process may have open. Of
    more, the one that has waited longest without a request is closed."""
    connections_per_address: Annotated[int, Field(ge=1)] = 128
    """Most connections of one address, or of one network of IPv6. Loopback has no such limit; a
    proxy on another machine needs a higher one, since all its clients come from its address."""
    head_seconds: Annotated[float, Field(gt=0)] = 10.0
    """How long a client may take to send the head of a request."""
    body_seconds: Annotated[float, Field(gt=0)] = 30.0
    """How long a client may take to send a body."""
    request_seconds: Annotated[float, Field(gt=0)] = 600.0
    """How long an answer may take, waiting included."""
    write_seconds: Annotated[float, Field(gt=0)] = 60.0
    """How long a client may leave a reply unread before its connection is closed."""
    drain_seconds: Annotated[float, Field(ge=0)] = 30.0
    """How long running requests may continue after the server was asked to stop."""
