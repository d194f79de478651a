"""The remote engine on a vLLM server as others start it: no processor, the model's own defaults."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.server import free_port, run_server
from usersim.config import RemoteConfig, VllmConfig
from usersim.engines.base import GenerateRequest, ScoreRequest
from usersim.engines.remote.engine import RemoteEngine
from usersim.engines.serving import Server
from usersim.engines.transformers.engine import TransformersEngine
from usersim.errors import CapabilityError

pytestmark = pytest.mark.vllm

OURS = ("--logits-processors", "--generation-config")


@pytest.fixture(scope="module")
def opinionated(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with sampling settings of its own, as many published models have them."""
    folder = tmp_path_factory.mktemp("opinionated") / "model"
    shutil.copytree(tiny_model, folder)
    file = folder / "generation_config.json"
    settings = {
        **json.loads(file.read_text("utf-8")),
        "repetition_penalty": 1.9,
        "top_k": 2,
        "do_sample": True,
    }
    file.write_text(json.dumps(settings), "utf-8")
    return folder


@pytest.fixture(scope="module")
def foreign(opinionated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a server without anything of ours."""
    server = Server(model=str(opinionated), config=VllmConfig(kv_cache_gib=0.25), port=free_port())
    yield from run_server(server, tmp_path_factory.mktemp("foreign") / "log", without=OURS)


def _ask(**settings) -> GenerateRequest:
    walk = (("user", "Shall we walk in the garden?"),)
    return GenerateRequest(**{"prompt": walk, "max_tokens": 24, "temperature": 0, **settings})


def test_a_models_own_sampling_settings_change_nothing(foreign: str, opinionated: Path) -> None:
    """With token ids a request's settings are all there are: the text is that of the process."""
    config = RemoteConfig(base_url=foreign, tokenizer=str(opinionated))
    with (
        RemoteEngine(str(opinionated), config) as remote,
        TransformersEngine(opinionated) as local,
    ):
        asks = [_ask(), _ask(prefix="<think>\nThe garden"), _ask(prompt=(("user", "Tea?"),))]
        expected = [draws[0].text for draws in local.generate(asks)]
        assert [draws[0].text for draws in remote.generate(asks)] == expected


def test_without_the_processor_nothing_is_scored(foreign: str, opinionated: Path) -> None:
    """What only our processor does is absent, and patterns, which vLLM keeps itself, are there."""
    config = RemoteConfig(base_url=foreign, tokenizer=str(opinionated))
    with RemoteEngine(str(opinionated), config) as engine:
        found = engine.capabilities
        assert (found.logprobs, found.seeds, found.structured) == (False, "none", True)
        with pytest.raises(CapabilityError, match="scoring given text needs"):
            engine.score([ScoreRequest(prompt=(("user", "Tea?"),), continuation="Yes.")])


def test_over_chat_a_begun_turn_is_gone_on_with(foreign: str, opinionated: Path) -> None:
    """Without a tokenizer the server's template is used, prefix included."""
    with RemoteEngine(str(opinionated), RemoteConfig(base_url=foreign)) as engine:
        assert engine._probed.prefixes
        draw = engine.generate([_ask(prefix="<think>\nThe garden", max_tokens=3)])[0][0]
        assert (draw.finish, draw.n_tokens) == ("length", 3)
        stop = engine.generate([_ask()])[0][0].text[3]
        cut = engine.generate([_ask(stop=(stop,))])[0][0]
        assert cut.finish == "stop"
        assert "".join(engine.stream(_ask(stop=(stop,)))) == cut.text
        assert engine.generate([_ask(stop=("\x00never",))])[0][0].finish != "stop"
