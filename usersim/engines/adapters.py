"""Adapter folders on disk: name them by their content, refuse damaged and foreign ones.

Knows PEFT's folder format and safetensors headers; loads no model and no tensor. Pickled weights
are never opened, since opening one can run code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import Protocol, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from usersim.engines.base import AdapterRef
from usersim.engines.identity import is_model
from usersim.errors import AdapterLoadError, MissingDependencyError, boundary

__all__ = ["adapter_digest", "adapter_rank", "adapter_ref", "check_adapter"]

_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_PICKLE = "adapter_model.bin"
_TRAIN_AGAIN = "train the adapter again, or restore its folder from a copy"
_NAME_DIGITS = 12
"""Hexadecimal digits of the digest in the served name: 48 bits distinguish any two adapters."""

Shapes = dict[str, tuple[int, ...]]


class _Tensor(Protocol):
    def get_shape(self) -> list[int]: ...


class _Weights(Protocol):
    """An open safetensors file: the part of its face used here, typed."""

    def keys(self) -> list[str]: ...
    def get_slice(self, name: str) -> _Tensor: ...


class _AdapterConfig(BaseModel):
    """The fields of PEFT's configuration that matter here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    peft_type: str
    r: int
    base_model_name_or_path: str | None = None
    fan_in_fan_out: bool = False
    rank_pattern: dict[str, int] = {}


def adapter_ref(folder: str | Path) -> AdapterRef:
    """Return the frozen reference to a PEFT LoRA folder.

    Args:
        folder: Holds `adapter_config.json` and `adapter_model.safetensors`.

    Returns:
        The reference; its name is the folder's name and the first digits of the digest.

    Raises:
        AdapterLoadError: If a file is missing, cut short or unreadable, or if the weights are
            pickled.
        MissingDependencyError: If safetensors is not installed.

    Example:
        ```python
        ref = adapter_ref("adapters/ada")
        engine.generate([GenerateRequest(prompt=prompt, adapter=ref)])
        ```
    """
    path = Path(folder).expanduser().resolve()
    config = _read_config(path)
    _weight_shapes(path)
    digest = adapter_digest(path)
    return AdapterRef(
        name=f"{path.name}-{digest[:_NAME_DIGITS]}",
        path=str(path),
        digest=digest,
        base_model=config.base_model_name_or_path or "",
    )


def adapter_rank(ref: AdapterRef) -> int:
    """Return the largest rank of an adapter's modules.

    Raises:
        AdapterLoadError: If its configuration cannot be read.
    """
    config = _read_config(Path(ref.path))
    return max(config.r, *config.rank_pattern.values(), 1)


def check_adapter(ref: AdapterRef, base: str | Path, *, same_model: bool = True) -> None:
    """Raise unless the folder still holds what `ref` names, and fits the base model.

    The digest of the base model is compared where `ref` tells it, shapes where `base` is a folder
    with safetensors.

    Args:
        ref: What `adapter_ref` returned.
        base: Folder or hub name of the base model.
        same_model: Whether `base` is the model that computes. A server's client has it for its
            tokenizer alone: its copy says nothing of the weights that are served.

    Raises:
        AdapterLoadError: If the content changed, if it was trained on another model, or if a
            shape or the rank does not fit.

    Example:
        ```python
        check_adapter(adapter_ref("adapters/ada"), model_folder("embedded"))
        ```
    """
    path = Path(ref.path)
    config = _read_config(path)
    shapes = _weight_shapes(path)
    digest = adapter_digest(path)
    if digest != ref.digest:
        raise AdapterLoadError(
            f"adapter {ref.name!r} in {ref.path!r} was altered: its digest is "
            f"{digest[:_NAME_DIGITS]!r}, expected {ref.digest[:_NAME_DIGITS]!r}",
            hint="an adapter folder is immutable: save new weights to a new folder",
        )
    _check_rank(ref, config, shapes)
    base_folder = Path(base)
    if base_folder.is_dir():
        _check_shapes(ref, config, shapes, base_folder)
    if same_model:
        _check_base(ref, base)


def _check_base(ref: AdapterRef, base: str | Path) -> None:
    if ref.base_digest and not is_model(base, ref.base_digest):
        raise AdapterLoadError(
            f"adapter {ref.name!r} was trained on a different model than {str(base)!r}, although "
            "its shapes match",
            hint=f"load it with its own base model, {ref.base_model!r}, or train it again",
        )


def _read_config(folder: Path) -> _AdapterConfig:
    path = folder / _CONFIG
    try:
        config = _AdapterConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise AdapterLoadError(
            f"{str(folder)!r} is not an adapter folder: cannot read {_CONFIG!r} "
            f"({error.strerror or error})",
            hint="pass the folder that the training wrote",
        ) from error
    except ValidationError as error:
        raise AdapterLoadError(
            f"{str(path)!r} is not a PEFT configuration: {error.errors()[0]['msg']}",
            hint=_TRAIN_AGAIN,
        ) from error
    if config.peft_type != "LORA":
        raise AdapterLoadError(
            f"{str(folder)!r} is a {config.peft_type!r} adapter",
            hint="only LoRA adapters can be applied per request",
        )
    return config


def _weight_shapes(folder: Path) -> Shapes:
    path = folder / _WEIGHTS
    if path.is_file():
        shapes = dict(_shapes(path))
        if shapes:
            return shapes
        raise AdapterLoadError(f"{str(path)!r} holds no weights", hint=_TRAIN_AGAIN)
    if (folder / _PICKLE).exists():
        raise AdapterLoadError(
            f"{str(folder / _PICKLE)!r} is a pickle, which can run code when it is opened",
            hint="convert it to safetensors where you trust it: model.save_pretrained(folder)",
            cli_hint="use an adapter whose weights are stored as safetensors",
        )
    raise AdapterLoadError(f"{str(folder)!r} has no {_WEIGHTS!r}", hint=_TRAIN_AGAIN)


def _shapes(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and shape of every tensor; the header must fit the file's length.

    Yields:
        (name, shape) pairs.

    Raises:
        MissingDependencyError: If safetensors is not installed.
    """
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise MissingDependencyError("safetensors", extra="local", why="adapters") from error
    with boundary(AdapterLoadError, f"reading {str(path)!r}", hint=_TRAIN_AGAIN):
        file = cast("AbstractContextManager[_Weights]", safe_open(str(path), framework="numpy"))
    with file as weights:
        for name in weights.keys():  # noqa: SIM118 - not a mapping
            yield name, tuple(weights.get_slice(name).get_shape())


def adapter_digest(folder: Path) -> str:
    """Return the SHA-256 over an adapter's configuration and weights; reads neither.

    Raises:
        OSError: If one of the two files is not there.
    """
    total = sha256()
    for name in (_CONFIG, _WEIGHTS):
        total.update(sha256((folder / name).read_bytes()).digest())
    return total.hexdigest()


def _pairs(shapes: Shapes) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Yield module name, shape of A `(rank, in)` and shape of B `(out, rank)`."""
    for name, a_shape in shapes.items():
        if name.endswith(".lora_A.weight"):
            stem = name.removesuffix(".lora_A.weight")
            module = stem.removeprefix("base_model.model.")
            yield module, a_shape, shapes.get(f"{stem}.lora_B.weight", ())


def _check_rank(ref: AdapterRef, config: _AdapterConfig, shapes: Shapes) -> None:
    ranks = {config.r, *config.rank_pattern.values()}
    for module, a_shape, b_shape in _pairs(shapes):
        fits = len(a_shape) == len(b_shape) == 2 and a_shape[0] == b_shape[1]  # noqa: PLR2004 - a linear layer's weight is a matrix
        if not fits or a_shape[0] not in ranks:
            raise AdapterLoadError(
                f"adapter {ref.name!r}: module {module!r} has shapes {a_shape!r} and "
                f"{b_shape!r}, which do not have rank {config.r!r}",
                hint=_TRAIN_AGAIN,
            )


def _check_shapes(ref: AdapterRef, config: _AdapterConfig, shapes: Shapes, base: Path) -> None:
    """Compare every module with the base model's weight of the same name.

    A module without a weight of its name is left to the loader: tied and fused weights are
    stored under other names. If that holds for all of them, it is another model.

    Raises:
        AdapterLoadError: If a shape does not fit.
    """
    known = {
        name: shape for file in sorted(base.glob("*.safetensors")) for name, shape in _shapes(file)
    }
    wrong = f"adapter {ref.name!r} was made for a different base model than {str(base)!r}"
    hint = f"load it with its own base model: {ref.base_model!r}"
    found = False
    for module, a_shape, b_shape in _pairs(shapes):
        weight = known.get(f"{module}.weight")
        if weight is None:
            continue
        found = True
        expected = weight if config.fan_in_fan_out else weight[::-1]
        if (a_shape[1], b_shape[0]) != expected:
            raise AdapterLoadError(
                f"{wrong}: module {module!r} takes {a_shape[1]} and gives {b_shape[0]} features, "
                f"the model's {expected[0]} and {expected[1]}",
                hint=hint,
            )
    if known and not found:
        raise AdapterLoadError(f"{wrong}: the model does not have its modules", hint=hint)
