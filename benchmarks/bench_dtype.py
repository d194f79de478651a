"""Arithmetic: the same requests scored and drawn in float32 and in bfloat16, on this processor.

A CPU with matrix units for bfloat16 is faster in it, another one may be slower; this says which
one you have, and what the rounding does to a log-probability.

    python benchmarks/bench_dtype.py [MODEL]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import chain
from statistics import fmean, median, pstdev

from bench_scoring import text

from usersim.engines import Engine, GenerateRequest, Score, ScoreRequest
from usersim.engines.select import load_engine

ROUNDS = 3
REQUESTS = 8
DRAWS = 4
PROMPT_WORDS = 250
ANSWER_WORDS = 40
DRAWN_TOKENS = 32
DTYPES = ("float32", "bfloat16")


def prompt(round_: int, which: int) -> tuple[tuple[str, str], ...]:
    """Return a prompt that no round has seen: nothing of an earlier one is reused."""
    return (("user", f"{round_} {which} {text(PROMPT_WORDS, 13 * round_ + which)}"),)


def scored(engine: Engine, round_: int) -> list[Score]:
    """Score one answer after each prompt of a round."""
    return engine.score(
        [
            ScoreRequest(prompt=prompt(round_, k), continuation=text(ANSWER_WORDS, 3 * k))
            for k in range(REQUESTS)
        ]
    )


def drawn(engine: Engine, round_: int) -> int:
    """Draw after each prompt of a round; return how many tokens."""
    requests = [
        GenerateRequest(prompt=prompt(round_, k), max_tokens=DRAWN_TOKENS, n=DRAWS, seed=k)
        for k in range(REQUESTS)
    ]
    return sum(draw.n_tokens for draws in engine.generate(requests) for draw in draws)


def read(engine: Engine, round_: int) -> int:
    """Score a round; return how many tokens were read."""
    scored(engine, round_)
    return REQUESTS * (PROMPT_WORDS + ANSWER_WORDS)


def per_token(run: Callable[[Engine, int], int], engine: Engine, round_: int) -> float:
    """Return milliseconds a token: draws of two arithmetics may end at different lengths."""
    start = time.perf_counter()
    tokens = run(engine, round_)
    return (time.perf_counter() - start) * 1e3 / tokens


def compare(title: str, run: Callable[[Engine, int], int], engines: list[Engine]) -> None:
    """Alternate the arithmetics on the same requests; print medians and ratio."""
    rounds = [[per_token(run, engine, r) for engine in engines] for r in range(ROUNDS)]
    whole, halved = (median(column) for column in zip(*rounds, strict=True))
    print(f"{title}: float32 {whole:.2f}, bfloat16 {halved:.2f} ms a token")
    print(f"  bfloat16 is {whole / halved:.2f} times as fast")


def main(model: str = "embedded") -> None:
    """Compare speed, then what the rounding does."""
    with ExitStack() as stack:
        engines = [
            stack.enter_context(closing(load_engine(model, engine="transformers", dtype=dtype)))
            for dtype in DTYPES
        ]
        compare(f"{REQUESTS} answers scored (a word counts as a token)", read, engines)
        compare(f"{REQUESTS} prompts, {DRAWS} draws each", drawn, engines)
        whole, halved = (scored(engine, ROUNDS) for engine in engines)
        pairs = list(zip(whole, halved, strict=True))
        gaps = list(
            chain.from_iterable(
                (b - a for a, b in zip(one.logprobs, other.logprobs, strict=True))
                for one, other in pairs
            )
        )
        means = [fmean(other.logprobs) - fmean(one.logprobs) for one, other in pairs]
        print(
            f"rounding: standard deviation {pstdev(gaps):.3f} nats a token;"
            f" an answer's mean moves by {median(map(abs, means)):.4f} nats a token (median),"
            f" all answers' by {fmean(means):+.4f}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
