"""Qualtrics' own file of an instrument (`.qsf`, JSON) as a `Survey`.

Blocks become sections, the flow their order; display, branch and skip logic become conditions,
piped answers placeholders. No attribute that changes who is asked what, or what an answer means, is
dropped without a note: whatever was not looked at, and is not known to be cosmetic, is noted by
question and attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from usersim.errors import SurveyFileError
from usersim.survey.files.notes import Notes, SurveyImport, listed
from usersim.survey.files.qsf.asked import short
from usersim.survey.files.qsf.draft import finished
from usersim.survey.files.qsf.flow import FlowImport
from usersim.survey.files.qsf.known import COSMETIC, ELEMENTS, is_set
from usersim.survey.files.qsf.source import Source, read_source
from usersim.survey.files.texts import plain_label
from usersim.survey.files.traced import Cosmetic, Traced, map_in

__all__ = ["read_qsf"]


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
        SurveyFileError: If the file is none of Qualtrics, or no question could be imported.
    """
    name = "the given bytes" if isinstance(source, bytes) else repr(str(source))
    parts = read_source(source, name)
    notes = Notes()
    walk = FlowImport(
        source=parts,
        notes=notes,
        refusals=frozenset(label.casefold() for label in refusals),
        scales=frozenset(scales),
    )
    walk.run()
    if not walk.sections:
        said = "; ".join(listed(notes.rows)[:5])
        raise SurveyFileError(
            f"no question of {name} could be imported: {said or 'it has none'}",
            hint="export the survey from Qualtrics with Tools > Import/Export > Export survey",
        )
    survey = finished(walk.sections, parts.title, walk.shuffled, notes)
    _account(parts, walk, notes)
    return SurveyImport(
        survey=survey,
        ids=walk.ids,
        columns=walk.columns,
        headers={name: one for name, one in walk.headers.items() if one is not None},
        asked=len(walk.asking),
        notes=tuple(notes.rows),
    )


def _account(source: Source, walk: FlowImport, notes: Notes) -> None:
    """Note whatever stands in the file beside blocks, flow and questions."""
    _unread(source.top, "file", ("SurveyElements", "SurveyEntry"), notes)
    _unread(source.entry, "survey", COSMETIC["SurveyEntry"], notes)
    _unread(source.flow, "flow", ("Flow", "Type", "FlowID", "Properties"), notes)
    for element in source.elements:
        kind = str(element.get("Element"))
        where = str(element.get("PrimaryAttribute") or kind)
        _unread(element, where, (*COSMETIC["element"], "Payload"), notes)
        if kind not in ELEMENTS:
            notes.add(where, f"element {kind}", "not imported")
        elif kind == "QO":
            _quota(map_in(element, "Payload"), where, walk, notes)
        elif kind not in {"BL", "FL", "SQ"}:
            payload = element.get("Payload")
            if isinstance(payload, Traced):
                _other(payload, kind, notes)


def _quota(payload: Mapping[str, object], where: str, walk: FlowImport, notes: Notes) -> None:
    what = f"quota {payload.get('Name')!r} of {payload.get('Occurrences')}"
    if said := walk.said(map_in(payload, "Logic")):
        what += f" where {said}"
    action = f", then {payload.get('QuotaAction')}" if is_set(payload.get("QuotaAction")) else ""
    notes.add(where, what + action, "not counted: nobody is turned away, no quota is ever met")


def _other(payload: Traced, kind: str, notes: Notes) -> None:
    """Note what options, scores and the like say that matters."""
    where = {"SO": "survey options", "SCO": "scoring"}.get(kind, f"element {kind}")
    if kind == "SO":
        for name in ("Header", "Footer"):
            if text := plain_label(payload.get(name)):
                notes.add(where, f"{name.lower()} {text[:80]!r} on every page", "left out")
        languages = sorted(map_in(payload, "AvailableLanguages"))
        if len(languages) > 1:
            notes.add(where, f"languages {', '.join(languages)}", "the first one is imported")
        if isinstance(told := payload.get("AvailableLanguages"), Traced):
            told.settle()
    if kind == "SCO" and is_set(payload.get("ScoringCategories")):
        notes.add(where, "scoring categories", "no scores are computed")
        payload = Traced({k: v for k, v in payload.items() if k != "ScoringCategories"})
    _unread(payload, where, COSMETIC.get(kind, ()), notes)


def _unread(part: Traced, where: str, cosmetic: Cosmetic, notes: Notes) -> None:
    for path, value in part.unread(cosmetic):
        notes.add(where, f"{path} = {short(value)}", "not imported")
