# pyright: basic, reportMissingImports=false
"""Which adapters a vLLM engine holds: few enough at a time, each under a name of its own.

vLLM keys its caches by an adapter's name and path, and serves old weights under an old name
whatever is on disk. A name here ends with the digest of the weights, an id belongs to one name as
long as the process lives, and a folder is checked against the digest before it is loaded. A folder
that cannot be loaded would end vLLM's engine if a request named it; loading it first only fails.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

from usersim.engines.adapters import check_adapter
from usersim.engines.base import AdapterRef
from usersim.errors import AdapterLoadError, boundary

__all__ = ["RANKS", "VllmAdapters", "adapter_id"]

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Largest ranks that vLLM can be started with."""

_IDS: dict[str, int] = {}
_NAMES: dict[int, str] = {}


def adapter_id(ref: AdapterRef) -> int:
    """Return the adapter's id within vLLM: from its digest, never the same for two names.

    Example:
        >>> ref = AdapterRef(name="ada-00ff", path="ada", digest="00ff" * 16)
        >>> adapter_id(ref) == adapter_id(ref) == 0x00ff00f
        True
    """
    if ref.name not in _IDS:
        number = int(ref.digest[:7], 16) or 1
        while number in _NAMES:
            number += 1
        _IDS[ref.name] = number
        _NAMES[number] = ref.name
    return _IDS[ref.name]


class VllmAdapters:
    """Loads adapters into one engine, at most `room` at a time.

    Args:
        base: Folder or hub name of the base model.
        room: Adapters that the engine keeps in memory.
    """

    def __init__(self, base: str | Path, room: int) -> None:
        self._base = base
        self._room = room
        self._in_use: Counter[str] = Counter()
        self._loaded: OrderedDict[str, AdapterRef] = OrderedDict()

    def enter(self, engine: Any, ref: AdapterRef | None) -> bool:
        """Make sure that `ref` is loaded; False if every place is in use by running requests.

        Raises:
            AdapterLoadError: If it is damaged, altered, or made for another base model.
        """
        if ref is None:
            return True
        if ref.name not in self._loaded:
            if not self._make_room(engine):
                return False
            check_adapter(ref, self._base)
            hint = "train it again, or load the folder that it was saved to"
            with boundary(AdapterLoadError, f"loading adapter {ref.name!r}", hint=hint):
                engine.add_lora(self.request(ref))
            self._loaded[ref.name] = ref
        self._loaded.move_to_end(ref.name)
        self._in_use[ref.name] += 1
        return True

    def leave(self, ref: AdapterRef | None) -> None:
        """Note that a request with `ref` is done."""
        if ref is not None:
            self._in_use[ref.name] -= 1

    def _make_room(self, engine: Any) -> bool:
        """Drop the adapter that was not used for longest, if every place is taken."""
        if len(self._loaded) < self._room:
            return True
        idle = next((name for name in self._loaded if not self._in_use[name]), None)
        if idle is None:
            return False
        engine.remove_lora(adapter_id(self._loaded.pop(idle)))
        return True

    @staticmethod
    def request(ref: AdapterRef | None) -> Any:
        """Return vLLM's `LoRARequest`; None for the base model."""
        if ref is None:
            return None
        from vllm.lora.request import LoRARequest

        return LoRARequest(ref.name, adapter_id(ref), ref.path)
