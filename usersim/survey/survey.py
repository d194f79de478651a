"""The instrument, what it asks of respondents, and what they answered.

A `Survey` is checked as a whole when it is made; `Survey.run` asks respondents and returns
`SurveyResults`. Knows no model, no file format of other programs and no store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import JsonValue, model_validator

from usersim.config.base import Config
from usersim.errors import SurveyError
from usersim.survey.checks import problems
from usersim.survey.flow import Design
from usersim.survey.interview import Respondents, interview
from usersim.survey.loading import listed, of_data, plain, read_file, write_file
from usersim.survey.responses import Mode, SurveyFailure, SurveyResponse, column_of
from usersim.survey.sections import Instrument
from usersim.types.counting import counted
from usersim.views import Progress, Sheet, printed, shortened, show_progress

__all__ = ["Survey", "SurveyResults", "conduct"]


class Survey(Instrument):
    """A survey instrument.

    Questions are given in `sections`, or plainly in `questions`.

    Example:
        >>> from usersim.survey import LikertScale, YesNo
        >>> survey = Survey(
        ...     title="Tea",
        ...     questions=(
        ...         YesNo(id="tea", text="Do you drink tea?"),
        ...         LikertScale(
        ...             id="joy",
        ...             text="How much do you like it?",
        ...             low="not at all",
        ...             high="very much",
        ...             show_if='tea == "yes"',
        ...         ),
        ...     ),
        ... )
        >>> [question.id for question in survey.all_questions]
        ['tea', 'joy']
    """

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        # No ValueError, so that pydantic lets it through as it is.
        if found := problems(self):
            raise SurveyError(
                f"survey {self.title!r} is not valid:{listed(found)}",
                hint="fix the survey file; `usersim survey check FILE` checks it again",
            )
        return self

    def run(
        self,
        respondents: Respondents,
        *,
        mode: Mode = "direct",
        memory: bool = False,
        progress: Progress | bool = True,
    ) -> SurveyResults:
        """Ask everybody everything that their way through the survey holds.

        `UserSimulator.survey` makes the respondents of a store's people, in a resumable run.

        Args:
            respondents: Who is asked.
            mode: How answers are elicited.
            memory: Whether respondents have their earlier questions and answers before them.
            progress: True shows the waves in a terminal and a notebook, False nowhere; a function
                is called with (stage, done, total), the stage being the wave's name.

        Raises:
            SurveyError: If nobody is asked, or somebody twice.

        Example:
            >>> from usersim import UserSimulator
            >>> from usersim.survey import YesNo
            >>> survey = Survey(title="Tea", questions=(YesNo(id="tea", text="Do you drink tea?"),))
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     results = survey.run(sim.respondents(), progress=False)
            >>> results.of("tea")[0].value in ("yes", "no")
            True
        """
        with show_progress(progress, "Survey.run()") as report:
            return conduct(self, respondents, mode=mode, memory=memory, progress=report)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an instrument from a YAML or JSON file.

        Args:
            path: `.json`, or `.yaml` or `.yml`, which needs the extra `survey`.

        Raises:
            SurveyError: If it cannot be read or is not an instrument; every problem is listed.
            MissingDependencyError: If it is YAML and PyYAML is not installed.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> question = '{"type": "yes_no", "id": "tea", "text": "Tea now?"}'
            >>> with TemporaryDirectory() as folder:
            ...     path = Path(folder) / "tea.json"
            ...     _ = path.write_text(f'{{"title": "Tea", "questions": [{question}]}}')
            ...     Survey.load(path).all_questions[0].id
            'tea'
        """
        return of_data(cls, read_file(path), where=str(path))

    def save(self, path: str | Path) -> Path:
        """Write the instrument as YAML or JSON, whatever is default left out.

        Args:
            path: `.json`, or `.yaml` or `.yml`, which needs the extra `survey`.

        Raises:
            SurveyError: If it cannot be written.
            MissingDependencyError: If it is YAML and PyYAML is not installed.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> from usersim.survey import YesNo
            >>> survey = Survey(title="Tea", questions=(YesNo(id="tea", text="Do you drink tea?"),))
            >>> with TemporaryDirectory() as folder:
            ...     Survey.load(survey.save(Path(folder) / "tea.json")) == survey
            True
        """
        return write_file(path, plain(self))


def _sheet(found: SurveyResults) -> Sheet:
    rows: list[tuple[str | int | float | None, ...]] = []
    for question in found.survey.all_questions:
        for item in question.items:
            own = found.of(question.id, item)
            given = Counter(str(one.value) for one in own if one.answered)
            ((most, n),) = given.most_common(1) or (("–", 0),)
            rows.append(
                (
                    column_of(question, item),
                    sum(given.values()),
                    shortened(most, 40),
                    n / sum(given.values()) if given else None,
                    sum(one.refused for one in own),
                    sum(one.skipped is not None for one in own),
                    sum(one.failed is not None for one in own),
                )
            )
    columns = ("item", "answers", "most frequent", "share", "refused", "skipped", "failed")
    notes = (
        counted(len(found.people), "simulated respondent"),
        "simulated: a model's answers, not people's",
    )
    return Sheet(title=found.survey.title, columns=columns, rows=rows, notes=notes)


@printed(_sheet)
class SurveyResults(Config):
    """All responses of a population to a survey.

    Example:
        >>> from usersim.survey import Survey, SurveyResponse, YesNo
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
        >>> one = SurveyResponse(respondent="ada", question="tea", value="yes", code=1)
        >>> results = SurveyResults(survey=survey, people=("ada",), responses=(one,), seed=0)
        >>> next(results.wide())
        {'respondent': 'ada', 'tea': 'yes', 'simulated': True}
    """

    survey: Survey
    """The instrument."""
    people: tuple[str, ...]
    """Everybody who was asked, in the order given."""
    responses: tuple[SurveyResponse, ...]
    """By respondent, then in the instrument's order of questions and items."""
    failures: tuple[SurveyFailure, ...] = ()
    """What could not be answered, with the texts as drawn."""
    mode: Mode = "direct"
    """How answers were elicited."""
    memory: bool = False
    """Whether respondents had their earlier answers before them."""
    seed: int
    """Of every order and every draw."""
    runs: tuple[str, ...] = ()
    """Names of the runs in the store that hold the answers with everything behind them."""
    provenance: Mapping[str, JsonValue] = {}
    """What else the answers depend on: engine, adapter, settings."""
    simulated: Literal[True] = True
    """Always True."""

    def __repr__(self) -> str:
        """Say what was asked of how many."""
        return (
            f"SurveyResults({self.survey.title!r}, "
            f"{counted(len(self.people), 'simulated respondent')}, "
            f"{counted(len(self.responses), 'response')})"
        )

    @property
    def answered_by(self) -> str:
        """What answered, in words: engine, adapter, predictors; empty where nothing is known.

        Example:
            >>> from usersim.survey import YesNo
            >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
            >>> told = {"engine": "scripted", "adapter": None, "seed": 0}
            >>> SurveyResults(
            ...     survey=survey, people=("ada",), responses=(), seed=0, provenance=told
            ... ).answered_by
            'engine scripted, no adapter'
        """
        told = self.provenance
        if isinstance(known := told.get("answered_by"), str):
            return known
        parts = [f"engine {told['engine']}"] if told.get("engine") else []
        if "adapter" in told:
            digest = str(told.get("adapter digest") or "")[:12]
            named = f"adapter {told['adapter']} {digest}".strip()
            parts.append(named if told["adapter"] else "no adapter")
        if isinstance(own := told.get("own adapters"), Mapping):
            parts.append(
                counted(len(own), "adapter of a single person", "adapters of single people")
            )
        if isinstance(pooled := told.get("predictors"), list):
            parts.append(f"predictors {' + '.join(map(str, pooled))}")
        return ", ".join(parts)

    def long(self) -> Iterator[dict[str, object]]:
        """Yield one plain row per response: every field, question text and type included.

        The last column says what answered.

        Yields:
            Rows with the same columns; a mapping or tuple stays one.
        """
        texts = {question.id: question for question in self.survey.all_questions}
        answered_by = self.answered_by
        for one in self.responses:
            question = texts[one.question]
            yield {
                "survey": self.survey.title,
                "respondent": one.respondent,
                "question": one.question,
                "type": question.type,
                "text": question.text,
                **{
                    name: getattr(one, name)
                    for name in SurveyResponse.model_fields
                    if name not in {"respondent", "question"}
                },
                "answered_by": answered_by,
            }

    def wide(self, *, codes: bool = False) -> Iterator[dict[str, object]]:
        """Yield one plain row per respondent, one column per question and item.

        Args:
            codes: The numbers of the answers in place of their labels; texts stay texts.

        Yields:
            `respondent`, a column for each of `column_of`, and `simulated`; None: no answer.
        """
        columns = [
            (question.id, item, column_of(question, item))
            for question in self.survey.all_questions
            for item in question.items
        ]
        rows: dict[str, dict[tuple[str, str], SurveyResponse]] = {name: {} for name in self.people}
        for one in self.responses:
            rows[one.respondent][one.question, one.item] = one
        for person, own in rows.items():
            cells: dict[str, object] = {"respondent": person}
            for question, item, column in columns:
                one = own.get((question, item))
                cells[column] = None if one is None else _cell(one, codes=codes)
            yield {**cells, "simulated": True}

    def of(self, question: str, item: str = "") -> list[SurveyResponse]:
        """Return the responses to one item, in the order of the people."""
        return [one for one in self.responses if (one.question, one.item) == (question, item)]


def _cell(one: SurveyResponse, *, codes: bool) -> str | float | None:
    return one.code if codes and one.code is not None else one.value


def conduct(
    survey: Survey,
    respondents: Respondents,
    *,
    mode: Mode = "direct",
    memory: bool = False,
    everything: bool = False,
    progress: Progress | None = None,
) -> SurveyResults:
    """Ask everybody everything that their way through the survey holds.

    Args:
        survey: The instrument.
        respondents: Who is asked.
        mode: How answers are elicited.
        memory: Whether respondents have their earlier questions and answers before them.
        everything: Ask what conditions would skip, too.
        progress: Called with (stage, done, total); the stage is the wave's name.

    Returns:
        A response for every item of every question and respondent.

    Raises:
        SurveyError: If nobody is asked, or somebody twice.

    Example:
        >>> from usersim import UserSimulator
        >>> from usersim.survey import YesNo
        >>> survey = Survey(title="Tea", questions=(YesNo(id="tea", text="Do you drink tea?"),))
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     results = conduct(survey, sim.respondents(), memory=True)
        >>> results.people, results.memory
        (('ada',), True)
    """
    people = tuple(respondents.people)
    if not people or len(set(people)) != len(people):
        raise SurveyError(
            f"a survey needs distinct respondents; got {list(people[:5])!r}"
            f"{' and more' if len(people) > len(people[:5]) else ''}",
            hint="use ids of people in the store; `usersim users` lists them",
        )
    design = Design(
        mode=mode,
        memory=memory,
        seed=respondents.seed,
        decision=respondents.decision,
        everything=everything,
    )
    found = interview(survey, respondents, design, progress)
    return SurveyResults(
        survey=survey,
        people=people,
        responses=found.responses,
        failures=found.failures,
        mode=mode,
        memory=memory,
        seed=respondents.seed,
        runs=found.runs,
        provenance=respondents.provenance,
    )
