"""The adapters of a store as a list: for whom, when, how good, how large, and which answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from usersim.corpus import AdapterRecord, Corpus
from usersim.engines import AdapterRef
from usersim.errors import AdapterLoadError, ArtifactError
from usersim.simulator.adapters import (
    Base,
    Purpose,
    check_base,
    defaults_of,
    learned_from,
    loaded,
    purpose_of,
)
from usersim.types.counting import counted
from usersim.views import Sheet, printed

__all__ = ["StoredAdapter", "StoredAdapters", "listing", "ref_of", "stored_adapters"]

_HELD_OUT = "held out: mean log p(action) of the base model → with the adapter, nats per token"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAdapter:
    """One adapter of a store, as it is listed.

    Attributes:
        name: Its name; `adapter=` and `--adapter` take it, or a beginning of it.
        users: Everybody that it learned from.
        created: When it was trained, ISO 8601.
        base_model: The model that it was trained on.
        purpose: What for; None if the store does not say.
        before: Mean log p(action) of the base model on the validation examples, nats per token;
            None where none were kept.
        after: The same with the adapter.
        size: Of its folder, bytes; None if the folder is not there.
        folder: Where it is.
        default_for: Whom it answers for unless another one is chosen: a person's id, or
            `"everybody else"`; None if it has to be chosen.
        problem: Why it cannot be used; empty if it can.
    """

    name: str
    users: tuple[str, ...]
    created: str
    base_model: str
    purpose: Purpose | None
    before: float | None
    after: float | None
    size: int | None
    folder: str
    default_for: str | None
    problem: str


def listing(found: StoredAdapters) -> Sheet:
    """Return a row per adapter, and why some cannot be used."""
    columns = ("adapter", "for", "trained", "base model", "held out", "size", "default")
    rows = [
        (
            one.name,
            _people(one),
            one.created[:16].replace("T", " "),
            one.base_model,
            _scores(one),
            "–" if one.size is None else f"{one.size / 1e6:.1f} MB",
            one.default_for or "",
        )
        for one in found
    ]
    notes = [f"{one.name}: {one.problem}" for one in found if one.problem]
    if any(one.after is not None for one in found):
        notes.append(_HELD_OUT)
    if not rows:
        return Sheet(notes=["the store has no adapters; `usersim train` makes one"])
    return Sheet(columns=columns, rows=rows, notes=notes)


def _people(one: StoredAdapter) -> str:
    if one.purpose == "synthesizer":
        return "writes traces"
    said = one.users[0] if len(one.users) == 1 else counted(len(one.users), "person", "people")
    return said if one.purpose == "answers" else f"{said}, an evaluation"


def _scores(one: StoredAdapter) -> str:
    if one.after is None:
        return "–"
    return f"{one.after:.2f}" if one.before is None else f"{one.before:.2f} → {one.after:.2f}"


@printed(listing)
@dataclass(frozen=True, slots=True)
class StoredAdapters:
    """The adapters of a store, oldest first; iterate, count, or print them.

    Attributes:
        items: One entry each.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     adapters = sim.adapters()
        >>> len(adapters), [one.name for one in adapters]
        (0, [])
    """

    items: tuple[StoredAdapter, ...]

    def __iter__(self) -> Iterator[StoredAdapter]:
        return iter(self.items)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.items)

    def __getitem__(self, index: int) -> StoredAdapter:
        """Return one of them by its place."""
        return self.items[index]


def stored_adapters(corpus: Corpus, base: Base) -> StoredAdapters:
    """Return the adapters of a store, oldest first, as they would serve under a base model.

    Args:
        corpus: The store.
        base: The base model.
    """
    records, base = corpus.ledger.adapters(), base.if_there()
    defaults = defaults_of(records, base)
    default_for = {one.name: person for person, one in defaults.own.items()}
    if defaults.shared is not None:
        default_for[defaults.shared.name] = "everybody else" if defaults.own else "everybody"
    return StoredAdapters(
        tuple(_listed(record, base, default_for.get(record.name)) for record in records)
    )


def _listed(record: AdapterRecord, base: Base, default_for: str | None) -> StoredAdapter:
    folder = Path(record.path)
    files = [path for path in folder.glob("*") if path.is_file()] if folder.is_dir() else []
    problem = ""
    try:
        check_base(loaded(record), base)
    except (ArtifactError, AdapterLoadError) as error:
        problem = str(error)
    return StoredAdapter(
        name=record.name,
        users=learned_from(record),
        created=record.created,
        base_model=record.base_model,
        purpose=purpose_of(record),
        before=_score(record, "before"),
        after=_score(record, "after"),
        size=sum(path.stat().st_size for path in files) if files else None,
        folder=record.path,
        default_for=default_for,
        problem=problem,
    )


def _score(record: AdapterRecord, when: str) -> float | None:
    found = cast("Mapping[str, float] | None", record.manifest.get(when))
    return found.get("action_logprob") if found else None


def ref_of(record: AdapterRecord) -> AdapterRef:
    """Return what an engine needs of an adapter of the store; nothing is verified."""
    return AdapterRef(
        name=record.name,
        path=record.path,
        digest=record.digest,
        base_model=record.base_model,
        base_digest=str(record.manifest.get("base_model_digest") or ""),
    )
