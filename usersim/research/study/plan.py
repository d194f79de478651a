"""The plan of a study as a file: read, checked as a whole, and every problem named.

YAML or JSON, by the reader that surveys use. Runs nothing and opens no corpus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Self, cast

from pydantic import BaseModel, Field, JsonValue, ValidationError, field_validator, model_validator

from usersim.config import Dtype, Preset
from usersim.config.base import Config
from usersim.engines.select import EngineName
from usersim.errors import ConfigError
from usersim.evaluation import ARMS, DEFAULT_ARMS, ArmName
from usersim.files import read_document

__all__ = ["Comparison", "Planted", "SetPlan", "Settings", "StudyPlan", "read_plan"]

_WHAT = "study plan"
_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"

Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=_NAME)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Comparison(Config):
    """One arm against another."""

    arm: ArmName
    """The arm."""
    against: ArmName
    """What it is compared with."""

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.arm == self.against:
            msg = f"compares {self.arm!r} with itself"
            raise ValueError(msg)
        return self


class Planted(Config):
    """Synthetic people whose reasons are known, in place of a corpus."""

    users: Count = 40
    """People."""
    interactions: Count = 40
    """Choices of each."""
    seed: Seed = 0
    """Equal seeds give equal people; the study's own seeds do not change them."""


_NOT_SET = frozenset({"seed", "evidence_by", "aided_by"})
"""Settings that `config` cannot change."""


class Settings(Config):
    """How a set is measured. What a set leaves out is taken from the plan's `defaults`."""

    preset: Preset | None = None
    """Settings of every stage."""
    config: Mapping[str, Mapping[str, JsonValue]] | None = None
    """Settings that differ from those of the preset, by stage and name, such as
    `{training: {epochs: 1}}`. Those of a set and of the defaults are merged name by name."""
    model: str | None = None
    """Model that learns and answers: `embedded`, a folder or a hub name."""
    recon_model: str | None = None
    """Another model that writes and scores the traces."""
    trace_judge: str | None = None
    """Model that ranks traces, which the preset `paper` needs: not the one that writes them."""
    second: str | None = None
    """Model of another family that cross-checks the choice of traces."""
    judge: str | None = None
    """Model of another family that compares the drawn answers."""
    engine: EngineName | None = None
    """What runs the models; `auto`, vLLM on a GPU, if nothing is named."""
    dtype: Dtype | None = None
    """Data type for inference; `auto` if nothing is named."""
    people: Count | None = None
    """People who are learned from and measured, the first by id; everybody if not named."""
    panel: Count | None = None
    """At most so many further people, whose training answers the pool's panel model knows."""
    pairs: Count | None = None
    """Training interactions of each person, the newest; all if not named."""
    traced: Count | None = None
    """Of these, how many of each person get traces, evenly spaced; all if not named. The arms
    learn the others without reasoning: traces cost far more than training."""
    held_out: Count | None = None
    """Held-out answers in all; every one if not named."""
    traces: Count | None = None
    """K, traces drawn for each answer of an arm that reasons."""
    calibrate: Annotated[int, Field(ge=8)] | None = None
    """Training answers that the pool's weights are fitted on; the shipped weights if not named."""
    texts: bool | None = None
    """Whether answers to open questions are drawn too, and their text compared."""
    shuffle: bool | None = None
    """Whether each person's questions are put in an order of their own, the same for all seeds.
    For questionnaires without chronology: otherwise the last questions are held out of everybody,
    and the panel knows none of them."""

    def over(self, other: Settings) -> Settings:
        """Return these settings; what they leave out is taken from `other`."""
        own = {name: getattr(self, name) for name in Settings.model_fields}
        merged = {name: getattr(other, name) if one is None else one for name, one in own.items()}
        if self.config and other.config:
            stages = [*other.config, *(name for name in self.config if name not in other.config)]
            merged["config"] = {
                name: {**other.config.get(name, {}), **self.config.get(name, {})} for name in stages
            }
        return Settings.model_validate(merged)

    @field_validator("config")
    @classmethod
    def _plain(
        cls, given: Mapping[str, Mapping[str, JsonValue]] | None
    ) -> Mapping[str, Mapping[str, JsonValue]] | None:
        """Return it sorted and without empty stages: a plan whose lines move is the same plan.

        Raises:
            ValueError: If it names a seed, or what a simulator fills in.
        """
        wrong = [
            f"{stage}.{name}" for stage, own in (given or {}).items() for name in own
            if name in _NOT_SET
        ]  # fmt: skip
        if wrong:
            msg = (
                f"{wrong[0]!r} cannot be set here: seeds are those of 'seeds', and names of what "
                "finds evidence or scores are filled in"
            )
            raise ValueError(msg)
        own = {stage: dict(sorted(one.items())) for stage, one in (given or {}).items() if one}
        return dict(sorted(own.items())) or None


class SetPlan(Settings):
    """People on whom the arms are measured: a corpus, or planted people."""

    name: Name
    """Its folder, and what tables call it."""
    corpus: str | None = None
    """File or store, from the folder of the data."""
    codebook: str | None = None
    """Codebook of a wide survey table, from the folder of the data."""
    planted: Planted | None = None
    """Synthetic people instead of a corpus."""
    arms: Annotated[tuple[ArmName, ...], Field(min_length=1)] | None = None
    """Arms of this set; those of the plan if not named."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] | None = None
    """Seeds of this set; those of the plan if not named."""
    metric: str | None = None
    """What the comparisons are made on; the log score where every answer is closed, and the
    log-likelihood per token otherwise."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.corpus is None) == (self.planted is None):
            msg = "needs either 'corpus' or 'planted'"
            raise ValueError(msg)
        return self


class StudyPlan(Config):
    """Arms, sets and seeds, and what is compared with what."""

    title: Annotated[str, Field(min_length=1)]
    """Heading of the page."""
    description: str = ""
    """What the study is to find out, for the reader of the page."""
    main: Comparison
    """The main comparison, shown first."""
    also: tuple[Comparison, ...] = ()
    """Further comparisons, in the order of the page."""
    arms: Annotated[tuple[ArmName, ...], Field(min_length=1)] = DEFAULT_ARMS
    """Arms of every set that names none."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1)
    """Seeds of candidates, trainings and draws."""
    defaults: Settings = Settings()
    """Settings of every set."""
    sizes: Mapping[Name, Settings] = Field(default_factory=dict[str, Settings])
    """Settings by name that go before those of the sets, such as those of a machine with a GPU."""
    sets: Annotated[tuple[SetPlan, ...], Field(min_length=1)]
    """The sets."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = [one.name for one in self.sets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            msg = f"two sets have the name {twice[0]!r}"
            raise ValueError(msg)
        for one in (self.main, *self.also):
            if not any({one.arm, one.against} <= set(self.arms_of(of)) for of in self.sets):
                msg = f"no set measures both {one.arm!r} and {one.against!r}, which are compared"
                raise ValueError(msg)
        return self

    def arms_of(self, one: SetPlan) -> tuple[ArmName, ...]:
        """Return the arms of a set, in the order of the tables."""
        wanted = one.arms or self.arms
        return tuple(arm for arm in ARMS if arm in wanted)

    def seeds_of(self, one: SetPlan) -> tuple[int, ...]:
        """Return the seeds of a set, each once."""
        return tuple(dict.fromkeys(one.seeds or self.seeds))


def read_plan(path: str | Path) -> StudyPlan:
    """Read a plan.

    Args:
        path: `.yaml` or `.yml`, which needs the extra `survey`, or `.json`.

    Raises:
        ConfigError: If it cannot be read or is not a plan; every problem is listed, unknown keys
            and arms with the nearest one.
        MissingDependencyError: If it is YAML and PyYAML is not installed.
    """
    data = read_document(path, what=_WHAT, error=ConfigError)
    try:
        return StudyPlan.model_validate(data)
    except ValidationError as error:
        problems = "".join(f"\n- {_problem(one)}" for one in error.errors(include_url=False))
        raise ConfigError(
            f"{str(path)!r} is not a valid study plan:{problems}",
            hint="the page 'Run a study' lists every key",
        ) from None


_MODELS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): StudyPlan,
    ("defaults",): Settings,
    ("main",): Comparison,
    ("also",): Comparison,
    ("sets",): SetPlan,
    ("sets", "planted"): Planted,
    ("sizes",): Settings,
}
"""Which model the keys at a place belong to; numbers of lists and names of sizes left out."""


def _problem(error: Mapping[str, object]) -> str:
    """Return a problem as a line: place, what is wrong, and the nearest name that would do."""
    steps = cast("tuple[str | int, ...]", error["loc"])
    place = ".".join(map(str, steps)) or "the file"
    if error["type"] == "extra_forbidden":
        parents = tuple(step for step in steps[:-1] if isinstance(step, str))
        parents = parents[:1] if parents[:1] == ("sizes",) else parents
        known = list(_MODELS[parents].model_fields) if parents in _MODELS else []
        return f"{place}: unknown key{_nearest(str(steps[-1]), known)}"
    given = error.get("input")
    if error["type"] == "literal_error" and {"arms", "arm", "against"}.intersection(steps):
        return f"{place}: unknown arm {given!r}{_nearest(str(given), ARMS)}"
    shown = "" if isinstance(given, Mapping | list) else f" (got {given!r})"
    return f"{place}: {str(error['msg']).removeprefix('Value error, ')}{shown}"


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
