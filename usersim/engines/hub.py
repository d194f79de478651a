# pyright: basic
"""Where a model comes from: a folder, the hub's cache on this machine, the hub. In this order.

A name that is none of these is one error within seconds: the hub is asked once and briefly, and
never by the loader, which asks it again and again.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from usersim.errors import ModelLoadError, UsersimError, boundary

__all__ = ["check_model", "local_first"]

T = TypeVar("T")

ASK_SECONDS = 5.0
"""Patience with the hub when it is asked whether it has a model."""
_NAME = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
_CHOICES = "pass a Hugging Face model folder, a hub name as OWNER/NAME, or 'embedded'"


def check_model(model: str | Path) -> None:
    """Check that a model can be loaded from somewhere, before anything heavy is imported.

    Args:
        model: A folder or a hub name.

    Raises:
        ModelLoadError: If it is neither a folder, nor in the hub's cache, nor on the hub.
    """
    folder, name = Path(model).expanduser(), str(model)
    if folder.is_dir() or _cached(name):
        return
    if folder.exists():
        raise ModelLoadError(f"model {name!r} is a file, not a model folder", hint=_CHOICES)
    if isinstance(model, Path) or not _NAME.fullmatch(name) or name.startswith((".", "-")):
        raise ModelLoadError(f"model {name!r}: there is no such folder", hint=_CHOICES)
    _ask_hub(name)


def local_first(model: str | Path, load: Callable[..., T]) -> T:
    """Load from a folder or from the hub's cache, and from the hub only what these lack.

    Args:
        model: A folder or a hub name.
        load: Called with `local_files_only=True`, then, if that fails, without.

    Raises:
        ModelLoadError: If the hub is needed and does not have the model, or does not answer.
    """
    if Path(model).is_dir():
        return load()
    try:
        return load(local_files_only=True)
    except (OSError, ValueError):
        _ask_hub(str(model))
    return load()


def _cached(name: str) -> bool:
    """Return whether the hub's cache holds a model, if only in part."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return False
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return isinstance(try_to_load_from_cache(name, "config.json"), str)
    except HFValidationError:
        return False


def _ask_hub(name: str) -> None:
    """Ask the hub once whether it has a model.

    Raises:
        ModelLoadError: If it does not, or does not answer.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ModelLoadError(f"model {name!r}: there is no such folder", hint=_CHOICES)
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import RepositoryNotFoundError

    where = f"model {name!r} is neither a folder nor in the Hugging Face cache of this machine"
    try:
        with boundary(UsersimError, "querying the hub"):
            HfApi().model_info(name, timeout=ASK_SECONDS)
    except UsersimError as error:
        cause = error.__cause__
        if isinstance(cause, RepositoryNotFoundError):
            raise ModelLoadError(
                f"{where}, and {constants.ENDPOINT} has no such model", hint=_CHOICES
            ) from error
        raise ModelLoadError(
            f"{where}, and {constants.ENDPOINT} cannot be reached "
            f"({type(cause).__name__}: {cause})",
            hint=f"{_CHOICES}; where there is a network, `hf download {name}` fills the cache",
        ) from error
