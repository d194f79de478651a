"""A Qualtrics file as its parts: blocks, flow, questions, and everything else.

The file is untrusted: bounded, and read as plain JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from usersim.errors import SurveyFileError
from usersim.survey.files.texts import plain_label
from usersim.survey.files.traced import Traced, as_map, list_in

__all__ = ["MOST_BYTES", "Source", "read_source"]

MOST_BYTES = 20_000_000
"""Largest file that is read."""
_HINT = "a .qsf file is what Qualtrics writes under Tools > Import/Export > Export survey"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The parts of a file.

    Attributes:
        title: Name of the survey.
        entry: About the survey as a whole.
        blocks: By id, in the file's order.
        flow: Order and conditions of the blocks.
        questions: By id.
        elements: Every element, those above too.
        top: The whole file.
    """

    title: str
    entry: Traced
    blocks: Mapping[str, Traced]
    flow: Traced
    questions: Mapping[str, Traced]
    elements: Sequence[Traced]
    top: Traced


def read_source(source: str | Path | bytes, name: str) -> Source:
    """Return the parts of a file.

    Args:
        source: The file, or its content as bytes.
        name: Of the file, for messages.

    Raises:
        SurveyFileError: If it cannot be read, or is none of Qualtrics.
    """
    try:
        data: object = json.loads(_content(source, name).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SurveyFileError(f"{name} is not JSON: {error}", hint=_HINT) from error
    top = Traced(as_map(data))
    elements = [one for one in list_in(top, "SurveyElements") if isinstance(one, Traced)]
    if not elements:
        raise SurveyFileError(f"{name} has no SurveyElements", hint=_HINT)
    blocks: dict[str, Traced] = {}
    questions: dict[str, Traced] = {}
    flow = Traced({})
    for element in elements:
        payload, kind = element.get("Payload"), element.get("Element")
        if kind == "BL":
            blocks |= {str(one.get("ID")): one for one in _objects(payload)}
        elif kind == "FL" and isinstance(payload, Traced):
            flow = payload
        elif kind == "SQ":
            own = payload if isinstance(payload, Traced) else Traced({})
            questions[str(element.get("PrimaryAttribute"))] = own
    entry = top.get("SurveyEntry")
    entry = entry if isinstance(entry, Traced) else Traced({})
    return Source(
        title=plain_label(entry.get("SurveyName"))[:500] or "Imported survey",
        entry=entry,
        blocks=blocks,
        flow=flow,
        questions=questions,
        elements=elements,
        top=top,
    )


def _objects(payload: object) -> list[Traced]:
    listed: list[object] = []
    if isinstance(payload, list):
        listed = cast("list[object]", payload)
    elif isinstance(payload, Traced):
        listed = list(payload.values())
    return [one for one in listed if isinstance(one, Traced)]


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
