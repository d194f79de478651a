"""The arms of a measurement: base model and adapters, each shown and asked in its own way.

Trains and measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from usersim.config import PipelineConfig
from usersim.engines import Engine
from usersim.evaluation import (
    ARM_SPECS,
    Arm,
    ArmName,
    ArmSpec,
    others_arm,
    title_of,
    uniform_arm,
)
from usersim.simulator.arms import ModelArms
from usersim.simulator.asking import Asker
from usersim.simulator.history import Histories
from usersim.simulator.pool_arms import pool_arm
from usersim.simulator.recon import Reconstruction
from usersim.simulator.sources import SOURCES, reasonings
from usersim.training import TrainedAdapter
from usersim.types import Interaction, TraceSource

__all__ = ["OFF", "RECON", "SWAPPED", "ArmBuilder"]

RECON = title_of("recon_select")
OFF = f"{RECON} (reasoning off)"
"""The same adapter, answering without reasoning."""
SWAPPED = f"{RECON} (traces swapped)"
"""The same adapter, answering after the traces of another context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmBuilder:
    """Builds the arms of one measurement.

    Attributes:
        engine: Runs the model.
        histories: Finds what is shown.
        config: Settings of every stage.
        train: What was learned from.
        others: What counts as other people's answers.
        held_out: What is asked.
        found: The base model's traces.
        asker: Puts questions to the pool.
        texts: Whether the answers to open questions are drawn too.
        traces: K of the arms with reasoning; None takes that of the configuration.
    """

    engine: Engine
    histories: Histories
    config: PipelineConfig
    train: Sequence[Interaction]
    others: Sequence[Interaction]
    held_out: Sequence[Interaction]
    found: Reconstruction
    asker: Asker
    texts: bool = False
    traces: int | None = None

    @property
    def _k(self) -> int:
        return self.config.simulation.traces if self.traces is None else self.traces

    def all(
        self, names: Sequence[ArmName], adapters: Mapping[ArmName, TrainedAdapter]
    ) -> list[Arm]:
        """Return the arms, in the order in which tables show them.

        Args:
            names: Which.
            adapters: The trained user models.
        """
        built: list[Arm] = []
        for name, spec in ARM_SPECS.items():
            if name not in names:
                continue
            if name in adapters:
                built.extend(self._trained(spec, adapters[name]))
            elif spec.answers == "pool":
                people = list(dict.fromkeys(one.user_id for one in self.held_out))
                built.append(pool_arm(spec, self.engine, self.asker, people))
            else:
                built.append(self._untrained(spec))
        return built

    def _untrained(self, spec: ArmSpec) -> Arm:
        if spec.name == "chance":
            return uniform_arm()
        if spec.name == "others":
            return others_arm(self.others)
        if spec.traces is not None:
            return self._memory(spec, spec.traces)
        if spec.shown == "history":
            return self._model().arm(spec.title, "base model, past answers in the prompt")
        own = {i.user_id: [j for j in self.train if j.user_id == i.user_id] for i in self.train}
        base = self._model(shown=spec.shown, train=own)
        plain = " in the plain instruction of persona tools" if spec.shown == "persona" else ""
        return base.arm(spec.title, f"base model, facts about the person only{plain}")

    def _memory(self, spec: ArmSpec, source: TraceSource) -> Arm:
        kept = reasonings(source, self.found, self.config.guards, seed=self.config.training.seed)
        memory = self._model(shown=spec.shown, kept=kept, traces=self._k)
        told = f"base model, past answers with traces: {SOURCES[source]}; K = {self._k}"
        return memory.arm(spec.title, told)

    def _trained(self, spec: ArmSpec, adapter: TrainedAdapter) -> list[Arm]:
        title, text = spec.title, f"trained on {_learned_from(spec)}"
        if not spec.reasons:
            return [self._model(adapter=adapter.ref).arm(title, text, weight=0.0)]
        model = self._model(adapter=adapter.ref, traces=self._k)
        text = f"{text}; K = {self._k}"
        arms = [model.arm(title, text)]
        if spec.name == "recon_select":
            fitted = adapter.manifest.reasoning_weight
            if fitted is not None:
                note = f"{text}; {fitted.summary}"
                arms.append(model.arm(f"{title} (w = {fitted.w:.2f})", note, weight=fitted.w))
            arms.append(model.arm(OFF, f"{text}, answering without", weight=0.0))
            told = f"{text}, answering after another context's traces"
            arms.append(model.swapped(SWAPPED, told, among=self.held_out))
        return arms

    def _model(self, **how: object) -> ModelArms:
        return ModelArms(self.engine, self.histories, self.config, texts=self.texts, **how)  # type: ignore[arg-type]


def _learned_from(spec: ArmSpec) -> str:
    """Return in words what a trained arm learned from."""
    if spec.traces is None:
        return "the reward of its own predictions (a control)"
    if spec.training != "select":
        return f"the best traces of a synthesizer trained by {spec.training}"
    return SOURCES[spec.traces]
