"""A run: a long list of requests with their answers in the store, and how to read it back.

Memory is flat whatever the number of requests: everything is read page by page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import cast

from usersim.corpus import FailureRow, RefusedRows, Runs
from usersim.errors import CorpusError
from usersim.files import form_of, write_rows
from usersim.simulation import Answer
from usersim.types import Number, RunItem, RunStatus
from usersim.types.counting import counted
from usersim.views import Sheet, in_words, printed, shortened

__all__ = ["Run", "RunCost", "RunFailure"]

RunFailure = FailureRow
"""An item that could not be answered: `item`, `error`, `message` and the `text` as drawn."""

SHOWN = 5
"""Answers, and failures, that a printed run shows."""

_COLUMNS: tuple[str, ...] = (
    "row",
    "user_id",
    "context",
    "action_type",
    "options",
    "metadata",
    "simulated",
    "action",
    "reasoning",
    "reasoning_failed",
    "probabilities",
    "adapter",
    "engine",
    "seed",
    "error",
    "message",
    "text",
)


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class RunCost:
    """What a run would take.

    Attributes:
        requests: Requests that would be asked.
        prompt_tokens: Tokens of their prompts, each counted once, without the chat template's
            own; an engine that shares beginnings computes fewer.
        drawn_tokens: Tokens drawn at the most, every text as long and drawn again as often as
            the settings allow.
        refused: Rows that cannot be asked, with the reasons.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted", config="tiny") as sim:
        ...     cost = sim.dry_run([("ada", "Milk?"), ("ada", "Coffee?")])
        >>> cost.requests, cost.prompt_tokens > 0
        (2, True)
    """

    requests: int
    prompt_tokens: int
    drawn_tokens: int
    refused: RefusedRows

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{counted(self.requests, 'request')}, {counted(self.prompt_tokens, 'prompt token')}, "
            f"at most {counted(self.drawn_tokens, 'drawn token')}, "
            f"{counted(len(self.refused), 'row')} refused"
        )


def _sheet(run: Run) -> Sheet:
    shown = islice(run.answers(), SHOWN)
    failed = islice(run.failures(), SHOWN)
    rows = [(item.row, item.request.user_id, shortened(str(answer))) for item, answer in shown]
    rows += [
        (one.item.row, one.item.request.user_id, f"failed: {shortened(one.message)}")
        for one in failed
    ]
    notes = [f"{run.status}; run.answers() and run.write(path) return all of them"]
    if len(run.refused):
        notes.append(
            f"{counted(len(run.refused), 'row')} rejected; run.refused has them, with the reasons"
        )
    return Sheet(title=f"Run {run.name}", columns=("row", "user", "answer"), rows=rows, notes=notes)


@printed(_sheet)
@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run in its store; made by `UserSimulator.run`.

    Attributes:
        id: Row id in the store.
        name: Its name: the same requests under the same name are the same run.
        fingerprint: Identity of its settings and requests.
        settings: What the fingerprint is made of, field by field.
        refused: Rows that could not be asked and are no items of the run.
        other_users: Rows of other people than the simulator's one, which were left out.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     run = sim.run([("ada", "Tea or coffee?"), ("ada", "Now?")])
        ...     print(run.status)
        ...     [item.request.user_id for item, answer in run.answers()]
        2 done, 0 failed, 0 left of 2
        ['ada', 'ada']
    """

    id: int
    name: str
    fingerprint: str
    settings: Mapping[str, object]
    refused: RefusedRows
    other_users: int
    _runs: Runs

    def __repr__(self) -> str:
        """Say its name and how far it is."""
        return f"Run({self.name!r}, {self.status})"

    @property
    def status(self) -> RunStatus:
        """How far it is, by the store."""
        return self._runs.status(self.id)

    def answers(self) -> Iterator[tuple[RunItem, Answer]]:
        """Yield the answers in the order of the requests.

        Yields:
            What was asked of whom, and the answer with everything behind it.

        Example:
            >>> from usersim import UserSimulator
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> asked = [{"user_id": "ada", "context": "Milk?", "options": ["yes", "no"]}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     run = sim.run(asked)
            ...     [(item.row, answer.kind) for item, answer in run.answers()]
            [(1, 'choice')]
        """
        for row in self._runs.answers(self.id):
            yield row.item, Answer.from_dict(row.record)

    def failures(self) -> Iterator[RunFailure]:
        """Yield the items that could not be answered, in the order of the requests.

        Yields:
            What was asked of whom, why it failed and the text that was drawn.

        Example:
            >>> from usersim import UserSimulator
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     run = sim.run([("ada", "Tea or coffee?")])
            ...     [failure.message for failure in run.failures()]
            []
        """
        yield from self._runs.failures(self.id)

    def write(self, path: str | Path) -> int:
        """Write answers and failures in the order of the requests, each marked as simulated.

        The file appears when it is whole; one of that name is replaced.

        Args:
            path: CSV if it ends with `.csv`, Parquet if with `.parquet`, otherwise JSON Lines.
                Cells of CSV are escaped as `usersim.files.escape_cell` says.

        Returns:
            How many rows were written.

        Raises:
            CorpusError: If the file cannot be written.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> from usersim import UserSimulator
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with TemporaryDirectory() as folder:
            ...     with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...         sim.run([("ada", "Tea or coffee?")]).write(Path(folder) / "answers.jsonl")
            1
        """
        table = form_of(path) != "jsonl"
        return write_rows(
            path,
            # A line of JSON leaves out what a row has not; a table has a column for it.
            (
                {name: row.get(name) for name in _COLUMNS}
                if table
                else {name: value for name, value in row.items() if value is not None}
                for row in self._rows()
            ),
            what="the answers",
            error=CorpusError,
            columns=_COLUMNS,
            hint="they stay in the store; choose a file in a writable folder, on a disk with free "
            "space, and repeat the call",
        )

    def _rows(self) -> Iterator[dict[str, object]]:
        """Yield answers and failures as plain rows, merged by row."""
        answers = (_answer_row(item, answer) for item, answer in self.answers())
        failures = (_failure_row(row) for row in self.failures())
        yield from merge(answers, failures, key=lambda row: cast("int", row["row"]))


def _item_row(item: RunItem) -> dict[str, object]:
    request = item.request
    space = request.question.space
    return {
        "row": item.row,
        "user_id": request.user_id,
        "context": [
            {"role": one.role, "name": one.name, "content": one.content}
            for one in request.question.context
        ],
        "action_type": space.kind,
        "options": list(getattr(space, "options", ())) or None,
        "metadata": dict(request.metadata) or None,
        "simulated": True,
    }


def _answer_row(item: RunItem, answer: Answer) -> dict[str, object]:
    return {
        **_item_row(item),
        "action": list(answer.action) if isinstance(answer.action, tuple) else answer.action,
        "reasoning": answer.reasoning,
        "reasoning_failed": answer.trace.reasoning_failed,
        "probabilities": _probabilities(item, answer),
        "adapter": answer.trace.adapter,
        "engine": answer.trace.engine,
        "seed": answer.trace.seed,
    }


def _probabilities(item: RunItem, answer: Answer) -> dict[str, float] | None:
    """Return the probabilities in the order of the options; the store sorts them by name."""
    space = item.request.question.space
    options = (
        sorted(answer.probabilities, key=float)
        if isinstance(space, Number)
        else getattr(space, "options", ())
    )
    return {
        one: answer.probabilities[one] for one in options if one in answer.probabilities
    } or None


def _failure_row(row: RunFailure) -> dict[str, object]:
    return {**_item_row(row.item), "error": row.error, "message": row.message, "text": row.text}
