"""Surveys of the people in a store: each wave is a run, so whatever interrupts it, it goes on.

Knows runs and people; what is asked when is the business of `usersim.survey`. The same
call makes the same waves of the same names: those that are done are read from the store, the one
that was interrupted resumes, and the answers are the same as of an uninterrupted survey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias, cast

from pydantic import JsonValue

from usersim.errors import ConfigError
from usersim.simulator.asking import Asker
from usersim.simulator.people import People
from usersim.simulator.requested import row_of
from usersim.simulator.running import CHUNK, Runner
from usersim.survey import Ask, Mode, PartReply, Survey, conduct
from usersim.survey.elicitation import GIVES_AN_ANSWER
from usersim.survey.reduction import Decision
from usersim.types import Choice, Failure, Number, Scale, content_key
from usersim.types.counting import counted
from usersim.views import Progress, in_words, printed, staged

__all__ = ["Chosen", "StoreRespondents", "SurveyCost", "respondents_of"]

Chosen: TypeAlias = str | Sequence[str] | None
"""Ids of people, or one id; None takes everybody that a simulator answers for."""
PLACE = "survey_place"
"""Metadata of a request: its place in the wave, which a refused row would shift."""
FILLER = "word " * 100
"""Stands for a text of unknown length in a dry run; longer answers are cut in later texts."""


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyCost:
    """What a survey would take at the most.

    Attributes:
        respondents: People who would be asked.
        waves: Batches, one after the other.
        requests: Elementary questions in all, as if no condition skipped any.
        prompt_tokens: Tokens of their prompts, each counted once; where earlier answers stand in
            later prompts, with the longest option in place of each.
        drawn_tokens: Tokens drawn at the most.
    """

    respondents: int
    waves: int
    requests: int
    prompt_tokens: int
    drawn_tokens: int

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{counted(self.respondents, 'respondent')}, {counted(self.waves, 'wave')}, at most "
            f"{counted(self.requests, 'request')}"
            f", about {counted(self.prompt_tokens, 'prompt token')}, "
            f"at most {counted(self.drawn_tokens, 'drawn token')}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRespondents:
    """People of a store as the respondents of surveys; made by `UserSimulator.respondents`.

    Attributes:
        runner: Asks, and keeps the answers.
        people: Their ids.
        name: Of a survey's runs; None makes one of everything that the answers depend on.

    Example:
        >>> from usersim import UserSimulator
        >>> from usersim.survey import Survey, YesNo
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea now?"),))
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     results = survey.run(sim.respondents())
        >>> results.responses[0].value in ("yes", "no")
        True
    """

    runner: Runner
    people: Sequence[str]
    name: str | None = None

    @property
    def seed(self) -> int:
        """Of every draw and every order."""
        return cast("int", self.runner.settings()["seed"])

    @property
    def decision(self) -> Decision:
        """How a value is chosen from probabilities."""
        return self.runner.asker.config.simulation.decision or "sampled"

    @property
    def provenance(self) -> Mapping[str, JsonValue]:
        """Engine, adapter, predictors and settings behind the answers."""
        told = {**self.runner.settings(), "predictors": list(self.runner.asker.pooled)}
        return cast("Mapping[str, JsonValue]", told)

    def dry_run(self, survey: Survey, *, mode: Mode = "direct", memory: bool = False) -> SurveyCost:
        """Return what a survey would take at the most; nothing is asked or stored."""
        counted = _Counted(self)
        conduct(survey, counted, mode=mode, memory=memory, everything=True)
        return SurveyCost(
            respondents=len(self.people),
            waves=counted.waves,
            requests=counted.requests,
            prompt_tokens=counted.prompt_tokens,
            drawn_tokens=counted.drawn_tokens,
        )

    def keep(self, people: Sequence[str]) -> Self:
        """Return some of them, in the order given."""
        return replace(self, people=tuple(people))

    def names(self, survey: str, waves: int) -> list[str]:
        """Return the names of the runs that keep a survey's waves."""
        return [self._name(survey, wave) for wave in range(1, waves + 1)]

    def _name(self, survey: str, wave: int) -> str:
        """Return the name of a wave's run: the same for the same survey, people and settings."""
        if self.name is not None:
            return f"{self.name}-wave-{wave:02d}"
        rest = content_key(list(self.people), self.runner.settings())
        return f"survey-{survey}-{rest[:8]}-wave-{wave:02d}"

    def ask_many(
        self, asks: Sequence[Ask], *, survey: str, wave: int, progress: Progress | None
    ) -> list[PartReply | Failure]:
        """Ask a wave in a run of its own, and return what came of it, in order.

        Raises:
            ConfigError: If the wave was started with different settings or questions.
            EngineUnavailableError: If the engine is gone; what is done is kept.
        """
        run = self.runner.run(
            _rows(asks), name=self._name(survey, wave), progress=staged(f"wave {wave}", progress)
        )
        found: dict[int, PartReply | Failure] = {
            _place(item.request.metadata): PartReply.of(answer) for item, answer in run.answers()
        }
        for lost in run.failures():
            place = _place(lost.item.request.metadata)
            found[place] = _failure(place, asks[place], lost.error, lost.message, lost.text)
        for row in run.refused:
            place = _place(cast("Mapping[str, object]", row.row.get("metadata", {})))
            found[place] = _failure(place, asks[place], "RefusedRowsError", str(row))
        gone = "the person was forgotten and is no longer in the store"
        return [
            found.get(place) or _failure(place, ask, "UserForgottenError", gone)
            for place, ask in enumerate(asks)
        ]


def _rows(asks: Sequence[Ask]) -> Iterator[dict[str, object]]:
    for place, ask in enumerate(asks):
        told = {PLACE: place, "question": ask.question, "item": ask.item, "stage": ask.stage}
        yield {**row_of(ask.respondent, ask.asked), "metadata": told}


def _place(metadata: Mapping[str, object]) -> int:
    return cast("int", metadata[PLACE])


def _failure(place: int, ask: Ask, error: str, message: str, text: str = "") -> Failure:
    return Failure(index=place, item=ask.respondent, error=error, message=message, text=text)


RunnerOf = Callable[[int | None, int], Runner]
"""Makes a runner of a seed and a chunk."""


def respondents_of(
    people: People,
    chosen: Chosen,
    runner_of: RunnerOf,
    *,
    name: str | None = None,
    seed: int | None = None,
    chunk: int = CHUNK,
) -> StoreRespondents:
    """Return people of a simulator as respondents.

    Args:
        people: Whom the simulator stands for.
        chosen: Some of them; None takes all.
        runner_of: Makes what asks them.
        name: Of the runs; None makes one of everything that the answers depend on.
        seed: Reproduces answers and orders; None takes the configured one.
        chunk: Questions asked at once between two commits.

    Raises:
        ConfigError: If somebody is not among the simulator's people.
        UserNotFoundError: If there is no such user.
    """
    chosen = (chosen,) if isinstance(chosen, str) else chosen
    for person in chosen or ():
        if people.user_id not in {None, people.one(person)}:
            raise ConfigError(
                f"this simulator answers only for {people.user_id!r}, not for {person!r}",
                hint="make a simulator without user_id= to survey several people",
                cli_hint="name each person with --user, or omit --user to survey all of them",
            )
    runner = runner_of(seed, chunk)
    return StoreRespondents(
        runner=replace(runner, asker=_sampling(runner.asker)),
        people=tuple(people.users if chosen is None else chosen),
        name=name,
    )


def _sampling(asker: Asker) -> Asker:
    """Let answers be drawn from their probabilities unless the configuration says how."""
    simulation = asker.config.simulation
    if simulation.decision is not None:
        return asker
    drawn = simulation.model_copy(update={"decision": "sampled"})
    return replace(asker, config=asker.config.model_copy(update={"simulation": drawn}))


@dataclass(slots=True)
class _Counted:
    """Respondents who are not asked: they count, and give the longest answer there is."""

    of: StoreRespondents
    waves: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    drawn_tokens: int = 0

    @property
    def people(self) -> Sequence[str]:
        return self.of.people

    @property
    def seed(self) -> int:
        return self.of.seed

    @property
    def decision(self) -> Decision:
        return self.of.decision

    @property
    def provenance(self) -> Mapping[str, JsonValue]:
        return {}

    def names(self, survey: str, waves: int) -> Sequence[str]:  # noqa: ARG002 - nothing is kept
        return ()

    def ask_many(
        self,
        asks: Sequence[Ask],
        *,
        survey: str,  # noqa: ARG002 - nothing is kept
        wave: int,
        progress: Progress | None,  # noqa: ARG002 - it takes a moment
    ) -> list[PartReply | Failure]:
        cost = self.of.runner.cost(_rows(asks))
        self.waves = wave
        self.requests += cost.requests
        self.prompt_tokens += cost.prompt_tokens
        self.drawn_tokens += cost.drawn_tokens
        return [_longest(ask) for ask in asks]


def _longest(ask: Ask) -> PartReply:
    space = ask.asked.space
    if isinstance(space, Choice | Scale):
        even = dict.fromkeys(space.options, 1 / len(space.options))
        gate = GIVES_AN_ANSWER in space.options
        action = GIVES_AN_ANSWER if gate else max(space.options, key=len)
        return PartReply(action=action, probabilities=even, traces=(), seed=0)
    if isinstance(space, Number):
        return PartReply(action=space.high or 0.0, probabilities={}, traces=(), seed=0)
    return PartReply(action=FILLER, probabilities={}, traces=(), seed=0)
