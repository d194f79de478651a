"""What a study costs in tokens, and in hours of this machine with this model.

    python benchmarks/bench_study_cost.py
    python benchmarks/bench_study_cost.py --model FOLDER --pairs 1000 --held-out 1000 --prompt 1500

Measures the two rates that decide, prompt tokens computed and tokens drawn a second, with the
engine that a study would use, in about a minute. Tokens come from the counts that
`usersim evaluate --dry-run` prints and from the limits of the settings; a training step is taken
as three passes over its tokens, as there. The page "Replicate the paper" explains the formulas.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

from usersim.engines import Engine, GenerateRequest, ScoreRequest
from usersim.engines.select import load_engine

WORDS = ("late", "trains", "stood", "rain", "people", "read", "long", "letters", "quiet", "rooms")
TRAINING_PASSES = 3
"""One pass forward, two backward."""
READINGS = 4
"""Of each candidate by the default scores: whole, masked, without context, and its own tokens."""


@dataclass(frozen=True)
class Sizes:
    """What a study does.

    Attributes:
        pairs: Training interactions with candidates.
        held_out: Answers that are predicted.
        candidates: N, drawn for each pair.
        traces: K, drawn before each answer of an arm that reasons.
        reasoning: Arms that learn traces; each is trained and answers with K of them.
        plain: Arms that are trained without traces.
        epochs: Passes of a training.
        prompt: Tokens of a prompt with its history.
        trace: Tokens of a trace.
        action: Tokens of an action.
    """

    pairs: int
    held_out: int
    candidates: int
    traces: int
    reasoning: int
    plain: int
    epochs: float
    prompt: int
    trace: int
    action: int


@dataclass(frozen=True)
class Cost:
    """Tokens of one stage: computed at once, and drawn one after the other."""

    stage: str
    computed: float
    drawn: float = 0.0


def costs(s: Sizes, *, judged: bool) -> list[Cost]:
    """Return the tokens of each stage; prompts that draws share are counted once.

    Args:
        s: What is done.
        judged: Whether a judge ranks written reconstructions, as in the paper, in both orders.
    """
    n, drawn = s.pairs * s.candidates, s.pairs * s.candidates * s.trace
    stages = [Cost("draw traces", s.pairs * s.prompt, drawn)]
    if judged:
        ranked = s.prompt + (s.candidates + 1) * s.action
        stages += [
            Cost("reconstruct", s.pairs * s.prompt + n * s.trace, n * s.action),
            Cost("rank, both orders", 2 * s.pairs * ranked, 2 * s.pairs * 2 * s.candidates),
        ]
    else:
        stages.append(Cost("score", s.pairs * s.prompt + n * READINGS * (s.trace + s.action)))
    per_pair = s.prompt + s.trace + s.action
    trained = (s.reasoning + s.plain) * s.epochs * s.pairs * per_pair
    answers = s.held_out * s.prompt
    return [
        *stages,
        Cost("train", TRAINING_PASSES * trained),
        Cost("answer without traces", (s.plain + s.reasoning) * (answers + s.held_out * s.action)),
        Cost(
            "answer with traces",
            s.reasoning * (answers + s.held_out * s.traces * (s.trace + s.action)),
            s.reasoning * s.held_out * s.traces * s.trace,
        ),
    ]


def text(n: int, start: int) -> str:
    """Return about `n` tokens that no other start shares from the first word on."""
    return f"{start}. " + " ".join(WORDS[(start + i) % len(WORDS)] for i in range(n))


def rates(engine: Engine, prompt: int, trace: int, batch: int) -> tuple[float, float]:
    """Return prompt tokens computed a second, and tokens drawn a second, after a warm-up."""
    found: list[float] = []
    for place, count in enumerate((2, batch)):
        asked = [(("user", text(prompt, 1000 * place + i)),) for i in range(count)]
        began = time.perf_counter()
        engine.score([ScoreRequest(prompt=one, continuation="Yes.") for one in asked])
        computed = sum(engine.count_tokens(one[0][1]) for one in asked)
        found.append(computed / (time.perf_counter() - began))
    began = time.perf_counter()
    short = [(("user", text(16, 5000 + i)),) for i in range(batch)]
    draws = engine.generate(
        [GenerateRequest(prompt=one, n=4, max_tokens=trace, seed=i) for i, one in enumerate(short)]
    )
    tokens = sum(draw.n_tokens for own in draws for draw in own)
    return found[-1], tokens / (time.perf_counter() - began)


def main() -> None:
    """Print tokens and hours by stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--batch", type=int, default=8, help="requests of a measurement")
    parser.add_argument("--judged", action="store_true", help="rank as the paper does")
    for name, value in (
        ("pairs", 1000), ("held-out", 1000), ("candidates", 4), ("traces", 4), ("reasoning", 3),
        ("plain", 1), ("prompt", 1500), ("trace", 64), ("action", 100),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--epochs", type=float, default=2.0)
    given = parser.parse_args()
    sizes = Sizes(**{name: getattr(given, name) for name in Sizes.__dataclass_fields__})
    engine = load_engine(given.model, engine=given.engine)
    computed, drawn = rates(engine, given.prompt, given.trace, given.batch)
    print(f"{given.model}: {computed:,.0f} prompt tokens and {drawn:,.0f} drawn tokens a second")
    print(f"{'stage':<24}{'computed':>14}{'drawn':>12}{'hours':>9}")
    hours = 0.0
    for one in costs(sizes, judged=given.judged):
        own = (one.computed / computed + one.drawn / drawn) / 3600
        hours += own
        print(f"{one.stage:<24}{one.computed:>14,.0f}{one.drawn:>12,.0f}{own:>9.2f}")
    print(f"{'all':<50}{hours:>9.2f}")
    engine.close()


if __name__ == "__main__":
    main()
