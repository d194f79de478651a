"""The in-process engine beyond its contract: interleaving, adapters in memory, its choice."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from typing import get_args

import pytest
import torch

from tests.fixtures.tiny import MakeAdapter
from usersim.config import Dtype, EngineConfig
from usersim.engines import AdapterRef, GenerateRequest, ScoreRequest
from usersim.engines.packing import LONG, pack
from usersim.engines.select import EngineName, known_identity, load_engine
from usersim.engines.transformers.attention import worthwhile_branches
from usersim.engines.transformers.decoding import DrawState
from usersim.engines.transformers.engine import ADAPTERS_IN_MEMORY, TransformersEngine
from usersim.engines.transformers.grouping import decode_batches
from usersim.errors import ConfigError, ContextLengthError, EngineError, ModelLoadError

PROMPT = (("system", "You are ada."), ("user", "The train was late?"))


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> TransformersEngine:
    """The tiny model, loaded once."""
    return TransformersEngine(tiny_model)


@pytest.fixture(scope="module")
def adapters(tiny_adapter: MakeAdapter) -> list[AdapterRef]:
    """More adapters than are kept in memory."""
    return [tiny_adapter(f"p{i}", seed=10 + i) for i in range(ADAPTERS_IN_MEMORY + 2)]


def drawing(adapter: AdapterRef | None = None, **fields) -> GenerateRequest:
    """A request for a few tokens."""
    return GenerateRequest(prompt=PROMPT, max_tokens=12, seed=3, adapter=adapter, **fields)


def scoring(adapter: AdapterRef | None = None) -> ScoreRequest:
    """A request for a score."""
    return ScoreRequest(prompt=PROMPT, continuation="the quiet garden", adapter=adapter)


def test_the_identity_is_known_before_the_model_is_loaded(
    engine: TransformersEngine, tiny_model: Path
) -> None:
    """It is the loaded engine's own; of a server or a hub name only the engine tells it."""
    assert known_identity(tiny_model, engine="transformers") == engine.identity
    assert known_identity("some-vendor/some-model", engine="transformers") is None
    assert known_identity(tiny_model, engine="remote") is None


def test_a_stream_keeps_its_adapter_while_the_engine_does_other_things(
    engine: TransformersEngine, adapters: list[AdapterRef]
) -> None:
    """Between two pieces the engine may serve other adapters; the stream goes on with its own."""
    expected = engine.generate([drawing(adapters[0])])[0][0].text
    plain = engine.score([scoring()])[0]
    assert expected != engine.generate([drawing()])[0][0].text
    text = ""
    for piece in engine.stream(drawing(adapters[0])):
        text += piece
        assert engine.score([scoring()])[0] == plain
        engine.score([scoring(adapters[1])])  # its weights stay switched on
    assert text == expected


def test_two_streams_may_be_read_in_turn(
    engine: TransformersEngine, adapters: list[AdapterRef]
) -> None:
    """Streams of two people read piece by piece in turn each give their own draw."""
    requests = [drawing(adapters[0]), drawing(adapters[1])]
    expected = [draws[0].text for draws in engine.generate(requests)]
    pieces = zip_longest(*map(engine.stream, requests), fillvalue="")
    assert ["".join(part) for part in zip(*pieces, strict=True)] == expected


def test_an_abandoned_stream_blocks_nobody(engine: TransformersEngine) -> None:
    """A stream that is left unread holds no lock: another thread may use the engine."""
    stream = engine.stream(drawing())
    next(stream)
    done: list[object] = []
    thread = threading.Thread(target=lambda: done.extend(engine.score([scoring()])), daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert done


def test_a_stream_returns_its_draw(engine: TransformersEngine) -> None:
    """After the last piece the draw tells why it ended."""

    def relay():
        draw = yield from engine.stream(drawing())
        found.append(draw)

    found: list[object] = []
    text = "".join(relay())
    assert found == [engine.generate([drawing()])[0][0]]
    assert found[0].text == text


def test_more_adapters_than_fit_are_loaded_again(
    engine: TransformersEngine, adapters: list[AdapterRef]
) -> None:
    """The least recently used adapter makes room; a later request brings it back unchanged."""
    first = [engine.score([scoring(one)])[0] for one in adapters]
    assert len(engine._loaded) == ADAPTERS_IN_MEMORY
    assert adapters[0].name not in engine._loaded
    assert len(set(first)) == len(adapters)
    again = engine.score([scoring(one) for one in reversed(adapters)])[::-1]
    assert again == first
    assert len(engine._loaded) == ADAPTERS_IN_MEMORY


def test_a_used_adapter_stays(engine: TransformersEngine, adapters: list[AdapterRef]) -> None:
    """What was used last is not what is dropped."""
    for one in adapters:
        engine.score([scoring(adapters[0])])
        engine.score([scoring(one)])
    assert adapters[0].name in engine._loaded


def test_results_do_not_depend_on_batch_sizes(tiny_model: Path, engine: TransformersEngine) -> None:
    """Rows and batches of any size give the same draws and, up to rounding, the same scores."""
    small = TransformersEngine(tiny_model, EngineConfig(row_tokens=64, batch_draws=1))
    requests = [
        GenerateRequest(prompt=(("user", f"Walk {i}?"),), max_tokens=8, n=3, seed=i)
        for i in range(5)
    ]
    assert [[d.text for d in g] for g in small.generate(requests)] == [
        [d.text for d in g] for g in engine.generate(requests)
    ]
    scores = [
        ScoreRequest(prompt=(("user", "Walk?"),), continuation=f"the rain {i}") for i in range(9)
    ]
    for one, other in zip(small.score(scores), engine.score(scores), strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    small.close()


def _history(question: str, begun: str = "You are ada.") -> tuple[tuple[str, str], ...]:
    """One prompt of a person: a long beginning that all of theirs share, and a question."""
    return (
        ("system", begun),
        *[("user", f"It is day {i}?") for i in range(12)],
        ("user", question),
    )


def _scores(engine: TransformersEngine, question: str) -> list[float]:
    """Log-probabilities of two answers to a question."""
    asked = [
        ScoreRequest(prompt=_history(question), continuation=answer) for answer in ("rain", "tea")
    ]
    return [value for score in engine.score(asked) for value in score.logprobs]


@pytest.mark.parametrize("alike", [0, 40], ids=["unrelated", "alike at first"])
def test_parts_of_a_row_are_scored_as_if_alone(engine: TransformersEngine, alike: int) -> None:
    """Long requests that share little attend on their own within a row, and score as alone."""
    words = ["rain", "train", "tea", "garden", "letter"]
    requests = [
        ScoreRequest(
            prompt=(("user", "well " * alike + f"{word} " * (70 + 9 * n)),),
            continuation=f"{word} and rain",
        )
        for n, word in enumerate(words)
    ]
    tokens = [engine._texts.scored(request) for request in requests]
    (row,) = pack([prompt + own[:-1] for prompt, own in tokens], row_tokens=10_000)
    found = worthwhile_branches(engine._model, row)
    assert found is not None
    assert len(found.parts) >= len(words)
    with TransformersEngine(engine.model, EngineConfig(row_tokens=10_000)) as packed:
        together = packed.score(requests)
    for request, score in zip(requests, together, strict=True):
        assert score.logprobs == pytest.approx(engine.score([request])[0].logprobs, abs=1e-4)


def test_a_second_question_costs_its_own_tokens_only(tiny_model: Path) -> None:
    """What a prompt shares with an earlier one is not computed again, and changes no score."""
    computed: list[int] = []

    def count(_: object, __: tuple[object, ...], given: dict[str, torch.Tensor]) -> None:
        computed.append(given["input_ids"].shape[1])

    with closing(TransformersEngine(tiny_model)) as engine:
        engine._model.register_forward_pre_hook(count, with_kwargs=True)
        _scores(engine, "Is it raining over there?")
        first = sum(computed)
        computed.clear()
        second = _scores(engine, "What would you like to drink now?")
        assert sum(computed) < first / 3
        computed.clear()
        # Shorter than what is kept: a part of it serves.
        _scores(engine, "Tea?")
        assert sum(computed) < first / 3
        with closing(TransformersEngine(tiny_model)) as fresh:
            alone = _scores(fresh, "What would you like to drink now?")
    assert second == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("room", [0, 1])
def test_kept_prompts_fit_their_room_and_can_be_dropped(tiny_model: Path, room: int) -> None:
    """However many people are asked, what is kept fits; the newest always; dropping leaves none."""
    with closing(TransformersEngine(tiny_model, EngineConfig(kept_prompts_mib=room))) as engine:
        for person in range(20):
            prompt = _history("Tea?", begun=f"{person} is who you are.")
            engine.score([ScoreRequest(prompt=prompt, continuation="rain")])
        kept = [beginning.size for beginning in engine._beginnings.kept.values()]
        if room:
            assert 1 < len(kept) < 20
            assert sum(kept) <= room << 20
        else:
            assert len(kept) == 1
        engine.forget_prompts()
        assert not engine._beginnings.kept


def test_options_after_the_reasoning_of_several_people_go_on_from_their_prompts(
    tiny_model: Path,
) -> None:
    """What was drawn for several people together is scored without their prompts again."""
    people = [_history("Tea? " * 20, begun=f"{name} lives here.") for name in ("ada", "bo", "cy")]
    draws = [GenerateRequest(prompt=prompt, n=2, max_tokens=3) for prompt in people]
    scores = [
        ScoreRequest(prompt=prompt, prefix="so ", continuation=answer)
        for prompt in people
        for answer in ("rain", "tea")
    ]
    computed: list[int] = []

    def count(_: object, __: tuple[object, ...], given: dict[str, torch.Tensor]) -> None:
        computed.append(given["input_ids"].numel())

    with closing(TransformersEngine(tiny_model)) as engine:
        assert min(len(engine._texts.prompt(draw)) for draw in draws) > LONG
        alone = [engine.score([request])[0].logprobs for request in scores]
        engine.forget_prompts()
        drawn = [engine.generate([request])[0][0].text for request in draws]
        engine.forget_prompts()
        engine._model.register_forward_pre_hook(count, with_kwargs=True)
        assert [group[0].text for group in engine.generate(draws)] == drawn
        prefill, computed = sum(computed), []
        together = [score.logprobs for score in engine.score(scores)]
    assert sum(computed) < prefill / 3
    assert together == [pytest.approx(values, abs=1e-4) for values in alone]


def test_a_closed_engine_refuses_everything(tiny_model: Path) -> None:
    """Every operation of a closed engine names the model and loads nothing."""
    with TransformersEngine(tiny_model) as closed:
        pass
    for call in (
        lambda: closed.generate([drawing()]),
        lambda: closed.score([scoring()]),
        lambda: list(closed.stream(drawing())),
    ):
        with pytest.raises(EngineError, match="is closed"):
            call()


def test_too_long_a_request_says_by_how_much(engine: TransformersEngine) -> None:
    """The model's limit counts the prompt and what is to be drawn."""
    with pytest.raises(ContextLengthError, match="512") as caught:
        engine.generate([GenerateRequest(prompt=PROMPT, max_tokens=600)])
    assert caught.value.n_tokens > 600


def test_cutting_a_text_never_leaves_half_a_character(engine: TransformersEngine) -> None:
    """A text cut at any token is a beginning of the text."""
    text = "rain 🌧️ مرحبا 雨"
    for size in range(engine.count_tokens(text) + 2):
        assert text.startswith(engine.truncate(text, size))


# ---------------------------------------------------------------------- choosing an engine


def test_an_unknown_engine_is_a_config_error() -> None:
    """The names that exist are in the hint."""
    with pytest.raises(ConfigError, match="'vllm2'") as caught:
        load_engine(engine="vllm2")
    assert "'transformers'" in caught.value.hint


def test_the_scripted_engine_is_chosen_by_name() -> None:
    """`scripted` needs no model."""
    assert load_engine("anything", engine="scripted").identity.startswith("scripted@")


def test_the_arithmetic_is_chosen_by_name_and_shows_in_the_identity(tiny_model: Path) -> None:
    """One word takes the place of settings; answers of two arithmetics never share a cache key."""
    request = ScoreRequest(prompt=PROMPT, continuation=" Only by an hour.")
    found = {}
    for dtype in get_args(Dtype)[1:3]:
        with closing(load_engine(tiny_model, engine="transformers", dtype=dtype)) as engine:
            assert f"/{dtype}/" in engine.identity
            found[dtype] = engine.score([request])[0].logprobs
    assert found["bfloat16"] == pytest.approx(found["float32"], abs=0.2)
    assert found["bfloat16"] != found["float32"]


@pytest.mark.parametrize(
    ("engine", "config"),
    [("scripted", None), ("remote", None), ("transformers", EngineConfig())],
)
def test_an_arithmetic_that_would_not_count_is_refused(
    engine: EngineName, config: EngineConfig | None
) -> None:
    """It is never dropped in silence: not beside settings, and not where a server has its own."""
    with pytest.raises(ConfigError, match="'bfloat16'"):
        load_engine("anything", engine=engine, config=config, dtype="bfloat16")


def test_the_choice_is_logged(tiny_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`auto` says what it took."""
    with caplog.at_level("INFO", logger="usersim"):
        load_engine(tiny_model).close()
    assert "float32/transformers" in caplog.text


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    """The folder stands in the message and the hint says what to give."""
    with pytest.raises(ModelLoadError, match="empty"):
        load_engine(tmp_path / "empty")


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {blocked!r}:
            raise ImportError("blocked", name=name)
sys.meta_path.insert(0, Block())
from usersim.engines.transformers.decoding import DrawState
from usersim.engines.transformers.grouping import decode_batches
from usersim.engines.select import load_engine
from usersim.errors import MissingDependencyError
try:
    load_engine({model!r})
except MissingDependencyError as error:
    print(error, error.hint, sep="|")
"""


@pytest.mark.parametrize("blocked", ["torch", "transformers", "peft"])
def test_a_missing_library_names_the_install_command(blocked: str, tiny_model: Path) -> None:
    """Without a library of the extra `local` the message says what to install."""
    code = BLOCK.format(blocked=blocked, model=str(tiny_model))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.strip() == (
        f"'{blocked}' is needed for running a model in this process and is not installed"
        '|install it with: pip install "usersim-recon[local]"'
    ), done.stderr


def test_a_decode_batch_is_bounded_in_draws_and_in_tokens() -> None:
    """Long prompts are decoded in smaller batches; every draw is in one, in order."""
    lengths = [10, 10, 10, 90, 90, 500, 10]
    queue = [
        DrawState(prompt=[1] * n, max_tokens=10, temperature=0, top_p=1, stop=(), stream=i)
        for i, n in enumerate(lengths)
    ]
    batches = list(decode_batches(queue, 3, 200))
    assert [state for batch in batches for state in batch] == queue
    for batch in batches:
        width = max(len(state.prompt) + state.max_tokens for state in batch)
        assert len(batch) <= 3
        assert len(batch) == 1 or width * len(batch) <= 200
    assert [len(batch) for batch in batches] == [3, 2, 1, 1]
