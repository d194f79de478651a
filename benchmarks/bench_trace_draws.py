"""Traces for one answer: what 16 cost beside 4 and 1.

The K traces of an answer share its prompt, which is computed once; they are drawn side by side in
one batch, and the answer after each of them is scored in one token tree. Questions with 16 past
answers in the prompt, to the embedded model: K = 1, 4 and 16 alternate in one process, and
medians of CPU seconds and their ratios are printed, drawing and scoring apart.
"""

from __future__ import annotations

import time
from statistics import median

from usersim.config import HistoryConfig, SimulationConfig
from usersim.engines import Engine
from usersim.engines.embedded import model_folder
from usersim.engines.transformers.engine import TransformersEngine
from usersim.simulation import RespondItem, likelihoods
from usersim.simulation.reasoning import ReasoningRequest, draw_reasoning
from usersim.types import Interaction, Message, Question, Scale

ROUNDS = 5
COUNTS = (1, 4, 16)
TARGET = 2.5
"""Most that 16 traces may cost, in the cost of 4."""
LABELS = Scale(("Disagree", "Rather disagree", "Rather agree", "Agree"))
WORDS = ("rain", "crowds", "long letters", "quiet rooms", "late trains", "old films", "new food")
HISTORY = HistoryConfig()


def asked(number: int) -> RespondItem:
    """Return a question with 16 past answers before it."""
    past = tuple(
        Interaction(
            key=f"{number}-{i}",
            user_id="ada",
            position=i,
            context=(Message(f"On day {i} of month {number} I enjoyed {WORDS[i % len(WORDS)]}."),),
            action=LABELS.options[(i * i + number) % 4],
            space=LABELS,
            conversation=f"{number}-{i}",
        )
        for i in range(16)
    )
    text = f"I look forward to {WORDS[number % len(WORDS)]}."
    question = Question((Message(text),), LABELS)
    return RespondItem(user_id="ada", question=question, history=past, seed=number, drafted=True)


def measured(engine: Engine, number: int, k: int) -> tuple[float, float]:
    """Return the CPU seconds of drawing K traces, and of scoring the answer after each."""
    item, settings = asked(number), SimulationConfig(traces=k, redraws=0)
    request = ReasoningRequest(
        prompt=item.reasoning_prompt(HISTORY), n=k, seed=number, paragraph=True
    )
    began = time.process_time()
    (drawn,) = draw_reasoning(engine, [request], settings)
    between = time.process_time()
    texts = [[trace.reasoning for trace in drawn.traces]]
    likelihoods(engine, [(item, "Agree")], reasonings=texts, config=settings, history=HISTORY)
    return between - began, time.process_time() - between


def main() -> None:
    """Print the medians and their ratios."""
    engine = TransformersEngine(model_folder("embedded"))
    measured(engine, 0, COUNTS[-1])  # warm-up
    times: dict[int, list[tuple[float, float]]] = {k: [] for k in COUNTS}
    for number in range(1, ROUNDS + 1):
        for k in COUNTS:
            times[k].append(measured(engine, number, k))
    print("median CPU seconds an answer, the three alternating")
    print(f"{'K':>4}{'draw':>9}{'score':>9}{'both':>9}")
    whole: dict[int, float] = {}
    for k in COUNTS:
        draw, score = (median(one[place] for one in times[k]) for place in (0, 1))
        whole[k] = median(sum(one) for one in times[k])
        print(f"{k:>4}{draw:>9.2f}{score:>9.2f}{whole[k]:>9.2f}")
    # Pairs of one round see the same machine.
    ratio = median(sum(a) / sum(b) for a, b in zip(times[16], times[4], strict=True))
    print(f"16 traces cost {ratio:.2f} times as much as 4 (target: at most {TARGET})")
    print(f"and {whole[16] / whole[1]:.2f} times as much as 1; drawn one by one it would be 16")


if __name__ == "__main__":
    main()
