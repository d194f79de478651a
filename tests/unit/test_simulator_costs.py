"""The calculator of tokens, GPU hours, money and disk: its arithmetic, and what it says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.people import engine
from usersim import Corpus, UserSimulator
from usersim.cli.app import app
from usersim.config import PipelineConfig, ScoringConfig, SimulationConfig, SynthesisConfig
from usersim.errors import ArgumentError
from usersim.simulator import GPUS, Lengths, ModelSize, lengths_of, plan_costs

CONFIG = PipelineConfig(
    synthesis=SynthesisConfig(n_forward=2, n_backward=1, max_tokens=50),
    scoring=ScoringConfig(option_orders=4),
    simulation=SimulationConfig(traces=2, option_orders=1),
)
LENGTHS = Lengths(rows=10, context=500, question=40, trace=50, action=2, options=5, source="given")


def plan(**changed: object) -> dict[str, object]:
    """A small plan as plain data."""
    told = {"people": 100, "questions": 20, "model": "8b", "config": CONFIG, "lengths": LENGTHS}
    return plan_costs(**{**told, **changed}).to_dict()  # type: ignore[arg-type]


def test_tokens_are_those_of_the_formulas() -> None:
    """Each stage's tokens, added up here by hand from the numbers given."""
    traces, training, answers = plan()["stages"]  # type: ignore[misc]
    assert traces["items"] == training["items"] == 1000
    assert traces["drawn_tokens"] == 1000 * 3 * 50
    assert traces["prompt_tokens"] == 1000 * (3 * 500 + 4 * 4 * (40 + 50 + 5 * 2))
    assert training["trained_tokens"] == 2 * 1000 * (40 + 50 + 2)
    assert answers["items"] == 2000
    assert answers["drawn_tokens"] == 2000 * 2 * 50
    assert answers["prompt_tokens"] == 2000 * (500 + 3 * 5 * 2)


def test_hours_and_money_follow_from_rates_that_are_given() -> None:
    """At 1,000 drawn and 10,000 read tokens a second; training at a third of the latter."""
    found = plan(tokens_per_second=1000.0, prompt_tokens_per_second=10_000.0, gpu_hour=2.0)
    traces, training, _ = found["stages"]  # type: ignore[misc]
    seconds = traces["prompt_tokens"] / 10_000 + traces["drawn_tokens"] / 1000
    assert traces["gpu_hours"] == pytest.approx(seconds / 3600)
    assert training["gpu_hours"] == pytest.approx(training["trained_tokens"] * 3 / 10_000 / 3600)
    total = found["total"]
    assert total["cost"] == pytest.approx(2 * total["gpu_hours"])  # type: ignore[index]
    assert any("as given" in one for one in found["assumptions"])  # type: ignore[union-attr]


def test_a_gpu_reads_by_its_arithmetic_and_draws_by_its_memory() -> None:
    """The rates of the data sheet: twice the bandwidth draws about twice as fast, and so on."""
    hours = {
        name: plan(gpu=name)["total"]["gpu_hours"]  # type: ignore[index]
        for name in GPUS
    }
    assert hours["b200"] < hours["h200"] < hours["h100"] < hours["a100"] < hours["l4"]
    read = 0.4 * GPUS["h100"].tflops * 1e12 / (2 * 8.03e9)
    said = plan(gpu="h100")["assumptions"]
    assert any(f"reads {read:,.0f} tokens per second" in one for one in said)  # type: ignore[union-attr]


def test_disk_holds_weights_adapters_and_texts() -> None:
    """One adapter, or one for each person; the model's weights once."""
    shared, own = plan(), plan(per_person=True)
    size = ModelSize.of("8b").adapter_parameters(CONFIG.training.rank) * 4
    assert shared["stages"][1]["disk_bytes"] == size  # type: ignore[index]
    assert own["stages"][1]["disk_bytes"] == 100 * size  # type: ignore[index]
    assert shared["model_disk"] == round(2 * 8.03e9)
    assert plan(model="70b", gpu="l4")["gpus_at_least"] == 8


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"people": 0}, "people must be greater than 0; got 0"),
        ({"gpu_hour": -1.0}, "gpu_hour must be greater than 0; got -1.0"),
        ({"gpu": "toaster"}, "unknown GPU 'toaster'"),
        ({"model": "large"}, "model size 'large' must be a number of billions"),
        ({"model": "0b"}, "model size '0b' must be a number of billions"),
    ],
)
def test_what_makes_no_plan_is_refused(changed: dict[str, object], said: str) -> None:
    """The value is named."""
    with pytest.raises(ArgumentError, match=said):
        plan(**changed)


def rows(n: int, length: int) -> list[dict[str, object]]:
    """Answers of three people, with questions of so many characters."""
    return [
        {"user_id": f"p{person}", "context": f"{place} {'x' * length}", "action": "often",
         "options": ["never", "often"], "order": place}
        for person in range(3)
        for place in range(n)
    ]  # fmt: skip


def measured(length: int) -> Lengths:
    """Lengths in a store of questions of so many characters."""
    with UserSimulator.from_corpus(rows(9, length), engine=engine(), progress=False) as sim:
        return lengths_of(sim.corpus, PipelineConfig.preset("tiny"))


def test_lengths_are_measured_in_a_store() -> None:
    """Rows, options and prompts are those of the store; longer questions make longer prompts."""
    short, long = measured(20), measured(400)
    assert short.options == 2.0
    assert short.rows > 6
    assert long.context > short.context + 300 / 4
    assert long.question == pytest.approx((400 + 2 + 10) / 4)
    assert short.action == 5 / 4
    assert "3 prompts" in short.source
    with (
        Corpus.open(":memory:") as empty,
        pytest.raises(ArgumentError, match="no answers to learn from"),
    ):
        lengths_of(empty, PipelineConfig.preset("tiny"))


def test_stored_traces_say_how_long_traces_are() -> None:
    """Once traces were drawn, their length takes the place of the longest allowed."""
    with UserSimulator.from_corpus(rows(4, 20), engine=engine(), config="tiny") as sim:
        sim.reconstruct(progress=False)
        measured = lengths_of(sim.corpus, sim.config)
    assert "stored trace" in measured.source
    assert 0 < measured.trace < 64


def test_the_command_prints_the_table_and_every_assumption(tmp_path: Path) -> None:
    """From the command line: people and rows of a store, a table, JSON, and refusals."""
    told = ["plan", "--questions", "50", "--people", "10000", "--model", "8b", "--gpu-hour", "2.5"]
    out = CliRunner().invoke(app, told)
    assert out.exit_code == 0, out.output
    for part in ("traces", "training", "answers", "total", "assumed:", "2.5 per GPU hour"):
        assert part in out.stdout
    found = json.loads(CliRunner().invoke(app, [*told, "--json"]).stdout)
    assert found["stages"][2]["items"] == 500_000
    assert found["total"]["cost"] > 0
    store = tmp_path / "s.usersim.db"
    UserSimulator.from_corpus(rows(9, 20), store=store, engine=engine(), progress=False).close()
    of_store = ["plan", "--questions", "5", "-c", str(store), "--json", "--rows", "4", "--per-user"]
    found = json.loads(CliRunner().invoke(app, of_store).stdout)
    assert found["stages"][0]["items"] == 3 * 4
    assert any("measured in" in one and "rows as given" in one for one in found["assumptions"])
    refused = CliRunner().invoke(app, ["plan", "--questions", "5", "--gpu", "toaster"])
    assert "unknown GPU 'toaster'" in str(refused.exception)
