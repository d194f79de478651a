"""What must hold of a survey as a whole: names, references, and what is known where.

Every problem names its question and value; all of them are found at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from usersim.errors import ExpressionError
from usersim.survey.expressions import Expression, parse
from usersim.survey.piping import malformed, mentioned
from usersim.survey.questions import (
    MultipleChoice,
    NumberQuestion,
    OpenText,
    SurveyQuestion,
)
from usersim.survey.sections import Instrument, Section

__all__ = ["Places", "problems"]

COLUMNS = ("respondent", "simulated", "timestamp")
"""Columns of wide tables and of codebooks; no question's column may have their name."""
_NAMED = 40
"""Question ids that a problem lists."""


def problems(survey: Instrument) -> list[str]:
    """Return what is wrong with a survey, in words; empty if nothing is."""
    if bool(survey.sections) == bool(survey.questions):
        return ["pass either questions or sections, with at least one question"]
    found = [*_names(survey)]
    if malformed(survey.instruction) or mentioned(survey.instruction):
        found.append(
            f"the survey's instruction {survey.instruction!r} contains braces; it is shown before "
            "every question, where no answer is known yet"
        )
    places = Places(survey)
    for section in survey.all_sections:
        where = f"section {section.id!r}"
        found += _references(places, section, None, (where, section.show_if, section.text))
        found += _passages(places, section)
        for question in section.questions:
            said = f"{question.instruction}\n{question.text}"
            where = f"question {question.id!r}"
            own = (where, question.show_if, said)
            found += _references(places, section, question, own)
            for label, text in question.shown_if.items():
                own = (f"{where}, {label!r}", text, "")
                found += _references(places, section, question, own)
    return found


def _passages(places: Places, section: Section) -> Iterator[str]:
    """Yield what is wrong with the texts to read of a section."""
    own = {question.id: question for question in section.questions}
    for number, passage in enumerate(section.passages, start=1):
        where = f"section {section.id!r}, passage {number}"
        if passage.before and passage.before not in own:
            yield f"{where}: before names {passage.before!r}; the section has {', '.join(own)}"
            continue
        if passage.before and section.random_order:
            yield f"{where}: before={passage.before!r} cannot be used where questions are shuffled"
        first = own[passage.before or section.questions[0].id]
        if section.random_order or not passage.before:
            first = None
        yield from _references(places, section, first, (where, passage.show_if, passage.text))


def _names(survey: Instrument) -> Iterator[str]:
    sections = Counter(section.id.casefold() for section in survey.all_sections)
    yield from (f"section id {name!r} is given {n} times" for name, n in sections.items() if n > 1)
    questions = Counter(one.id.casefold() for one in survey.all_questions)
    yield from (
        f"question id {name!r} is given {n} times" for name, n in questions.items() if n > 1
    )
    if max(questions.values()) > 1:
        return
    names = [*COLUMNS]
    for question in survey.all_questions:
        numbered = [f"{question.id}_{place}" for place in range(1, len(question.items) + 1)]
        names += numbered if question.items[0] else [question.id]
    columns = Counter(name.casefold() for name in names)
    yield from (
        f"column {name!r} of the results would occur {n} times; rename a question"
        for name, n in columns.items()
        if n > 1
    )


class Places:
    """Where each question can stand for a respondent, whatever is shuffled."""

    def __init__(self, survey: Instrument) -> None:
        self.home: dict[str, tuple[Section, int]] = {}
        self.questions = {one.id: one for one in survey.all_questions}
        self._slots: dict[str, tuple[int, int]] = {}
        sections = survey.all_sections
        movable = [
            slot
            for slot, section in enumerate(sections)
            if survey.random_sections and not section.fixed
        ]
        moves = set(movable)
        for slot, section in enumerate(sections):
            self._slots[section.id] = (movable[0], movable[-1]) if slot in moves else (slot, slot)
            for place, question in enumerate(section.questions):
                self.home[question.id] = (section, place)
        names = list(self.home)
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        self.named = f"{', '.join(names[:_NAMED])}{more}"

    def surely_before(self, name: str, section: Section, question: SurveyQuestion | None) -> bool:
        """Return whether `name` always comes before a question, or a section."""
        home, place = self.home[name]
        if home.id == section.id:
            if question is None or section.random_order:
                return False
            return place < self.home[question.id][1]
        return self._slots[home.id][1] < self._slots[section.id][0]


def _references(
    places: Places,
    section: Section,
    question: SurveyQuestion | None,
    own: tuple[str, str, str],
) -> Iterator[str]:
    """Yield what is wrong with a condition and with placeholders."""
    where, show_if, text = own
    names: dict[str, str] = dict.fromkeys(sorted(mentioned(text)), "its text")
    if malformed(text):
        yield f"{where}: {text.strip()!r} has double braces without an id, such as {{{{ id }}}}"
    if show_if.strip():
        try:
            read = parse(show_if)
        except ExpressionError as error:
            yield f"{where}: {error}"
        else:
            names |= dict.fromkeys(sorted(read.questions), f"show_if {show_if!r}")
            yield from (f"{where}: {said}" for said in _labels(places.questions, read))
    for name, via in names.items():
        if name not in places.home:
            known = places.named
            yield (
                f"{where}: {via} names {name!r}, which is not a question; the questions are {known}"
            )
        elif not places.surely_before(name, section, question):
            yield f"{where}: {via} names {name!r}, which may not have been asked by then"


def _labels(by_id: Mapping[str, SurveyQuestion], read: Expression) -> Iterator[str]:
    """Yield the options that an expression names and its questions do not have."""
    for name, item in read.mentions:
        if name in by_id and item is not None and item not in _named(by_id[name]):
            yield f"show_if {read.text!r} names {item!r}; {name!r} has {_named(by_id[name])!r}"
    for name, label, within in read.compared():
        if name in by_id and (said := _wrong_label(by_id[name], label, within=within)):
            yield f"show_if {read.text!r} compares {name!r} with {label!r}; {said}"


def _wrong_label(question: SurveyQuestion, label: str, *, within: bool) -> str:
    """Return what is wrong with comparing a question with a text; empty if nothing is."""
    if isinstance(question, OpenText | NumberQuestion) or label in question.refusal:
        return ""
    if isinstance(question, MultipleChoice):
        if not within:
            return "it may have several answers: write selected(question, option)"
        return "" if label in question.options else f"it has {question.options!r}"
    if question.items[0]:
        return "it has an answer for each of its items: write item(question, item)"
    return "" if label in question.labels else f"it has {question.labels!r}"


def _named(question: SurveyQuestion) -> tuple[str, ...]:
    """Return what can be named beside a question: its items, or else its labels."""
    return question.items if question.items[0] else question.labels
