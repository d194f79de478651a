"""From rows to a trained, measured, saved simulator: the whole chain with real weights.

The model is the tiny random one; its random letters would be no reasoning, so the texts come from
a script while scores, training and adapters are real.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.people import DRINKS, engine, person, question
from usersim import UserSimulator
from usersim.config import (
    HistoryConfig,
    PipelineConfig,
    ScoringConfig,
    SimulationConfig,
    SynthesisConfig,
    TrainingConfig,
)
from usersim.engines import Draw, GenerateRequest
from usersim.engines.transformers.engine import TransformersEngine
from usersim.errors import ArtifactError, UserNotFoundError
from usersim.evaluation import by_traces, title_of
from usersim.transcript import REASONING_STOP

CONFIG = PipelineConfig(
    history=HistoryConfig(recent=1, evidence=0, max_item_chars=60, max_context_chars=100),
    synthesis=SynthesisConfig(n_forward=2, n_backward=1, max_tokens=24),
    scoring=ScoringConfig(option_orders=1, samples=2, diagnostics=2),
    training=TrainingConfig(rank=2, epochs=1, evaluations=1, batch_tokens=512),
    simulation=SimulationConfig(traces=1, redraws=0, max_reasoning_tokens=24),
)
ARMS = ("others", "few_shot", "none", "random_eligible", "recon_select")


class ScriptedDraws(TransformersEngine):
    """Real weights, whose texts are written by a script."""

    def __init__(self, model: Path) -> None:
        super().__init__(model)
        self.script = engine(reasoning="The train was late. So they walked on in the rain.")
        self.scored = 0

    def generate(self, requests, *, progress=None) -> list[tuple[Draw, ...]]:
        """Let the script write."""
        plain = [replace(request, adapter=None) for request in requests]
        return self.script.generate(plain, progress=progress)

    def score(self, requests, *, progress=None):
        """Count what is scored."""
        self.scored += len(requests)
        return super().score(requests, progress=progress)

    @property
    def drawn(self) -> int:
        """How many texts were asked for."""
        return sum(isinstance(one, GenerateRequest) for one in self.script.requests)


def simulator(home: Path, model: ScriptedDraws, user_id: str | None = None) -> UserSimulator:
    """A simulator of two people, stored in `home`."""
    return UserSimulator.from_corpus(
        [*person("ada", 8), *person("bob", 8, "market")],
        store=home / "people.usersim.db",
        user_id=user_id,
        model=model.model,
        engine=model,
        config=CONFIG,
    )


def test_a_study_is_run_written_and_not_repeated(roomy_model: Path, tmp_path: Path) -> None:
    """Every arm is measured on answers held out, the report is written, a second run is free."""
    model = ScriptedDraws(roomy_model)
    with simulator(tmp_path, model) as sim:
        told: set[str] = set()
        first = sim.evaluate(
            arms=ARMS,
            limit=4,
            held_out=4,
            out=tmp_path / "out",
            progress=lambda stage, done, total: told.add(stage),
        )
        names = set(first.evaluation.predictions)
        assert {"B1 history in the prompt", "B2 SFT without reasoning"} <= names
        assert {"B4e random of eligible", "Recon-Select", "Recon-Select (reasoning off)"} <= names
        assert "Recon-Select (traces swapped)" in names
        assert first.faithfulness is not None
        assert set(first.adapters) == {"none", "random_eligible", "recon_select"}
        assert {i.split for i in first.evaluation.interactions} == {"held_out"}
        assert {i.split for i in first.found.interactions} == {"train"}
        assert not any(first.evaluation.failures.values())
        assert {"synthesize", "score", "measure"} <= told
        page = first.report.read_text(encoding="utf-8")
        assert "Recon-Select" in page
        assert "Does the answer follow its reasoning?" in page
        assert "http://" not in page.replace("http://www.w3.org", "")
        assert (tmp_path / "out" / "metrics.csv").is_file()

        drawn = model.drawn
        weights = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("adapter_model.safetensors")}
        assert len(weights) == 3
        again = sim.evaluate(arms=ARMS, limit=4, held_out=4, out=tmp_path / "out")
        assert {p: p.stat().st_mtime_ns for p in weights} == weights
        assert again.evaluation.predictions == first.evaluation.predictions
        # The diagnostics alone are measured again: one decoy for each of two probes.
        assert model.drawn - drawn <= CONFIG.scoring.diagnostics

        answer = sim.respond(question("Tea?", DRINKS), user_id="ada")
        assert answer.trace.adapter is None, "measuring does not change how a simulator answers"


def test_answers_without_traces_are_learned_beside_those_with(
    roomy_model: Path, tmp_path: Path
) -> None:
    """`traced` saves traces, not answers: evaluation and training learn as many as without it."""
    with simulator(tmp_path, ScriptedDraws(roomy_model)) as sim:
        measured = sim.evaluate(arms=("none", "recon_select"), limit=5, traced=2, held_out=2)
        trained = sim.train(limit=5, traced=2, progress=False)
    counts = {arm: one.manifest.counts for arm, one in measured.adapters.items()}
    assert counts["recon_select"].train == counts["none"].train == trained.manifest.counts.train
    assert counts["none"].with_reasoning == 0
    assert counts["recon_select"].with_reasoning == trained.manifest.counts.with_reasoning == 4


def test_the_control_arms_learn_as_they_say_and_the_page_names_their_k(
    roomy_model: Path, tmp_path: Path
) -> None:
    """Traces after the answer are never drawn; an arm with reasoning stands at K = 1 and 4."""
    with simulator(tmp_path, ScriptedDraws(roomy_model)) as sim:
        found = sim.evaluate(
            arms=("none", "after_answer", "guarded_backward"),
            limit=4,
            held_out=4,
            traces=4,
            out=tmp_path / "out",
        )
    after, guarded = title_of("after_answer"), title_of("guarded_backward")
    manifests = {arm: one.manifest for arm, one in found.adapters.items()}
    assert manifests["after_answer"].counts.with_reasoning == 0
    assert manifests["guarded_backward"].counts.with_reasoning > 0
    assert manifests["after_answer"].losses != manifests["none"].losses
    predictions = found.evaluation.predictions
    assert not any(one.detail["reasonings"] for one in predictions[after])
    assert all(len(one.detail["reasonings"]) == 4 for one in predictions[guarded])
    rows = by_traces(found.evaluation, none=title_of("none"))
    assert [(row.arm, row.k) for row in rows] == [(guarded, 1), (guarded, 4)]
    assert all(row.over_none is not None for row in rows)
    assert "K = 4" in found.evaluation.arms[guarded]
    assert "K = " not in found.evaluation.arms[after]
    assert "K = 4 traces" in str(found)
    page = found.report.read_text(encoding="utf-8")
    assert "How many traces an answer averages over" in page


def test_a_trained_simulator_answers_with_its_adapter(roomy_model: Path, tmp_path: Path) -> None:
    """`train` makes an adapter that plain peft loads, uses it, and is not repeated."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = ScriptedDraws(roomy_model)
    with simulator(tmp_path, model, "ada") as sim:
        before = sim.respond(question("Tea?", DRINKS))
        adapter = sim.train(limit=4)
        after = sim.respond(question("Tea?", DRINKS))
        assert before.trace.adapter is None
        assert after.trace.adapter == adapter.ref.name
        assert after.probabilities != before.probabilities
        assert after.trace.kept_gains == {}, "a trained model is shown no demonstrations"
        scored = model.scored
        assert sim.train(limit=4).ref == adapter.ref
        assert model.scored == scored, "a finished training was repeated"
    base = AutoModelForCausalLM.from_pretrained(roomy_model)
    assert PeftModel.from_pretrained(base, adapter.folder).peft_config


def test_a_second_reconstructor_checks_the_choice_once(roomy_model: Path, tmp_path: Path) -> None:
    """It scores every candidate, its figures stand in the report, a second run asks it nothing."""
    second, first = ScriptedDraws(roomy_model), ScriptedDraws(roomy_model)
    first.script = engine(
        reasoning=lambda _, index: f"The {('train', 'rain')[index]} was late.\n{REASONING_STOP}"
    )
    with simulator(tmp_path, first) as sim:
        asked = {"arms": ("recon_memory",), "limit": 4, "held_out": 4, "out": tmp_path / "out"}
        found = sim.evaluate(second=second, **asked)
        assert found.agreement is not None
        # The same weights agree with themselves in everything.
        assert found.agreement.correlation.value == pytest.approx(1.0)
        assert found.agreement.second == found.agreement.first
        assert "L8 chosen over eligible" in found.report.read_text(encoding="utf-8")
        scored = second.scored
        assert scored > 0
        assert sim.evaluate(second=second, **asked).agreement == found.agreement
        assert second.scored == scored
        assert sim.evaluate(**asked).agreement is None


def test_another_model_may_write_the_traces(roomy_model: Path, tmp_path: Path) -> None:
    """Recon runs on the model that is named for it, the simulator's own learns and answers."""
    large = tmp_path / "large"
    shutil.copytree(roomy_model, large)
    student, other = ScriptedDraws(roomy_model), ScriptedDraws(large)
    with simulator(tmp_path, student, "ada") as sim:
        adapter = sim.train(limit=4, recon_engine=other)
        assert other.drawn > 0
        assert student.drawn == 0
        assert adapter.ref.base_model == student.model
        assert other.scored > 0
        scored = other.scored
        measured = sim.evaluate(
            arms=("random_eligible", "recon_select"),
            limit=4,
            held_out=2,
            recon_engine=other,
            out=tmp_path / "out",
        )
        assert measured.adapters["recon_select"].ref.base_model == student.model
        # Candidates, scores and decisions were there; only diagnostics are measured on top.
        assert {one.stage for one in (measured.found, sim.reconstruct(recon_engine=other))} == {
            measured.found.stage
        }
        assert other.scored > scored
        assert sim.reconstruct(limit=1).stage != measured.found.stage
        foreign = adapter.manifest.model_copy(update={"base_model_digest": "0" * 64})
        ref = replace(adapter.ref, base_model="another")
        sim.synthesizer = adapter.model_copy(update={"manifest": foreign, "ref": ref})
        with pytest.raises(ArtifactError, match=r"is one of .* not of") as caught:
            sim.reconstruct(limit=2)
        assert "recon_engine=" in caught.value.hint
    told = json.loads((tmp_path / "out" / "command.json").read_text(encoding="utf-8"))
    assert (told["engine"], told["recon engine"]) == (student.identity, other.identity)


def test_an_adapter_travels_with_its_simulator_and_dies_with_its_person(
    roomy_model: Path, tmp_path: Path
) -> None:
    """`load` brings the very adapter back that was saved; `forget` deletes it for good."""
    with simulator(tmp_path, ScriptedDraws(roomy_model), "ada") as sim:
        adapter = sim.train(limit=4)
        after = sim.respond(question("Tea?", DRINKS))
        folder = sim.save(tmp_path / "saved")
    with UserSimulator.load(folder, engine=ScriptedDraws(roomy_model)) as back:
        again = back.respond(question("Tea?", DRINKS))
        assert again.probabilities == pytest.approx(after.probabilities, abs=1e-5)
        manifest = folder / "simulator.json"
        saved = json.loads(manifest.read_text(encoding="utf-8"))
        manifest.write_text(json.dumps({**saved, "adapter_digest": "0" * 64}), encoding="utf-8")
        with pytest.raises(ArtifactError, match="is not the one that the simulator was saved with"):
            UserSimulator.load(folder)
        manifest.write_text(json.dumps(saved), encoding="utf-8")
        removal = back.corpus.forget("ada")
    assert removal.adapters == (adapter.ref.name,)
    assert not adapter.folder.exists()
    with pytest.raises(UserNotFoundError, match="'ada'"):
        UserSimulator.load(folder)


@pytest.mark.model
def test_the_embedded_model_answers_as_an_invented_person(embedded_model: Path) -> None:
    """From rows to an answer among the options, with a trace and its influence."""
    with UserSimulator.from_corpus(person("ada", 10), model=embedded_model, config="tiny") as sim:
        answer = sim.respond(
            "A long walk or an evening with a book?",
            options=["a long walk", "an evening with a book"],
            explain=True,
        )
    assert answer.action in {"a long walk", "an evening with a book"}
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.reasoning
    assert 0 < answer.influence.own < 1
    assert answer.influence.unit == "probability"


def test_the_pool_holds_the_adapter_of_recon_select_where_that_is_measured(
    roomy_model: Path, tmp_path: Path
) -> None:
    """The pool's answers are those of `respond` with the trained adapter, not the base model's."""
    with simulator(tmp_path, ScriptedDraws(roomy_model)) as sim:
        found = sim.evaluate(arms=("recon_select", "pool"), limit=4, held_out=4, progress=False)
        closed = [
            (asked, one)
            for asked, one in zip(
                found.evaluation.interactions,
                found.evaluation.predictions[title_of("pool")],
                strict=True,
            )
            if one.probabilities
        ]
        assert closed
        answers = {}
        for adapter in (None, found.adapters["recon_select"]):
            sim.use_adapter(adapter)
            answers[adapter is not None] = [
                sim.respond(asked, user_id=asked.user_id, store=False) for asked, _ in closed
            ]
    for (_, one), base, trained in zip(closed, answers[False], answers[True], strict=True):
        # float32 in rows of other company: equal to some units of 1e-7.
        assert one.probabilities == pytest.approx(dict(trained.probabilities), abs=2e-6)
        assert one.probabilities != pytest.approx(dict(base.probabilities), abs=2e-5)
