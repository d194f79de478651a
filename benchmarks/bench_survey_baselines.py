"""Accuracy and population distances of simulated respondents, on a survey corpus of your own.

    python benchmarks/bench_survey_baselines.py answers.jsonl --people 8 --held-out 80
    python benchmarks/bench_survey_baselines.py answers.jsonl --learn 6

Rows as `usersim load` reads them. Compared on the answers held out: chance, the others' most
frequent answer, and the base model with demographics only (`profile`) and with the person's
history in the prompt (`few_shot`). With `--learn N` also an adapter trained on the N newest
answers of each person's first part, without reasoning and with Recon's. Printed: accuracy and log
score with intervals over people, and over the questions that enough people answered the mean
total variation to the people, the people's own halves, and the entropy ratio.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from usersim import PipelineConfig, UserSimulator
from usersim.evaluation import ArmName, Evaluation
from usersim.survey.estimates import population_rows

ARMS: tuple[ArmName, ...] = ("chance", "others", "profile", "few_shot")
LEARNED: tuple[ArmName, ...] = ("none", "recon_select")


def rows_of(path: Path, people: int, skip: int) -> list[dict[str, object]]:
    """Return the rows of some people of a JSON Lines file, `skip` people left out first."""
    order: dict[str, int] = {}
    found: list[dict[str, object]] = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            row: dict[str, object] = json.loads(line)
            place = order.setdefault(str(row["user_id"]), len(order))
            if skip <= place < skip + people:
                found.append(row)
    return found


def line_of(evaluation: Evaluation, arm: str, least: int) -> str:
    """Return an arm's row of the table."""
    cells = [arm]
    for metric in ("accuracy", "log_score"):
        found = evaluation.estimate(arm, metric)
        cells.append(str(found.interval) if found else "-")
    rows = population_rows(evaluation.interactions, evaluation.predictions[arm], min_people=least)
    for name in ("total_variation", "floor", "entropy_ratio"):
        values = [getattr(row, name) for row in rows]
        cells.append(f"{np.nanmean(values):.3f}" if values else "-")
    return f"| {' | '.join([*cells, str(len(rows))])} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--held-out", type=int, default=80)
    parser.add_argument("--least", type=int, default=5)
    parser.add_argument("--learn", type=int, default=0)
    parser.add_argument("--model", default="embedded")
    given = parser.parse_args()
    rows = rows_of(given.corpus, given.people, given.skip)
    config = PipelineConfig.preset("tiny")
    with UserSimulator.from_corpus(rows, model=given.model, config=config) as sim:
        measured = sim.evaluate(
            arms=(*ARMS, *LEARNED) if given.learn else ARMS,
            limit=given.learn or None,
            held_out=given.held_out,
        )
    evaluation = measured.evaluation
    print(f"{len(evaluation.interactions)} held-out answers of {evaluation.n_users} people\n")
    print("| arm | accuracy | log score, nats | TV | halves | entropy ratio | questions |")
    print("|---|---|---|---|---|---|---|")
    for arm in evaluation.arms:
        print(line_of(evaluation, arm, given.least))


if __name__ == "__main__":
    main()
