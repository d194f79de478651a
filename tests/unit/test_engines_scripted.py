"""The scripted engine: rules, made sentences, the pseudo language model, faults."""

from __future__ import annotations

import socket

import pytest

from usersim import UserSimulator
from usersim.engines.base import AdapterRef, Capabilities, GenerateRequest, ScoreRequest
from usersim.engines.scripted import ScriptedEngine
from usersim.errors import (
    CapabilityError,
    ContextLengthError,
    EngineError,
    EngineUnavailableError,
    ModelLoadError,
    ScoringError,
)

PROMPT = (("user", "Do you like rain?"),)


def _text(engine: ScriptedEngine, **settings: object) -> str:
    request = GenerateRequest(**{"prompt": PROMPT, **settings})  # type: ignore[arg-type]
    return engine.generate([request])[0][0].text


def test_rules_match_a_piece_of_the_prompt() -> None:
    """The first key that stands in prompt or prefix gives the reply."""
    engine = ScriptedEngine({"snow": "No.", "rain": "Yes.", "like": "Perhaps."})
    assert _text(engine) == "Yes."
    assert _text(engine, prefix="snow") == "No."


def test_a_function_sees_request_and_draw() -> None:
    """A function as rule is called with the request and the draw's index."""
    engine = ScriptedEngine(lambda request, index: f"{request.seed} {index}")
    draws = engine.generate([GenerateRequest(prompt=PROMPT, n=2, seed=5)])[0]
    assert [draw.text for draw in draws] == ["5 0", "5 1"]


def test_made_sentences_depend_on_what_they_should() -> None:
    """Prompt, prefix, seed, draw and adapter change a made sentence; greedy ignores the seed."""
    engine = ScriptedEngine()
    ada = AdapterRef(name="ada-1", path="", digest="1")
    texts = [
        _text(engine),
        _text(engine, seed=1),
        _text(engine, prefix="So "),
        _text(engine, adapter=ada),
        _text(engine, prompt=(("user", "Hm?"),)),
        _text(engine, temperature=0),
    ]
    assert len(set(texts)) == len(texts)
    assert _text(engine, temperature=0, seed=9) == texts[-1]
    assert _text(ScriptedEngine(), seed=1) == texts[1]


def test_a_made_sentence_meets_its_stop_string() -> None:
    """A request with a stop string ends there, so that reasoning drawn this way is closed."""
    draw = ScriptedEngine().generate([GenerateRequest(prompt=PROMPT, stop=("</think>",))])[0][0]
    assert draw.finish == "stop"
    assert draw.text.endswith(".")


def test_words_that_were_named_score_higher() -> None:
    """Reasoning that names the action has positive gain; unrelated reasoning has none."""
    engine = ScriptedEngine()
    none, named, unrelated = engine.score(
        [
            ScoreRequest(prompt=PROMPT, prefix=prefix, continuation="Absolutely not")
            for prefix in ("", "She would absolutely say not. ", "It is late. ")
        ]
    )
    assert named.mean() > none.mean() + 1
    assert unrelated.logprobs == none.logprobs
    assert max(named.logprobs) < 0


def test_adapters_and_names_are_other_models() -> None:
    """Another adapter or model name gives other log-probabilities."""
    ask = ScoreRequest(prompt=PROMPT, continuation="Yes.")
    ada = AdapterRef(name="ada-1", path="", digest="1")
    plain, adapted = ScriptedEngine().score(
        [ask, ScoreRequest(prompt=PROMPT, continuation="Yes.", adapter=ada)]
    )
    assert plain != adapted
    assert ScriptedEngine(name="other").score([ask])[0] != plain


def test_calls_and_requests_are_kept() -> None:
    """The engine tells how often it was called and with what."""
    engine = ScriptedEngine()
    ask = GenerateRequest(prompt=PROMPT)
    engine.generate([ask, ask])
    list(engine.stream(ask))
    assert engine.calls == 2
    assert engine.requests == (ask, ask, ask)


def test_faults_come_when_told() -> None:
    """The given number of calls succeed; every later one raises the given error."""
    engine = ScriptedEngine(fail_after=1)
    _text(engine)
    for _ in range(2):
        with pytest.raises(EngineUnavailableError, match="a scripted fault"):
            _text(engine)
    assert engine.calls == 3
    with pytest.raises(ModelLoadError, match="mine"):
        _text(ScriptedEngine(fail_after=0, fail_with=ModelLoadError("mine")))


def test_limits_raise() -> None:
    """What does not fit, has no token, or has no prompt is refused with its numbers."""
    small = ScriptedEngine(capabilities=Capabilities(logprobs=True, adapters=False, max_context=8))
    with pytest.raises(ContextLengthError, match=r"9 tokens.* 8"):
        _text(small, max_tokens=4)
    with pytest.raises(ScoringError, match="''"):
        small.score([ScoreRequest(prompt=PROMPT, continuation="", end=False)])
    with pytest.raises(EngineError, match="the prompt is empty"):
        _text(small, prompt=())


def test_identity_tells_rules_apart() -> None:
    """Other rules are another identity, so that nothing cached is mixed up."""
    names = {ScriptedEngine(rules).identity for rules in (None, {"a": "b"}, {"a": "c"})}
    assert len(names) == 3
    assert "function" not in ScriptedEngine(lambda _r, _i: "x").identity


@pytest.mark.parametrize("name", ["scripted", "some-vendor/some-model"])
def test_training_on_a_script_asks_no_hub_for_its_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused by name before anything is drawn, and no address is looked up."""

    def asked(*place: object, **_: object) -> None:
        raise AssertionError(f"{place!r} was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    rows = [{"user_id": "ada", "context": f"{n}?", "action": "Yes."} for n in range(8)]
    model = ScriptedEngine(name=name)
    with UserSimulator.from_corpus(rows, engine=model) as sim:
        with pytest.raises(CapabilityError, match=rf"'{name}@.* without weights to train"):
            sim.train()
        assert model.calls == 0
        with pytest.raises(CapabilityError, match="without weights to train"):
            sim.train(recipe="rft")
