"""Where prepared models are kept."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_dir"]


def cache_dir() -> Path:
    """Return the folder for prepared models: `$USERSIM_CACHE`, or the user's cache folder.

    The only environment variable that the library itself reads.
    """
    named = os.environ.get("USERSIM_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "usersim"
