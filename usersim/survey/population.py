"""A population: simulated people who are asked together and stand for more than themselves.

Chooses, weights and asks people, and hands their answers to the statistics. What such figures
are and are not: docs/concepts/simulated-populations.md.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import numpy as np
from pydantic import JsonValue

from usersim.corpus import Corpus
from usersim.errors import ConfigError, EmptyCellError
from usersim.survey.elicitation import Ask, PartReply
from usersim.survey.estimates import (
    AnswerTable,
    CountBy,
    Covers,
    ItemEstimate,
    Margins,
    SurveyFit,
    Weights,
    estimate,
    misfit,
    survey_fit,
)
from usersim.survey.estimation import weigh
from usersim.survey.interview import Respondents
from usersim.survey.rectified import RectifiedItem, rectified
from usersim.survey.reduction import Decision
from usersim.survey.samples import HumanSample, human_table, table_of
from usersim.survey.survey import Survey, SurveyResults
from usersim.types import Failure
from usersim.types.counting import counted
from usersim.views import Progress, Sheet, facts, printed

__all__ = ["Population", "SomeRespondents", "Surveyed", "attributes_of"]

Results = SurveyResults | Sequence[SurveyResults]


def _sheet(people: Population) -> Sheet:
    known = Counter(name for own in people.attributes.values() for name in own)
    return facts(
        "Population",
        {
            "people": len(people.people),
            "attributes": ", ".join(f"{name} ({n})" for name, n in known.items()) or None,
            "weights": str(people.weighting) if people.weighting is not None else "all alike",
        },
    )


class SomeRespondents(Respondents, Protocol):
    """Respondents of whom some can be asked alone."""

    def keep(self, people: Sequence[str]) -> Self:
        """Return some of them, in the order given."""
        ...


class Surveyed(Protocol):
    """What a population is made of: `UserSimulator`, for which see `usersim.simulator`.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     surveyed: Surveyed = sim
        ...     Population.of(surveyed).people
        ('ada',)
    """

    @property
    def corpus(self) -> Corpus:
        """What the people did."""
        ...

    @property
    def users(self) -> list[str]:
        """Ids of everybody it answers for."""
        ...

    def respondents(self, *, name: str | None = None, seed: int | None = None) -> SomeRespondents:
        """Return everybody as respondents of a survey.

        Args:
            name: Of the runs that keep the answers; None makes one.
            seed: Of draws and orders; None takes the configured one.
        """
        ...


@printed(_sheet)
@dataclass(frozen=True, kw_only=True)
class Population:
    """People of one or several simulators, with weights. Frozen: every method returns a new one.

    A `Population` is what `Survey.run` asks.

    Attributes:
        people: Their ids, in order.
        attributes: What is known of each, by name.
        weights: Of each person; mean 1.
        weighting: What raking gave, and what it cost; None without raking.

    Example:
        >>> from usersim import UserSimulator
        >>> from usersim.survey import Survey, YesNo
        >>> rows = [
        ...     {"user_id": name, "context": f"Tea {i}?", "action": "Yes.",
        ...      "metadata": {"sex": "f" if name < "c" else "m"}}
        ...     for name in "abcd" for i in range(3)
        ... ]
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea now?"),))
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     people = Population.of(sim).rake({"sex": {"f": 0.6, "m": 0.4}})
        ...     found = people.estimate(survey.run(people), "tea")
        >>> found.n, found.options
        (4, ('no', 'yes'))
    """

    people: tuple[str, ...]
    attributes: Mapping[str, Mapping[str, str]] = field(repr=False)
    weights: Mapping[str, float] = field(repr=False)
    weighting: Weights | None = None
    _askers: tuple[SomeRespondents, ...] = field(repr=False)

    @classmethod
    def of(
        cls,
        simulators: Surveyed | Sequence[Surveyed],
        *,
        attributes: Mapping[str, Mapping[str, str]] | None = None,
        name: str | None = None,
        seed: int | None = None,
    ) -> Self:
        """Return everybody that the simulators answer for.

        Args:
            simulators: One for all people with a shared adapter or none, or several, each with
                the adapter of its person.
            attributes: What is known of people beside their metadata; it goes before those.
            name: Of the runs that keep the answers; None makes one.
            seed: Of draws and orders; None takes the configured one.

        Returns:
            The population, all weights 1. Attributes are those metadata of a person's
            interactions that are the same in all of them, and what was given.

        Raises:
            ConfigError: If there is nobody, somebody stands there twice, or simulators draw
                under different seeds or settings of the answer.

        Example:
            >>> from usersim import UserSimulator
            >>> names = ("ada", "bob")
            >>> rows = [{"user_id": name, "context": "Tea?", "action": "Yes."} for name in names]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     Population.of(sim, attributes={"ada": {"sex": "f"}}).attributes["ada"]
            {'sex': 'f'}
        """
        given = list(simulators) if isinstance(simulators, Sequence) else [simulators]
        askers = tuple(sim.respondents(name=name, seed=seed) for sim in given)
        people = tuple(person for asker in askers for person in asker.people)
        if not people or len(set(people)) != len(people):
            raise ConfigError(f"a population needs distinct people; got {list(people[:5])!r}")
        if len({(asker.seed, asker.decision) for asker in askers}) > 1:
            raise ConfigError(
                "the respondents of a population must share one seed and one decision"
            )
        told: dict[str, dict[str, str]] = {}
        for sim in given:
            told |= attributes_of(sim.corpus, sim.users)
        for person, own in (attributes or {}).items():
            told.setdefault(person, {}).update(own)
        return cls(
            people=people,
            attributes={person: told.get(person, {}) for person in people},
            weights=dict.fromkeys(people, 1.0),
            _askers=askers,
        )

    def __repr__(self) -> str:
        """Say how many people there are, and whether they are weighted."""
        weighted = "weighted" if self.weighting is not None else "all alike"
        return f"Population({counted(len(self.people), 'person', 'people')}, {weighted})"

    # what `Survey.run` needs

    @property
    def seed(self) -> int:
        """Of every draw and every order."""
        return self._askers[0].seed

    @property
    def decision(self) -> Decision:
        """How a value is chosen from probabilities."""
        return self._askers[0].decision

    @property
    def provenance(self) -> Mapping[str, JsonValue]:
        """Settings behind the answers, of each simulator if there are several."""
        told = [dict(asker.provenance) for asker in self._askers]
        return told[0] if len(told) == 1 else {"simulators": list(told)}

    def names(self, survey: str, waves: int) -> list[str]:
        """Return the names of the runs that keep a survey's waves.

        Args:
            survey: Identity of the survey and of how it is conducted.
            waves: How many waves it took.
        """
        return [name for asker in self._chosen() for name in asker.names(survey, waves)]

    def ask_many(
        self, asks: Sequence[Ask], *, survey: str, wave: int, progress: Progress | None
    ) -> Sequence[PartReply | Failure]:
        """Ask a wave, each person by their own simulator; called by `Survey.run`.

        Args:
            asks: The elementary questions of the wave.
            survey: Identity of the survey and of how it is conducted.
            wave: Number of the wave, 1 for the first.
            progress: Called with (stage, done, total).

        Returns:
            Replies and failures, in the order of `asks`.
        """
        found: dict[int, PartReply | Failure] = {}
        for asker in self._chosen():
            own = set(asker.people)
            places = [place for place, ask in enumerate(asks) if ask.respondent in own]
            if places:
                replies = asker.ask_many(
                    [asks[place] for place in places], survey=survey, wave=wave, progress=progress
                )
                found.update(zip(places, replies, strict=True))
        return [found[place] for place in range(len(asks))]

    def _chosen(self) -> list[SomeRespondents]:
        """Return what asks, narrowed to the people chosen."""
        wanted = set(self.people)
        narrowed = (asker.keep([p for p in asker.people if p in wanted]) for asker in self._askers)
        return [asker for asker in narrowed if asker.people]

    # whom

    def keep(self, people: str | Collection[str]) -> Self:
        """Return some of the people, in the population's order, with their weights.

        Args:
            people: Their ids, or one id.

        Raises:
            ConfigError: If nobody is left, or somebody is not in the population.

        Example:
            >>> from usersim import UserSimulator
            >>> names = ("ada", "bob")
            >>> rows = [{"user_id": name, "context": "Tea?", "action": "Yes."} for name in names]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     Population.of(sim).keep("bob").people
            ('bob',)
        """
        people = {people} if isinstance(people, str) else set(people)
        chosen = tuple(person for person in self.people if person in people)
        if len(chosen) != len(people) or not chosen:
            missing = sorted(people - set(self.people))
            raise ConfigError(f"{missing[:5]!r} are not in this population of {len(self.people)}")
        return replace(
            self,
            people=chosen,
            attributes={person: self.attributes[person] for person in chosen},
            weights={person: self.weights[person] for person in chosen},
            weighting=None,
        )

    def where(self, **wanted: str | Collection[str]) -> Self:
        """Return the people whose attributes have the wanted values.

        Args:
            **wanted: By attribute one value, or several.

        Raises:
            ConfigError: If nobody fits; the values that there are are named.

        Example:
            `people.where(country="NL", age=("18-34", "35-54"))`
        """
        for name, values in wanted.items():
            allowed = {values} if isinstance(values, str) else set(values)
            there = sorted({own.get(name, "") for own in self.attributes.values()})
            if not allowed & set(there):
                raise ConfigError(
                    f"nobody has {name}={values!r}", hint=f"values of {name!r}: {there[:12]!r}"
                )
        return self.keep([person for person in self.people if self._fits(person, wanted)])

    def _fits(self, person: str, wanted: Mapping[str, str | Collection[str]]) -> bool:
        own = self.attributes[person]
        return all(
            own.get(name) in ({values} if isinstance(values, str) else set(values))
            for name, values in wanted.items()
        )

    def quota(self, attribute: str, counts: Mapping[str, int], *, seed: int = 0) -> Self:
        """Return so many people of each category, drawn at random.

        Args:
            attribute: What defines the categories.
            counts: How many of each.
            seed: Of the draw.

        Raises:
            EmptyCellError: If a category has fewer people.

        Example:
            >>> from usersim import UserSimulator
            >>> rows = [
            ...     {"user_id": name, "context": "Tea?", "action": "Yes.", "metadata": {"sex": sex}}
            ...     for name, sex in zip("abcd", "fffm")
            ... ]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     len(Population.of(sim).quota("sex", {"f": 1, "m": 1}).people)
            2
        """
        generator = random.Random(seed)  # noqa: S311 - a sample, not a secret
        chosen: list[str] = []
        for category, count in counts.items():
            own = [p for p in self.people if self.attributes[p].get(attribute) == category]
            if len(own) < count:
                raise EmptyCellError(
                    f"{counted(len(own), 'person has', 'people have')} "
                    f"{attribute}={category!r}, but {count} are needed",
                    hint="lower the quota, or add people to the store",
                )
            chosen += generator.sample(own, count)
        return self.keep(chosen)

    def rake(self, margins: Margins, *, most: float | None = None) -> Self:
        """Weight people so that their attributes have known shares.

        Args:
            margins: Share of each category, by attribute.
            most: Largest weight, in mean weights; see `usersim.survey.estimates.rake`.

        Returns:
            The population with `weights` and `weighting`.

        Raises:
            WeightingError: If no weights give these shares.

        Example:
            >>> from usersim import UserSimulator
            >>> rows = [
            ...     {"user_id": name, "context": "Tea?", "action": "Yes.", "metadata": {"sex": sex}}
            ...     for name, sex in zip("abcd", "fffm")
            ... ]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     people = Population.of(sim).rake({"sex": {"f": 0.5, "m": 0.5}})
            >>> {name: round(weight, 3) for name, weight in people.weights.items()}
            {'a': 0.667, 'b': 0.667, 'c': 0.667, 'd': 2.0}
        """
        start = [self.weights[person] for person in self.people]
        found = weigh(self.people, self.attributes, margins, start=start, most=most)
        values = [float(value) for value in found.values]
        weights = dict(zip(self.people, values, strict=True))
        return replace(self, weights=weights, weighting=found)

    def split_half(self, *, seed: int = 0) -> tuple[Self, Self]:
        """Return two random halves; the first has one more where their number is odd.

        Args:
            seed: Of the draw.

        Raises:
            ConfigError: If there is one person only.

        Example:
            >>> from usersim import UserSimulator
            >>> rows = [{"user_id": name, "context": "Tea?", "action": "Yes."} for name in "abcde"]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     first, second = Population.of(sim).split_half()
            >>> len(first.people), len(second.people)
            (3, 2)
        """
        if len(self.people) < 2:  # noqa: PLR2004 - one person has no halves
            raise ConfigError(f"{len(self.people)} person cannot be halved")
        order = [int(place) for place in np.random.default_rng(seed).permutation(len(self.people))]
        middle = (len(order) + 1) // 2
        first, second = order[:middle], order[middle:]
        return self.keep([self.people[i] for i in first]), self.keep(
            [self.people[i] for i in second]
        )

    # what they say

    def table(self, results: Results) -> AnswerTable:
        """Return these people's answers with their weights.

        Args:
            results: Of a survey of these people; several of one survey are repeated draws.

        Example:
            >>> from usersim import UserSimulator
            >>> from usersim.survey import YesNo
            >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea now?"),))
            >>> rows = [{"user_id": name, "context": "Tea?", "action": "Yes."} for name in "abcde"]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     people = Population.of(sim)
            ...     table = people.keep(["a", "c"]).table(survey.run(people, progress=False))
            >>> table.respondents
            ('a', 'c')
        """
        found = table_of(results, weights=self.weights, groups=self.attributes)
        return found.keep([person for person in self.people if person in found.respondents])

    def estimate(
        self,
        results: Results,
        column: str,
        *,
        covers: Covers = "people",
        by: CountBy = "probabilities",
        human_sample: HumanSample | None = None,
        seed: int = 0,
    ) -> ItemEstimate:
        """Return what the population answers to one item, with 95 % intervals.

        Args:
            results: Of a survey of these people; several of one survey are repeated draws.
            column: The item, by its column in wide results.
            covers: `draws`, `people` or `misfit`: what the intervals allow for.
            by: Counted answers, or the options' probabilities.
            human_sample: Human answers to other items, which tell the misfit.
            seed: Of the resamples.

        Raises:
            EvaluationError: If there is no such item, or too little for `covers`.

        Example:
            >>> from usersim import UserSimulator
            >>> from usersim.survey import YesNo
            >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea now?"),))
            >>> rows = [{"user_id": name, "context": "Tea?", "action": "Yes."} for name in "abcde"]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     people = Population.of(sim)
            ...     found = people.estimate(survey.run(people, progress=False), "tea")
            >>> found.n, round(sum(share.value for share in found.shares), 6)
            (5, 1.0)
        """
        table = self.table(results)
        gaps = None
        if human_sample is not None:
            real = human_table(_survey(results), human_sample, weights=self.weights)
            gaps = misfit(real.without(column), table.without(column), by=by)
        return estimate(table, column, covers=covers, by=by, gaps=gaps, seed=seed)

    def rectify(
        self,
        results: Results,
        human_sample: HumanSample,
        *,
        columns: str | Sequence[str] | None = None,
        by: CountBy = "probabilities",
    ) -> list[RectifiedItem]:
        """Combine these people's simulated answers with what some of them really said.

        The humans are a random part of the population: they tell how wrong the simulation is,
        and everybody else is simulated. See `usersim.survey.estimates.rectify`.

        Args:
            results: Of a survey of these people.
            human_sample: Real answers of some of the same people, by their ids.
            columns: Items, or one; None takes all that the humans answered.
            by: What is used of the simulation; the options' probabilities vary less.

        Returns:
            One entry per item.

        Raises:
            EvaluationError: If too few humans are among these people.

        Example:
            >>> from usersim import UserSimulator
            >>> from usersim.survey import YesNo
            >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea now?"),))
            >>> rows = [{"user_id": f"u{n}", "context": "Tea?", "action": "Yes"} for n in range(40)]
            >>> asked = {f"u{n}": {"tea": "yes" if n % 3 else "no"} for n in range(20)}
            >>> with UserSimulator.from_corpus(rows, engine="scripted", config="tiny") as sim:
            ...     people = Population.of(sim)
            ...     results = survey.run(people, progress=False)
            ...     (tea,) = people.rectify(results, asked)
            >>> tea.item.key, len(tea.figures)
            ('tea', 2)
        """
        real = human_table(_survey(results), human_sample)
        return rectified(self.table(results), real, columns=columns, by=by)

    def compare(
        self, results: Results, human_sample: HumanSample, *, by: CountBy = "answers"
    ) -> SurveyFit:
        """Compare simulated with human answers: distances, groups, correlations.

        Args:
            results: Of a survey of these people.
            human_sample: Human answers, of these people or of others.
            by: How simulated answers are counted.

        Raises:
            EvaluationError: If no item has enough answers on both sides.

        Example:
            >>> from usersim import UserSimulator
            >>> from usersim.survey import YesNo
            >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea now?"),))
            >>> rows = [{"user_id": f"u{n}", "context": "Tea?", "action": "Yes"} for n in range(20)]
            >>> asked = {f"u{n}": {"tea": "yes" if n % 3 else "no"} for n in range(20)}
            >>> with UserSimulator.from_corpus(rows, engine="scripted", config="tiny") as sim:
            ...     people = Population.of(sim)
            ...     fit = people.compare(survey.run(people, progress=False), asked)
            >>> [(one.item.key, one.n_human) for one in fit.items]
            [('tea', 20)]
        """
        people = {person: own for person, own in self.attributes.items() if own}
        real = human_table(_survey(results), human_sample, groups=people, weights=self.weights)
        return survey_fit(real, self.table(results), by=by)


def _survey(results: Results) -> Survey:
    return results.survey if isinstance(results, SurveyResults) else results[0].survey


def attributes_of(corpus: Corpus, users: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the metadata of each person that are the same in all they may be learned from."""
    found: dict[str, dict[str, str]] = {}
    gone: dict[str, set[str]] = {}
    for one in corpus.interactions(users, split="train"):
        own, varied = found.setdefault(one.user_id, {}), gone.setdefault(one.user_id, set())
        for name, value in one.metadata.items():
            if not isinstance(value, str | int | float):
                continue
            if own.setdefault(name, str(value)) != str(value):
                varied.add(name)
    return {
        person: {name: value for name, value in own.items() if name not in gone[person]}
        for person, own in found.items()
    }
