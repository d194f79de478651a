# pyright: basic
"""Which arithmetic the frozen base model is trained in: float32, or bfloat16 where that is faster.

A GPU, and a CPU with matrix units for bfloat16, gain by it; another CPU loses. One layer of the
model is run forward and backward in both, once per machine and model. The adapter's weights and
the loss are float32 in either case.
"""

from __future__ import annotations

import copy
import logging
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from usersim.config import cache_dir
from usersim.engines.loading import import_torch, load_model
from usersim.errors import TrainingError
from usersim.files import write_text
from usersim.training.batches import MicroBatch, make_batch
from usersim.training.dataset import EncodedExample, Term
from usersim.training.lora import adapted, batch_loss
from usersim.training.manifest import Arithmetic
from usersim.types import content_key

__all__ = ["BaseModelCache", "arithmetic_of", "load_base"]

logger = logging.getLogger(__name__)

TOKENS, TARGETS = 128, 2
"""Of the row that is measured."""
ROUNDS = 2
WORTHWHILE = 1.1
"""bfloat16 is rounded: it has to be this many times as fast to be chosen."""


def arithmetic_of(model: Any) -> Arithmetic:
    """Return the arithmetic of a model that the caller loaded."""
    return Arithmetic(dtype=str(model.dtype).removeprefix("torch."), chosen="given")


def load_base(folder: str | Path, digest: str, dtype: str) -> tuple[Any, Arithmetic]:
    """Load a base model for training.

    Args:
        folder: A Hugging Face folder or hub name.
        digest: Tells the model from others, for the measurement's cache.
        dtype: `float32`, `bfloat16`, or `auto` for the faster one.

    Returns:
        The model on its device, and its arithmetic.

    Raises:
        ModelLoadError: If it cannot be loaded.
    """
    torch = import_torch()
    if dtype != "auto":
        return load_model(folder, dtype=dtype, device="auto"), Arithmetic(
            dtype=dtype, chosen="asked"
        )
    if torch.cuda.is_available():
        kind = "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
        return load_model(folder, dtype=kind, device="auto"), Arithmetic(dtype=kind, chosen="gpu")
    model = load_model(folder, dtype="float32", device="auto")
    found = _remembered(digest) or _remember(digest, _measured(model))
    return model.to(getattr(torch, found.dtype)), found


class BaseModelCache:
    """Keeps a base model for trainings that follow each other in one process.

    A training leaves the model as it was, so that the next one begins with the same weights.

    Example:
        ```python
        cache = BaseModelCache()
        for lesson in lessons:  # one person each; the base model is loaded once
            train_user_model([lesson], config, view, out_dir="adapters", model=model, cache=cache)
        ```
    """

    def __init__(self) -> None:
        self._key: tuple[str, str, str] | None = None
        self._found: tuple[Any, Arithmetic] | None = None

    def load(self, folder: str | Path, digest: str, dtype: str) -> tuple[Any, Arithmetic]:
        """Return what `load_base` returns, loaded once for the same model and arithmetic."""
        key = (str(folder), digest, dtype)
        if self._found is None or key != self._key:
            self._found = None  # two models at once may be one too many
            self._found, self._key = load_base(folder, digest, dtype), key
        return self._found


def _file(digest: str) -> Path:
    import torch

    machine = content_key(
        platform.machine(),
        _processor(),
        torch.backends.cpu.get_cpu_capability(),
        torch.get_num_threads(),
        torch.__version__,
    )
    return cache_dir() / "arithmetic" / f"{content_key(digest, machine)[:16]}.json"


def _processor() -> str:
    """Return the processor's flags where the system tells them: a name says less."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _remembered(digest: str) -> Arithmetic | None:
    try:
        return Arithmetic.model_validate_json(_file(digest).read_bytes())
    except (OSError, ValidationError):
        return None


def _remember(digest: str, found: Arithmetic) -> Arithmetic:
    file = _file(digest)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, found.model_dump_json(), what="the arithmetic", error=TrainingError)
    except (OSError, TrainingError) as error:
        logger.info("not stored, so it is measured again next time: %s", error)
    return found


def _measured(model: Any) -> Arithmetic:
    """Return the faster arithmetic on this machine."""
    import torch

    batch = _row(int(model.config.vocab_size))
    small = _one_layer(model)
    seconds = {
        kind: _seconds(small.to(getattr(torch, kind)), batch) for kind in ("float32", "bfloat16")
    }
    gain = seconds["float32"] / seconds["bfloat16"]
    kind = "bfloat16" if gain > WORTHWHILE else "float32"
    logger.info("training in %s: bfloat16 is %.2f times as fast here", kind, gain)
    return Arithmetic(
        dtype=kind,
        chosen="measured",
        float32_ms=round(1e3 * seconds["float32"], 2),
        bfloat16_ms=round(1e3 * seconds["bfloat16"], 2),
    )


def _row(vocabulary: int) -> MicroBatch:
    tokens = np.random.default_rng(0).integers(vocabulary, size=TOKENS + 1).tolist()
    term = Term("action", tuple(tokens), len(tokens) - TARGETS)
    return make_batch([EncodedExample("", "", (term,))])


def _seconds(model: Any, batch: MicroBatch) -> float:
    """Return the seconds of a forward and backward pass with an adapter, warmed up."""
    found: list[float] = []
    with adapted(model, rank=8, alpha=8) as peft_model:
        for _ in range(ROUNDS + 1):
            start = time.perf_counter()
            batch_loss(peft_model, batch, 0.0).backward()
            found.append(time.perf_counter() - start)
    return min(found[1:])


def _one_layer(model: Any) -> Any:
    """Return a copy of a model with its first layer alone; of all of it if none are found."""
    import torch

    count = getattr(model.config, "num_hidden_layers", 0)
    for owner in model.modules():
        for name, layers in owner.named_children():
            if isinstance(layers, torch.nn.ModuleList) and len(layers) == count > 1:
                setattr(owner, name, layers[:1])
                try:
                    return copy.deepcopy(model)
                finally:
                    setattr(owner, name, layers)
    return copy.deepcopy(model)
