"""A `Survey` as a form that people fill in: one self-contained page, which loads nothing.

The instrument stands in the page as data, and its own script (`static/form.js`) builds the
questions from it, as text and never as markup. The page's policy allows that script and that style
alone, by their digests. Answers leave it as a file that the respondent saves: the wide CSV that
`--human` reads. Conditions are evaluated there as `usersim.survey.expressions` evaluates them here.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import cast

from usersim.errors import SurveyFileError
from usersim.evaluation.report.page import page_environment
from usersim.files import write_text
from usersim.survey.expressions import (
    Comparison,
    Constant,
    Joined,
    Negation,
    Node,
    Reference,
    State,
    parse,
)
from usersim.survey.files.notes import Notes, SurveyExport
from usersim.survey.questions import LikertScale, Matrix, SurveyQuestion, codes_of
from usersim.survey.responses import column_of
from usersim.survey.sections import Section
from usersim.survey.survey import Survey

__all__ = ["condition_data", "write_form"]

_PACKAGE = "usersim.survey.files.form"
_ENDINGS = {".html", ".htm"}


def write_form(survey: Survey, path: str | Path, *, required: bool = True) -> SurveyExport:
    """Write an instrument as a form, one page for any number of respondents.

    Each respondent saves a CSV file of one row; `--human` reads a folder of them. Orders that the
    instrument shuffles are drawn anew for each respondent, and are not recorded.

    Args:
        survey: The instrument.
        path: `.html`; replaced if it is there.
        required: Whether every question that is shown must be answered; False allows blanks.

    Returns:
        What was written.

    Raises:
        SurveyFileError: If its ending is another one, or it cannot be written.

    Example:
        >>> from tempfile import mkdtemp
        >>> from usersim.survey import YesNo
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
        >>> written = write_form(survey, f"{mkdtemp()}/drinks.html")
        >>> written.questions, written.notes
        (1, ())
    """
    target = Path(path)
    if target.suffix.lower() not in _ENDINGS:
        raise SurveyFileError(
            f"{str(path)!r} must end with .html", hint="the ending selects the format"
        )
    script, style = (_static(name) for name in ("form.js", "form.css"))
    text = (
        page_environment(_PACKAGE)
        .get_template("form.html.jinja")
        .render(
            title=survey.title,
            data=_embedded(_data(survey, required=required)),
            script=script,
            style=style,
            script_digest=_digest(script),
            style_digest=_digest(style),
        )
    )
    write_text(target, text, what="the form", error=SurveyFileError)
    notes = Notes()
    if _shuffles(survey):
        notes.add(
            "the survey",
            "orders that are drawn for each respondent",
            "drawn in the form, and not recorded in its file",
        )
    return SurveyExport(
        path=target,
        title=survey.title,
        questions=len(survey.all_questions),
        notes=tuple(notes.rows),
    )


def _shuffles(survey: Survey) -> bool:
    return (
        survey.random_sections
        or any(section.random_order for section in survey.all_sections)
        or any(getattr(question, "random_order", False) for question in survey.all_questions)
    )


def _static(name: str) -> str:
    return (files(_PACKAGE) / "static" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return the digest by which a policy allows what stands between the tags, exactly."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _embedded(data: object) -> str:
    """Return data as JSON that can stand between script tags: nothing in it ends them."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _data(survey: Survey, *, required: bool) -> dict[str, object]:
    return {
        "title": survey.title,
        "instruction": survey.instruction,
        "required": required,
        "random_sections": survey.random_sections,
        "sections": [_section(one) for one in survey.all_sections],
        "columns": [
            [column_of(question, item), question.id, item]
            for question in survey.all_questions
            for item in question.items
        ],
    }


def _section(section: Section) -> dict[str, object]:
    return {
        "text": section.text,
        "passages": [
            {"text": one.text, "before": one.before, "show_if": condition_data(one.show_if)}
            for one in section.passages
        ],
        "random_order": section.random_order,
        "fixed": section.fixed,
        "show_if": condition_data(section.show_if),
        "questions": [_question(one) for one in section.questions],
    }


def _question(question: SurveyQuestion) -> dict[str, object]:
    told: dict[str, object] = {
        "id": question.id,
        "type": question.type,
        "text": question.text,
        "instruction": question.instruction,
        "refusal": list(question.refusal),
        "show_if": condition_data(question.show_if),
        # Pairs, since a label may be any text, and the order counts.
        "shown_if": [[label, condition_data(text)] for label, text in question.shown_if.items()],
        "options": list(question.options),
        "codes": [
            [label, code]
            for label, code in codes_of(question).items()
            if label not in question.refusal
        ],
    }
    for name in ("random_order", "last", "least", "most", "exclusive", "low", "high", "unit",
                 "integer", "total"):  # fmt: skip
        value = getattr(question, name, None)
        told[name] = list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
    if isinstance(question, Matrix):
        told["rows"] = list(question.rows)
    if isinstance(question, LikertScale):
        told["ends"] = question.parts(question.options)[0].text
    return told


def condition_data(text: str) -> object:
    """Return a condition as nested lists, which the form's script evaluates; None if there is none.

    Example:
        >>> condition_data('tea == "yes" and not refused(milk)')
        ['and', ['==', ['q', 'tea', None], ['v', 'yes']], ['not', ['refused', 'milk', '']]]
    """
    return _node(parse(text).node) if text.strip() else None


def _node(node: Node) -> list[object]:
    if isinstance(node, Joined):
        return ["and" if node.every else "or", *(_node(part) for part in node.parts)]
    if isinstance(node, Negation):
        return ["not", _node(node.inner)]
    if isinstance(node, State):
        return [node.function, node.question, node.option]
    assert isinstance(node, Comparison)
    return [node.sign, _term(node.left), _term(node.right)]


def _term(term: Constant | Reference) -> list[object]:
    if isinstance(term, Reference):
        return ["q", term.question, term.item]
    return ["v", list(term.value) if isinstance(term.value, tuple) else term.value]
