"""Coverage and cost of rectified estimates, under simulations good, biased, useless and wrong.

    python benchmarks/bench_rectify.py            # some minutes, 2,000 studies each
    python benchmarks/bench_rectify.py --runs 200

Four options with shares 50, 30, 15 and 5 %. Each study asks n people of whom the simulation is
known too, and simulates 1,000 others. Printed: the coverage of the 95 % interval of each share,
its mean width over that of the humans alone, and the effective number of human answers.
"""

from __future__ import annotations

import argparse

import numpy as np

from usersim.survey.estimates import rectify_shares

SHARES = np.array([0.5, 0.3, 0.15, 0.05])
OTHERS = 1000

WORLDS = ("good", "guessing, 70 % right", "biased by 43 points", "useless", "wrong")


def simulated(world: str, rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    """Return what is simulated of people with these answers. Shape `(n, 4)`."""
    noise = rng.dirichlet(np.ones(4), len(truth))
    if world == "good":
        return 0.8 * truth + 0.2 * noise
    if world == "useless":
        return noise
    if world == "wrong":
        return (1 - truth) / 3
    if world.startswith("biased"):
        return 0.5 * truth + 0.5 * np.array([0, 0, 0.1, 0.9])
    right = rng.random(len(truth)) < 0.7
    return np.where(right[:, None], truth, np.eye(4)[rng.choice(4, len(truth))])


def people(rng: np.random.Generator, world: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what n people answer and what is simulated of them."""
    truth = np.eye(4)[rng.choice(4, n, p=SHARES)]
    return truth, simulated(world, rng, truth)


def study(name: str, n: int, runs: int) -> str:
    """Return one row of the table."""
    rng = np.random.default_rng(n)
    inside = np.zeros(4)
    ours = alone = 0.0
    effective: list[float] = []
    for _ in range(runs):
        human, paired = people(rng, name, n)
        found = rectify_shares(human, paired, people(rng, name, OTHERS)[1])
        for k, one in enumerate(found):
            inside[k] += one.estimate.low <= SHARES[k] <= one.estimate.high
            ours += one.estimate.high - one.estimate.low
            alone += one.classical.high - one.classical.low
        effective.append(found[0].effective_n)
    covered = " / ".join(f"{100 * value / runs:.1f}" for value in inside)
    return f"| {name} | {n} | {covered} | {ours / alone:.2f} | {np.nanmedian(effective):.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    runs = parser.parse_args().runs
    print("| simulation | humans | coverage of 50 / 30 / 15 / 5 %, per cent | width | worth |")
    print("|---|---|---|---|---|")
    for name in WORLDS:
        for n in (25, 100, 400):
            print(study(name, n, runs), flush=True)


if __name__ == "__main__":
    main()
