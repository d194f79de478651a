"""Which adapter answers for whom: the one a caller chose, or the newest fitting one of the store.

A person's own adapter goes before one that learned from several people. Whatever was chosen is
verified when it is first used: a missing, altered or foreign adapter is an error that names it,
never an answer of the base model instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

from usersim.corpus import AdapterRecord, Corpus
from usersim.engines import Engine
from usersim.engines.embedded import model_folder
from usersim.engines.identity import former_digests, model_digest
from usersim.engines.select import EngineName
from usersim.errors import (
    AdapterLoadError,
    ArgumentError,
    ArtifactError,
    ConfigError,
    MissingDependencyError,
    ModelLoadError,
)
from usersim.training import TrainedAdapter, load_artifact
from usersim.training.artifact import MANIFEST

__all__ = [
    "AdapterChoice",
    "Adapters",
    "Base",
    "Defaults",
    "Purpose",
    "check_base",
    "defaults_of",
    "learned_from",
    "loaded",
    "purpose_of",
    "reasoning_weight",
]

AdapterChoice: TypeAlias = TrainedAdapter | str | Path | None
"""`"default"`: for each person the newest fitting adapter of the store; `"none"` or None: the
base model; the name of an adapter of the store, or a beginning of it; a folder; an adapter."""

Purpose = Literal["answers", "arm", "synthesizer"]
"""What an adapter was trained for: to answer, to be measured as an arm, to write traces."""

_SYNTHESIZER = ("synthesizer", "synthesiser")
"""Keys of a stored manifest that only a synthesizer fills: today's and the former one."""

_OTHERS = "choose another adapter, or 'none' for the base model"


class Base:
    """The base model that adapters have to fit.

    Args:
        name: As the caller named it.
        engine: What runs it, or the name of what will.
    """

    def __init__(self, name: str, engine: EngineName | Engine) -> None:
        self.name = name
        self._engine = engine

    @cached_property
    def digest(self) -> str | None:
        """What identifies the model; None if its files are not on this machine."""
        if not isinstance(self._engine, str):
            return cast("str | None", getattr(self._engine, "model_digest", None))
        if self._engine in {"remote", "scripted"}:
            return None
        return model_digest(model_folder(self.name))

    def is_of(self, digest: str) -> bool:
        """Return whether a stored digest is this model's, by today's rule or by an earlier one."""
        own = self.digest
        return own is not None and (
            digest == own or digest in former_digests(model_folder(self.name))
        )

    def if_there(self) -> Base:
        """Return this model; one without a digest if its files cannot be looked at."""
        try:
            _ = self.digest
        except (MissingDependencyError, ModelLoadError):
            return Base(self.name, "remote")
        return self


def purpose_of(record: AdapterRecord) -> Purpose | None:
    """Return what an adapter was trained for; None if the store does not say."""
    said = record.manifest.get("purpose")
    if any(record.manifest.get(name) is not None for name in _SYNTHESIZER):
        return "synthesizer"
    return cast("Purpose", said) if said in get_args(Purpose) else None


@dataclass(frozen=True, slots=True)
class Defaults:
    """The newest fitting adapters of a store.

    Attributes:
        own: By person, those that learned from them alone.
        shared: The newest one that learned from several.
        foreign: Newest first, the base models of answering adapters that do not fit.
    """

    own: Mapping[str, AdapterRecord]
    shared: AdapterRecord | None
    foreign: tuple[str, ...]


def defaults_of(records: Sequence[AdapterRecord], base: Base) -> Defaults:
    """Return which adapters, oldest first in `records`, answer without being named."""
    own: dict[str, AdapterRecord] = {}
    shared: AdapterRecord | None = None
    foreign: list[str] = []
    for record in records:  # oldest first: the newest one stays
        if purpose_of(record) != "answers":
            continue
        if not _fits(record, base):
            foreign.append(record.base_model)
        elif len(people := learned_from(record)) == 1:
            own[people[0]] = record
        else:
            shared = record
    return Defaults(own, shared, tuple(dict.fromkeys(reversed(foreign))))


def learned_from(record: AdapterRecord) -> tuple[str, ...]:
    """Return who was learned from in the training of an adapter.

    One that started from a shared adapter also holds the people of that one, and is still the own
    one of the person that it was trained for.
    """
    people = cast("Sequence[str] | None", record.manifest.get("people"))
    return tuple(people) if people else record.user_ids


def _fits(record: AdapterRecord, base: Base) -> bool:
    """Return whether an adapter is one of this model: by its name, else by its content."""
    if record.base_model == base.name:
        return True  # other weights under this name are an error when the adapter is used
    wanted = record.manifest.get("base_model_digest")
    return wanted is not None and base.is_of(str(wanted))


def loaded(record: AdapterRecord) -> TrainedAdapter:
    """Return an adapter of the store, verified on disk.

    Raises:
        ArtifactError: If its folder is missing, incomplete or altered.
    """
    hint = f"put the folder back, or {_OTHERS}"
    if not Path(record.path).is_dir():
        raise ArtifactError(
            f"adapter {record.name!r} is no longer in its folder {record.path!r}", hint=hint
        )
    try:
        found = load_artifact(record.path)
    except ArtifactError as error:
        raise ArtifactError(f"adapter {record.name!r} is damaged: {error}", hint=hint) from error
    if found.ref.digest != record.digest:
        raise ArtifactError(
            f"adapter {record.name!r} holds other weights than when it was trained", hint=hint
        )
    return found


def check_base(adapter: TrainedAdapter, base: Base) -> None:
    """Check that an adapter was trained on this base model.

    Raises:
        AdapterLoadError: If it was trained on another one, or this one has changed since.
    """
    if base.digest is None or base.is_of(adapter.manifest.base_model_digest):
        return
    trained_on = adapter.manifest.base_model
    said = (
        f"the model {base.name!r} has changed since"
        if trained_on == base.name
        else f"the model here is {base.name!r}"
    )
    raise AdapterLoadError(
        f"adapter {adapter.ref.name!r} was trained on {trained_on!r}, and {said}",
        hint=f"use the model that it was trained on, retrain it, or {_OTHERS}",
    )


@dataclass
class Adapters:
    """Says which adapter answers for whom.

    Attributes:
        corpus: The store.
        base: The base model that adapters have to fit.
        choice: `default`, or `fixed` where the caller chose.
        shared: Fixed: answers for everybody without an own one; None for the base model.
        own: Fixed: by person.
    """

    corpus: Corpus
    base: Base
    choice: Literal["default", "fixed"] = "default"
    shared: TrainedAdapter | None = None
    own: Mapping[str, TrainedAdapter] = field(default_factory=dict[str, TrainedAdapter])
    _found: Defaults | None = None
    _verified: dict[str, TrainedAdapter] = field(default_factory=dict[str, TrainedAdapter])

    @classmethod
    def of(cls, corpus: Corpus, base: Base, choice: AdapterChoice) -> Adapters:
        """Return what a caller's choice means; what they name is verified at once.

        Raises:
            ArtifactError: If the adapter is incomplete or altered, or writes traces.
            AdapterLoadError: If it was trained on another base model.
            ConfigError: If neither the store nor the disk has an adapter of that name.
        """
        if choice == "default":
            return cls(corpus, base)
        if choice is None or choice == "none":
            return cls(corpus, base, "fixed")
        found = _named(corpus, choice)
        if found.manifest.synthesizer is not None:
            raise ArtifactError(
                f"adapter {found.ref.name!r} in {str(found.folder)!r} writes reasoning traces and "
                "cannot answer questions",
                hint="give the adapter that was trained on its traces",
            )
        check_base(found, base)
        return cls(corpus, base, "fixed", found)

    def for_person(self, user_id: str) -> TrainedAdapter | None:
        """Return the adapter that answers for a person, verified on disk; None for the base model.

        Raises:
            ArtifactError: If it is missing, incomplete or altered.
            AdapterLoadError: If it was trained on another base model.
            ConfigError: If it was chosen, and learned from somebody else alone.
        """
        if self.choice == "fixed":
            return self._fixed(user_id)
        record = self._defaults.own.get(user_id, self._defaults.shared)
        if record is None:
            return None
        found = self._verified.get(record.name)
        if found is not None and not _is_there(found):
            # Forgetting a person takes adapters away; the store says what is left.
            self.refresh()
            return self.for_person(user_id)
        if found is None:
            found = loaded(record)
            check_base(found, self.base)
            self._verified[record.name] = found
        return found

    def _fixed(self, user_id: str) -> TrainedAdapter | None:
        found = self.own.get(user_id, self.shared)
        if found is None:
            return None
        users = found.manifest.learned_from
        if len(users) == 1 and users[0] != user_id:
            raise ConfigError(
                f"adapter {found.ref.name!r} was trained on {users[0]!r} alone and cannot answer "
                f"for {user_id!r}",
                hint=f"choose one of {user_id!r}, a shared one, or 'none' for the base model",
            )
        if not _is_there(found):
            raise ArtifactError(
                f"adapter {found.ref.name!r} is not in its folder {str(found.folder)!r} any more",
                hint=f"retrain it, or {_OTHERS}",
            )
        return found

    def for_rest(self) -> TrainedAdapter | None:
        """Return the adapter of everybody without an own one; None for the base model.

        Raises:
            ArtifactError: If it is missing, incomplete or altered.
            AdapterLoadError: If it was trained on another base model.
        """
        if self.choice == "fixed":
            return self.shared
        return self.for_person("") if self._defaults.shared is not None else None

    def refresh(self) -> None:
        """Look at the store again: something was trained or forgotten."""
        self._found = None
        self._verified.clear()

    @property
    def _defaults(self) -> Defaults:
        if self._found is None:
            self._found = defaults_of(self.corpus.ledger.adapters(), self.base)
        return self._found

    def own_of(self, users: Sequence[str]) -> dict[str, TrainedAdapter]:
        """Return the adapters that single people of `users` have of their own."""
        known = self.own if self.choice == "fixed" else self._defaults.own
        found = {user: self.for_person(user) for user in users if user in known}
        return {user: one for user, one in found.items() if one is not None}

    def settings(self, user_id: str | None) -> dict[str, object]:
        """Return what answers depend on: names, digests and reasoning weights.

        Args:
            user_id: The person who answers; None for everybody.
        """
        one = self.for_rest() if user_id is None else self.for_person(user_id)
        said: dict[str, object] = {
            "adapter": one.ref.name if one else None,
            "adapter digest": one.ref.digest if one else None,
            "reasoning weight": reasoning_weight(one),
        }
        if user_id is None and (own := self._own_settings()):
            said["own adapters"] = own
        return said

    def _own_settings(self) -> dict[str, list[object]]:
        if self.choice == "fixed":
            return {user: [one.ref.digest, reasoning_weight(one)] for user, one in self.own.items()}
        return {
            user: [record.digest, _registered_weight(record)]
            for user, record in self._defaults.own.items()
        }

    def label(self, user_id: str | None) -> str:
        """Return which adapter answers, by the store's word: nothing is loaded or verified."""
        if self.choice == "fixed":
            own = self.own.get(user_id or "", self.shared)
            return own.ref.name if own else "none (base model)"
        known = self._found or defaults_of(
            self.corpus.ledger.adapters(), Base(self.base.name, "remote")
        )
        record = known.own.get(user_id or "", known.shared)
        return record.name if record else "none (base model)"

    def describe(self, user_id: str | None) -> str:
        """Say in a line which adapter answers.

        Args:
            user_id: The person who answers; None for everybody.
        """
        one = self.for_rest() if user_id is None else self.for_person(user_id)
        own = len(self.own if self.choice == "fixed" else self._defaults.own)
        said = one.ref.name if one else "none (base model)"
        if user_id is None and own:
            people = "1 person has one of their own" if own == 1 else f"{own} people have their own"
            return f"{said}; {people}"
        if one is None and self.choice == "default" and self._defaults.foreign:
            others = ", ".join(map(repr, self._defaults.foreign))
            return f"{said}; the store's adapters were trained on {others}"
        return said


def reasoning_weight(adapter: TrainedAdapter | None) -> float:
    """Return the weight that was fitted with an adapter; 1 where none was.

    Example:
        >>> reasoning_weight(None)
        1.0
    """
    fitted = adapter.manifest.reasoning_weight if adapter else None
    return fitted.w if fitted is not None else 1.0


def _registered_weight(record: AdapterRecord) -> float:
    fitted = cast("Mapping[str, float] | None", record.manifest.get("reasoning_weight"))
    return fitted["w"] if fitted else 1.0


def _is_there(adapter: TrainedAdapter) -> bool:
    return (adapter.folder / MANIFEST).is_file()


def _named(corpus: Corpus, choice: TrainedAdapter | str | Path) -> TrainedAdapter:
    """Return the adapter that a caller named or gave.

    Raises:
        ArgumentError: If the choice is something else than a name, a folder or an adapter.
        ArtifactError: If it is missing, incomplete or altered.
        ConfigError: If there is none of that name, or several.
    """
    if isinstance(choice, TrainedAdapter):
        return choice
    if not isinstance(choice, str | Path):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ArgumentError(
            f"adapter is {choice!r}",
            hint="give 'default', 'none', the name of an adapter, its folder, or a TrainedAdapter",
        )
    records = corpus.ledger.adapters()
    text = str(choice)
    exact = [one for one in records if isinstance(choice, str) and one.name == text]
    if exact:
        return loaded(exact[0])
    if Path(choice).expanduser().is_dir():
        return load_artifact(choice)
    found = [one for one in records if isinstance(choice, str) and one.name.startswith(text)]
    if len(found) == 1:
        return loaded(found[0])
    names = [one.name for one in found or records]
    said = "several adapters begin with" if found else "there is no adapter"
    raise ConfigError(
        f"{said} {text!r}; the store has {names!r}" if names else f"{said} {text!r}, nor any other",
        hint="give one of these names, the folder of an adapter, 'default' or 'none'",
    )
