"""The flow of a Qualtrics instrument: blocks in their order, branches, loops, skips, ends.

Conditions add up on the way: those of the branches around a block, those of the display logic,
and that the survey did not end for a respondent before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from usersim.survey.files.notes import Column, Notes
from usersim.survey.files.qsf.asked import Names, SourceQuestion, note_unread, short
from usersim.survey.files.qsf.draft import DraftPassage, DraftQuestion, DraftSection
from usersim.survey.files.qsf.known import COSMETIC, UNSET, is_set
from usersim.survey.files.qsf.logic import (
    Condition,
    Fields,
    Imported,
    UnmappedError,
    all_of,
    any_of,
    condition,
    negated,
    piped,
    skip_condition,
)
from usersim.survey.files.qsf.questions import NOTHING_ASKED, read_question
from usersim.survey.files.qsf.source import Source
from usersim.survey.files.texts import identifier, media_in, plain_label, plain_text
from usersim.survey.files.traced import (
    Traced,
    as_map,
    is_listed,
    list_in,
    map_in,
    settle_at,
)
from usersim.survey.questions import SurveyQuestion

__all__ = ["FlowImport"]

MOST_QUESTIONS = 2_000
"""Most questions that are taken over."""
_SHOWN = "DB"
_DEEPEST = 20
_LOOP_FIELD = re.compile(r"\$\{lm://(?:Field/(\w+)|(CurrentLoopNumber|TotalLoops))\}")
_COMMENTS = re.compile(r"/\*(?:.*?\*/|.*)|//[^\n]*", re.DOTALL)
_EMPTY_HANDLERS = re.compile(
    r"Qualtrics\.SurveyEngine\.add\w+\(\s*function\s*\(\)\s*\{\s*\}\s*\);?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """One round of a block that is repeated.

    Attributes:
        number: Of the round; exports put it before the question.
        fields: What `${lm://Field/1}` and so on stand for.
        only_if: Condition of the round.
        total: Rounds in all.
    """

    number: str
    fields: Mapping[str, str]
    only_if: Condition
    total: int

    def filled(self, text: str) -> str:
        """Return a text with the round's own fields in place of their pipes."""
        return _LOOP_FIELD.sub(self._value, text)

    def _value(self, match: re.Match[str]) -> str:
        if match[2] == "CurrentLoopNumber":
            return self.number
        if match[2] == "TotalLoops":
            return str(self.total)
        return self.fields.get(match[1], match[0])


@dataclass
class _Block:
    """What a block has given so far.

    Attributes:
        draft: The section that it becomes.
        skips: Conditions of those who skip what comes next, and up to which element.
    """

    draft: DraftSection
    skips: list[tuple[str, Condition]] = field(default_factory=list[tuple[str, Condition]])


@dataclass
class FlowImport:
    """Goes through the flow, and keeps what it finds.

    Attributes:
        source: The file's parts.
        notes: Where to note what could not be taken over.
        refusals: Labels that are refusals, without case.
        scales: Export tags of single choices that are scales.
    """

    source: Source
    notes: Notes
    refusals: frozenset[str]
    scales: frozenset[str]
    sections: list[DraftSection] = field(default_factory=list[DraftSection])
    ids: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    columns: dict[str, Column] = field(default_factory=dict[str, Column])
    headers: dict[str, Column | None] = field(default_factory=dict[str, "Column | None"])
    shuffled: list[str] = field(default_factory=list[str])
    asking: set[str] = field(default_factory=set[str])
    _known: dict[str, Imported] = field(default_factory=dict[str, Imported])
    _fields: Fields = field(default_factory=Fields)
    _names: Names = field(default_factory=Names)
    _seen: set[str] = field(default_factory=set[str])
    _ended: list[Condition] = field(default_factory=list[Condition])
    _pending: list[DraftPassage] = field(default_factory=list[DraftPassage])
    _over: bool = False
    _unsure: int = 0
    _some: int = 0
    _shuffles: int = 0

    def run(self) -> None:
        """Go through the whole flow; without one through the blocks in their order."""
        steps = list_in(self.source.flow, "Flow")
        self._steps(steps or [{"Type": "Block", "ID": one} for one in self.source.blocks], [], 0)
        for one in self._pending:
            self.notes.add(one.where, "a text after the last question", "left out")
        self._left_over()

    def said(self, logic: Mapping[str, object]) -> str:
        """Return a condition over the whole survey in our grammar; empty if it cannot be said."""
        try:
            found = condition(logic, self._known, self._fields)
        except UnmappedError:
            return ""
        return found if isinstance(found, str) else ""

    # ------------------------------------------------------------------ flow

    def _steps(self, steps: Sequence[object], path: list[Condition], deep: int) -> None:
        """Take steps over, all under the conditions of `path`."""
        if deep > _DEEPEST:
            self.notes.add("flow", f"branches nested deeper than {_DEEPEST}", "left out")
            return
        for step in map(as_map, steps):
            where = f"flow {step.get('FlowID', '?')}"
            if self._over:
                self._skip(step, where, "after an end of the survey")
                continue
            self._step(step, where, path, deep)
            if isinstance(step, Traced):
                for key, value in step.unread(COSMETIC["flow"]):
                    self.notes.add(where, f"{key} = {short(value)}", "not imported")

    def _step(
        self, step: Mapping[str, object], where: str, path: list[Condition], deep: int
    ) -> None:
        kind = str(step.get("Type"))
        inner = list_in(step, "Flow")
        if kind in {"Block", "Standard"}:
            self._block(str(step.get("ID")), path)
        elif kind == "Branch":
            self._branch(step, where, path, deep)
        elif kind == "BlockRandomizer":
            self._randomizer(step, where, path, deep)
        elif kind == "EndSurvey":
            self._end(path, where)
        elif kind == "EmbeddedData":
            self._embedded(step, path)
        elif kind == "Group":
            self._steps(inner, path, deep + 1)
        else:
            done = "its blocks are asked" if inner else "left out"
            self.notes.add(where, f"flow element {kind}", done)
            settle_at(step, *(key for key in step if key != "Flow"))
            self._steps(inner, path, deep + 1)

    def _skip(self, step: Mapping[str, object], where: str, why: str) -> None:
        """Leave a step out, and say so of every block in it."""
        kind, name = str(step.get("Type")), str(step.get("ID", ""))
        if kind in {"Block", "Standard"} and name not in self._seen:
            self._seen.add(name)
            self.notes.add(f"block {name}", why, "left out: nobody is asked")
        elif kind not in {"Block", "Standard"}:
            self.notes.add(where, f"{kind} {why}", "left out")
        settle_at(step, *(key for key in step if key != "Flow"))
        for one in map(as_map, list_in(step, "Flow")):
            self._skip(one, where, why)

    def _branch(
        self, step: Mapping[str, object], where: str, path: list[Condition], deep: int
    ) -> None:
        inner = list_in(step, "Flow")
        try:
            own = condition(map_in(step, "BranchLogic"), self._known, self._fields)
        except UnmappedError as error:
            ends = " and nobody is sent to the end" if _has_end(inner) else ""
            self.notes.add(where, f"branch: {error}", f"its blocks are asked of everybody{ends}")
            settle_at(step, "BranchLogic")
            self._unsure += 1
            self._steps(inner, path, deep + 1)
            self._unsure -= 1
            return
        if own is False:
            self.notes.add(where, "a branch that can never be taken", "left out")
            for one in map(as_map, inner):
                self._skip(one, where, "in a branch that can never be taken")
            return
        self._steps(inner, [*path, own], deep + 1)

    def _end(self, path: list[Condition], where: str) -> None:
        if self._unsure:
            return
        if self._some:
            self.notes.add(where, "an end of the survey for some at random", "nobody ends there")
            return
        here = all_of(path)
        if here is True:
            self._over = True
        elif here is not False:
            self._ended.append(negated(here))

    def _embedded(self, step: Mapping[str, object], path: list[Condition]) -> None:
        only_if: Condition = False if self._unsure else all_of([*path, *self._ended])
        for one in map(as_map, list_in(step, "EmbeddedData")):
            name, value = str(one.get("Field", "")), one.get("Value")
            if value is None:
                if name not in self._fields.rows:
                    self._fields.set(name, None, only_if=True)
                continue
            text, lost = piped(plain_label(value), self._known, self._fields)
            known = None if lost or self._unsure else text
            self._fields.set(name, known, only_if=True if self._unsure else only_if)

    def _randomizer(
        self, step: Mapping[str, object], where: str, path: list[Condition], deep: int
    ) -> None:
        before = len(self.sections)
        inner = list_in(step, "Flow")
        some = step.get("SubSet")
        part = some is not None and str(some) != str(len(inner))
        if part:
            self.notes.add(where, f"shows {some} of {len(inner)} blocks", "all are asked")
        self._some += part
        self._steps(inner, path, deep + 1)
        self._some -= part
        if any(as_map(one).get("Type") == "Group" for one in inner):
            self.notes.add(where, "groups of blocks are shuffled", "each block is for itself")
        self._shuffles += 1
        if self._shuffles > 1:
            self.notes.add(where, "a second randomizer", "its blocks keep their order")
        else:
            self.shuffled += [section.id for section in self.sections[before:]]

    # ------------------------------------------------------------------ blocks

    def _block(self, name: str, path: list[Condition]) -> None:
        block = self.source.blocks.get(name)
        if block is None or block.get("Type") == "Trash":
            self.notes.add(f"block {name}", "the block is missing or was deleted", "left out")
            return
        if name in self._seen:
            self._again(name, path)
            return
        self._seen.add(name)
        outer = self._known
        for loop in self._loops(block, name):
            only_if = [*path, *self._ended, *([loop.only_if] if loop else [])]
            self._known = dict(outer)
            self._section(block, name, only_if, loop)
            own = {str(as_map(one).get("QuestionID")) for one in list_in(block, "BlockElements")}
            # Of a repeated block only the rounds are known by name from here on.
            outer = {k: v for k, v in self._known.items() if loop is None or k not in own}
        self._known = outer
        self._account(block, f"block {name}", "block")

    def _again(self, name: str, path: list[Condition]) -> None:
        """Let a block that stands in the flow again be asked under either condition."""
        where = f"block {name}"
        held = [one for one in self.sections if one.where == where]
        self.notes.add(where, "stands in the flow again", "asked once, where it stands first")
        for draft in held:
            draft.only_if = [any_of([all_of(draft.only_if), all_of([*path, *self._ended])])]

    def _account(self, part: Traced, where: str, kind: str) -> None:
        for key, value in part.unread(COSMETIC[kind]):
            if is_set(value) or not is_listed(key, UNSET):
                self.notes.add(where, f"{key} = {short(value)}", "not imported")

    def _loops(self, block: Traced, name: str) -> list[_Loop | None]:
        """Return the rounds of a block; a single None if it is not repeated."""
        options = map_in(block, "Options")
        kind = str(options.get("Looping", "None"))
        how = map_in(options, "LoopingOptions")
        if not is_set(kind):
            if isinstance(how, Traced):
                how.settle()
            return [None]
        rows = {
            number: {str(k): plain_label(v) for k, v in as_map(row).items()}
            for number, row in map_in(how, "Static").items()
        }
        order = str(how.get("Randomization", "None"))
        if is_set(order):
            self.notes.add(f"block {name}", f"rounds in the order {order!r}", "fixed order kept")
        if kind == "Static" and rows:
            return [
                _Loop(number=one, fields=row, only_if=True, total=len(rows))
                for one, row in rows.items()
            ]
        return self._looped(how, rows, name)

    def _looped(
        self, how: Mapping[str, object], rows: Mapping[str, Mapping[str, str]], name: str
    ) -> list[_Loop | None]:
        """Return a round for each choice of an earlier question."""
        locator = str(how.get("Locator") or "")
        found = re.fullmatch(r"q://([^/]+)/ChoiceGroup/(\w+)", locator)
        about = self._known.get(found[1]) if found else None
        which = found[2] if found else ""
        told = {"SelectedChoices", "UnselectedChoices", "AllChoices", "DisplayedChoices"}
        if about is None or which not in told or not about.labels:
            self.notes.add(f"block {name}", f"loop over {locator!r}", "asked once")
            return [None]
        loops: list[_Loop | None] = []
        for number, label in about.labels.items():
            picked: Condition = about.picked.get(number, True)
            if which in {"AllChoices", "DisplayedChoices"}:
                picked = True
            elif which == "UnselectedChoices":
                picked = negated(picked)
            fields = {**rows.get(number, {}), "1": label}
            loops.append(
                _Loop(number=number, fields=fields, only_if=picked, total=len(about.labels))
            )
        return loops

    def _section(
        self, block: Traced, name: str, only_if: list[Condition], loop: _Loop | None
    ) -> None:
        options = map_in(block, "Options")
        random = str(options.get("RandomizeQuestions", "false"))
        if is_set(random) and random not in {"RandomizeAll", "RandomWithXPerPage", "true"}:
            self.notes.add(f"block {name}", f"order of questions {random}", "fixed order kept")
        shuffles = random in {"RandomizeAll", "RandomWithXPerPage", "true"}
        heading = str(block.get("Description") or name)
        found = _Block(
            DraftSection(
                id=identifier(
                    f"{heading}_loop{loop.number}" if loop else heading,
                    {one.id.lower() for one in self.sections},
                    prefix="s",
                ),
                where=f"block {name}",
                only_if=only_if,
                random_order=shuffles,
            )
        )
        elements = [as_map(one) for one in list_in(block, "BlockElements")]
        later = [str(one.get("QuestionID")) for one in elements if one.get("Type") == "Question"]
        for element in elements:
            if element.get("Type") == "Question":
                number = str(element.get("QuestionID"))
                found.skips = [one for one in found.skips if one[0] != number]
                later = later[later.index(number) + 1 :] if number in later else later
                self._element(number, found, loop)
                self._skips(element, number, found, later)
            elif element.get("Type") != "Page Break":
                what = f"block element {element.get('Type')!r}"
                self.notes.add(f"block {name}", what, "left out")
        self._keep(found.draft)

    def _keep(self, draft: DraftSection) -> None:
        """Add a section; texts after its last question wait for the next one."""
        if not draft.questions and not draft.passages:
            self.notes.add(draft.where, "has no question that was imported", "left out")
            return
        shuffled = draft.random_order and bool(draft.questions)
        trailing = [one for one in draft.passages if not one.before and not shuffled]
        first = draft.questions[0].question.id if draft.questions else ""
        for passage in draft.passages:
            if shuffled or passage.before == first:
                passage.before = ""
        if draft.questions:
            own = [one for one in draft.passages if one not in trailing]
            draft.passages = [*self._pending, *own]
            self._pending = []
            self.sections.append(draft)
        for passage in trailing:
            passage.only_if = [*draft.only_if, *passage.only_if]
        if self._some and not draft.questions:
            for passage in trailing:
                done = "left out: it is shown to some at random"
                self.notes.add(passage.where, "one of several texts", done)
            return
        self._pending += trailing

    def _skips(
        self, element: Mapping[str, object], number: str, found: _Block, later: Sequence[str]
    ) -> None:
        """Take the skip logic of a question over."""
        where = self._where(number)
        for skip in map(as_map, list_in(element, "SkipLogic")):
            to = str(skip.get("SkipToDestination"))
            try:
                own = skip_condition(skip, self._known)
            except UnmappedError as error:
                self.notes.add(where, f"skip logic to {to}: {error}", "nobody skips")
                if isinstance(skip, Traced):
                    skip.settle()
                continue
            if to not in {"ENDOFBLOCK", "ENDOFSURVEY", *later}:
                self.notes.add(where, f"skip logic to {to}: not later in its block", "nobody skips")
                continue
            if isinstance(own, str) and own.startswith("not "):
                # Of those who were not asked, a negation is true, and they skip nothing.
                own = all_of([self._known[number].displayed, own])
            found.skips.append((to, negated(own)))
            if to == "ENDOFSURVEY":
                if found.draft.random_order:
                    self.notes.add(
                        where, "skip logic in a shuffled block", "holds for later blocks"
                    )
                self._ended.append(negated(own))

    # ------------------------------------------------------------------ elements

    def _where(self, number: str) -> str:
        payload = self.source.questions.get(number)
        tag = str(payload.get("DataExportTag") or number) if payload else number
        return f"{number} ({tag})" if tag != number else number

    def _element(self, number: str, found: _Block, loop: _Loop | None) -> None:
        """Take a question or a text of a block over."""
        payload = self.source.questions.get(number)
        where = self._where(number)
        if payload is None or number in self._known or len(self.asking) >= MOST_QUESTIONS:
            self.notes.add(where, "missing, asked before, or one too many", "left out")
            return
        kind = str(payload.get("QuestionType"))
        if kind in NOTHING_ASKED:
            return
        asked = self._asked(number, payload, where, loop)
        self._remarks(asked)
        own = self._shown_if(asked)
        skipped = [one for _, one in found.skips]
        if own is False:
            self.notes.add(where, "display logic that is never true", "left out")
            return
        displayed = all_of([*found.draft.only_if, own])
        if kind == _SHOWN:
            self._text(asked, found, [own, *skipped])
            self._remember(number, Imported(displayed=displayed), loop)
            note_unread(asked, text=True)
            return
        self.asking.add(number)
        imported = read_question(asked, self.scales)
        if imported is None:
            return
        note_unread(asked)
        for question in imported.questions:
            mine: list[Condition] = [question.show_if or True, own, *skipped]
            found.draft.questions.append(
                DraftQuestion(question=_without_condition(question), only_if=mine, where=where)
            )
        for passage in found.draft.passages:
            passage.before = passage.before or imported.questions[0].id
        self._remember(number, replace(imported, displayed=displayed), loop)

    def _asked(
        self, number: str, payload: Traced, where: str, loop: _Loop | None
    ) -> SourceQuestion:
        tag = str(payload.get("DataExportTag") or number)

        def pipe(text: str, what: str) -> str:
            text = text if loop is None else loop.filled(text)
            said, lost = piped(text, self._known, self._fields)
            if lost:
                self.notes.add(
                    where, f"piped text {', '.join(lost)} in {what}", "replaced by [...]"
                )
            return said

        text = pipe(plain_text(payload.get("QuestionText")), "its text")
        if (asks := str(payload.get("QuestionType")) != _SHOWN) and not text:
            self.notes.add(where, "a question without a text", "asked as '…'")
            text = "…"
        return SourceQuestion(
            tag=f"{tag}_loop{loop.number}" if loop else tag,
            text=text[: 5_000 if asks else 20_000],  # as much as a question, or a passage, holds
            payload=payload,
            where=where,
            known=self._known,
            fields=self._fields,
            notes=self.notes,
            names=self._names,
            refusals=self.refusals,
            pipe=pipe,
        )

    def _remarks(self, asked: SourceQuestion) -> None:
        """Note what a question has beside its words."""
        payload = asked.payload
        media = media_in(payload.get("QuestionText"))
        if is_set(payload.get("Graphics")) or media:
            asked.note(f"shows a {(media or ['picture'])[0]}", "only the text is imported")
        script = _EMPTY_HANDLERS.sub("", _COMMENTS.sub("", str(payload.get("QuestionJS") or "")))
        if script.strip():
            asked.note("JavaScript", "not run")
        if is_set(payload.get("DefaultChoices")):
            asked.note("an answer that is given beforehand", "not imported")
            settle_at(payload, "DefaultChoices")
        if is_set(payload.get("GradingData")):
            asked.note("scores of its answers", "not imported")
            settle_at(payload, "GradingData")
        languages = map_in(payload, "Language")
        if languages:
            asked.note(f"translations into {', '.join(languages)}", "left out")
            settle_at(payload, "Language")
        groups = [
            str(as_map(one).get("GroupLabel")) for one in map_in(payload, "ChoiceGroups").values()
        ]
        if groups:
            asked.note(f"groups of choices {', '.join(groups)}", "one list without groups")
            settle_at(payload, "ChoiceGroups")
            payload.get("ChoiceGroupOrder")

    def _shown_if(self, asked: SourceQuestion) -> Condition:
        try:
            return condition(map_in(asked.payload, "DisplayLogic"), self._known, self._fields)
        except UnmappedError as error:
            asked.note(f"display logic: {error}", "asked of everybody")
            settle_at(asked.payload, "DisplayLogic")
            return True

    def _text(self, asked: SourceQuestion, found: _Block, only_if: list[Condition]) -> None:
        """Keep a text to read; the question from which on it is read comes next."""
        if asked.text:
            passage = DraftPassage(text=asked.text, only_if=only_if, where=asked.where)
            found.draft.passages.append(passage)

    def _remember(self, number: str, imported: Imported, loop: _Loop | None) -> None:
        names = [number, *([f"{loop.number}_{number}"] if loop else [])]
        for name in names:
            self._known[name] = imported
            self._known |= {f"{name}{part}": one for part, one in imported.parts.items()}
        if not imported.questions:
            return
        ids = tuple(one.id for one in imported.questions)
        self.ids[number] = (*self.ids.get(number, ()), *ids)
        self.columns |= {f"{names[-1]}{rest}": spot for rest, spot in imported.columns.items()}
        for name, spot in _headers(self.source.questions[number], number, imported, loop).items():
            self.headers[name] = None if name in self.headers else spot

    def _left_over(self) -> None:
        """Note the questions that no block of the flow holds."""
        held = {
            str(as_map(element).get("QuestionID"))
            for name in self._seen
            for element in list_in(self.source.blocks[name], "BlockElements")
        }
        for number in self.source.questions:
            if number not in held:
                self.notes.add(number, "in no block of the flow", "left out")


def _headers(
    payload: Traced, number: str, imported: Imported, loop: _Loop | None
) -> dict[str, Column]:
    """Return what columns answer, by the names that exports give them."""
    tag = str(payload.get("DataExportTag") or number)
    before = f"{loop.number}_" if loop else ""
    named = {
        f"_{key}": str(name)
        for key, name in map_in(payload, "ChoiceDataExportTags").items()
        if isinstance(name, str) and name
    }
    found: dict[str, Column] = {}
    for rest, spot in imported.columns.items():
        key, _, more = rest[1:].partition("_")
        own = named.get(f"_{key}", f"{tag}_{key}") if rest.startswith("_") else f"{tag}{rest}"
        found[f"{before}{own}_{more}" if more else f"{before}{own}"] = spot
    return found


def _without_condition(question: SurveyQuestion) -> SurveyQuestion:
    return question.model_copy(update={"show_if": ""})


def _has_end(steps: Sequence[object]) -> bool:
    return any(
        one.get("Type") == "EndSurvey" or _has_end(list_in(one, "Flow"))
        for one in map(as_map, steps)
    )
