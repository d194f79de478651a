"""Traces, scores, selections and responses as rows of the store, and back.

`ledger` runs the statements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from sqlalchemy import Connection, Row, Table, select

from usersim.corpus.ledger.records import Response, ResponseRecord, TraceRecord
from usersim.corpus.store.database import in_pieces
from usersim.corpus.store.tables import adapter_users, selections, users
from usersim.corpus.store.values import dump_json
from usersim.types import Candidate, Leakage, ScoredCandidate, Selection, TraceScores

__all__ = [
    "SCORE_COLUMNS",
    "AnyRow",
    "AnyTable",
    "candidate_of",
    "candidate_row",
    "choices",
    "dump",
    "load",
    "now",
    "people",
    "response_of",
    "response_row",
    "scored_of",
    "scored_row",
    "selection_of",
    "selection_row",
    "trace",
]

AnyRow = Row[Any]
AnyTable = Table

SCORE_COLUMNS = (
    "scorer",
    "unit",
    "raw_gain",
    "masked_gain",
    "reported_gain",
    "components",
    "longest_run",
    "containment",
    "quoted_span",
    "asserts_option",
    "trace_only_share",
    "plausibility",
    "leak_reasons",
)
"""Columns of `candidates` that a score fills."""


def dump(value: object) -> str:
    """Return plain data as JSON text."""
    return dump_json(value).decode()


def load(text: str) -> dict[str, object]:
    """Return the object that `dump` wrote.

    Raises:
        TypeError: If it is not an object.
    """
    found = orjson.loads(text)
    if not isinstance(found, dict):
        raise TypeError(f"not an object but {type(found).__name__}")
    return cast("dict[str, object]", found)


def now() -> str:
    """Return the present moment, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def response_row(answer: Response, owner: int) -> dict[str, object]:
    """Return the row of an answer in the name of the user of row id `owner`."""
    return {
        "user_id": owner,
        "question_key": answer.question_key,
        "created": now(),
        "record": dump(answer.record),
    }


def response_of(row: AnyRow) -> ResponseRecord:
    """Return the answer of a row that also has its user as `owner`."""
    return ResponseRecord(
        id=row.id,
        user_id=row.owner,
        question_key=row.question_key,
        run_id=row.run_id,
        record=load(row.record),
        created=row.created,
    )


def candidate_row(stage_key: str, candidate: Candidate) -> dict[str, object]:
    """Return the row of an unscored candidate."""
    return {
        "stage_key": stage_key,
        "key": candidate.key,
        "interaction_key": candidate.interaction_key,
        "direction": candidate.direction,
        "draw": candidate.draw,
        "complete": candidate.complete,
        "model": candidate.model,
        "adapter": candidate.adapter,
        "prompt_id": candidate.prompt_id,
        "seed": str(candidate.seed),
        "log_q": candidate.log_q,
        "n_tokens": candidate.n_tokens,
        "decoy_action": candidate.decoy_action,
        "reasoning": candidate.reasoning,
    }


def candidate_of(row: AnyRow) -> Candidate:
    """Return the candidate of a row."""
    return Candidate(
        interaction_key=row.interaction_key,
        direction=row.direction,
        draw=row.draw,
        reasoning=row.reasoning,
        complete=row.complete,
        model=row.model,
        adapter=row.adapter,
        prompt_id=row.prompt_id,
        seed=int(row.seed),
        log_q=row.log_q,
        n_tokens=row.n_tokens,
        decoy_action=row.decoy_action,
    )


def scored_row(stage_key: str, scored: ScoredCandidate) -> dict[str, object]:
    """Return the row of a scored candidate."""
    scores, leakage = scored.scores, scored.leakage
    return {
        **candidate_row(stage_key, scored.candidate),
        "scorer": scores.scorer,
        "unit": scores.unit,
        "raw_gain": scores.raw_gain,
        "masked_gain": scores.masked_gain,
        "reported_gain": scores.reported_gain,
        "components": dump(dict(scores.components)),
        "longest_run": leakage.longest_run,
        "containment": leakage.containment,
        "quoted_span": leakage.quoted_span,
        "asserts_option": leakage.asserts_option,
        "trace_only_share": leakage.trace_only_share,
        "plausibility": leakage.plausibility,
        "leak_reasons": dump(list(leakage.reasons)),
    }


def scored_of(row: AnyRow) -> ScoredCandidate | None:
    """Return the scored candidate of a row; None if it has no score."""
    if row.scorer is None:
        return None
    scores = TraceScores(
        scorer=row.scorer,
        unit=row.unit,
        raw_gain=row.raw_gain,
        masked_gain=row.masked_gain,
        reported_gain=row.reported_gain,
        components=cast("Mapping[str, float]", load(row.components)),
    )
    leakage = Leakage(
        longest_run=row.longest_run,
        containment=row.containment,
        quoted_span=row.quoted_span,
        asserts_option=row.asserts_option,
        trace_only_share=row.trace_only_share,
        plausibility=row.plausibility,
        reasons=tuple(orjson.loads(row.leak_reasons)),
    )
    return ScoredCandidate(candidate=candidate_of(row), scores=scores, leakage=leakage)


def selection_row(stage_key: str, choice: Selection) -> dict[str, object]:
    """Return the row of a selection."""
    return {
        "stage_key": stage_key,
        "interaction_key": choice.interaction_key,
        "kept": choice.kept,
        "reason": choice.reason,
        "utilities": dump(dict(choice.utilities)),
        "verdicts": dump(dict(choice.verdicts)),
    }


def selection_of(row: AnyRow) -> Selection:
    """Return the selection of a row."""
    return Selection(
        interaction_key=row.interaction_key,
        kept=row.kept,
        reason=row.reason,
        utilities=cast("Mapping[str, float]", load(row.utilities)),
        verdicts=cast("Mapping[str, str]", load(row.verdicts)),
    )


def choices(connection: Connection, keys: Sequence[str]) -> dict[str, list[tuple[str, Selection]]]:
    """Return every stage's selections by interaction, with their stage keys."""
    found: dict[str, list[tuple[str, Selection]]] = {}
    for part in in_pieces(keys):
        query = select(selections).where(selections.c.interaction_key.in_(part))
        for row in connection.execute(query):
            choice = selection_of(row)
            found.setdefault(choice.interaction_key, []).append((row.stage_key, choice))
    return found


def trace(row: AnyRow, choices: Mapping[str, list[tuple[str, Selection]]]) -> TraceRecord:
    """Return what is known of a candidate, with the decision that bears on it."""
    candidate = candidate_of(row)
    decided = choices.get(candidate.interaction_key, [])
    # The same stage's decision first, then any that names the candidate.
    ranked = [choice for stage, choice in decided if stage == row.stage_key] + [
        choice
        for _, choice in decided
        if candidate.key in choice.verdicts or choice.kept == candidate.key
    ]
    return TraceRecord(
        stage_key=row.stage_key,
        user_id=row.user_id,
        candidate=candidate,
        scored=scored_of(row),
        selection=ranked[0] if ranked else None,
    )


def people(connection: Connection) -> dict[int, list[str]]:
    """Return whom each adapter learned from, by its row id."""
    query = select(adapter_users.c.adapter_id, users.c.user_id).join(users)
    found: dict[int, list[str]] = {}
    for adapter_id, name in connection.execute(query.order_by(users.c.user_id)):
        found.setdefault(adapter_id, []).append(name)
    return found
