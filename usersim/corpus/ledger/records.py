"""What the ledger gives back: traces, adapters, responses as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from usersim.types import Candidate, Failure, ScoredCandidate, Selection

__all__ = ["AdapterRecord", "Response", "ResponseRecord", "TraceRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRecord:
    """Everything that is known about one candidate in one stage.

    Attributes:
        stage_key: Stage that stored it.
        user_id: Whose interaction it was drawn for.
        candidate: The trace as it was drawn.
        scored: With scores and leakage; None if it was not scored in that stage.
        selection: The decision about its interaction; None if none was made.
        verdict: Why it was kept or not; empty if no decision names it.
    """

    stage_key: str
    user_id: str
    candidate: Candidate
    scored: ScoredCandidate | None
    selection: Selection | None

    @property
    def verdict(self) -> str:
        """Why it was kept or not; empty if no decision names it."""
        return self.selection.verdicts.get(self.candidate.key, "") if self.selection else ""

    @property
    def kept(self) -> bool:
        """True if this candidate is the one that was kept."""
        return self.selection is not None and self.selection.kept == self.candidate.key


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterRecord:
    """A trained adapter: where it lies and who it learned from.

    Attributes:
        name: Served name; new weights always have a new one.
        path: Its folder, absolute, where it lies now.
        digest: Hash over weights and configuration.
        base_model: What it was trained on, as the caller named it.
        user_ids: Everybody whose data went into it, sorted.
        manifest: Its manifest.
        created: When it was registered, UTC, ISO 8601.

    Example:
        >>> from usersim import Corpus
        >>> with Corpus.open(":memory:") as corpus:
        ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
        ...     corpus.ledger.put_adapter(
        ...         name="ada-1f0c", path="/models/ada-1f0c", digest="1f0c", base_model="embedded",
        ...         user_ids=["ada"], manifest={},
        ...     )
        ...     [(one.name, one.base_model) for one in corpus.ledger.adapters("ada")]
        [('ada-1f0c', 'embedded')]
    """

    name: str
    path: str
    digest: str
    base_model: str
    user_ids: tuple[str, ...]
    manifest: Mapping[str, object]
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer to be stored.

    Attributes:
        user_id: Who was simulated.
        question_key: Identity of the question.
        record: The answer and its trace, as plain data.
        shown: Keys of the interactions that stood in the prompt: the answer is made from them,
            and is not kept once they are forgotten.
        shortfall: What the answer had to do without, in the form of a failure: a run counts it;
            None if it is complete.
    """

    user_id: str
    question_key: str
    record: Mapping[str, object]
    shown: tuple[str, ...] = ()
    shortfall: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRecord:
    """An answer given in a user's name."""

    id: int
    user_id: str
    question_key: str
    run_id: int | None
    record: Mapping[str, object]
    created: str
