"""An instrument written for Qualtrics and read back by our importer is the same instrument.

What Qualtrics cannot hold as it was is in the notes, and nowhere else is anything different.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from usersim.survey import (
    Budget,
    GivenAnswer,
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Passage,
    Ranking,
    Section,
    SingleChoice,
    Survey,
    SurveyQuestion,
    YesNo,
    codes_of,
    parse,
)
from usersim.survey.base import doubled
from usersim.survey.files import SurveyExport, SurveyImport, read_qsf, write_qsf

LAWS = settings(deadline=None, max_examples=40)
SIGNS = "abc XYZ019 äéß 日本 مرحبا 🙂 <>&;/'\".,:!?()=+-@#%*_|~^$"
"""Signs of labels: of several scripts, and those that markup, formulas and locators are made of."""
words = st.text(SIGNS, min_size=1, max_size=9).map(lambda text: " ".join(text.split()))
labels = words.filter(lambda text: text and "${" not in text)
quotable = labels.filter(lambda text: not ('"' in text and "'" in text))
REFUSALS = ("no opinion at all", "do not know this")


def distinct(
    one: st.SearchStrategy[str], least: int, most: int
) -> st.SearchStrategy[tuple[str, ...]]:
    """Labels that differ from each other and from every refusal."""
    several = st.lists(one, min_size=least, max_size=most, unique=True).map(tuple)
    return several.filter(lambda told: not doubled([*told, *REFUSALS]))


def coded(options: Sequence[str]) -> dict[str, float]:
    """Numbers that are not the places of the options."""
    return {option: 10.0 * place + 3 for place, option in enumerate(options)}


@st.composite
def questions(draw: st.DrawFn, name: str) -> SurveyQuestion:  # noqa: C901, PLR0911, PLR0912 - types
    """A question of any type, without conditions."""
    text = "\n".join(draw(st.lists(labels, min_size=1, max_size=2)))
    refusal = draw(st.sampled_from([(), REFUSALS[:1], REFUSALS]))
    shuffled = draw(st.booleans())
    told = {"id": name, "text": text, "refusal": refusal}
    kind = draw(st.sampled_from(["single", "several", "points", "numbers", "yes", "number", "rank",
                                 "budget", "matrix", "open"]))  # fmt: skip
    options = draw(distinct(quotable, 2, 4))
    last = tuple(one for one in options if draw(st.booleans()))[1:] if shuffled else ()
    if kind == "single":
        codes = coded(options) if draw(st.booleans()) else {}
        return SingleChoice(**told, options=options, random_order=shuffled, last=last, codes=codes)
    if kind == "several":
        least = draw(st.integers(0, 2))
        most = draw(st.sampled_from([None, 2]))
        alone = options[:1] if draw(st.booleans()) else ()
        return MultipleChoice(
            **told, options=options, random_order=shuffled, last=last, least=least, most=most,
            exclusive=alone,
        )  # fmt: skip
    if kind == "points":
        codes = coded(options) if draw(st.booleans()) else {}
        return LikertScale(**told, points=options, codes=codes, random_order=shuffled)
    if kind == "numbers":
        points, start = draw(st.sampled_from([(5, 1), (11, 0), (3, -1)]))
        low, high = draw(labels), draw(labels)
        return LikertScale(
            **told, points=points, start=start, low=low, high=high, random_order=shuffled
        )
    if kind == "yes":
        return YesNo(**told, options=options[:2])
    if kind == "number":
        low, high = draw(st.sampled_from([(None, None), (0, 9), (-1.5, None), (None, 1234567)]))
        unit = draw(st.sampled_from([None, "kg"]))
        return NumberQuestion(**told, low=low, high=high, integer=draw(st.booleans()), unit=unit)
    if kind == "rank":
        return Ranking(**told, options=options, random_order=shuffled, last=last)
    if kind == "budget":
        total, whole = draw(st.sampled_from([(100, True), (7, True), (2.5, False), (4, False)]))
        return Budget(**told, options=options, total=total, integer=whole, random_order=shuffled)
    if kind == "matrix":
        rows = draw(distinct(quotable, 1, 3))
        codes = coded(options) if draw(st.booleans()) else {}
        return Matrix(
            **told, rows=rows, options=options, random_order=shuffled, codes=codes,
            ordered=draw(st.booleans()),
        )  # fmt: skip
    return OpenText(**told)


def quoted(text: str) -> str:
    """A label in an expression."""
    return f"'{text}'" if '"' in text else f'"{text}"'


@st.composite
def leaves(draw: st.DrawFn, about: SurveyQuestion) -> str:  # noqa: PLR0911 - types
    """One comparison with an earlier question."""
    name = about.id
    sign = draw(st.sampled_from(["==", "!=", "<", ">="]))
    number = draw(st.sampled_from([0, 2, 13, -1.5, 1234567]))
    if isinstance(about, MultipleChoice):
        option = quoted(draw(st.sampled_from(about.options)))
        forms = [f"selected({name}, {option})", f"{option} in {name}", f"answered({name})",
                 f"{option} not in {name}", f'item({name}, {option}) == "no"']  # fmt: skip
        return draw(st.sampled_from(forms))
    if isinstance(about, Matrix | Ranking | Budget):
        item = quoted(draw(st.sampled_from(about.items)))
        if isinstance(about, Matrix):
            label = quoted(draw(st.sampled_from(about.labels)))
            return draw(st.sampled_from([f"item({name}, {item}) {sign} {label}",
                                         f"item({name}, {item}) {sign} {number}"]))  # fmt: skip
        return f"item({name}, {item}) {sign} {number}"
    if isinstance(about, OpenText):
        return draw(st.sampled_from([f'{name} == "tea"', f'{name} != "tea"', f"answered({name})"]))
    if isinstance(about, NumberQuestion):
        return draw(st.sampled_from([f"{name} {sign} {number}", f"{number} {sign} {name}",
                                     f"answered({name})", f"{name} in [1, 2]",
                                     f"{name} not in [1, 2]", f"refused({name})"]))  # fmt: skip
    one, other = (quoted(draw(st.sampled_from(about.labels))) for _ in range(2))
    return draw(st.sampled_from([
        f"{name} {sign} {quoted(about.labels[0])}", f"{name} {sign} {number}", f"answered({name})",
        f"refused({name})", f"{name} in [{one}, {other}]", f"{name} not in [{one}, {other}]",
        f"{one} == {name}",
    ]))  # fmt: skip


@st.composite
def conditions(draw: st.DrawFn, about: Sequence[SurveyQuestion]) -> str:
    """A condition on earlier questions; empty where there are none."""
    if not about or not draw(st.booleans()):
        return ""
    found = [
        draw(leaves(draw(st.sampled_from(list(about))))) for _ in range(draw(st.integers(1, 3)))
    ]
    said = found[0]
    for one in found[1:]:
        said = f"({said}) {draw(st.sampled_from(['and', 'or']))} {one}"
    return f"not ({said})" if draw(st.booleans()) else said


@st.composite
def instruments(draw: st.DrawFn) -> Survey:
    """Sections of questions of any type, with conditions, texts, placeholders and shuffles."""
    moving = draw(st.booleans())
    before: list[SurveyQuestion] = []
    sections: list[Section] = []
    for place in range(draw(st.integers(1, 3))):
        shuffled = draw(st.booleans())
        known = [] if moving else list(before)
        own: list[SurveyQuestion] = []
        for n in range(draw(st.integers(1, 3))):
            about = known if shuffled else [*known, *own]
            one = draw(questions(f"q{place}{n}"))
            changed: dict[str, object] = {"show_if": draw(conditions(about))}
            if about and draw(st.booleans()):
                changed["text"] = f"{one.text} {{{{ {draw(st.sampled_from(about)).id} }}}}?"
            if isinstance(one, Matrix | SingleChoice | MultipleChoice | Ranking | Budget):
                field = "rows_if" if isinstance(one, Matrix) else "options_if"
                some = draw(conditions(about))
                changed[field] = {one.items[0] or one.options[0]: some} if some else {}
            if draw(st.booleans()):
                changed["instruction"] = draw(labels)
            own.append(one.model_copy(update=changed))
        texts = [
            Passage(text=draw(labels), show_if=draw(conditions(known)),
                    before="" if shuffled else draw(st.sampled_from(["", own[-1].id])))
            for _ in range(draw(st.integers(0, 2)))
        ]  # fmt: skip
        sections.append(
            Section(
                id=f"s{place}", questions=tuple(own), random_order=shuffled, passages=tuple(texts),
                text=draw(st.one_of(st.just(""), labels)), show_if=draw(conditions(known)),
                fixed=moving and draw(st.booleans()),
            )
        )  # fmt: skip
        before += own
    return Survey(
        title=draw(labels), sections=tuple(sections), random_sections=moving,
        instruction=draw(st.one_of(st.just(""), labels)),
    )  # fmt: skip


@st.composite
def told_by(draw: st.DrawFn, question: SurveyQuestion) -> GivenAnswer:
    """What may come of a question that was answered, refused, or neither."""
    state = draw(st.sampled_from(["answered", "answered", "refused", "skipped", "failed"]))
    kind = question.type
    # An entry that may be refused may be left blank in Qualtrics, as its note says.
    entry = NumberQuestion | OpenText | Ranking | Budget | MultipleChoice | Matrix
    if state == "refused" and question.refusal and not isinstance(question, entry):
        return GivenAnswer(
            state="refused", label=draw(st.sampled_from(question.refusal)), kind=kind
        )
    if state != "answered":
        return GivenAnswer(state="skipped" if state == "refused" else state, kind=kind)
    values: st.SearchStrategy[str | float]
    if isinstance(question, MultipleChoice):
        values = st.sampled_from(["yes", "no"])
    elif isinstance(question, NumberQuestion | Ranking | Budget):
        values = st.sampled_from([0.0, 1.0, 2.0, 13.0, -1.5, 1234567.0])
    elif isinstance(question, OpenText):
        values = st.sampled_from(["tea", "Tea", "why not"])
    elif isinstance(question, Matrix):
        values = st.sampled_from(question.labels)
    else:
        values = st.sampled_from(question.options)
    codes = {k: float(v) for k, v in codes_of(question).items() if k not in question.refusal}
    return GivenAnswer(
        state="answered", items={item: draw(values) for item in question.items}, codes=codes,
        kind=kind,
    )  # fmt: skip


def round_trip(survey: Survey) -> tuple[SurveyExport, SurveyImport]:
    """Write an instrument and read it back, told what no file of Qualtrics says."""
    with TemporaryDirectory() as folder:
        written = write_qsf(survey, Path(folder) / "a.qsf")
        return written, read_qsf(written.path, refusals=written.refusals, scales=written.scales)


def expected(  # noqa: C901, PLR0912, PLR0915 - each type for itself
    question: SurveyQuestion, *, piped: bool
) -> dict[str, object]:
    """What comes back of a question, its conditions left out, as its notes say."""
    told = question.model_dump(exclude={"show_if", "options_if", "rows_if", "instruction"})
    told["codes"] = {}
    if isinstance(question, SingleChoice | LikertScale | Matrix | YesNo):
        told["codes"] = codes_of(question)
    text = f"{question.instruction}\n{question.text}" if question.instruction else question.text
    if isinstance(question, YesNo):
        told |= {"type": "single_choice", "random_order": False, "last": ()}
    if isinstance(question, LikertScale) and isinstance(question.points, int):
        plain = not question.refusal and not question.random_order
        own = (question.points, question.start) == (11, 0) or (
            not piped and ":" not in question.low + question.high
        )
        if not (plain and own):
            told |= {"points": question.options, "low": "", "high": "", "start": 1}
            text += f"\n{question.parts(question.options)[0].text}"
    if isinstance(question, LikertScale) and isinstance(question.points, tuple):
        told["start"] = 1
    if isinstance(question, MultipleChoice) and question.refusal:
        told["options"] = (*question.options, *question.refusal)
        told["exclusive"] = (*question.exclusive, *question.refusal)
        if question.random_order:
            told["last"] = (*question.last, *question.refusal)
        told["refusal"] = ()
    if isinstance(question, NumberQuestion | Ranking | Budget | OpenText):
        told["refusal"] = ()
    if isinstance(question, NumberQuestion) and question.unit:
        text += f"\n({question.unit})"
        told["unit"] = None
    if isinstance(question, Budget):
        told["integer"] = float(question.total).is_integer()
    if isinstance(question, Matrix):
        told["ordered"] = True
    if isinstance(question, SingleChoice | MultipleChoice) and not question.random_order:
        told["last"] = ()
    return {**told, "text": text}


def same(
    one: str, other: str, givens: dict[str, GivenAnswer], where: str, written: SurveyExport
) -> None:
    """A condition means the same on both sides, unless a note says that it is left out."""
    if any(note.where == where and note.what.startswith("show_if") for note in written.notes):
        assert other == ""
        return
    sides = [parse(text).holds(givens) if text else True for text in (one, other)]
    assert sides[0] is sides[1], (one, other, givens)


@LAWS
@given(instruments(), st.data())
def test_what_comes_back_is_what_went_out(survey: Survey, data: st.DataObject) -> None:
    """Types, texts, labels, codes, orders, limits; conditions by what they mean of anybody."""
    written, found = round_trip(survey)
    assert not found.notes, list(map(str, found.notes))
    asked = {one.id: one for one in survey.all_questions}
    back = {one.id: one for one in found.survey.all_questions}
    assert list(asked) == list(back)
    givens = {name: data.draw(told_by(one)) for name, one in asked.items()}
    texts = "".join(f"{one.instruction}{one.text}" for one in asked.values())
    for name, one in asked.items():
        held = back[name].model_dump(exclude={"show_if", "options_if", "rows_if", "instruction"})
        held["codes"] = codes_of(back[name])
        if not isinstance(one, SingleChoice | LikertScale | Matrix | YesNo):
            held["codes"] = {}
        wanted = expected(one, piped=f"{{{{ {name} }}}}" in texts)
        assert held == wanted, {k: (held[k], wanted[k]) for k in held if held[k] != wanted[k]}
        where = f"question {name!r}"
        same(one.show_if, back[name].show_if, givens, where, written)
        assert set(back[name].shown_if) <= set(one.shown_if)
        for label, text in one.shown_if.items():
            own = back[name].shown_if.get(label, "")
            same(text, own, givens, f"{where}, {label!r}", written)


@LAWS
@given(instruments(), st.data())
def test_sections_and_texts_come_back_in_their_order(survey: Survey, data: st.DataObject) -> None:
    """Titles, sections, shuffles and texts to read; an introduction comes back as such a text."""
    written, found = round_trip(survey)
    assert found.survey.title == survey.title
    givens = {one.id: data.draw(told_by(one)) for one in survey.all_questions}
    moved = {note.where for note in written.notes if note.done == "keeps its place"}
    for place, (one, back) in enumerate(
        zip(survey.all_sections, found.survey.all_sections, strict=True)
    ):
        assert (back.id, back.random_order) == (one.id, one.random_order)
        if survey.random_sections and not any(repr(one.id) in where for where in moved):
            assert back.fixed is one.fixed or not found.survey.random_sections
        same(one.show_if, back.show_if, givens, f"section {one.id!r}", written)
        texts = [(text, "", "") for text in ([survey.instruction] if not place else []) if text]
        texts += [(one.text, "", "")] if one.text else []
        own = [(passage.text, passage.show_if, passage.before) for passage in one.passages]
        first = one.questions[0].id
        texts += sorted(own, key=lambda told: told[2] not in {"", first})
        assert [text for text, _, _ in texts] == [passage.text for passage in back.passages]
        noted = any(note.where.startswith(f"section {one.id!r}, t") for note in written.notes)
        for (_, show_if, before), passage in zip(texts, back.passages, strict=True):
            assert passage.before == ("" if before == first else before)
            if not noted:
                same(show_if, passage.show_if, givens, "", written)


@LAWS
@given(instruments())
def test_the_file_is_whole_and_names_only_what_is_in_it(survey: Survey) -> None:
    """Every id of a block, of its elements and of a condition is that of something in the file."""
    with TemporaryDirectory() as folder:
        path = write_qsf(survey, Path(folder) / "a.qsf").path
        text = path.read_text(encoding="utf-8")
    told = json.loads(text)
    elements = told["SurveyElements"]
    asked = {one["PrimaryAttribute"] for one in elements if one["Element"] == "SQ"}
    blocks = next(one["Payload"] for one in elements if one["Element"] == "BL")
    held = [part["QuestionID"] for block in blocks for part in block["BlockElements"]
            if part["Type"] == "Question"]  # fmt: skip
    assert sorted(held) == sorted(asked)

    def named(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["QuestionID"]] if "LogicType" in value else []
            return own + [one for inner in value.values() for one in named(inner)]
        return [one for inner in value for one in named(inner)] if isinstance(value, list) else []

    assert set(named(told)) <= asked
