"""Sizes of models and kinds of GPUs, as their publishers describe them: what a token costs.

Knows numbers of data sheets; knows nothing of people or stages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from usersim.errors import ArgumentError

__all__ = ["GPUS", "WEIGHT_BYTES", "Gpu", "ModelSize"]

BILLION = 1e9
WEIGHT_BYTES = 2
"""Bytes of a parameter in bfloat16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One kind of GPU, as its data sheet describes it.

    Attributes:
        tflops: Peak of dense bfloat16 arithmetic, 10^12 operations per second.
        bandwidth: Of its memory, GB per second.
        memory: GB.
    """

    tflops: float
    bandwidth: float
    memory: float


GPUS: Final[Mapping[str, Gpu]] = MappingProxyType(
    {
        "b200": Gpu(tflops=2250, bandwidth=8000, memory=180),
        "h200": Gpu(tflops=989, bandwidth=4800, memory=141),
        "h100": Gpu(tflops=989, bandwidth=3350, memory=80),
        "a100": Gpu(tflops=312, bandwidth=2039, memory=80),
        "l40s": Gpu(tflops=362, bandwidth=864, memory=48),
        "l4": Gpu(tflops=121, bandwidth=300, memory=24),
        "rtx4090": Gpu(tflops=165, bandwidth=1008, memory=24),
    }
)
"""Kinds of GPUs by name; figures of NVIDIA's data sheets, without sparsity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """What a model's size means for tokens and disk.

    Attributes:
        name: As it was asked for, such as `8b`.
        parameters: How many.
        layers: Transformer layers.
        hidden: Width of a layer.
        inner: Width of its feed-forward part.
        keys: Width of its keys, which several heads share.
        like: The published model whose shape is taken.
    """

    name: str
    parameters: float
    layers: int
    hidden: int
    inner: int
    keys: int
    like: str

    @classmethod
    def of(cls, name: str) -> ModelSize:
        """Return the size that a name says: that of the published model next to it.

        Raises:
            ArgumentError: If it says none.

        Example:
            >>> ModelSize.of("8b").like, round(ModelSize.of("9B").parameters / 1e9, 2)
            ('Llama-3.1-8B', 9.0)
        """
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*[bB]", name.strip())
        wanted = float(found[1]) * BILLION if found else 0.0
        if wanted <= 0:
            raise ArgumentError(
                f"model size {name!r} must be a number of billions of parameters",
                hint="for example 0.5b, 8b or 70b",
                cli_hint="for example --model 8b",
            )
        near = min(_SHAPES, key=lambda one: abs(one.parameters - wanted))
        same = abs(near.parameters - wanted) < 0.1 * wanted
        return replace(near, name=name, parameters=near.parameters if same else wanted)

    def adapter_parameters(self, rank: int) -> int:
        """Return the parameters of a LoRA adapter on all linear layers.

        `rank x (inputs + outputs)` of each (arXiv 2106.09685, section 4.1): queries, keys, values,
        output, gate, up and down.

        Example:
            >>> ModelSize.of("8b").adapter_parameters(16)
            41943040
        """
        attention = 2 * (self.hidden + self.hidden) + 2 * (self.hidden + self.keys)
        return rank * self.layers * (attention + 3 * (self.hidden + self.inner))

    @property
    def cache_bytes(self) -> int:
        """Bytes of one token's keys and values, in bfloat16: `2 x layers x keys x 2`."""
        return 2 * self.layers * self.keys * WEIGHT_BYTES


def _shape(
    like: str, parameters: float, layers: int, hidden: int, inner: int, keys: int
) -> ModelSize:
    return ModelSize(
        name=like,
        parameters=parameters * BILLION,
        layers=layers,
        hidden=hidden,
        inner=inner,
        keys=keys,
        like=like,
    )


_SHAPES: Final = (
    _shape("Qwen2.5-0.5B", 0.494, 24, 896, 4864, 128),
    _shape("Qwen2.5-1.5B", 1.54, 28, 1536, 8960, 256),
    _shape("Qwen2.5-3B", 3.09, 36, 2048, 11008, 256),
    _shape("Qwen2.5-7B", 7.62, 28, 3584, 18944, 512),
    _shape("Llama-3.1-8B", 8.03, 32, 4096, 14336, 1024),
    _shape("Qwen2.5-14B", 14.8, 48, 5120, 13824, 1024),
    _shape("Qwen2.5-32B", 32.8, 64, 5120, 27648, 1024),
    _shape("Llama-3.1-70B", 70.6, 80, 8192, 28672, 1024),
)
"""From the configuration files that were published with the models."""
