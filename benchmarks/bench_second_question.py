"""Another question to the same person: what it costs beside the first.

The in-process engine keeps the keys and values of the last prompts, so that a question after
another one to the same person costs its own tokens only. A person with 40 answers, 16 of them in
the prompt, asked closed questions through `respond`: with what earlier questions left, and after
it was dropped (which is what the first question costs). Both alternate in one process, in each
arithmetic; medians of CPU seconds and of the prompt's tokens that were computed, and their ratios.
"""

from __future__ import annotations

import time
from statistics import median

import torch

from usersim import UserSimulator
from usersim.config import Dtype, EngineConfig
from usersim.engines.embedded import model_folder
from usersim.engines.transformers.engine import TransformersEngine

ROUNDS = 6
ARITHMETICS: tuple[Dtype, ...] = ("float32", "bfloat16")
LABELS = ["Disagree", "Rather disagree", "Rather agree", "Agree"]
WORDS = ("rain", "crowds", "long letters", "quiet rooms", "late trains", "old films", "new food")
THINGS = ("wide windows", "deep water", "thick books", "small towns", "bright colors", "cold soup")


def rows() -> list[dict[str, object]]:
    """Return four invented people with 40 answers each."""
    return [
        {
            "user_id": user_id,
            "order": order,
            "context": f"On day {order} I enjoyed {WORDS[order % len(WORDS)]}.",
            "action": LABELS[(order * order + number) % len(LABELS)],
            "options": LABELS,
            "kind": "scale",
        }
        for number, user_id in enumerate(("ada", "bo", "cy", "di"))
        for order in range(40)
    ]


def measure(dtype: Dtype) -> None:
    """Print the medians and ratios in one arithmetic."""
    engine = TransformersEngine(model_folder("embedded"), EngineConfig(dtype=dtype))
    computed: list[int] = []

    def count(_: object, __: tuple[object, ...], given: dict[str, torch.Tensor]) -> None:
        if given["input_ids"].shape[1] > 1:  # not a step of a draw
            computed.append(given["input_ids"].numel())

    model = engine._model  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - what it runs
    model.register_forward_pre_hook(count, with_kwargs=True)
    figures: dict[str, list[tuple[float, float, int]]] = {"first": [], "next": []}
    with UserSimulator.from_corpus(rows(), engine=engine) as sim:
        sim.respond("I enjoy tea.", options=LABELS, kind="scale", user_id="ada")  # warm-up
        for number in range(ROUNDS):
            for which in ("first", "next"):
                if which == "first":
                    engine.forget_prompts()
                text = f"I like {THINGS[number]}{'' if which == 'first' else ' a lot'}."
                computed.clear()
                cpu, wall = time.process_time(), time.perf_counter()
                sim.respond(text, options=LABELS, kind="scale", user_id="ada")
                cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
                figures[which].append((cpu, wall, sum(computed)))
    for which, found in figures.items():
        cpu, wall, tokens = (median(column) for column in zip(*found, strict=True))
        print(f"{dtype:>9} {which:>6}{cpu:>9.2f} s CPU{wall:>9.2f} s{tokens:>8.0f} prompt tokens")
    pairs = list(zip(figures["first"], figures["next"], strict=True))
    for label, place in (("CPU", 0), ("prompt tokens", 2)):
        ratio = median(first[place] / after[place] for first, after in pairs)
        print(f"{dtype:>9} the first cost {ratio:.2f} times the next in {label}")


def main() -> None:
    """Print both arithmetics."""
    for dtype in ARITHMETICS:
        measure(dtype)


if __name__ == "__main__":
    main()
