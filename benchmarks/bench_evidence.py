"""Which past answers should stand in the prompt: the newest, those alike in words, or evidence.

    python benchmarks/bench_evidence.py bfi spi_personality nonvoters2020 --data FOLDER
    python benchmarks/bench_evidence.py FILE.jsonl --items 300 --sizes 2 5 10 --csv FOLDER
    python benchmarks/bench_evidence.py FOLDER/evidence.csv --table

The untrained embedded model answers closed questions without reasoning, each with 2, 5 or 10 of
the person's past answers in the prompt and nothing else, chosen in three ways:

- recent: the newest (in a panel, which has no order in time, they are drawn at random);
- words: those that share most words with the question (BM25);
- evidence: those whose answers go with the question's over the other people, and, of a question
  that few others answered, those that share words: what usersim does.

Every way is measured on the same answers of the same people. Reported are accuracy and log score
as the model says it, and the log score after one exponent that was fitted on other people (an
untrained model is far too sure), with 95 % intervals over people, also of the differences from
`recent`. A set is the name of a panel (see `panels.py`) or a file of rows. Whatever was answered is
appended to the CSV file at once, and `--minutes` ends early with what there is; the same command
continues it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_prediction import Everybody, cases_of, with_store_keys
from panels import load_panel, part
from scipy.optimize import minimize_scalar

from usersim.config import HistoryConfig, SimulationConfig
from usersim.corpus import Corpus
from usersim.engines import Engine
from usersim.engines.select import load_engine
from usersim.prediction import PanelModel, rank_evidence
from usersim.simulation.items import RespondItem
from usersim.simulation.predict import likelihoods
from usersim.types import Interaction, Question, is_closed

WAYS = ("recent", "words", "evidence")
OTHERS = 1_000
"""Other people of a panel over whom associations are measured."""
PAST = 50
"""Past answers of each person to choose from."""
CHUNK = 5
FOLDS = 5
BOOTSTRAPS = 2_000
FIELDS = ("set", "way", "size", "answer", "person", "truth", "logs")


class Asked(NamedTuple):
    """One answer to be predicted, and what may stand in the prompt.

    Attributes:
        interaction: The answer.
        past: What the person did before, oldest first.
        ranks: By way, the past from the least to the most useful.
    """

    interaction: Interaction
    past: Sequence[Interaction]
    ranks: Mapping[str, Sequence[int]]

    def shown(self, way: str, size: int) -> tuple[Interaction, ...]:
        """Return what stands in the prompt, the most useful last."""
        return tuple(self.past[i] for i in self.ranks[way][-size:])


def asked(
    one: Interaction, past: Sequence[Interaction], measured: Mapping[str, tuple[float, int]]
) -> Asked:
    """Return an answer with its past ranked in every way; of equals the newer is better."""
    question = Question(one.context, one.space)
    words = rank_evidence(question, past, measured={})
    found = rank_evidence(question, past, measured=measured)
    everything = range(len(past))
    ranks = {
        "recent": everything,
        "words": sorted(everything, key=lambda i: (words[i], i)),
        "evidence": sorted(everything, key=lambda i: (found[i], i)),
    }
    return Asked(one, past, ranks)


def of_panel(name: str, data: Path | None, n: int) -> list[Asked]:
    """Return one answer each of people of a panel; associations are those of other people."""
    panel = with_store_keys(load_panel(name, data).panel)
    everybody = Everybody(panel)
    order = np.random.default_rng(0).permutation(len(panel.people))
    model = PanelModel.fit(part(panel, order[n : n + OTHERS]))
    cases = cases_of(panel, order[:n].tolist(), PAST, 1, range(len(panel.questions)))
    return [
        asked(
            everybody.interaction(case.row, case.asked),
            [everybody.interaction(case.row, i) for i in case.known],
            model.associations(panel.questions[case.asked].key),
        )
        for case in cases
    ]


def of_rows(path: Path, n: int) -> list[Asked]:
    """Return the latest closed answers of everybody in a file, as many of each as it takes."""
    with Corpus.open(":memory:") as corpus:
        corpus.add(path)
        model = PanelModel.fit(corpus.panel(shared_by=2))
        random = np.random.default_rng(0)
        rows: list[list[Asked]] = []
        people = [one.user_id for one in corpus.users()]
        for person in people:
            everything = list(corpus.interactions([person]))
            closed = [i for i, one in enumerate(everything) if is_closed(one.space) and i >= PAST]
            chosen = random.permutation(closed)[: -(-n // len(people))]
            rows.append(
                [
                    asked(
                        everything[i],
                        everything[i - PAST : i],
                        model.associations(everything[i].question.key, person=person),
                    )
                    for i in map(int, chosen)
                ]
            )
    deepest = max(map(len, rows), default=0)
    return [own[depth] for depth in range(deepest) for own in rows if depth < len(own)][:n]


def answered(
    engine: Engine, name: str, items: Sequence[tuple[int, Asked]], size: int
) -> Iterator[dict[str, object]]:
    """Yield what the model says of each answer, in every way."""
    cells = [(i, one, way) for i, one in items for way in WAYS]
    requests = [
        (
            RespondItem(
                user_id=one.interaction.user_id,
                question=one.interaction.question,
                history=one.shown(way, size),
            ),
            one.interaction.action,
        )
        for _, one, way in cells
    ]
    found = likelihoods(
        engine,
        requests,
        config=SimulationConfig(traces=0, option_orders=1),
        history=HistoryConfig(recent=0, evidence=size),
    )
    for (i, one, way), said in zip(cells, found, strict=True):
        options = list(said.options[-1])
        logs = np.log(np.maximum(list(said.options[-1].values()), 1e-9)).round(4).tolist()
        yield {
            "set": name,
            "way": way,
            "size": size,
            "answer": i,
            "person": one.interaction.user_id,
            "truth": options.index(str(one.interaction.action)),
            "logs": json.dumps(logs),
        }


@dataclass(frozen=True)
class Cell:
    """What was said in one way and size of one set, answer by answer.

    Attributes:
        people: Who answered. Shape `(n,)`.
        logs: Of each option.
        truth: What was chosen. Shape `(n,)`.
    """

    people: np.ndarray
    logs: list[np.ndarray]
    truth: np.ndarray

    def measures(self) -> dict[str, np.ndarray]:
        """Return every measure of each answer. Shapes `(n,)`."""
        return {
            "accuracy": np.array(
                [float(row.argmax() == t) for row, t in zip(self.logs, self.truth, strict=True)]
            ),
            "log score": self.scores(np.ones(len(self.logs))),
            "tempered log score": self.scores(self._exponents()),
        }

    def scores(self, exponents: np.ndarray) -> np.ndarray:
        """Return the log score of each answer after an exponent. Shape `(n,)`."""
        return np.array(
            [
                e * row[t] - np.logaddexp.reduce(e * row)
                for e, row, t in zip(exponents, self.logs, self.truth, strict=True)
            ]
        )

    def _exponents(self) -> np.ndarray:
        """Return the exponent of each answer, fitted on other people. Shape `(n,)`."""
        names = np.unique(self.people)
        folds = np.random.default_rng(0).permutation(len(names)) % FOLDS
        own = folds[np.searchsorted(names, self.people)]
        found = np.ones(len(own))
        for fold in range(FOLDS):
            rest = own != fold

            def loss(e: float, rest: np.ndarray = rest) -> float:
                return -float(self.scores(np.full(len(rest), e))[rest].mean())

            if rest.any():
                found[~rest] = minimize_scalar(loss, bounds=(0.0, 2.0), method="bounded").x
        return found


def interval(people: np.ndarray, values: np.ndarray) -> str:
    """Return a mean and its 95 % bootstrap interval over people."""
    names, place = np.unique(people, return_inverse=True)
    sums, counts = np.bincount(place, weights=values), np.bincount(place)
    picks = np.random.default_rng(0).integers(len(names), size=(BOOTSTRAPS, len(names)))
    low, high = np.quantile(sums[picks].sum(axis=1) / counts[picks].sum(axis=1), [0.025, 0.975])
    return f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def print_table(path: Path) -> None:
    """Print what a CSV file holds as Markdown tables, one per set."""
    of: dict[str, dict[tuple[int, str], dict[int, dict[str, str]]]] = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cell = of[row["set"]].setdefault((int(row["size"]), row["way"]), {})
            cell[int(row["answer"])] = row
    for name, cells in of.items():
        measures = ("accuracy", "log score", "tempered log score")
        print(f"\n{name}\n\n| past answers, way | answers | {' | '.join(measures)} |")
        print(f"|{'---|' * 5}")
        found: dict[tuple[int, str], dict[str, np.ndarray]] = {}
        for key, rows in sorted(cells.items(), key=lambda one: (one[0][0], WAYS.index(one[0][1]))):
            shared = sorted(rows)
            cell = Cell(
                np.array([rows[i]["person"] for i in shared]),
                [np.array(json.loads(rows[i]["logs"])) for i in shared],
                np.array([int(rows[i]["truth"]) for i in shared]),
            )
            found[key] = cell.measures()
            told = [interval(cell.people, found[key][one]) for one in measures]
            head = f"| {key[0]}, {key[1]}"
            print(f"{head} | {len(shared)} | {' | '.join(told)} |".replace("-", "−"))
            if key[1] != WAYS[0]:
                recent = found[key[0], WAYS[0]]
                told = [interval(cell.people, found[key][one] - recent[one]) for one in measures]
                print(f"{head} less recent | | {' | '.join(told)} |".replace("-", "−"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", help="bfi, names of panels, or files of rows")
    parser.add_argument("--data", type=Path, help="folder of the panels")
    parser.add_argument("--items", type=int, default=300, help="answers of each set")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 5, 10])
    parser.add_argument("--csv", type=Path, default=Path("out/evidence"), help="folder")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after these")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--table", action="store_true", help="print a CSV file of an earlier run")
    given = parser.parse_args()
    if given.table:
        for name in given.sets:
            print_table(Path(name))
        return
    ends = time.monotonic() + 60 * given.minutes
    path = given.csv / "evidence.csv"
    run(path, given, ends)
    print_table(path)


def run(path: Path, given: argparse.Namespace, ends: float) -> None:
    """Answer what is not in the CSV file yet: size by size, some of each set in turn."""
    done: set[tuple[str, int, int]] = set()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            done = {(row["set"], int(row["size"]), int(row["answer"])) for row in rows}
    sets = {
        Path(name).stem: of_rows(Path(name), given.items)
        if name.endswith(".jsonl")
        else of_panel(name, given.data, given.items)
        for name in given.sets
    }
    with (
        closing(load_engine("embedded", engine="transformers", dtype=given.dtype)) as engine,
        path.open("a", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, FIELDS)
        if not done:
            writer.writeheader()
        for size, start in product(given.sizes, range(0, given.items, CHUNK)):
            for name, items in sets.items():
                some = [
                    (i, one)
                    for i, one in enumerate(items[start : start + CHUNK], start)
                    if (name, size, i) not in done
                ]
                if time.monotonic() > ends:
                    return
                writer.writerows(answered(engine, name, some, size))
                file.flush()
                print(f"{name}, {size}: {start + len(some)} of {len(items)}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
