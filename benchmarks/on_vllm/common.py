"""What the benchmarks of vLLM share: made-up texts and adapters, and ways that take turns."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping
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


def compare(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Run every way `rounds` times, in turns, and print the medians. Seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        # The order changes with every turn, so that no way is always the one after another.
        names = list(ways) if turn % 2 == 0 else list(ways)[::-1]
        for name in names:
            started = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: median(found) for name, found in seconds.items()}
    for name, found in seconds.items():
        runs = ", ".join(f"{one:.2f}" for one in found)
        print(f"  {name:<44} {medians[name]:8.2f} s   ({runs})", flush=True)
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
