"""The cells of a study: each set under each seed, with every setting resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from usersim.config import DEFAULT_PRESET, PipelineConfig
from usersim.errors import ConfigError
from usersim.evaluation import ArmName
from usersim.research.study.plan import SetPlan, Settings, StudyPlan
from usersim.types import content_key

__all__ = ["Cell", "cells_of"]

NOTHING = Settings()
"""Settings that leave everything open."""
_BUILT_IN = Settings(
    preset=DEFAULT_PRESET, model="embedded", engine="auto", dtype="auto", texts=False, shuffle=False
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One set under one seed: one evaluation of all arms of the set.

    Attributes:
        source: The set, as the plan has it.
        seed: Of candidates, trainings and draws.
        arms: What is measured, in the order of the tables.
        settings: The settings; what is None is unlimited, or the preset's.
    """

    source: SetPlan
    seed: int
    arms: tuple[ArmName, ...]
    settings: Settings

    @property
    def name(self) -> str:
        """The set and the seed."""
        return f"{self.source.name}, seed {self.seed}"

    @property
    def key(self) -> str:
        """What its results depend on besides the rows and the list of arms."""
        source = self.source
        people = source.planted.model_dump_json() if source.planted else source.corpus
        return content_key(
            self.seed, self.settings.model_dump_json(), people, source.codebook, source.name
        )

    @property
    def traces(self) -> int:
        """K of the arms that reason: that of the settings, or else the preset's."""
        if self.settings.traces is not None:
            return self.settings.traces
        return self.pipeline.simulation.traces

    @property
    def pipeline(self) -> PipelineConfig:
        """Settings of every stage: the preset's under this seed, and what the plan changes.

        Raises:
            ConfigError: If the plan changes what does not exist, or to what it cannot be.
        """
        preset = PipelineConfig.preset(self.settings.preset or DEFAULT_PRESET).with_seed(self.seed)
        changed = self.settings.config or {}
        settings = preset.model_dump()
        for stage, own in changed.items():
            settings[stage] = {**settings.get(stage, {}), **own}
        try:
            return PipelineConfig.model_validate(settings)
        except ValidationError as error:
            problems = [
                f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
                for one in error.errors(include_url=False)
            ]
            raise ConfigError(
                f"set {self.source.name!r} has settings under 'config' that do not exist or do "
                f"not fit: {'; '.join(problems)}",
                hint="the page 'Configuration' lists every stage and its settings",
            ) from None

    def folder(self, out: Path) -> Path:
        """Return where its report is written."""
        return out / self.source.name / f"seed-{self.seed}"


def cells_of(
    plan: StudyPlan,
    *,
    size: str | None = None,
    given: Settings = NOTHING,
    sets: Sequence[str] = (),
) -> list[Cell]:
    """Return the cells of a plan, seed by seed, so that every set has its first seed early.

    Args:
        plan: The plan.
        size: Name of a size of the plan, whose settings go before those of the sets.
        given: Settings that go before all of these.
        sets: Only these sets; all if empty.

    Raises:
        ConfigError: If the plan has no such size or set.
    """
    if size is not None and size not in plan.sizes:
        raise ConfigError(
            f"the plan has no size {size!r}",
            hint=f"its sizes: {', '.join(plan.sizes) or 'none'}",
        )
    names = [one.name for one in plan.sets]
    unknown = [name for name in sets if name not in names]
    if unknown:
        raise ConfigError(
            f"the plan has no set {unknown[0]!r}", hint=f"its sets: {', '.join(names)}"
        )
    scaled = plan.sizes[size] if size is not None else Settings()
    chosen = [one for one in plan.sets if not sets or one.name in sets]
    made = [
        Cell(
            source=one,
            seed=seed,
            arms=plan.arms_of(one),
            settings=given.over(scaled).over(one).over(plan.defaults).over(_BUILT_IN),
        )
        for one in chosen
        for seed in plan.seeds_of(one)
    ]
    for cell in made:
        _ = cell.pipeline  # before hours of other cells
        if cell.settings.panel is not None and cell.settings.people is None:
            raise ConfigError(
                f"set {cell.source.name!r} has a panel of {cell.settings.panel} people and "
                "measures everybody",
                hint="name the number of people who are measured: 'people'",
            )
    return sorted(made, key=lambda cell: plan.seeds_of(cell.source).index(cell.seed))
