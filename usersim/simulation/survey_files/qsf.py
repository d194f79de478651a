"""Qualtrics' own file of an instrument (`.qsf`, JSON) as a `Survey`.

Blocks become sections, the flow their order, display and branch logic conditions, piped answers
placeholders. What has no counterpart here is noted row by row and never guessed. The file is
untrusted: bounded, read as plain JSON, its markup dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

from usersim.errors import SurveyFileError
from usersim.simulation.survey import Section, Survey, SurveyQuestion
from usersim.simulation.survey.checks import problems
from usersim.simulation.survey_files.notes import Notes, SurveyImport
from usersim.simulation.survey_files.qsf_logic import Imported, UnmappedError, condition, piped
from usersim.simulation.survey_files.qsf_questions import QuestionReader
from usersim.simulation.survey_files.texts import identifier, plain_text

__all__ = ["MOST_BYTES", "read_qsf"]

MOST_BYTES = 20_000_000
"""Largest file that is read."""
MOST_QUESTIONS = 2_000
"""Most questions that are taken over."""
_SHOWN = "DB"
_IGNORED = {"EmbeddedData", "EndSurvey"}
_DEEPEST = 20

Json = Mapping[str, object]
Part = TypeVar("Part", bound=Section | SurveyQuestion)


def read_qsf(
    source: str | Path | bytes,
    *,
    refusals: Sequence[str] = (),
    scales: Sequence[str] = (),
) -> SurveyImport:
    """Import a Qualtrics instrument.

    Args:
        source: The file, or its content as bytes.
        refusals: Labels that are refusals rather than options, such as `Don't know`.
        scales: Export tags of single choices that are scales, in the instrument's order;
            Qualtrics does not tell a scale from any other choice.

    Returns:
        The instrument with notes of what could not be taken over.

    Raises:
        SurveyFileError: If the file is none of Qualtrics, or no question could be taken over.
    """
    name = "the given bytes" if isinstance(source, bytes) else repr(str(source))
    elements = _elements(_content(source, name), name)
    notes = Notes()
    reader = QuestionReader(refusals, scales, notes)
    walk = _Walk(elements, reader, notes)
    walk.flow(walk.root, "", 0)
    walk.left_over()
    if not walk.sections:
        rows = "; ".join(str(note) for note in notes.rows[:5])
        raise SurveyFileError(
            f"no question of {name} could be taken over: {rows or 'it has none'}",
            hint="export the survey from Qualtrics with Tools > Import/Export > Export survey",
        )
    survey = _checked(walk, elements.title, notes)
    ids = {number: one.question.id for number, one in walk.known.items()}
    return SurveyImport(survey=survey, ids=ids, notes=tuple(notes.rows))


def _content(source: str | Path | bytes, name: str) -> bytes:
    try:
        if not isinstance(source, bytes):
            path = Path(source)
            if path.stat().st_size > MOST_BYTES:
                raise SurveyFileError(f"{name} has more than {MOST_BYTES} bytes")
            source = path.read_bytes()
    except OSError as error:
        raise SurveyFileError(f"{name} cannot be read: {error}") from error
    if len(source) > MOST_BYTES:
        raise SurveyFileError(f"{name} has more than {MOST_BYTES} bytes")
    return source


@dataclass(frozen=True, slots=True, kw_only=True)
class _Elements:
    title: str
    blocks: Mapping[str, Json]
    flow: Json
    questions: Mapping[str, Json]


def _elements(content: bytes, name: str) -> _Elements:
    """Return the parts of a file.

    Raises:
        SurveyFileError: If it is none of Qualtrics.
    """
    hint = "a .qsf file is what Qualtrics writes under Tools > Import/Export > Export survey"
    try:
        data: object = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SurveyFileError(f"{name} is no JSON: {error}", hint=hint) from error
    parts = _list(_map(data).get("SurveyElements"))
    if not parts:
        raise SurveyFileError(f"{name} has no SurveyElements", hint=hint)
    blocks: dict[str, Json] = {}
    questions: dict[str, Json] = {}
    flow: Json = {}
    for part in map(_map, parts):
        payload = part.get("Payload")
        if part.get("Element") == "BL":
            listed = _list(payload) or list(_map(payload).values())
            blocks |= {str(one.get("ID")): one for one in map(_map, listed)}
        elif part.get("Element") == "FL":
            flow = _map(payload)
        elif part.get("Element") == "SQ":
            questions[str(part.get("PrimaryAttribute"))] = _map(payload)
    entry = _map(_map(data).get("SurveyEntry"))
    title = plain_text(entry.get("SurveyName"))[:500] or "Imported survey"
    return _Elements(title=title, blocks=blocks, flow=flow, questions=questions)


@dataclass
class _Walk:
    """Goes through the flow; what it found so far."""

    elements: _Elements
    reader: QuestionReader
    notes: Notes
    sections: list[Section] = field(default_factory=list[Section])
    known: dict[str, Imported] = field(default_factory=dict[str, Imported])
    seen: set[str] = field(default_factory=set[str])
    names: set[str] = field(default_factory=set[str])
    shuffled: list[str] = field(default_factory=list[str])
    shuffles: int = 0

    @property
    def root(self) -> list[object]:
        """The flow's steps; without a flow the blocks in their order."""
        steps = _list(self.elements.flow.get("Flow"))
        return steps or [{"Type": "Block", "ID": name} for name in self.elements.blocks]

    def flow(self, steps: Sequence[object], show_if: str, deep: int) -> None:
        """Take steps over, all under the condition `show_if`."""
        if deep > _DEEPEST:
            self.notes.add("flow", f"more than {_DEEPEST} branches in each other", "left out")
            return
        for step in map(_map, steps):
            kind, where = str(step.get("Type")), f"flow {step.get('FlowID', '?')}"
            if kind in {"Block", "Standard"}:
                self._block(str(step.get("ID")), show_if)
            elif kind == "Branch":
                self.flow(_list(step.get("Flow")), self._branch(step, show_if, where), deep + 1)
            elif kind in {"BlockRandomizer", "Group"}:
                self._randomizer(step, show_if, where, deep)
            elif kind in _IGNORED:
                self.notes.add(where, kind, "left out: not a part of the instrument here")
            else:
                self.notes.add(where, f"flow element {kind}", "left out")

    def _branch(self, step: Json, show_if: str, where: str) -> str:
        try:
            own = condition(_map(step.get("BranchLogic")), self.known)
        except UnmappedError as error:
            self.notes.add(where, f"branch: {error}", "asked of everybody")
            return show_if
        return f"({show_if}) and ({own})" if show_if and own else own or show_if

    def _randomizer(self, step: Json, show_if: str, where: str, deep: int) -> None:
        before = len(self.sections)
        inner = _list(step.get("Flow"))
        self.flow(inner, show_if, deep + 1)
        if step.get("Type") == "Group":
            return
        some = step.get("SubSet")
        if some is not None and str(some) != str(len(inner)):
            self.notes.add(where, f"shows {some} of {len(inner)} blocks", "all are asked")
        self.shuffles += 1
        if self.shuffles > 1:
            self.notes.add(where, "a second randomizer", "its blocks keep their order")
        else:
            self.shuffled += [section.id for section in self.sections[before:]]

    def _block(self, name: str, show_if: str) -> None:
        block = self.elements.blocks.get(name)
        if block is None or block.get("Type") == "Trash":
            self.notes.add(f"block {name}", "no such block, or in the trash", "left out")
            return
        if name in self.seen:
            self.notes.add(f"block {name}", "stands in the flow again", "asked once")
            return
        self.seen.add(name)
        shown: list[str] = []
        questions: list[SurveyQuestion] = []
        for element in map(_map, _list(block.get("BlockElements"))):
            if element.get("Type") == "Question":
                self._question(str(element.get("QuestionID")), questions, shown)
        if not questions:
            self.notes.add(f"block {name}", "has no question that was taken over", "left out")
            return
        options = _map(block.get("Options"))
        random = str(options.get("RandomizeQuestions", "false"))
        if random not in {"false", "", "None", "RandomizeAll", "true"}:
            self.notes.add(f"block {name}", f"order of questions {random}", "fixed order kept")
        section = identifier(
            str(block.get("Description") or name),
            {one.id.lower() for one in self.sections},
            prefix="s",
        )
        self.sections.append(
            Section(
                id=section,
                text="\n".join(shown),
                questions=tuple(questions),
                random_order=random in {"RandomizeAll", "true"},
                show_if=show_if,
            )
        )

    def _question(self, number: str, questions: list[SurveyQuestion], shown: list[str]) -> None:
        payload = self.elements.questions.get(number)
        if payload is None or number in self.known or len(self.known) >= MOST_QUESTIONS:
            self.notes.add(number, "missing, asked before, or one too many", "left out")
            return
        tag = str(payload.get("DataExportTag") or number)
        where = f"{number} ({tag})" if tag != number else number
        text, lost = piped(plain_text(payload.get("QuestionText")), self.known)
        if lost:
            self.notes.add(where, f"piped text {', '.join(lost)}", "replaced by [...]")
        if payload.get("QuestionType") == _SHOWN:
            shown.append(text)
            self.notes.add(where, "text without a question", "put into the block's introduction")
            return
        name = identifier(tag, self.names)
        found = self.reader.read(name, text, payload, where)
        if found is None:
            return
        show_if = self._shown_if(payload, where)
        question = found.question.model_copy(update={"show_if": show_if})
        self.names.add(name.lower())
        self.known[number] = Imported(question=question, choices=found.choices)
        questions.append(question)

    def _shown_if(self, payload: Json, where: str) -> str:
        try:
            return condition(_map(payload.get("DisplayLogic")), self.known)
        except UnmappedError as error:
            self.notes.add(where, f"display logic: {error}", "asked of everybody")
            return ""

    def left_over(self) -> None:
        """Note the questions that no block of the flow holds."""
        held = {
            str(element.get("QuestionID"))
            for name in self.seen
            for element in map(_map, _list(self.elements.blocks[name].get("BlockElements")))
        }
        for number in self.elements.questions:
            if number not in held:
                self.notes.add(number, "in no block of the flow", "left out")


def _checked(walk: _Walk, title: str, notes: Notes) -> Survey:
    """Return the survey, without the conditions and placeholders that it cannot hold.

    What is only wrong together (a condition on what a shuffled block may ask later) is found by
    the instrument's own checks.
    """
    moves = set(walk.shuffled)
    sections = tuple(
        one.model_copy(update={"fixed": bool(moves) and one.id not in moves})
        for one in walk.sections
    )
    draft = Survey.model_construct(title=title, sections=sections, random_sections=bool(moves))
    wrong = problems(draft)
    for problem in wrong:
        notes.add("survey", problem, "its condition and placeholders were taken away")
    named = {problem.partition(":")[0] for problem in wrong}
    mended = tuple(
        _bare(one, strip=f"section {one.id!r}" in named).model_copy(
            update={
                "questions": tuple(
                    _bare(q, strip=f"question {q.id!r}" in named) for q in one.questions
                )
            }
        )
        for one in sections
    )
    return Survey(title=title, sections=mended, random_sections=bool(moves))


def _bare(one: Part, *, strip: bool) -> Part:
    if not strip:
        return one
    text = one.text.replace("{{", "[").replace("}}", "]")
    return one.model_copy(update={"show_if": "", "text": text})


def _map(value: object) -> Json:
    return cast("Json", value) if isinstance(value, Mapping) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
