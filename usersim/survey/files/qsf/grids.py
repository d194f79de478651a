"""Qualtrics' grids as ours: matrices, side-by-sides, sliders with rows, forms, drill-downs.

A matrix with one answer a row is a `Matrix`. What has no counterpart of its own becomes a question
per row: `tag_1` is the row that stands first, and an export's column leads to it by the row's own
number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from usersim.survey.files.notes import Column
from usersim.survey.files.qsf.asked import (
    Choices,
    SourceQuestion,
    UnusableError,
    answers_of,
    codes_for,
    note_unread,
    number_of,
    order_of,
    picks,
    recoded,
    rows_of,
    value_of,
    variable_names,
)
from usersim.survey.files.qsf.known import is_set
from usersim.survey.files.qsf.logic import (
    Condition,
    Imported,
    UnmappedError,
    Value,
    all_of,
    condition,
)
from usersim.survey.files.texts import plain_label, plain_text
from usersim.survey.files.traced import Traced, map_in, settle_at
from usersim.survey.questions import (
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    SingleChoice,
    SurveyQuestion,
)
from usersim.types.counting import counted

__all__ = ["GRIDS"]

_ENDS = ":"
"""Between both ends of a row of a bipolar matrix."""
_OF_LABELS = ("RecodeValues", "VariableNaming", "AnalyzeChoices")
"""Attributes of labels, which mean nothing where there are none to choose."""


def _likert(asked: SourceQuestion) -> Imported:
    if asked.sub_selector.startswith("Multiple"):
        return _several_a_row(asked)
    rows, answers = rows_of(asked), answers_of(asked)
    if len(answers.labels) == 1:
        return _several_a_row(asked)
    refusal = tuple(one for one in answers.all if one.casefold() in asked.refusals)
    options = tuple(one for one in answers.all if one not in refusal)
    order = order_of(asked, rows.labels)
    codes = codes_for(asked, answers.labels)
    numbers = recoded(codes, options)
    ordered = [numbers[one] for one in options if one in numbers]
    if ordered not in (sorted(ordered), sorted(ordered, reverse=True)):
        asked.note(f"recode values {dict(numbers)!r} neither rise nor fall", "not imported")
        numbers = {}
    name = asked.take(asked.tag, len(rows.labels))
    question = Matrix(
        id=name, text=asked.text, refusal=refusal, rows=rows.all, options=options,
        random_order=order.shuffled, rows_if=rows.conditions, codes=numbers,
    )  # fmt: skip
    names = variable_names(asked, answers.labels)
    picked: dict[str, str] = {}
    values: dict[str, Value] = {}
    for key, row in rows.labels.items():
        picked |= picks(question, answers.labels, (key, row))
        values |= _value(key, question, row)
    return Imported(
        questions=(question,),
        labels=rows.labels,
        picked=picked,
        values=values,
        pipe=name,
        columns={
            f"_{key}": Column(question=name, item=row, names=names, codes=codes)
            for key, row in rows.labels.items()
        },
    )


def _value(key: str, question: SurveyQuestion, row: str) -> dict[str, Value]:
    try:
        return {key: value_of(question, row)}
    except UnmappedError:
        return {}


def _several_a_row(asked: SourceQuestion) -> Imported:
    """Any of several answers in each row: a multiple choice per row."""
    rows, answers = rows_of(asked), answers_of(asked)
    order_of(asked, rows.labels, several=True)
    codes, names = codes_for(asked, answers.labels), variable_names(asked, answers.labels)
    refused = [one for one in answers.all if one.casefold() in asked.refusals]

    def make(row: str, name: str) -> MultipleChoice:
        return MultipleChoice(
            id=name, text=_row_text(asked, row), options=answers.all,
            exclusive=tuple(dict.fromkeys([*answers.exclusive, *refused])),
        )  # fmt: skip

    return _per_row(
        asked, rows, make, items=len(answers.labels),
        columns=lambda question, key, _: {
            f"_{key}_{number}": Column(question=question.id, item=label, names=names, codes=codes)
            for number, label in answers.labels.items()
        } | {f"_{key}": Column(question=question.id, names=names, codes=codes)},
        answers=answers.labels,
    )  # fmt: skip


def _bipolar(asked: SourceQuestion) -> Imported:
    """A scale between two ends in each row: a scale per row."""
    rows, answers = rows_of(asked), answers_of(asked)
    order_of(asked, rows.labels, several=True)
    codes, names = codes_for(asked, answers.labels), variable_names(asked, answers.labels)
    labels = _points(answers)
    codes = {code: labels[label] for code, label in codes.items()}
    options = tuple(labels.values())
    whole = [number_of(label) for label in options]
    counted = None not in whole and whole == [whole[0] + place for place in range(len(whole))]  # pyright: ignore[reportOptionalOperand]

    def make(row: str, name: str) -> LikertScale:
        low, _, high = (part.strip() for part in row.partition(_ENDS))
        if not (low and high):
            low, high = low or row, high or f"the opposite of {row}"
        if counted:
            return LikertScale(
                id=name, text=asked.text, points=len(options), start=int(whole[0] or 0),
                low=low, high=high,
            )  # fmt: skip
        text = f"{asked.text}\nFrom {options[0]} ({low}) to {options[-1]} ({high})."
        return LikertScale(id=name, text=text, points=options, codes=recoded(codes, options))

    return _per_row(
        asked, rows, make,
        columns=lambda question, key, _: {
            f"_{key}": Column(question=question.id, names=names, codes=codes)
        },
        answers={key: labels[label] for key, label in answers.labels.items()},
    )  # fmt: skip


def _points(answers: Choices) -> dict[str, str]:
    """Return the points of a scale by their label in the source; those without words count."""
    bare = all(label == f"[{key}]" for key, label in answers.labels.items())
    return {
        label: str(place) if bare else label
        for place, label in enumerate(answers.labels.values(), start=1)
    }


def _texts(asked: SourceQuestion) -> Imported:
    """A text in each cell: an open question per row and column."""
    settle_at(asked.payload, *_OF_LABELS)
    rows, answers = rows_of(asked), answers_of(asked)
    order_of(asked, rows.labels, several=True)
    questions: list[SurveyQuestion] = []
    columns: dict[str, Column] = {}
    values: dict[str, Value] = {}
    for key, row in rows.labels.items():
        for number, label in answers.labels.items():
            name = asked.take(f"{asked.tag}_{key}_{number}")
            text = _row_text(asked, row) + f"\n{label}"
            questions.append(OpenText(id=name, text=text, show_if=rows.conditions.get(row, "")))
            columns |= {f"_{key}_{number}{rest}": Column(question=name) for rest in ("", "_TEXT")}
            values[f"{key}/{number}"] = value_of(questions[-1])
    return Imported(questions=tuple(questions), labels=rows.labels, values=values, columns=columns)


def _form(asked: SourceQuestion) -> Imported:
    """A form: an open question, or a number, per field."""
    rows = rows_of(asked, fields=True)
    entries = map_in(asked.payload, "Choices")
    rules = {
        row: map_in(entries, key).get("TextEntryValidation") for key, row in rows.labels.items()
    }

    def make(row: str, name: str) -> SurveyQuestion:
        if rules[row] == "ValidNumber":
            return NumberQuestion(id=name, text=_row_text(asked, row))
        if is_set(rules[row]):
            asked.note(f"content of {row!r} must be {rules[row]}", "imported as free text")
        return OpenText(id=name, text=_row_text(asked, row))

    return _per_row(
        asked, rows, make,
        columns=lambda question, key, _: {
            f"_{key}": Column(question=question.id),
            f"_{key}_TEXT": Column(question=question.id),
        },
    )  # fmt: skip


def _slider(asked: SourceQuestion) -> Imported:
    """A number per row, between the ends of the slider."""
    settle_at(asked.payload, *_OF_LABELS)
    setup = map_in(asked.payload, "Configuration")
    low, high = number_of(setup.get("CSSliderMin")), number_of(setup.get("CSSliderMax"))
    stars = number_of(setup.get("StarCount"))
    if stars is not None and asked.selector == "STAR":
        low, high = 0.0, stars
    if is_set(setup.get("NotApplicable")):
        asked.note("a box for 'not applicable'", "left out; everybody is asked for a number")
    whole = str(setup.get("NumDecimals", "0")) in {"0", ""}
    ends = [
        plain_label(map_in(map_in(asked.payload, "Labels"), key).get("Display"))
        for key in map_in(asked.payload, "Labels")
    ]
    said = [end for end in ends if end]
    scale = f"\nFrom {said[0]} to {said[-1]}." if len(said) > 1 else ""
    rows = rows_of(asked)
    order_of(asked, rows.labels, several=len(rows.labels) > 1)

    def make(row: str, name: str) -> NumberQuestion:
        return NumberQuestion(
            id=name, text=_row_text(asked, row) + scale, low=low, high=high, integer=whole
        )

    return _per_row(
        asked, rows, make,
        columns=lambda question, key, _: {f"_{key}": Column(question=question.id)},
    )  # fmt: skip


Columns = Callable[[SurveyQuestion, str, str], Mapping[str, Column]]


def _per_row(
    asked: SourceQuestion,
    rows: Choices,
    make: Callable[[str, str], SurveyQuestion],
    *,
    columns: Columns,
    items: int = 0,
    answers: Mapping[str, str] | None = None,
) -> Imported:
    """Make a question of each row; a single one keeps the tag.

    Args:
        asked: The grid.
        rows: Its rows.
        make: Makes a question of a row's label and an id.
        columns: Which columns of an export a row's question answers.
        items: Items of each question.
        answers: Labels that can be chosen in a row, by number.

    Raises:
        UnusableError: If it has no rows.
    """
    if not rows.labels:
        raise UnusableError("a grid without rows")
    questions: list[SurveyQuestion] = []
    found: dict[str, Column] = {}
    picked: dict[str, str] = {}
    values: dict[str, Value] = {}
    for key, row in rows.labels.items():
        wanted = asked.tag if len(rows.labels) == 1 else f"{asked.tag}_{key}"
        question = make(row, asked.take(wanted, items))
        only_if = rows.conditions.get(row, "")
        questions.append(question.model_copy(update={"show_if": only_if}))
        found |= columns(question, key, row)
        picked |= picks(question, answers or {}, (key, row))
        if not isinstance(question, MultipleChoice):
            values[key] = value_of(question)
    single = questions[0].id if len(questions) == 1 else ""
    return Imported(
        questions=tuple(questions),
        labels=rows.labels,
        picked=picked,
        values=values,
        pipe=single,
        columns=found,
    )


def _row_text(asked: SourceQuestion, row: str) -> str:
    """Return the text of a question about one row; a row without words adds none."""
    return asked.text if row.startswith("[") and row.endswith("]") else f"{asked.text}\n{row}"


def _side_by_side(asked: SourceQuestion) -> Imported:
    """Several grids with the same rows: each for itself.

    Raises:
        UnusableError: If none of them could be imported.
    """
    parts = map_in(asked.payload, "AdditionalQuestions")
    shared = ("Choices", "ChoiceOrder", "DynamicChoices", "Randomization")
    rows = {name: asked.payload[name] for name in shared if name in asked.payload}
    columns: dict[str, Imported] = {}
    for number in sorted(parts, key=lambda one: number_of(one) or 0):
        part = parts[number]
        column = _column(asked, part, number, rows) if isinstance(part, Traced) else None
        if column is not None:
            columns[f"#{number}"] = column
    settle_at(asked.payload, *shared, *_OF_LABELS)  # its columns hold these for themselves
    if not columns:
        raise UnusableError("no column of it could be imported")
    return Imported(
        questions=tuple(one for column in columns.values() for one in column.questions),
        labels=next(iter(columns.values())).labels,
        columns={
            f"{part}{rest}": spot
            for part, column in columns.items()
            for rest, spot in column.columns.items()
        },
        parts=columns,
    )


def _column(
    asked: SourceQuestion, part: Traced, number: str, rows: Mapping[str, object]
) -> Imported | None:
    """Return one column of a side-by-side; None after a note."""
    own = part.merged(rows)  # its rows are those of the whole
    kind = (str(own.get("QuestionType")), str(own.get("Selector")))
    heading = asked.pipe(plain_text(own.get("QuestionText")), "a column's heading")
    where = f"{asked.where}, column {number}"
    make = GRIDS.get(kind)
    if make is None or kind[0] != "Matrix":
        asked.notes.add(where, f"type {kind[0]} with selector {kind[1]}", "left out")
        return None
    one = replace(
        asked, tag=f"{asked.tag}_{number}", text=f"{asked.text}\n{heading}".strip(),
        payload=own, where=where,
    )  # fmt: skip
    own.get("DataExportTag")
    only_if: Condition = True
    try:
        only_if = condition(map_in(own, "DisplayLogic"), asked.known, asked.fields)
    except UnmappedError as error:
        one.note(f"display logic: {error}", "asked of everybody")
        settle_at(own, "DisplayLogic")
    if only_if is False:
        one.note("display logic that is never true", "left out")
        return None
    found = make(one)
    note_unread(one)
    if isinstance(only_if, str):
        questions = tuple(
            question.model_copy(
                update={"show_if": str(all_of([question.show_if or True, only_if]))}
            )
            for question in found.questions
        )
        found = replace(found, questions=questions, displayed=only_if)
    return found


def _drill_down(asked: SourceQuestion) -> Imported:
    """A list that leads to a list: a single choice per level, its options under a condition.

    Raises:
        UnusableError: If there is nothing to choose.
    """
    levels = rows_of(asked)
    paths = [
        [part.strip() for part in label.split(" ~ ")] for label in answers_of(asked).labels.values()
    ]
    dict(map_in(asked.payload, "AnswerMap"))
    questions: list[SurveyQuestion] = []
    columns: dict[str, Column] = {}
    for place, (key, label) in enumerate(levels.labels.items()):
        options = _level(paths, place)
        if len(options) < 2:  # noqa: PLR2004 - nothing to choose
            asked.note(f"level {label!r} has {counted(len(options), 'option')}", "left out")
            continue
        name = asked.take(f"{asked.tag}_{key}")
        above = questions[-1] if questions else None
        questions.append(
            SingleChoice(
                id=name, text=f"{asked.text}\n{label}", options=tuple(options),
                options_if=_under(above, options),
            )
        )  # fmt: skip
        columns[f"_{key}"] = Column(question=name)
    if not questions:
        raise UnusableError("a drill-down without levels")
    return Imported(questions=tuple(questions), labels=levels.labels, columns=columns)


def _level(paths: Sequence[Sequence[str]], place: int) -> dict[str, list[str]]:
    """Return the options of a level, with the options above that lead to each."""
    found: dict[str, list[str]] = {}
    for path in paths:
        if len(path) > place and path[place]:
            above = found.setdefault(path[place], [])
            if place and path[place - 1] not in above:
                above.append(path[place - 1])
    return found


def _under(above: SurveyQuestion | None, options: Mapping[str, Sequence[str]]) -> dict[str, str]:
    if above is None:
        return {}
    ways = picks(above, {label: label for label in getattr(above, "options", ())})
    return {
        label: " or ".join(ways[one] for one in leading if one in ways)
        for label, leading in options.items()
        if any(one in ways for one in leading)
    }


GRIDS: Final[Mapping[tuple[str, str], Callable[[SourceQuestion], Imported]]] = {
    ("Matrix", "Likert"): _likert,
    ("Matrix", "Bipolar"): _bipolar,
    ("Matrix", "TE"): _texts,
    ("TE", "FORM"): _form,
    ("Slider", "HSLIDER"): _slider,
    ("Slider", "HBAR"): _slider,
    ("Slider", "STAR"): _slider,
    ("SBS", "SBSMatrix"): _side_by_side,
    ("DD", "DL"): _drill_down,
}
"""By question type and selector."""
