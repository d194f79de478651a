"""What the benchmarks of vLLM share: made-up texts and adapters, and ways that take turns."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from usersim.engines.adapters import adapter_ref
from usersim.engines.base import AdapterRef
from usersim.engines.embedded import model_folder

WORDS = ("river", "letter", "quiet", "window", "often", "friend", "late", "train", "music", "rain")


def text(words: int, offset: int) -> str:
    """Return `words` words of a fixed, varied sequence."""
    return " ".join(WORDS[(offset * 7 + i * i + i * offset) % len(WORDS)] for i in range(words))


def arguments(rounds: int = 3, **sizes: int) -> argparse.Namespace:
    """Read the sizes from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=rounds)
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians of one way.

    Attributes:
        seconds: Wall time.
        cpu: CPU time of this process, in which vLLM runs where there is no GPU: on a machine that
            others use too, only this counts.
    """

    seconds: float
    cpu: float

    def over(self, other: Cost) -> str:
        """Return how many times another way's cost this is, by both clocks."""
        return f"{self.seconds / other.seconds:.3f} (by CPU time {self.cpu / other.cpu:.3f})"


def compare(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Cost]:
    """Run every way `rounds` times, in turns, and print the medians."""
    runs: dict[str, list[Cost]] = {name: [] for name in ways}
    for turn in range(rounds):
        # The order changes with every turn, so that no way is always the one after another.
        names = list(ways) if turn % 2 == 0 else list(ways)[::-1]
        for name in names:
            started, used = time.perf_counter(), time.process_time()
            ways[name]()
            runs[name].append(Cost(time.perf_counter() - started, time.process_time() - used))
    medians: dict[str, Cost] = {}
    for name, found in runs.items():
        medians[name] = Cost(median(one.seconds for one in found), median(one.cpu for one in found))
        each = ", ".join(f"{one.seconds:.2f}" for one in found)
        cost = medians[name]
        print(
            f"  {name:<44} {cost.seconds:8.2f} s  {cost.cpu:8.2f} s of CPU   ({each})", flush=True
        )
    return medians


def make_adapters(count: int, rank: int = 8) -> list[AdapterRef]:
    """Write adapters of the embedded model with random weights into a temporary folder."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = Path(tempfile.mkdtemp(prefix="usersim-bench-"))
    model = AutoModelForCausalLM.from_pretrained(model_folder("embedded"), dtype=torch.float32)
    settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    adapted = get_peft_model(model, settings)
    refs: list[AdapterRef] = []
    for number in range(count):
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "lora_" in name:
                    noise = torch.randn(parameter.shape, generator=generator)
                    parameter.copy_(noise * 0.05 / parameter.shape[-1] ** 0.5)
        adapted.save_pretrained(folder / f"user{number}")
        refs.append(adapter_ref(folder / f"user{number}"))
    return refs


def machine() -> str:
    """Return what a figure was measured on."""
    return f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"
