"""The simulator's arms: three readings of one pass, and one item's failure is data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.fixtures.people import engine, person
from usersim import Corpus, UserSimulator
from usersim.config import HistoryConfig, PipelineConfig, SimulationConfig
from usersim.engines import GenerateRequest
from usersim.simulator.arms import ModelArms
from usersim.simulator.history import Histories
from usersim.types import is_closed

CONFIG = PipelineConfig(
    history=HistoryConfig(recent=2, evidence=0, max_item_chars=60),
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


def test_a_swapped_arm_answers_after_another_context_of_the_same_person() -> None:
    """Its likelihood is that after the donor's traces, which are drawn once, by the own arm."""
    model = engine()
    with Corpus.open(":memory:") as corpus:
        corpus.add([*person("ada", 10), *person("bob", 10)])
        held_out = list(corpus.interactions(split="held_out"))
        made = arms(corpus, model)
        made.arm("own", "").predict(held_out)
        drawn = sum(isinstance(one, GenerateRequest) for one in model.requests)
        batch = made.swapped("swapped", "", among=held_out).predict(held_out)
    assert sum(isinstance(one, GenerateRequest) for one in model.requests) == drawn
    users = {one.key: one.user_id for one in held_out}
    for asked, one in zip(held_out, batch.items, strict=True):
        assert one is not None
        donor = one.detail["donor"]
        assert donor != asked.key
        assert users[donor] == asked.user_id
        assert len(one.detail["reasonings"]) == 1


def test_someone_asked_once_has_no_donor() -> None:
    """Without another context the arm answers without reasoning, and says so."""
    with Corpus.open(":memory:") as corpus:
        corpus.add(person("ada", 10))
        held_out = list(corpus.interactions(split="held_out"))[:1]
        made = arms(corpus, engine())
        (one,) = made.swapped("swapped", "", among=held_out).predict(held_out).items
        (off,) = made.arm("off", "", weight=0.0).predict(held_out).items
    assert one is not None
    assert off is not None
    assert one.detail["donor"] is None
    assert one.detail["reasonings"] == []
    assert one.log_likelihood == off.log_likelihood


def test_texts_are_drawn_where_they_are_asked_for() -> None:
    """With `texts` an open answer has its text, and the likelihood stays what it was."""
    model = engine(action="In the morning.")
    with Corpus.open(":memory:") as corpus:
        corpus.add(person("ada", 10))
        held_out = list(corpus.interactions(split="held_out"))
        plain = arms(corpus, model).arm("a", "")
        writing = replace(arms(corpus, model), texts=True, _done={}).arm("a", "")
        before, after = plain.predict(held_out), writing.predict(held_out)
    opened = [not is_closed(one.space) for one in held_out]
    assert sum(opened) == 1
    assert [one.action == "" for one in before] == opened
    assert [one.action == "In the morning." for one in after] == opened
    assert [one.log_likelihood for one in before] == [one.log_likelihood for one in after]
    assert plain.identity != writing.identity


def test_a_report_says_whether_drawn_texts_can_be_told_from_true_ones(tmp_path: Path) -> None:
    """`evaluate(texts=True)` has a table of the texts' marks; without texts there is none."""
    rows = [
        {"user_id": f"u{n}", "context": f"What of day {day}?", "action": f"I slept until {day}."}
        for n in range(10)
        for day in range(12)
    ]
    with UserSimulator.from_corpus(rows, engine=engine(action="As an AI, no.")) as sim:
        drawn = sim.evaluate(arms=["few_shot"], texts=True, out=tmp_path / "a", progress=False)
        plain = sim.evaluate(arms=["few_shot"], out=tmp_path / "b", progress=False)
    (one,) = drawn.realism
    assert one.told_apart is not None
    assert one.told_apart.low > 0.9
    assert plain.realism == ()
    heading = "Can the texts be told from what people wrote?"
    pages = [(tmp_path / name / "report.html").read_text("utf-8") for name in ("a", "b")]
    assert [heading in page for page in pages] == [True, False]
    assert f"told from what people wrote in {one.told_apart}" in str(drawn)
