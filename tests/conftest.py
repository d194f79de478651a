"""What holds for every test: no model hub, no network, no busy waiting.

`USERSIM_CACHE` stays as it is: preparing the embedded model takes half a minute, so tests share
the caller's prepared one. Tests that write to a cache point the variable at a folder of their own.
"""

from __future__ import annotations

import gc
import os
import signal

import pytest
from pytest_socket import socket_allow_hosts

from tests.fixtures import profiles

# Read when the libraries are imported, hence before anything else.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# What is printed must not depend on the terminal of whoever runs the tests; readline, which pytest
# imports, even hands the width of one to xdist's workers that have none.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)
# One thread each: sums come out the same on any number of cores, and workers share the cores well.
os.environ.setdefault("OMP_NUM_THREADS", "1")

profiles.register()

pytest_plugins = [
    "tests.fixtures.skips",
    "tests.fixtures.children",
    "tests.fixtures.postgres",
    "tests.fixtures.tiny",
    "tests.fixtures.server",
    "tests.fixtures.explored",
]


# Started in the background by a shell, the tests would inherit that Ctrl-C is ignored, and their
# children with them: those that prove what Ctrl-C does would then prove nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let both workers begin with files that have slow tests.

    One that begins last leaves a core idle for its two minutes. Each worker is first given one
    half of the list; whole files move, since the tests of one share what its fixtures made.
    """
    slow = dict.fromkeys(item.path for item in items if item.get_closest_marker("slow"))
    first = set(list(slow)[::2])
    early = [item for item in items if item.path in first]
    late = [item for item in items if item.path in slow and item.path not in first]
    fast = [item for item in items if item.path not in slow]
    half = max(len(items) // 2 - len(early), 0)
    items[:] = [*early, *fast[:half], *late, *fast[half:]]


def pytest_collection_finish() -> None:
    """Leave out of garbage collection what lives as long as the tests do.

    Libraries and collected tests are millions of objects; each of the many trainings collects
    garbage several times, which took a fifth of their time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_network() -> None:  # pyright: ignore[reportUnusedFunction]
    """Refuse connections to anything but this machine."""
    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
