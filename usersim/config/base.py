"""What every configuration shares: frozen fields, and a key that identifies settings."""

from __future__ import annotations

from hashlib import sha256

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)

__all__ = ["Config", "formerly"]


def formerly(name: str, former: str) -> AliasChoices:
    """Return the keys under which a stored field is read: its name, or its former one.

    Args:
        name: The field's name, under which it is written.
        former: Its name in files that an earlier version wrote.
    """
    return AliasChoices(name, former)


_LEFT_OUT = frozenset({"evidence_by", "aided_by", "traced", "config"})
"""Fields that are not written while nothing was given: they are younger than stored settings,
whose keys stay as they were."""


class Config(BaseModel):
    """A frozen model of settings; an unknown field is rejected.

    Example:
        >>> from usersim.config import SimulationConfig
        >>> config = SimulationConfig(traces=1)
        >>> config.model_copy(update={"seed": 7}).traces
        1
        >>> config.key == SimulationConfig(traces=1).key
        True
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_serializer(mode="wrap")
    def _without_unset(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out what nobody gave: settings from before it existed stay equal."""
        written: dict[str, object] = write(self)
        return {name: one for name, one in written.items() if name not in _LEFT_OUT or one}

    @property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of every field: equal keys mean equal settings."""
        return sha256(self.model_dump_json().encode()).hexdigest()
