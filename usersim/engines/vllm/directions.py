"""What a request tells the logits processor in vLLM: names of the extra arguments, no vLLM.

Shared by the processor, which runs inside vLLM, and by the engines that send requests to it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from usersim.engines.base import GenerateRequest
from usersim.engines.sampling import stream_of

__all__ = [
    "CLIENT",
    "FORCED",
    "PROCESSOR",
    "STREAM",
    "TEMPERATURE",
    "TOP_P",
    "client_pid",
    "drawn",
    "forced",
    "this_client",
]

PROCESSOR = "usersim.engines.vllm.processor:DirectedDraws"
"""As vLLM wants it named: `--logits-processors`, `LLM(logits_processors=[...])`."""
FORCED = "usersim_forced"
STREAM = "usersim_stream"
TEMPERATURE = "usersim_temperature"
TOP_P = "usersim_top_p"
CLIENT = "USERSIM_VLLM_CLIENT"
"""Environment variable with the process whose end also ends the workers; set by the engines."""


def this_client() -> str:
    """Return what `CLIENT` holds for workers of this process: its id, and its machine."""
    return f"{os.getpid()}@{socket.gethostname()}"


def client_pid(mark: str) -> int | None:
    """Return the process id in `CLIENT`; None if there is none, or it counts on another machine.

    vLLM copies the environment to workers that Ray starts on other machines, where the same id is
    nobody's, or another program's. Ray itself ends them with their driver.

    Example:
        >>> client_pid(this_client()) == os.getpid(), client_pid("7@elsewhere"), client_pid("")
        (True, None, None)
    """
    pid, _, machine = mark.partition("@")
    return int(pid) if pid and machine == socket.gethostname() else None


def forced(tokens: Sequence[int]) -> dict[str, list[int]]:
    """Return the extra arguments of a request that must produce `tokens`.

    Example:
        >>> forced([5, 6])
        {'usersim_forced': [5, 6]}
    """
    return {FORCED: list(tokens)}


def drawn(request: GenerateRequest, index: int) -> dict[str, int | float]:
    """Return the extra arguments of draw `index`; empty where the likeliest token is taken."""
    if request.temperature == 0:
        return {}
    return {
        STREAM: stream_of(request.seed, index),
        TEMPERATURE: request.temperature,
        TOP_P: request.top_p,
    }
