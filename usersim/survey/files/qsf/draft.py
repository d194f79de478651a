"""The instrument in the making, and its last check: what cannot be known where it is needed.

A condition on a question that may come later (in a shuffled block, say) cannot be asked for. It is
removed alone, with a note, and everything else stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from usersim.errors import ExpressionError, SurveyError, SurveyFileError
from usersim.survey.checks import Places
from usersim.survey.expressions import MOST_CHARS, parse
from usersim.survey.files.notes import Notes
from usersim.survey.files.qsf.logic import Condition, all_of
from usersim.survey.piping import mentioned
from usersim.survey.questions import SurveyQuestion
from usersim.survey.sections import Passage, Section
from usersim.survey.survey import Survey

__all__ = ["DraftPassage", "DraftQuestion", "DraftSection", "finished"]


@dataclass(kw_only=True)
class DraftQuestion:
    """A question with the conditions on it."""

    question: SurveyQuestion
    only_if: list[Condition]
    where: str


@dataclass(kw_only=True)
class DraftPassage:
    """A text to read with the conditions on it."""

    text: str
    only_if: list[Condition]
    where: str
    before: str = ""


@dataclass(kw_only=True)
class DraftSection:
    """Questions that stand together, with the conditions on all of them."""

    id: str
    where: str
    only_if: list[Condition]
    random_order: bool = False
    questions: list[DraftQuestion] = field(default_factory=list[DraftQuestion])
    passages: list[DraftPassage] = field(default_factory=list[DraftPassage])


def finished(
    drafts: Sequence[DraftSection], title: str, shuffled: Sequence[str], notes: Notes
) -> Survey:
    """Return the survey, without the conditions and placeholders that it cannot hold.

    Args:
        drafts: Its sections, in order.
        title: Its title.
        shuffled: Ids of the sections that exchange their places.
        notes: Where to note what was removed.

    Raises:
        SurveyFileError: If what is left is still no instrument.
    """
    moves = set(shuffled)
    bare = Survey.model_construct(
        title=title,
        sections=tuple(
            Section.model_construct(
                id=one.id,
                questions=tuple(q.question for q in one.questions),
                random_order=one.random_order,
                fixed=bool(moves) and one.id not in moves,
                show_if="",
            )
            for one in drafts
        ),
        random_sections=bool(moves),
    )
    last = _Last(Places(bare), notes)
    by_id = {one.id: one for one in bare.sections}
    try:
        return Survey(
            title=title,
            random_sections=bool(moves),
            sections=tuple(last.section(one, by_id[one.id]) for one in drafts),
        )
    except (SurveyError, ValidationError) as error:
        raise SurveyFileError(f"the imported questions are not a valid survey: {error}") from error


@dataclass(frozen=True, slots=True)
class _Last:
    """Keeps what is known where it is needed."""

    places: Places
    notes: Notes

    def section(self, draft: DraftSection, bare: Section) -> Section:
        questions = {one.question.id: one.question for one in draft.questions}
        return Section(
            id=draft.id,
            questions=tuple(self._question(one, bare) for one in draft.questions),
            passages=tuple(
                self._passage(one, bare, questions.get(one.before)) for one in draft.passages
            ),
            random_order=draft.random_order,
            fixed=bare.fixed,
            show_if=self._show_if(draft.only_if, bare, None, draft.where),
        )

    def _question(self, draft: DraftQuestion, section: Section) -> SurveyQuestion:
        question = draft.question
        shown = {
            label: text
            for label, text in question.shown_if.items()
            if self._known(text, section, question, f"{draft.where}, {label!r}")
        }
        changed: dict[str, object] = {
            "text": self._text(question.text, section, question, draft.where),
            "show_if": self._show_if(draft.only_if, section, question, draft.where),
        }
        if question.shown_if:
            changed["rows_if" if question.type == "matrix" else "options_if"] = shown
        return question.model_copy(update=changed)

    def _passage(
        self, draft: DraftPassage, section: Section, before: SurveyQuestion | None
    ) -> Passage:
        return Passage(
            text=self._text(draft.text, section, before, draft.where),
            show_if=self._show_if(draft.only_if, section, before, draft.where),
            before=draft.before,
        )

    def _show_if(
        self,
        parts: Sequence[Condition],
        section: Section,
        question: SurveyQuestion | None,
        where: str,
    ) -> str:
        kept: list[Condition] = []
        for part in dict.fromkeys(parts):
            if isinstance(part, str) and self._known(part, section, question, where):
                whole = all_of([*kept, part])
                if len(str(whole)) > MOST_CHARS:
                    self.notes.add(where, f"condition {part!r}: too long", "removed")
                else:
                    kept.append(part)
        whole = all_of(kept)
        return whole if isinstance(whole, str) else ""

    def _known(
        self, text: str, section: Section, question: SurveyQuestion | None, where: str
    ) -> bool:
        """Return whether a condition can be asked for there; note it if it cannot."""
        try:
            names = sorted(parse(text).questions)
        except ExpressionError as error:
            self.notes.add(where, f"condition {text!r}: {error}", "removed")
            return False
        late = [name for name in names if not self._before(name, section, question)]
        if late:
            what = f"condition {text!r}: {', '.join(late)} may not have been asked by then"
            self.notes.add(where, what, "removed: asked of everybody")
        return not late

    def _before(self, name: str, section: Section, question: SurveyQuestion | None) -> bool:
        return name in self.places.home and self.places.surely_before(name, section, question)

    def _text(
        self, text: str, section: Section, question: SurveyQuestion | None, where: str
    ) -> str:
        """Return a text without the placeholders that need not have an answer by then."""
        for name in sorted(mentioned(text)):
            if not self._before(name, section, question):
                what = f"piped text {{{{ {name} }}}}, which may not have been asked by then"
                self.notes.add(where, what, "replaced by [...]")
                text = re.sub(rf"\{{\{{\s*{name}\s*\}}\}}", "[...]", text)
        return text
