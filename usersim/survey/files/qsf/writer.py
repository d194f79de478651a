"""A `Survey` as the file that Qualtrics imports (`.qsf`, JSON): the reverse of `reader.py`.

Sections become blocks, their conditions branches, the conditions of questions, texts, options and
rows display logic, placeholders piped answers. Whatever Qualtrics cannot hold as it was is in the
notes. Every text is escaped: Qualtrics shows markup of an instrument as text, and runs none of it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from usersim.errors import SurveyFileError
from usersim.files import write_text
from usersim.survey.expressions import parse
from usersim.survey.files.notes import Notes, SurveyExport
from usersim.survey.files.qsf.payloads import Payload, html_of, payload_of, pipe_of
from usersim.survey.files.qsf.terms import Spot, UnwritableError, logic_of, ways_of
from usersim.survey.piping import mentioned
from usersim.survey.questions import LikertScale, OpenText, SurveyQuestion
from usersim.survey.sections import Section
from usersim.survey.survey import Survey

__all__ = ["write_qsf"]

SURVEY_ID = "SV_000000000000000"
RESPONSES_ID = "RS_000000000000000"
"""Qualtrics gives the imported survey, and its set of responses, ids of its own."""
_UNSAID = (
    "SurveyDescription", "SurveyOwnerID", "SurveyBrandID", "DivisionID", "SurveyStartDate",
    "SurveyExpirationDate", "SurveyCreationDate", "CreatorID", "LastModified", "LastAccessed",
    "LastActivated", "Deleted",
)  # fmt: skip
"""What a file says of its owner and dates, of which an instrument has none."""
_STATISTICS = "Survey Statistics"
_SCORING: Payload = {
    "ScoringCategories": [],
    "ScoringCategoryGroups": [],
    "ScoringSummaryCategory": None,
    "ScoringSummaryAfterQuestions": 0,
    "ScoringSummaryAfterSurvey": 0,
    "DefaultScoringCategory": None,
    "AutoScoringCategory": None,
}
_FIRST_FLOW = 2
"""`FL_1` is the root of the flow."""


def write_qsf(survey: Survey, path: str | Path) -> SurveyExport:
    """Write an instrument as a file that Qualtrics imports.

    Args:
        survey: The instrument.
        path: `.qsf`; replaced if it is there.

    Returns:
        What was written, with notes of what Qualtrics cannot hold, and what `read_qsf` has to be
        told to read the same instrument back: labels of refusals, and ids of scales.

    Raises:
        SurveyFileError: If its ending is another one, or it cannot be written.

    Example:
        >>> from tempfile import mkdtemp
        >>> from usersim.survey import SingleChoice
        >>> from usersim.survey.files import read_qsf
        >>> tea = SingleChoice(id="tea", text="Which tea?", options=("green", "black"))
        >>> written = write_qsf(Survey(title="Tea", questions=(tea,)), f"{mkdtemp()}/tea.qsf")
        >>> read_qsf(written.path).survey.question("tea") == tea, written.notes
        (True, ())
    """
    target = Path(path)
    if target.suffix.lower() != ".qsf":
        raise SurveyFileError(
            f"{str(path)!r} must end with .qsf", hint="the ending selects the format"
        )
    made = _File(survey)
    text = json.dumps(made.whole(), ensure_ascii=False, indent=1)
    write_text(target, text, what="the instrument", error=SurveyFileError)
    return SurveyExport(
        path=target,
        title=survey.title,
        questions=len(survey.all_questions),
        notes=tuple(made.notes.rows),
        refusals=tuple(dict.fromkeys(r for one in survey.all_questions for r in one.refusal)),
        scales=tuple(made.scales),
    )


@dataclass(slots=True)
class _File:
    """The file in the making."""

    survey: Survey
    notes: Notes = field(default_factory=Notes)
    scales: list[str] = field(default_factory=list[str])
    _spots: dict[str, Spot] = field(default_factory=dict[str, Spot])
    _elements: list[Payload] = field(default_factory=list[Payload])
    _blocks: list[Payload] = field(default_factory=list[Payload])
    _piped: frozenset[str] = frozenset()
    _steps: int = _FIRST_FLOW - 1

    def __post_init__(self) -> None:
        self._piped = frozenset(name for text in _texts(self.survey) for name in mentioned(text))

    def whole(self) -> Payload:
        """Return the file."""
        survey = self.survey
        self._ambiguous()
        flow = list(self._flow())
        root = {
            "Type": "Root",
            "FlowID": "FL_1",
            "Flow": flow,
            "Properties": {"Count": self._steps},
        }
        count = str(len(survey.all_questions))
        return {
            "SurveyEntry": {
                "SurveyID": SURVEY_ID,
                "SurveyName": html.escape(survey.title, quote=False),
                "SurveyStatus": "Inactive",
                "SurveyLanguage": "EN",
                "SurveyActiveResponseSet": RESPONSES_ID,
                **dict.fromkeys(_UNSAID),
            },
            "SurveyElements": [
                _element("BL", "Survey Blocks", self._blocks),
                _element("FL", "Survey Flow", root),
                _element("SO", "Survey Options", _OPTIONS),
                _element("SCO", "Scoring", _SCORING),
                _element("RS", RESPONSES_ID, None, second="Default Response Set"),
                _element("STAT", _STATISTICS, {"MobileCompatible": True, "ID": _STATISTICS}),
                _element("PROJ", "CORE", {"ProjectCategory": "CORE", "SchemaVersion": "1.1.0"}),
                _element("QC", "Survey Question Count", None, second=count),
                *self._elements,
            ],
        }

    def _ambiguous(self) -> None:
        """Note labels that are a refusal here and an option there: a reader knows labels alone."""
        asked = self.survey.all_questions
        refused = {label.casefold() for one in asked for label in one.refusal}
        for one in asked:
            own = [label for label in one.options if label.casefold() in refused]
            if own:
                self.notes.add(
                    f"question {one.id!r}",
                    f"the option {', '.join(map(repr, own))}, a refusal in another question",
                    "an option; whoever reads the file back with --refusal reads it as a refusal",
                )

    # ------------------------------------------------------------------ flow

    def _flow(self) -> Iterator[Payload]:
        survey = self.survey
        if survey.instruction.strip():
            self.notes.add(
                "the survey", "an instruction before every question", "shown once, first"
            )
            text = self._text(survey.instruction, "instruction", "the survey")
            yield self._block("instruction", [text], {})
        moving = [one.id for one in survey.all_sections if not one.fixed]
        run = self._run(moving) if survey.random_sections else []
        shuffled: list[Payload] = []
        for section in survey.all_sections:
            step = self._section(section)
            if section.id not in run:
                yield step
                continue
            shuffled.append(step)
            if section.id == run[-1]:
                self._steps += 1
                yield {
                    "Type": "BlockRandomizer",
                    "FlowID": f"FL_{self._steps}",
                    "SubSet": len(shuffled),
                    "EvenPresentation": False,
                    "Flow": shuffled,
                }

    def _run(self, moving: Sequence[str]) -> list[str]:
        """Return the sections that change places: those of the longest row without a fixed one."""
        runs: list[list[str]] = [[]]
        for section in self.survey.all_sections:
            if section.fixed:
                runs.append([])
            else:
                runs[-1].append(section.id)
        longest = max(runs, key=len)
        if stays := [one for one in moving if one not in longest]:
            self.notes.add(
                f"section {', '.join(map(repr, stays))}",
                "changes places with sections beyond a fixed one",
                "keeps its place",
            )
        return longest

    def _section(self, section: Section) -> Payload:
        where = f"section {section.id!r}"
        elements: list[Payload] = []
        page: set[str] = set()
        texts = [(section.text, "", "")] if section.text.strip() else []
        if mentioned(section.text):
            self.notes.add(
                where,
                "an introduction without which, where its answer is missing, nothing is asked",
                "only the text itself is left out",
            )
        texts += [(one.text, one.show_if, one.before) for one in section.passages]
        if texts and section.random_order:
            self.notes.add(
                where, "texts to read in a shuffled block", "Qualtrics shuffles them, too"
            )
        shown = list(enumerate(texts, start=1))
        for place, question in enumerate(section.questions):
            own = [t for t in shown if t[1][2] == question.id or (not place and not t[1][2])]
            for number, (text, show_if, _) in own:
                named = mentioned(text) | _looked_at([show_if])
                elements += _page_break(named, page)
                spot = f"{section.id}_text_{number}"
                elements.append(self._text(text, spot, f"{where}, text {number}", show_if))
            expressions = [question.show_if, *question.shown_if.values()]
            words = f"{question.instruction}\n{question.text}"
            elements += _page_break(mentioned(words) | _looked_at(expressions), page)
            elements.append(self._question(question))
            page.add(question.id)
        options = {"RandomizeQuestions": "RandomizeAll" if section.random_order else "false"}
        step = self._block(section.id, elements, options)
        logic = self._logic(section.show_if, where, "its questions are asked of everybody")
        if logic is None:
            return step
        self._steps += 1
        return {
            "Type": "Branch",
            "FlowID": f"FL_{self._steps}",
            "Description": "New Branch",
            "BranchLogic": logic,
            "Flow": [step],
        }

    def _block(self, name: str, elements: Sequence[Payload], options: Mapping[str, str]) -> Payload:
        first = not self._blocks
        number = f"BL_{len(self._blocks) + 1:015d}"
        self._blocks.append(
            {
                "Type": "Default" if first else "Standard",
                "SubType": "",
                "Description": name,
                "ID": number,
                "BlockElements": list(elements),
                "Options": {"BlockLocking": "false", "BlockVisibility": "Expanded", **options},
            }
        )
        self._steps += 1
        kind = "Block" if first else "Standard"
        return {"Type": kind, "ID": number, "FlowID": f"FL_{self._steps}", "Autofill": []}

    # ------------------------------------------------------------------ elements

    def _logic(self, show_if: str, where: str, otherwise: str) -> Payload | None:
        """Return a condition as logic; None where there is none, or after a note."""
        if not show_if.strip():
            return None
        expression = parse(show_if)
        compared = {name for name, _, _ in expression.compared()}
        if any(isinstance(self._spots[name].question, OpenText) for name in compared):
            self.notes.add(where, f"{show_if!r} compares texts", "Qualtrics ignores their case")
        try:
            ways = ways_of(expression, self._spots)
        except UnwritableError as error:
            self.notes.add(where, f"show_if {show_if!r}: {error}", otherwise)
            return None
        return None if ways == ((),) else {**logic_of(ways), "inPage": False}

    def _words(self, text: str, where: str) -> str:
        def note(what: str, done: str) -> None:
            self.notes.add(where, what, done)

        return html_of(text, lambda name: pipe_of(self._spots[name], note), note)

    def _add(self, number: str, payload: Payload) -> Payload:
        """Keep a question or text; return what its block says of it."""
        about = str(payload["QuestionText"])
        self._elements.append(_element("SQ", number, payload, second=about[:99]))
        return {"Type": "Question", "QuestionID": number}

    def _text(self, text: str, tag: str, where: str, show_if: str = "") -> Payload:
        number = f"QID{len(self._elements) + 1}"
        words = self._words(text, where)
        logic = self._logic(show_if, where, "shown to everybody")
        return self._add(
            number,
            {
                "QuestionText": words,
                "DataExportTag": tag,
                "QuestionType": "DB",
                "Selector": "TB",
                "Configuration": {"QuestionDescriptionOption": "UseText"},
                "QuestionDescription": tag,
                "ChoiceOrder": [],
                "Validation": {"Settings": {"Type": "None"}},
                "GradingData": [],
                "Language": [],
                "QuestionID": number,
                **({} if logic is None else {"DisplayLogic": logic}),
            },
        )

    def _question(self, question: SurveyQuestion) -> Payload:
        number = f"QID{len(self._elements) + 1}"
        where = f"question {question.id!r}"
        is_piped = question.id in self._piped
        payload, spot, more = payload_of(question, number, is_piped=is_piped, notes=self.notes)
        if isinstance(question, LikertScale) and payload["Selector"] == "SAHR":
            self.scales.append(question.id)
        if question.instruction.strip():
            self.notes.add(where, "an instruction", "put before the text of the question")
        words = "\n".join(one for one in (question.instruction.strip(), question.text, more) if one)
        logic = self._logic(question.show_if, where, "asked of everybody")
        self._conditions(question, payload, spot)
        self._spots[question.id] = spot
        return self._add(
            number,
            {
                "QuestionText": self._words(words, where),
                "DataExportTag": question.id,
                "QuestionDescription": question.id,
                "QuestionID": number,
                **payload,
                **({} if logic is None else {"DisplayLogic": logic}),
            },
        )

    def _conditions(self, question: SurveyQuestion, payload: Payload, spot: Spot) -> None:
        """Put the conditions of single options or rows into the choices of a question."""
        choices = payload.get("Choices")
        numbers = spot.rows or spot.choices
        for label, show_if in question.shown_if.items():
            where = f"question {question.id!r}, {label!r}"
            logic = self._logic(show_if, where, "shown to everybody")
            if logic is not None and isinstance(choices, dict):
                choices[numbers[label]]["DisplayLogic"] = logic


def _texts(survey: Survey) -> Iterator[str]:
    """Yield every text that may hold piped answers."""
    for section in survey.all_sections:
        yield section.text
        yield from (one.text for one in section.passages)
        yield from (f"{one.instruction}\n{one.text}" for one in section.questions)


def _looked_at(expressions: Sequence[str]) -> frozenset[str]:
    return frozenset(name for one in expressions if one.strip() for name in parse(one).questions)


def _page_break(named: frozenset[str], page: set[str]) -> list[Payload]:
    """Return a page break where something depends on an answer of the same page."""
    if not named & page:
        return []
    page.clear()
    return [{"Type": "Page Break"}]


def _element(kind: str, name: str, payload: object, *, second: str | None = None) -> Payload:
    return {
        "SurveyID": SURVEY_ID,
        "Element": kind,
        "PrimaryAttribute": name,
        "SecondaryAttribute": second,
        "TertiaryAttribute": None,
        "Payload": payload,
    }


_OPTIONS: Payload = {
    "BackButton": "false",
    "SaveAndContinue": "true",
    "SurveyProtection": "PublicSurvey",
    "BallotBoxStuffingPrevention": "false",
    "NoIndex": "Yes",
    "SecureResponseFiles": "true",
    "SurveyExpiration": "None",
    "SurveyTermination": "DefaultMessage",
    "Header": "",
    "Footer": "",
    "ProgressBarDisplay": "None",
    "PartialData": "+1 week",
    "ValidationMessage": "",
    "PreviousButton": "",
    "NextButton": "",
    "SkinType": "MQ",
    "NewScoring": 1,
}
