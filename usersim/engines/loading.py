# pyright: basic
"""Load a Hugging Face model and its tokenizer into this process."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from usersim.engines.hub import check_model, local_first
from usersim.engines.texts import Texts
from usersim.errors import MissingDependencyError, ModelLoadError, boundary

__all__ = ["import_torch", "load_model", "load_texts", "load_tokenizer"]


def import_torch() -> Any:
    """Import torch, patient threads first: spinning ones starve whatever else runs.

    Raises:
        MissingDependencyError: If the extra `local` is not installed.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import peft  # noqa: F401 - told apart from a broken torch here, used below
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            error.name or "torch", extra="local", why="running a model in this process"
        ) from error
    return torch


def load_tokenizer(folder: str | Path) -> Any:
    """Load a model's tokenizer.

    Raises:
        ModelLoadError: If there is none, or it is not a fast one.
    """
    check_model(folder)
    import_torch()
    from transformers import AutoTokenizer

    with boundary(ModelLoadError, f"loading the tokenizer of {str(folder)!r}"):
        tokenizer = local_first(folder, partial(AutoTokenizer.from_pretrained, str(folder)))
    if not tokenizer.is_fast:
        raise ModelLoadError(f"the tokenizer of {str(folder)!r} is not a fast one")
    return tokenizer


def arithmetic(*, dtype: str, device: str) -> tuple[str, str]:
    """Return the device and the data type that `auto` stands for on this machine.

    Raises:
        MissingDependencyError: If the extra `local` is not installed.
    """
    torch = import_torch()
    place = device if device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    return place, dtype if dtype != "auto" else ("float32" if place == "cpu" else "bfloat16")


def load_model(folder: str | Path, *, dtype: str, device: str) -> Any:
    """Load a causal language model in evaluation mode.

    Args:
        folder: A Hugging Face folder or hub name.
        dtype: `auto`, `float32`, `bfloat16` or `float16`.
        device: `auto` or a torch device.

    Returns:
        The model, on its device.

    Raises:
        ModelLoadError: If it cannot be loaded, or its layers are not attention layers.
    """
    check_model(folder)
    torch = import_torch()
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as noise

    place, kind = arithmetic(dtype=dtype, device=device)
    noise.disable_progress_bar()
    hint = "pass a Hugging Face model folder, a hub name that this machine can reach, or 'embedded'"
    with boundary(ModelLoadError, f"loading the model {str(folder)!r}", hint=hint):
        load = partial(
            AutoModelForCausalLM.from_pretrained,
            str(folder),
            dtype=getattr(torch, kind),
            attn_implementation="sdpa",
        )
        model = local_first(folder, load)
    if getattr(model, "_is_stateful", False):
        raise ModelLoadError(
            f"{str(folder)!r} ({model.config.model_type}) keeps a recurrent state; "
            "shared beginnings need attention layers",
            hint="choose a transformer with attention in every layer",
        )
    placed: Any = model
    return placed.to(place).eval()


def load_texts(folder: str | Path, limit: int | None = None) -> Texts:
    """Return a model's tokens and texts, from its folder alone: no weights are read.

    Args:
        folder: Model folder or hub name.
        limit: Lower bound on the model's own limit; None takes the model's.

    Raises:
        ModelLoadError: If it has no fast tokenizer or no configuration.
        MissingDependencyError: If the extra `local` is not installed.
    """
    tokenizer = load_tokenizer(folder)
    from transformers import AutoConfig, GenerationConfig

    with boundary(ModelLoadError, f"reading the configuration of {str(folder)!r}"):
        known = local_first(folder, partial(AutoConfig.from_pretrained, str(folder)))
        try:
            load = partial(GenerationConfig.from_pretrained, str(folder))
            named = local_first(folder, load).eos_token_id
        except (OSError, ModelLoadError):  # not every model has the file
            named = getattr(known, "eos_token_id", None)
    own: int | None = getattr(known, "max_position_embeddings", None)
    bounds = [bound for bound in (own, limit) if bound is not None]
    ends: list[int | None] = list(named) if isinstance(named, list) else [named]
    return Texts(tokenizer, min(bounds, default=None), ends)
