"""Train on people whose reasons are known, measure on answers held out, count the true reasons.

    python examples/train_and_evaluate.py [--preset tiny|small|standard] [--recipe rft|dpo|grpo]
        [--model MODEL] [--people N] [--rows N] [--held-out N]

The people are planted: a rule makes their choices (docs/concepts/planted-users.md), so that one
can see whether the traces name it. `--preset tiny` takes minutes on two cores; the same program
with `--preset standard` and a larger model is for a GPU.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import get_args

from usersim import PipelineConfig, UserSimulator
from usersim.config import Preset, Recipe
from usersim.evaluation import ArmName, verdicts
from usersim.research import planted_users
from usersim.simulator import naming_rates


def arguments(given: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train and evaluate on planted users.")
    parser.add_argument("--preset", choices=get_args(Preset), default="tiny")
    parser.add_argument("--recipe", choices=get_args(Recipe), default="select")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--people", type=int, default=2)
    parser.add_argument("--rows", type=int, default=10)
    parser.add_argument("--held-out", type=int, default=4)
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> None:
    """Make the people, train every arm, print the table, the verdicts and the reasons named."""
    wanted = arguments(given)
    config = PipelineConfig.preset(wanted.preset)
    people = planted_users(users=wanted.people, interactions=wanted.rows, texts=0.0)
    arms: list[ArmName] = ["chance", "none", "random_eligible", "recon_select"]
    if wanted.recipe != "select":
        arms.append(f"recon_{wanted.recipe}")  # type: ignore[arg-type]
    with (
        tempfile.TemporaryDirectory() as folder,
        UserSimulator.from_corpus(
            people.rows, store=Path(folder) / "planted.db", model=wanted.model, config=config
        ) as sim,
    ):
        measured = sim.evaluate(arms=arms, held_out=wanted.held_out)
        for estimate in measured.evaluation.estimates:
            print(f"{estimate.metric:<12} {estimate.arm:<32} {estimate.interval}")
        for line in verdicts(measured.evaluation):
            print(line)
        if any(measured.found.scored.values()):
            for source, rate in naming_rates(measured.found, people.facts, config).items():
                print(f"traces of {source}: {rate}")


if __name__ == "__main__":
    main()
