"""What makes drawn texts look like a person's: who draws them, and how.

    python benchmarks/bench_realism.py FILE.jsonl --out FOLDER
    python benchmarks/bench_realism.py FILE.jsonl --temperature 0.6 0.8 1.0 --top-p 0.95 1.0 \
        --arms few_shot none --out FOLDER

People of a file of rows answer their held-out open questions anew: shown a persona or their past,
untrained or after a training, in every way to draw. Printed for each arm and way are how far a
classifier tells the drawn texts from the true ones (0.5: not at all), how long they are, how often
they ask, thank, show code or link, how often they end by themselves, and by which words either
side is recognized (`usersim.evaluation.realism`). Trainings and answers are kept in the folder, and
a run that finds them there goes on. Needs `usersim-recon[local,metrics]`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from usersim import PipelineConfig, UserSimulator
from usersim.engines.select import load_engine
from usersim.evaluation import Realism
from usersim.evaluation.realism import TRUE

MARKS = ("words", "questions", "polite", "code", "links", "distinct")


def line(name: str, one: Realism) -> str:
    """Return one row of the table."""
    told = "–" if one.told_apart is None else f"{one.told_apart.value:.2f}"
    if one.told_apart is not None:
        told += f" [{one.told_apart.low:.2f}, {one.told_apart.high:.2f}]"
    marks = " | ".join(f"{getattr(one.drawn, mark):.2f}" for mark in MARKS)
    return f"| {name} | {one.n_items} | {told} | {marks} | {one.ended:.2f} |"


def show(found: Sequence[Realism]) -> None:
    """Print the table of all arms, and the words by which they are recognized."""
    print(f"| | texts | told apart | {' | '.join(MARKS)} | ended |")
    print(f"|{'---|' * (len(MARKS) + 4)}")
    true = " | ".join(f"{getattr(found[0].true, mark):.2f}" for mark in MARKS)
    print(f"| {TRUE} | {found[0].n_items} | | {true} | |")
    for one in found:
        print(line(one.arm, one))
    for one in found:
        drawn, said = ", ".join(one.drawn_tells), ", ".join(one.true_tells)
        print(f"{one.arm}: drawn by {drawn}; true by {said}", flush=True)


def rows_of(path: Path, people: int) -> list[dict[str, object]]:
    """Return all rows of the first people of a file."""
    kept: dict[str, None] = {}
    found: list[dict[str, object]] = []
    with path.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            if len(kept) < people:
                kept.setdefault(row["user_id"])
            if row["user_id"] in kept:
                found.append(row)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", type=Path, help="a file of rows with open answers")
    parser.add_argument("--arms", nargs="+", default=["persona", "few_shot", "none"])
    parser.add_argument("--people", type=int, default=12, help="the first of the file")
    parser.add_argument("--pairs", type=int, default=12, help="answers of each to learn from")
    parser.add_argument("--traced", type=int, help="of these, how many get traces")
    parser.add_argument("--held-out", type=int, default=96, help="answers in all")
    parser.add_argument("--temperature", type=float, nargs="+", default=[0.8])
    parser.add_argument("--top-p", type=float, nargs="+", default=[0.95])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    given = parser.parse_args()
    wanted = rows_of(given.rows, given.people)
    given.out.mkdir(parents=True, exist_ok=True)
    base = PipelineConfig.preset("tiny")
    engine = load_engine(given.model, engine="transformers", dtype=given.dtype)
    for temperature, top_p in product(given.temperature, given.top_p):
        drawn = base.simulation.model_copy(update={"temperature": temperature, "top_p": top_p})
        with UserSimulator.from_corpus(
            wanted,
            store=given.out / "store.db",
            engine=engine,
            config=base.model_copy(update={"simulation": drawn}),
        ) as sim:
            measured = sim.evaluate(
                arms=given.arms,
                limit=given.pairs,
                traced=given.traced,
                held_out=given.held_out,
                traces=1,
                texts=True,
                out=given.out / f"t{temperature}-p{top_p}",
            )
        print(f"\ntemperature {temperature}, top_p {top_p}\n")
        show(measured.realism)


if __name__ == "__main__":
    main()
