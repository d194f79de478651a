"""The simulator's arms: three readings of one pass, and one item's failure is data."""

from __future__ import annotations

from dataclasses import replace

from tests.fixtures.people import engine, person
from usersim import Corpus
from usersim.config import HistoryConfig, PipelineConfig, SimulationConfig
from usersim.simulator.arms import ModelArms
from usersim.simulator.history import Histories

CONFIG = PipelineConfig(
    history=HistoryConfig(recent=2, similar=0, max_item_chars=60),
    simulation=SimulationConfig(traces=1),
)


def arms(corpus: Corpus, model) -> ModelArms:
    """Arms over a corpus."""
    return ModelArms(model, Histories(corpus, CONFIG.history), CONFIG, traces=1)


def test_the_readings_of_one_pass_cost_one_pass() -> None:
    """With, without and mixed are read from the same scores."""
    model = engine()
    with Corpus.open(":memory:") as corpus:
        corpus.add(person("ada", 10))
        held_out = list(corpus.interactions(split="held_out"))
        made = arms(corpus, model)
        given = made.arm("given", "with reasoning").predict(held_out)
        asked = len(model.requests)
        without = made.arm("without", "without reasoning", weight=0.0).predict(held_out)
    assert len(model.requests) == asked
    assert len(given) == len(without) == len(held_out) == 2
    assert made.arm("a", "", weight=0.5).identity != made.arm("a", "", weight=1.0).identity


def test_an_action_too_long_for_the_model_fails_alone() -> None:
    """A held-out action that does not fit is a failed prediction, and the others are made."""
    rows = person("ada", 10)
    rows[8]["action"] = "long " * 2000
    small = engine(capabilities=replace(engine().capabilities, max_context=700))
    with Corpus.open(":memory:") as corpus:
        corpus.add(rows)
        held_out = list(corpus.interactions(split="held_out"))
        batch = arms(corpus, small).arm("given", "with reasoning").predict(held_out)
    assert [one is None for one in batch.items] == [True, False]
    assert [(one.index, one.error) for one in batch.failures] == [(0, "ContextLengthError")]
