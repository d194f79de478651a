"""Coverage and width of a simulated population's shares: rare options, weights, few people.

Each row draws many samples of people and counts how often the 95 % interval of an option's share
holds the share in the population. `resampled` is what resampling respondents gives, which has no
width where nobody, or everybody, chose the option.

Run: python benchmarks/bench_share_intervals.py [--samples 400]
"""

from __future__ import annotations

import argparse

import numpy as np

from usersim.evaluation.bootstrap import Resampling
from usersim.survey.estimates import AnswerTable, Item, estimate

SHARES = (0.5, 0.2, 0.05, 0.02)
SIZES = (20, 40, 100)
_ITEM = Item(key="q", options=("other", "this"))


def sampled(rng: np.random.Generator, share: float, size: int, spread: float) -> AnswerTable:
    """People whose answers are independent, with weights of a given spread."""
    values = (rng.random((1, size, 1)) < share).astype(np.float64)
    return AnswerTable(
        items=(_ITEM,),
        respondents=tuple(map(str, range(size))),
        values=values,
        weights=np.exp(spread * rng.standard_normal(size)),
        simulated=True,
    )


def resampled(table: AnswerTable, seed: int) -> tuple[float, float]:
    """The percentile interval over resamples of respondents."""
    names = table.respondents
    drawn = Resampling.of(names, names, resamples=500, seed=seed).weights * table.weights
    shares = drawn @ table.values[0, :, 0] / drawn.sum(axis=1)
    low, high = np.quantile(shares, (0.025, 0.975))
    return float(low), float(high)


def main() -> None:
    """Print a row for each share, number of people and spread of weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=400)
    samples = parser.parse_args().samples
    print("| share | people | weights | covered, % | width | resampled: covered, % | width |")
    print("|---|---|---|---|---|---|---|")
    for spread in (0.0, 0.7):
        for share in SHARES:
            for size in SIZES:
                rng = np.random.default_rng(size)
                held, widths = np.zeros(2), np.zeros(2)
                for seed in range(samples):
                    table = sampled(rng, share, size, spread)
                    found = estimate(table, "q").shares[1]
                    for k, (low, high) in enumerate(
                        ((found.low, found.high), resampled(table, seed))
                    ):
                        held[k] += low <= share <= high
                        widths[k] += high - low
                held, widths = 100 * held / samples, widths / samples
                kind = "uneven" if spread else "equal"
                print(
                    f"| {share:g} | {size} | {kind} | {held[0]:.1f} | {widths[0]:.3f} "
                    f"| {held[1]:.1f} | {widths[1]:.3f} |"
                )


if __name__ == "__main__":
    main()
