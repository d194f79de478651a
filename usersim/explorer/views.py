"""The pages: what each one reads, and the template that shows it.

A page is made from the explorer, the addresses of the others and what was asked for. Knows the
store's records; knows nothing of HTTP or files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from usersim.corpus import ItemRow, RunRecord, StoredAnswer, TraceRecord
from usersim.errors import ConfigError, NotStoredError, UsersimError
from usersim.explorer.closeups import Explorer
from usersim.explorer.drawing import guard_rows, render
from usersim.explorer.links import Links, Step
from usersim.simulation import Answer
from usersim.types import Interaction, Message, Question

__all__ = ["Pages"]

NAMED = 100
"""People that a comparison offers by name; any other can be typed."""


class _Names(TypedDict, total=False):
    """Where a page of names begins or ends."""

    after: str
    before: str


class _Places(TypedDict, total=False):
    """Where a page of places or row ids begins or ends."""

    after: int
    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One person in a comparison.

    Attributes:
        user_id: Who.
        acts: What they did in this context.
        kept: The kept trace of each of these that has one, by interaction key.
        answers: What was simulated for them in this context, newest first, by row id.
    """

    user_id: str
    acts: Sequence[Interaction]
    kept: Mapping[str, TraceRecord]
    answers: Mapping[int, Answer]


@dataclass(frozen=True, slots=True)
class Pages:
    """Makes the explorer's pages.

    Attributes:
        explorer: What is shown.
        links: Where the pages are.
    """

    explorer: Explorer
    links: Links

    def _render(self, template: str, **values: object) -> bytes:
        store = self.explorer.corpus.name.replace("\\", "/").rpartition("/")[2]
        return render(
            template,
            links=self.links,
            measures=self.explorer.measures,
            store=store,
            **values,
        )

    def overview(self) -> bytes:
        """Show how much the store holds, and its runs."""
        corpus = self.explorer.corpus
        runs = corpus.runs.all()[::-1]
        return self._render("overview.html", counts=corpus.browse.counts(), runs=runs)

    def people(self, search: str, step: Step) -> bytes:
        """Show a page of the people."""
        page = self.explorer.corpus.browse.people(search=search, **_names(step))
        return self._render("people.html", page=page, search=search)

    def person(self, user_id: str, step: Step) -> bytes:
        """Show a page of what a person did."""
        browse = self.explorer.corpus.browse
        page = browse.interactions(user_id, **_places(step))
        traced = browse.traced([one.key for one in page.items])
        return self._render("person.html", user_id=user_id, page=page, traced=traced)

    def answers(self, user_id: str, step: Step) -> bytes:
        """Show a page of what was simulated for a person."""
        page = self.explorer.corpus.browse.answers(user_id, **_places(step))
        rows = [(one, Answer.from_dict(one.record)) for one in page.items]
        return self._render("answers.html", user_id=user_id, page=page, rows=rows)

    def interaction(self, key: str) -> bytes:
        """Show an interaction with its candidates and the decision about them."""
        corpus = self.explorer.corpus
        interaction = corpus.interaction(key)
        records = _latest(corpus.ledger.find_trace(interaction.key))
        kept = [one for one in records if one.kept]
        reasons = dict.fromkeys(
            one.selection.reason for one in records if one.selection is not None
        )
        return self._render(
            "interaction.html",
            one=interaction,
            records=records,
            kept=kept,
            reasons=list(reasons),
            options=getattr(interaction.space, "options", ()),
        )

    def trace(self, key: str, *, measure: bool) -> bytes:
        """Show one candidate with every score and guard, and in close-up where asked.

        Raises:
            NotStoredError: If there is no such candidate.
        """
        corpus = self.explorer.corpus
        records = [r for r in corpus.ledger.find_trace(key) if r.candidate.key == key]
        if not records:
            raise NotStoredError(
                f"the store has no candidate {key!r}",
                hint="it may have been deleted with its person; interactions list their candidates",
            )
        record = _latest(records)[0]
        closeup, trouble = None, None
        if measure:
            try:
                closeup = self.explorer.trace(record)
            except UsersimError as error:
                trouble = error
        return self._render(
            "trace.html",
            record=record,
            one=corpus.interaction(record.candidate.interaction_key),
            guards=guard_rows(record.scored) if record.scored else [],
            closeup=closeup,
            trouble=trouble,
        )

    def run(self, name: str, step: Step) -> bytes:
        """Show a page of a run: what was asked of whom, and the answers."""
        record = self._run(name)
        page = self.explorer.corpus.browse.items(record.id, **_places(step))
        rows = [(row, _answer_of(row), _options(row.item.request.question)) for row in page.items]
        return self._render("run.html", run=record, page=page, rows=rows)

    def answer(self, answer_id: int, *, measure: bool) -> bytes:
        """Show one answer with everything behind it, and in close-up where asked."""
        stored = self.explorer.corpus.browse.answer(answer_id)
        answer = Answer.from_dict(stored.response.record)
        closeup, trouble = None, None
        if measure:
            try:
                closeup = self.explorer.answer(stored)
            except UsersimError as error:
                trouble = error
        return self._render(
            "answer.html",
            stored=stored,
            answer=answer,
            context=_context(stored, answer),
            options=_options(stored.item.request.question) if stored.item else (),
            closeup=closeup,
            trouble=trouble,
        )

    def compare(self, *, answer_id: int | None, interaction: str, other: str) -> bytes:
        """Show two people beside each other in the context of an answer or an interaction.

        Raises:
            ConfigError: If neither is given.
        """
        corpus = self.explorer.corpus
        if answer_id is not None:
            stored = corpus.browse.answer(answer_id)
            first = stored.response.user_id
            context = _context(stored, Answer.from_dict(stored.response.record))
            options = _options(stored.item.request.question) if stored.item else ()
        elif interaction:
            shown = corpus.interaction(interaction)
            first, context = shown.user_id, shown.context
            options = _options(shown.question)
        else:
            raise ConfigError(
                "nothing to compare: neither an answer nor an interaction was selected",
                hint="open one of them and choose Compare",
            )
        people = [one.user_id for one in corpus.browse.people(limit=NAMED).items]
        sides = [self._side(user_id, context) for user_id in (first, other) if user_id]
        return self._render(
            "compare.html",
            sides=sides,
            context=context,
            options=options,
            first=first,
            other=other,
            people=[one for one in people if one != first],
            answer_id=answer_id,
            interaction=interaction,
        )

    def error(self, title: str, message: str, hint: str) -> bytes:
        """Show what went wrong and what to do next."""
        return self._render("error.html", title=title, message=message, hint=hint)

    def _run(self, name: str) -> RunRecord:
        record = self.explorer.corpus.runs.find(name)
        if record is None:
            raise NotStoredError(
                f"the store has no run {name!r}", hint="the overview lists all runs"
            )
        return record

    def _side(self, user_id: str, context: Sequence[Message]) -> _Side:
        corpus = self.explorer.corpus
        acts = corpus.browse.acts_in(user_id, context)
        kept = {
            one.key: record
            for one in acts
            for record in _latest(corpus.ledger.find_trace(one.key))
            if record.kept
        }
        answers = corpus.browse.answers_to(user_id, context, limit=3)
        return _Side(
            user_id=user_id,
            acts=acts,
            kept=kept,
            answers={one.id: Answer.from_dict(one.record) for one in answers},
        )


def _names(step: Step) -> _Names:
    if step is None:
        return {}
    return {"after": str(step[1])} if step[0] == "after" else {"before": str(step[1])}


def _places(step: Step) -> _Places:
    if step is None:
        return {}
    return {"after": int(step[1])} if step[0] == "after" else {"before": int(step[1])}


def _latest(records: Sequence[TraceRecord]) -> list[TraceRecord]:
    """Return each candidate once per stage that scored it, or once if none did; kept ones first."""
    scored = {one.candidate.key for one in records if one.scored is not None}
    shown: dict[tuple[str, str], TraceRecord] = {}
    for one in records:
        key = one.candidate.key
        if one.scored is not None:
            shown[key, one.stage_key] = one
        elif key not in scored:
            shown[key, ""] = one
    return sorted(shown.values(), key=lambda one: not one.kept)


def _answer_of(row: ItemRow) -> Answer | None:
    return Answer.from_dict(row.record) if row.record else None


def _options(question: Question) -> Sequence[str]:
    """Return the options in the order of the question; the store sorts probabilities by name."""
    return getattr(question.space, "options", ())


def _context(stored: StoredAnswer, answer: Answer) -> tuple[Message, ...]:
    """Return what was answered; outside of a run the store has its text alone."""
    if stored.item is not None:
        return stored.item.request.question.context
    return (Message(answer.trace.question),)
