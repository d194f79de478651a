"""vLLM for real: what it promises beside the contract, and that nothing of it stays behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: make test-vllm")

import torch

from tests.fixtures.tiny import MakeAdapter, make_model
from usersim import PipelineConfig, Survey, UserSimulator
from usersim.config import HistoryConfig, SimulationConfig, VllmConfig
from usersim.engines.base import AdapterRef, GenerateRequest, ScoreRequest
from usersim.engines.transformers.engine import TransformersEngine
from usersim.engines.vllm.directions import CLIENT
from usersim.engines.vllm.engine import VllmEngine
from usersim.engines.vllm.processor import DirectedDraws
from usersim.errors import (
    AdapterLoadError,
    CapabilityError,
    ConfigError,
    EngineError,
    ModelLoadError,
)
from usersim.simulation import RespondItem, respond
from usersim.survey import (
    LikertScale,
    MultipleChoice,
    NumberQuestion,
    SingleChoice,
)
from usersim.types import Message, MultiChoice, Number, Question

pytestmark = pytest.mark.vllm

SMALL = VllmConfig(kv_cache_gib=0.25, adapter_slots=4, adapters_in_memory=8)
TOPICS = ("rain", "trains", "gardens", "tea", "letters", "music", "walks", "friends")


def ask(topic: str, adapter: AdapterRef | None = None, **settings) -> GenerateRequest:
    """A request about one topic."""
    prompt = (("system", "You are Ada, who likes rain."), ("user", f"What of {topic}?"))
    return GenerateRequest(prompt=prompt, adapter=adapter, **{"max_tokens": 12, **settings})


@pytest.fixture(scope="module")
def adapters(tiny_model: Path, tiny_adapter: MakeAdapter) -> list[AdapterRef]:
    """Eight people's adapters of the tiny model."""
    return [tiny_adapter(f"user{i}", seed=i + 1) for i in range(8)]


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Iterator[VllmEngine]:
    """One vLLM on the tiny model."""
    with VllmEngine(tiny_model, SMALL) as made:
        yield made


def texts(draws) -> list[str]:
    """The first text of each request."""
    return [own[0].text for own in draws]


# ---------------------------------------------------------------------- beside transformers


def test_draws_and_scores_equal_those_of_transformers(
    engine: VllmEngine, tiny_model: Path, adapters: list[AdapterRef]
) -> None:
    """In float32 both engines draw the same texts, greedy and seeded, with adapters and without."""
    asks = [
        ask(topic, adapter, temperature=temperature, seed=n, top_p=top_p)
        for n, topic in enumerate(TOPICS)
        for adapter in (None, adapters[n])
        for temperature, top_p in ((0, 1.0), (0.8, 1.0), (0.8, 0.9))
    ]
    scores = [
        ScoreRequest(prompt=ask(t).prompt, continuation="Only in the rain.", adapter=a)
        for t, a in zip(TOPICS, adapters, strict=True)
    ]
    with TransformersEngine(tiny_model) as other:
        expected, expected_scores = other.generate(asks), other.score(scores)
    drawn, scored = engine.generate(asks), engine.score(scores)
    same = sum(a == b for a, b in zip(texts(drawn), texts(expected), strict=True))
    assert same >= len(asks) - 1, f"{same} of {len(asks)} texts agree"  # a tie may fall both ways
    for one, two in zip(scored, expected_scores, strict=True):
        assert one.logprobs == pytest.approx(two.logprobs, abs=2e-4)


def test_options_are_scored_as_by_transformers(
    engine: VllmEngine, tiny_model: Path, adapters: list[AdapterRef]
) -> None:
    """Options that part early, late, never, or by the hundred score as in the other engine."""
    kinds = (
        ("yes", "no", "maybe"),
        ("Agree strongly", "Agree a little", "Agree", "Disagree a little", "Disagree strongly"),
        ("tea", "tea", "coffee"),
        tuple(str(number) for number in range(200)),
        ("the only one",),
    )
    requests = [
        ScoreRequest(prompt=ask(topic).prompt, continuation=option, end=end, adapter=adapter)
        for topic, options in zip(TOPICS, kinds, strict=False)
        for adapter in (None, adapters[0])
        for end in (False, True)
        for option in options
    ]
    with TransformersEngine(tiny_model) as other:
        expected = other.score(requests)
    for one, two in zip(engine.score(requests), expected, strict=True):
        assert one.logprobs == pytest.approx(two.logprobs, abs=2e-4)


def test_a_survey_is_answered_as_in_process(engine: VllmEngine, tiny_model: Path) -> None:
    """Closed answers have the probabilities that transformers gives, numbers keep their range."""
    rows = [
        {"user_id": name, "order": n, "context": f"Where, {n}?", "action": where}
        for name, where in (("ada", "In the garden."), ("bob", "On the train."))
        for n in range(3)
    ]
    survey = Survey(
        title="The garden",
        questions=(
            SingleChoice(id="where", text="Where?", options=("garden", "train"), random_order=True),
            LikertScale(id="joy", text="How do you like the rain?", low="badly", high="well"),
            MultipleChoice(id="with", text="Who is with you?", options=("friends", "nobody")),
            NumberQuestion(id="hours", text="How many hours?", low=0, high=24, integer=True),
        ),
    )
    short = SimulationConfig(traces=0, max_action_tokens=8)
    config = PipelineConfig(simulation=short, history=HistoryConfig(recent=1, evidence=0))
    found = {}
    with TransformersEngine(tiny_model) as other:
        for name, used in (("vllm", engine), ("transformers", other)):
            sim = UserSimulator.from_corpus(rows, engine=used, config=config)
            found[name] = survey.run(sim.respondents(seed=3)).responses
            sim.corpus.close()  # not the simulator: the engines are not its own
    for one, two in zip(found["vllm"], found["transformers"], strict=True):
        assert (one.respondent, one.question, one.item) == (two.respondent, two.question, two.item)
        if one.question == "hours":
            assert one.value is not None, one.failed
            assert 0 <= one.value <= 24
            continue
        assert one.shown == two.shown
        assert one.probabilities == pytest.approx(dict(two.probabilities), abs=1e-3)
        assert one.value == two.value


@pytest.mark.model
def test_the_embedded_model_agrees_token_by_token(
    embedded_model: Path, tiny_adapter: MakeAdapter
) -> None:
    """SmolLM2 in float32: every greedy text of both engines is the same, with adapters too."""
    own = [tiny_adapter(f"smol{i}", seed=i, base=embedded_model) for i in range(2)]
    asks = [ask(t, a, temperature=0, max_tokens=16) for t in TOPICS[:4] for a in (None, *own)]
    with TransformersEngine(embedded_model) as other:
        expected = other.generate(asks)
    with VllmEngine(embedded_model, VllmConfig(kv_cache_gib=0.25, max_model_len=512)) as made:
        assert texts(made.generate(asks)) == texts(expected)


# ---------------------------------------------------------------------- many users


def test_a_mixed_batch_gives_each_user_their_own(
    engine: VllmEngine, adapters: list[AdapterRef]
) -> None:
    """64 requests over 8 adapters and 4 slots: each text is that of the adapter alone."""
    asks = [ask(topic, adapter, temperature=0) for topic in TOPICS for adapter in adapters]
    mixed = texts(engine.generate(asks))
    alone = {
        adapter: iter(texts(engine.generate([a for a in asks if a.adapter == adapter])))
        for adapter in adapters
    }
    assert mixed == [next(alone[one.adapter]) for one in asks]
    assert len(set(mixed)) > len(TOPICS)  # the adapters do differ


def test_the_base_model_is_itself_among_all_adapters(
    engine: VllmEngine, tiny_model: Path, adapters: list[AdapterRef]
) -> None:
    """With every slot taken, a request without an adapter still gets the base model's text."""
    asks = [ask(t, a, temperature=0) for t in TOPICS for a in (None, *adapters)]
    mixed = [
        text
        for text, one in zip(texts(engine.generate(asks)), asks, strict=True)
        if one.adapter is None
    ]
    with TransformersEngine(tiny_model) as other:
        assert mixed == texts(other.generate([one for one in asks if one.adapter is None]))


def test_more_users_than_memory_holds(
    engine: VllmEngine, tiny_adapter: MakeAdapter, adapters: list[AdapterRef]
) -> None:
    """Adapters beyond those kept in memory take turns, and come back with the same answers."""
    crowd = [*adapters, *(tiny_adapter(f"more{i}", seed=50 + i) for i in range(4))]
    asks = [ask("rain", adapter, temperature=0) for adapter in crowd]
    first = texts(engine.generate(asks))
    assert len(set(first)) > len(crowd) // 2
    assert texts(engine.generate(asks[::-1]))[::-1] == first


def test_a_larger_rank_starts_vllm_again(
    engine: VllmEngine, tiny_adapter: MakeAdapter, adapters: list[AdapterRef]
) -> None:
    """An adapter of a larger rank than vLLM was started for is served, and the others still."""
    before = texts(engine.generate([ask("tea", adapters[0], temperature=0)]))
    large = tiny_adapter("large", seed=9, rank=12)
    both = texts(
        engine.generate([ask("tea", large, temperature=0), ask("tea", adapters[0], temperature=0)])
    )
    assert both[1] == before[0] != both[0]


def test_a_damaged_adapter_fails_alone(
    engine: VllmEngine, tiny_adapter: MakeAdapter, adapters: list[AdapterRef]
) -> None:
    """An altered folder is refused before vLLM sees it; the engine goes on for the others."""
    altered = tiny_adapter("altered", seed=77)
    weights = Path(altered.path) / "adapter_model.safetensors"
    shutil.copy(Path(adapters[1].path) / "adapter_model.safetensors", weights)
    with pytest.raises(AdapterLoadError, match="was altered"):
        engine.generate([ask("rain", altered), ask("rain", adapters[0])])
    assert engine.generate([ask("rain", adapters[0])])[0][0].n_tokens


def test_callers_share_the_engine(engine: VllmEngine, adapters: list[AdapterRef]) -> None:
    """Calls from several threads, streams among them, each get what they would get alone."""
    asks = [ask(t, adapters[n % 8], seed=n) for n, t in enumerate(TOPICS)]
    alone = texts(engine.generate(asks))
    found: dict[int, str] = {}

    def call(n: int) -> None:
        found[n] = (
            "".join(engine.stream(asks[n])) if n % 2 else texts(engine.generate([asks[n]]))[0]
        )

    threads = [threading.Thread(target=call, args=(n,)) for n in range(len(asks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[n] for n in range(len(asks))] == alone


def test_a_stream_that_is_left_is_taken_back(engine: VllmEngine) -> None:
    """Closing a stream early frees vLLM: nothing of it is computed any more."""
    stream = engine.stream(ask("rain", max_tokens=400, temperature=0.9))
    next(stream)
    stream.close()
    assert engine.generate([ask("tea", temperature=0)])[0][0].n_tokens
    assert engine._loop is not None
    assert not engine._loop._active


def test_typed_actions_are_kept_to_their_space(engine: VllmEngine) -> None:
    """Even a model of noise answers with a number in range and with options, at the first draw."""
    items = [
        RespondItem(user_id="ada", question=Question((Message("How many?"),), space), seed=n)
        for n, space in enumerate(
            [Number(low=0, high=40, integer=True), MultiChoice(("tea", "rain", "late trains"))] * 4
        )
    ]
    config = SimulationConfig(traces=0, redraws=0, max_action_tokens=40)
    batch = respond(engine, items, config=config)
    assert not batch.failures
    for item, answer in zip(items, batch, strict=True):
        assert item.question.space.parse(answer.action_text) == answer.action
        assert answer.trace.redraws == 0


# ---------------------------------------------------------------------- refusals and ends


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"kv_cache_gib": 0.00001}, "max_model_len|kv_cache_gib"),
        ({"kv_cache_gib": 1e6}, "lower kv_cache_gib"),
        ({"tensor_parallel": 3}, "another tensor_parallel"),
        ({"tensor_parallel": 2}, "VLLM_CPU_OMP_THREADS_BIND"),
        ({"extra": {"nonsense": 1}}, "remove that setting"),
    ],
)
def test_a_failed_start_names_the_setting(
    tiny_model: Path, settings: dict, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What vLLM cannot start with comes back as one line and the setting to change."""
    monkeypatch.setenv("CPU_VISIBLE_MEMORY_NODES", "0")  # as on a machine with one NUMA node
    made = VllmEngine(tiny_model, VllmConfig(**{"kv_cache_gib": 0.25, **settings}))
    with pytest.raises(ModelLoadError, match="starting vLLM with") as caught:
        made.generate([ask("rain")])
    assert "\n" not in str(caught.value)
    assert re.search(hint, caught.value.hint)


def test_ray_is_rejected_on_a_cpu_before_it_is_started(tiny_model: Path) -> None:
    """Left to vLLM, it fails after Ray was started, whose servers then keep running."""
    with pytest.raises(ConfigError, match="executor 'ray' needs a GPU") as caught:
        VllmEngine(tiny_model, VllmConfig(executor="ray"))
    assert caught.value.hint == "use executor='auto'"


def test_copies_of_the_model_are_rejected_in_process(tiny_model: Path) -> None:
    """A second copy in process is rejected: vLLM would wait for its process without end."""
    config = VllmConfig(extra={"data_parallel_size": 2})
    with pytest.raises(ConfigError, match="data_parallel_size of 2") as caught:
        VllmEngine(tiny_model, config)
    assert "serve-engine --data-parallel" in caught.value.hint


def test_a_worker_on_another_machine_does_not_watch_the_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray's workers get the client's environment, in which its process id counts nowhere else.

    The id is one that no process has here: a worker that looked for it would fail to start.
    """
    assert not psutil.pid_exists(2**22 + 1)
    monkeypatch.setenv(CLIENT, f"{2**22 + 1}@another-machine")
    DirectedDraws(None, torch.device("cpu"), is_pin_memory=False)
    assert "usersim-client-watch" not in {thread.name for thread in threading.enumerate()}


def test_adapters_can_be_switched_off(tiny_model: Path, adapters: list[AdapterRef]) -> None:
    """With `adapters="never"` a request that names one is refused, and the capability is absent."""
    made = VllmEngine(tiny_model, VllmConfig(kv_cache_gib=0.25, adapters="never"))
    assert not made.capabilities.adapters
    with pytest.raises(CapabilityError, match="adapters are disabled"):
        made.generate([ask("rain", adapters[0])])


def test_two_engines_live_side_by_side(tiny_model: Path, tmp_path: Path) -> None:
    """A second engine in one process works, and ending it leaves the first as it was."""
    other = make_model(tmp_path / "other", seed=5)
    with VllmEngine(tiny_model, SMALL) as one:
        first = texts(one.generate([ask("rain", temperature=0)]))
        with VllmEngine(other, SMALL) as two:
            assert texts(two.generate([ask("rain", temperature=0)])) != first
        assert texts(one.generate([ask("rain", temperature=0)])) == first
    with pytest.raises(EngineError, match="is closed"):
        one.generate([ask("rain")])


def test_the_prompts_of_a_forgotten_person_are_dropped(engine: VllmEngine) -> None:
    """The prefix cache is emptied once nothing runs, and what is asked afterwards is answered."""
    before = texts(engine.generate([ask("rain", temperature=0)]))
    engine.forget_prompts()
    assert texts(engine.generate([ask("rain", temperature=0)])) == before
    assert engine._loop is not None
    assert not engine._loop._forgetting


SCRIPT = """
import sys, time
from usersim.config import VllmConfig
from usersim.engines.base import GenerateRequest
from usersim.engines.vllm.engine import VllmEngine

def main():
    how = sys.argv[2]
    process = "outside" if how == "killed" else "inside"
    engine = VllmEngine(sys.argv[1], VllmConfig(kv_cache_gib=0.25, process=process))
    one = GenerateRequest(prompt=(("user", "Rain?"),), max_tokens=4)
    engine.generate([one])
    print("ready", flush=True)
    if how == "exception":
        raise RuntimeError("on purpose")
    if how == "exit":
        return
    many = [GenerateRequest(prompt=(("user", f"Rain {i}?"),), max_tokens=400) for i in range(500)]
    engine.generate(many)

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize(
    ("how", "statuses"),
    [("exit", {0}), ("exception", {1}), ("interrupted", {1, 130, -2}), ("killed", {-9})],
)
def test_nothing_stays_behind(
    tiny_model: Path, tmp_path: Path, how: str, statuses: set[int]
) -> None:
    """After exit, an exception, Ctrl-C in a running batch, or `kill -9`, no process is left."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(script), str(tiny_model), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])},
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        ready = child.stdout.readline()
        family = psutil.Process(child.pid).children(recursive=True) if ready else []
        time.sleep(0.5)
        if how == "interrupted":
            child.send_signal(signal.SIGINT)
        if how == "killed":
            child.kill()
        code = child.wait(timeout=60)
        _, left = psutil.wait_procs(family, timeout=60)
        told = child.stderr.read()
    assert ready == "ready\n", told
    assert code in statuses, told
    assert not left
    assert bool(family) == (how == "killed")  # outside, vLLM has processes of its own
