"""The arms of a measurement: base model and adapters, each shown and asked in its own way.

Trains and measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from usersim.config import PipelineConfig
from usersim.engines import Engine
from usersim.evaluation import Arm, others_arm, uniform_arm
from usersim.simulator.arm_names import ARMS, MEMORIES, TITLES, ArmName, source_of, title_of
from usersim.simulator.arms import ModelArms
from usersim.simulator.history import Histories
from usersim.simulator.recon import Reconstruction
from usersim.simulator.sources import SOURCES, WITHOUT_REASONING, reasonings
from usersim.training import TrainedAdapter
from usersim.types import Interaction

__all__ = ["OFF", "RECON", "SWAPPED", "ArmBuilder"]

RECON = TITLES["recon_select"]
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
        held_out: What is asked.
        found: The base model's traces.
        texts: Whether the answers to open questions are drawn too.
        traces: K of the arms with reasoning; None takes that of the configuration.
    """

    engine: Engine
    histories: Histories
    config: PipelineConfig
    train: Sequence[Interaction]
    held_out: Sequence[Interaction]
    found: Reconstruction
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
        for name in ARMS:
            if name not in names:
                continue
            if name in adapters:
                built.extend(self._trained(name, adapters[name]))
            else:
                built.append(self._untrained(name))
        return built

    def _untrained(self, name: ArmName) -> Arm:
        if name == "chance":
            return uniform_arm()
        if name == "others":
            return others_arm(self.train)
        if name == "profile":
            own = {i.user_id: [j for j in self.train if j.user_id == i.user_id] for i in self.train}
            base = self._model(shown="profile", train=own)
            return base.arm("B0 profile prompt", "base model, facts about the person only")
        if name == "few_shot":
            base = self._model()
            return base.arm("B1 history in the prompt", "base model, past answers in the prompt")
        source, title = MEMORIES[name]
        kept = reasonings(source, self.found, self.config.guards, seed=self.config.training.seed)
        memory = self._model(shown="kept", kept=kept, traces=self._k)
        told = f"base model, past answers with traces: {SOURCES[source]}; K = {self._k}"
        return memory.arm(title, told)

    def _trained(self, source: ArmName, adapter: TrainedAdapter) -> list[Arm]:
        title, text = title_of(source), f"trained on {source_of(source)}"
        if source in WITHOUT_REASONING:
            return [self._model(adapter=adapter.ref).arm(title, text, weight=0.0)]
        model = self._model(adapter=adapter.ref, traces=self._k)
        text = f"{text}; K = {self._k}"
        arms = [model.arm(title, text)]
        if source == "recon_select":
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
