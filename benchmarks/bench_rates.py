"""The two rates of this machine that decide what a study costs: tokens read and tokens drawn.

    python benchmarks/bench_rates.py
    python benchmarks/bench_rates.py --model FOLDER --prompt 1500 --trace 64

Measures prompt tokens computed and tokens drawn a second, with the engine that a study would use,
in about a minute. `usersim plan` turns them into hours; the page "Replicate the paper" has the
formulas for evaluations with many arms.
"""

from __future__ import annotations

import argparse
import time

from usersim.engines import Engine, GenerateRequest, ScoreRequest
from usersim.engines.select import load_engine

WORDS = ("late", "trains", "stood", "rain", "people", "read", "long", "letters", "quiet", "rooms")


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
    """Print both rates, and how `usersim plan` takes them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--prompt", type=int, default=1500, help="tokens of a prompt")
    parser.add_argument("--trace", type=int, default=64, help="tokens of a trace")
    parser.add_argument("--batch", type=int, default=8, help="requests of a measurement")
    given = parser.parse_args()
    engine = load_engine(given.model, engine=given.engine)
    computed, drawn = rates(engine, given.prompt, given.trace, given.batch)
    engine.close()
    print(f"{given.model}: {computed:,.0f} prompt tokens and {drawn:,.0f} drawn tokens a second")
    print(f"usersim plan --prompt-tokens-per-second {computed:.0f} --tokens-per-second {drawn:.0f}")


if __name__ == "__main__":
    main()
