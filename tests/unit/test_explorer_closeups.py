"""Close-ups of stored traces and answers: the numbers are those of the scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.fixtures.explored import ADA, PAYLOADS, fill
from usersim import Corpus, UserSimulator
from usersim.config import PipelineConfig
from usersim.corpus import StoredAnswer, TraceRecord
from usersim.engines.scripted import ScriptedEngine
from usersim.errors import AdapterLoadError, CapabilityError, ConfigError
from usersim.explorer.closeups import Explorer
from usersim.simulation import Answer
from usersim.transcript import sentences


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UserSimulator]:
    """A filled store."""
    with fill(tmp_path_factory.mktemp("close") / "p.usersim.db") as made:
        yield made


def _records(sim: UserSimulator, kind: str) -> list[TraceRecord]:
    rows = [one for one in sim.corpus.interactions([ADA], split="train") if one.space.kind == kind]
    return [r for row in rows for r in sim.corpus.ledger.find_trace(row.key) if r.scored]


def test_the_mean_over_tokens_is_the_stored_gain(sim: UserSimulator) -> None:
    """Raw and masked gains of scored free text come out again, token by token."""
    explorer = Explorer.of(sim)
    records = _records(sim, "free_text")
    assert records
    for record in records:
        assert record.scored is not None
        closeup = explorer.trace(record)
        assert closeup.gains.raw.mean == pytest.approx(record.scored.scores.raw_gain)
        assert closeup.gains.masked.mean == pytest.approx(record.scored.scores.masked_gain)


def test_sentences_are_measured_by_the_score_of_the_action(sim: UserSimulator) -> None:
    """A choice's sentences are told in the unit of its own score, and naming it counts most."""
    record = _records(sim, "choice")[0]
    found = Explorer.of(sim).trace(record).sentences
    assert "".join(one.text for one in found) == record.candidate.reasoning
    assert {one.unit for one in found} == {"nats"}


def _stored(sim: UserSimulator, answer_id: int) -> StoredAnswer:
    return sim.corpus.browse.answer(answer_id)


def test_an_answer_is_measured_in_its_own_prompt(sim: UserSimulator) -> None:
    """Own and without are the stored influence, and the tokens add up to their difference."""
    explorer = Explorer.of(sim)
    stored = _stored(sim, 4)
    told = Answer.from_dict(stored.response.record).influence
    assert told is not None
    closeup = explorer.answer(stored)
    assert closeup.sentences.own == pytest.approx(told.own)
    assert closeup.sentences.without == pytest.approx(told.without)
    assert closeup.gains.mean == pytest.approx(told.own - told.without)
    assert closeup.sentences.unit == "nats per token"


def test_a_closed_answer_is_measured_by_its_probability(sim: UserSimulator) -> None:
    """The sentence that holds the option's words moves its probability, the last not at all."""
    closeup = Explorer.of(sim).answer(_stored(sim, 1))
    assert closeup.sentences.unit == "probability"
    assert 0 <= closeup.sentences.without <= 1
    largest = max(closeup.sentences.sentences, key=lambda one: one.moved)
    assert PAYLOADS[0] in largest.text
    assert closeup.sentences.sentences[-1].moved == pytest.approx(0)


def test_what_was_measured_once_is_kept(sim: UserSimulator) -> None:
    """A page that is opened again asks the engine nothing."""
    explorer = Explorer.of(sim)
    first = explorer.answer(_stored(sim, 1))
    assert isinstance(sim.engine, ScriptedEngine)
    calls = sim.engine.calls
    assert explorer.answer(_stored(sim, 1)) is first
    assert sim.engine.calls == calls


def test_without_an_engine_nothing_is_measured(sim: UserSimulator) -> None:
    """The error says how to have one."""
    explorer = Explorer.of(sim, measures=False)
    assert not explorer.measures
    with pytest.raises(ConfigError, match="nothing can be measured without an engine"):
        explorer.answer(_stored(sim, 1))


def test_an_answer_without_trace_or_adapter_cannot_be_measured(sim: UserSimulator) -> None:
    """Neither is measured as something else."""
    explorer = Explorer.of(sim)
    stored = _stored(sim, 1)
    answer = Answer.from_dict(stored.response.record)
    bare = replace(answer, reasoning="")
    foreign = replace(answer, trace=replace(answer.trace, adapter="gone-0123"))
    for other, error, said in (
        (bare, CapabilityError, "drawn without reasoning"),
        (foreign, AdapterLoadError, "'gone-0123'"),
    ):
        response = replace(stored.response, id=900 + len(said), record=other.to_dict())
        with pytest.raises(error, match=said):
            explorer.answer(replace(stored, response=response))


def test_sentences_join_to_the_reasoning() -> None:
    """Whatever the spaces and signs, nothing is lost."""
    for text in ("One. Two!  Three?\n\nFour", "", "no end", "“Yes.” he said. 東京。次。", "... ."):
        assert "".join(sentences(text)) == text


def test_an_explorer_of_an_empty_store_measures_nothing_at_once() -> None:
    """Making one loads no engine."""

    def never() -> ScriptedEngine:
        raise AssertionError

    with Corpus.open(":memory:") as corpus:
        explorer = Explorer(corpus, config=PipelineConfig.preset("tiny"), engine=never)
        assert explorer.measures
