"""Every predictor that needs no language model, and the usual ways to do the same.

    python benchmarks/bench_prediction.py bfi
    python benchmarks/bench_prediction.py NAME --data FOLDER --people 30 300 --known 10 --csv FOLDER

For panels of several sizes and several numbers of known answers: log score, accuracy, ranked
probability score and calibration error, with 95 % intervals over people, of

- chance, the panel's marginal (`others`), the panel model, and the person's own use of the scale;
- the pool of these three, with the weights that usersim ships and with weights that were fitted on
  other people; and the own scale for a question as if nobody else had been asked it;
- peers: multinomial logistic regression, nearest neighbors and a factor model (scikit-learn).

All on the same answers of the same people, who are in no panel. `--time` adds the seconds of a fit
and of a whole questionnaire. `--table` prints CSV files of an earlier run as Markdown.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from panels import load_panel, part

from usersim.evaluation import Arm, Evaluation, evaluate, uniform_arm
from usersim.prediction import (
    Observation,
    PanelModel,
    Pool,
    fit_pool,
    group_of,
    own_scale,
    rank_evidence,
)
from usersim.types import (
    Batch,
    Choice,
    Distribution,
    Interaction,
    Message,
    Panel,
    Prediction,
    Predictor,
    Question,
    Scale,
)

TEST_PEOPLE = 300
FOLDS = 5
LEAST = 1e-3
"""What a peer gives an option that it never saw."""
METRICS = ("log_score", "accuracy", "rps", "ece")
PRIOR_POOL, FITTED_POOL = "pool, shipped weights", "pool, fitted weights"
NEW = "own scale, new question"


class Case(NamedTuple):
    """One answer to be predicted."""

    row: int
    asked: int
    known: tuple[int, ...]


Predict = Callable[[Case], np.ndarray]


@dataclass(frozen=True)
class Everybody:
    """A whole panel, and its cells as interactions."""

    panel: Panel

    def space(self, place: int) -> Choice | Scale:
        """Return the options of a question."""
        space = self.panel.questions[place].space
        assert isinstance(space, Choice | Scale)
        return space

    def option(self, row: int, place: int) -> str:
        """Return what a person answered."""
        return self.space(place).options[int(self.panel.answers[row, place])]

    def interaction(self, row: int, place: int, name: str = "") -> Interaction:
        """Return a cell as an interaction."""
        question = self.panel.questions[place]
        return Interaction(
            key=f"{row}-{place}-{name}",
            user_id=self.panel.people[row],
            position=place,
            context=(Message(question.text),),
            action=self.option(row, place),
            space=question.space,
            conversation=f"{row}-{place}",
            split="held_out",
        )


def with_store_keys(panel: Panel) -> Panel:
    """Return the panel with the keys that its questions would have in a store."""
    texts = [question.text for question in panel.questions]
    questions = tuple(
        replace(one, text=text, key=Question((Message(text),), one.space).key)
        for one in panel.questions
        # Items of a battery may share their text.
        for text in [one.text if texts.count(one.text) == 1 else f"{one.text} ({one.key})"]
    )
    return Panel(panel.people, questions, panel.answers, panel.weights)


def cases_of(
    panel: Panel, rows: Sequence[int], known: int, each: int, asked: Sequence[int]
) -> list[Case]:
    """Return answers of some people to predict, and the known ones of each."""
    random = np.random.default_rng(1)
    cases: list[Case] = []
    for row in rows:
        have = np.flatnonzero(np.isfinite(panel.answers[row]))
        for place in random.permutation(np.intersect1d(have, asked))[:each]:
            rest = have[have != place]
            own = random.permutation(rest)[: min(known, len(rest))]
            cases.append(Case(int(row), int(place), tuple(map(int, own))))
    return cases


class Predictors:
    """usersim's predictors of one panel that need no model.

    Args:
        everybody: Whose answers are predicted.
        small: The panel; the people who are predicted are not in it.
    """

    def __init__(self, everybody: Everybody, small: Panel) -> None:
        self.everybody = everybody
        self.model = PanelModel.fit(small)
        self.respondents = np.isfinite(small.answers).sum(axis=0).tolist()
        self.measured: dict[str, dict[str, tuple[float, int]]] = {}

    def said(self, case: Case) -> dict[Predictor, Distribution]:
        """Return what each predictor says."""
        who, space = self.everybody, self.everybody.space(case.asked)
        key = who.panel.questions[case.asked].key
        known = {who.panel.questions[i].key: who.option(case.row, i) for i in case.known}
        found = self.model.predict(known, [key])[0]
        if key not in self.measured:
            self.measured[key] = self.model.associations(key)
        own: dict[Predictor, Distribution] = {"own_scale": self.own(case, self.measured[key])}
        uniform = dict.fromkeys(space.options, 1 / len(space.options))
        own["panel"] = found.probabilities if found else uniform
        own["others"] = found.others if found else uniform
        return own

    def own(self, case: Case, measured: Mapping[str, tuple[float, int]]) -> Distribution:
        """Return what the person's use of the same options says."""
        who = self.everybody
        past = [who.interaction(case.row, i) for i in case.known]
        asked = who.interaction(case.row, case.asked).question
        weights = rank_evidence(asked, past, measured=measured)
        return own_scale(who.space(case.asked), past, weights)


def pooled(observations: Sequence[Observation]) -> dict[str, list[Distribution]]:
    """Return the pool with shipped weights, and with weights fitted on other people."""
    people = sorted({one.person for one in observations})
    place = np.random.default_rng(0).permutation(len(people)) % FOLDS
    fold = dict(zip(people, place.tolist(), strict=True))
    fits = [
        fit_pool([one for one in observations if fold[one.person] != left], intervals=False)
        for left in range(FOLDS)
    ]
    return {
        PRIOR_POOL: [
            Pool().combine(one.group, one.predictors).probabilities for one in observations
        ],
        FITTED_POOL: [
            fits[fold[one.person]].combine(one.group, one.predictors).probabilities
            for one in observations
        ],
    }


def _codes(panel: Panel, rows: np.ndarray | list[int]) -> np.ndarray:
    """Return scores from -1 to 1 and one-hot choices, NaN where missing."""
    columns: list[np.ndarray] = []
    for place, question in enumerate(panel.questions):
        cells = panel.answers[rows, place]
        size = len(question.space.options)  # type: ignore[union-attr]
        if question.space.kind == "scale":
            columns.append(2 * cells / (size - 1) - 1)
        else:
            columns += [np.where(np.isnan(cells), np.nan, cells == k) for k in range(size)]
    return np.column_stack(columns)


def _owner(panel: Panel) -> np.ndarray:
    sizes = [
        1 if q.space.kind == "scale" else len(q.space.options)  # type: ignore[union-attr]
        for q in panel.questions
    ]
    return np.repeat(np.arange(len(sizes)), sizes)


def sklearn_peer(  # noqa: PLR0915 - one closure
    everybody: Panel, panel: Panel, make: Callable[[], object], *, factors: int = 0
) -> Predict:
    """Return a peer that fits one classifier per question on all other answers.

    Missing answers are the panel's mean.
    """
    from sklearn.decomposition import FactorAnalysis

    train = _codes(panel, np.arange(len(panel.people)))
    counted = np.isfinite(train).sum(axis=0)
    mean = np.where(counted > 0, np.nansum(train, axis=0) / np.maximum(counted, 1), 0.0)
    filled = np.where(np.isnan(train), mean, train)
    owner = _owner(panel)
    fits: dict[int, tuple[object, object]] = {}

    def fitted(asked: int) -> tuple[object, object]:  # the classifier, and what is before it
        others, rows = owner != asked, np.isfinite(panel.answers[:, asked])
        truth = panel.answers[rows, asked]
        if len(np.unique(truth)) < 2:
            return (float(truth[0]) if len(truth) else None), None
        features, reduce = filled[rows][:, others], None
        if factors:
            size = min(factors, int(rows.sum()) - 1, int(others.sum()))
            reduce = FactorAnalysis(size, random_state=0).fit(features)
            features = reduce.transform(features)
        return make().fit(features, truth), reduce  # type: ignore[attr-defined]

    def predict(case: Case) -> np.ndarray:
        if case.asked not in fits:
            fits[case.asked] = fitted(case.asked)
        model, reduce = fits[case.asked]
        size = len(everybody.questions[case.asked].space.options)  # type: ignore[union-attr]
        p = np.full(size, LEAST)
        if model is None or isinstance(model, float):
            p[slice(None) if model is None else int(model)] += 1.0
            return p / p.sum()
        own = _codes(everybody, [case.row])[0]
        own = np.where(np.isin(owner, case.known) & ~np.isnan(own), own, mean)
        features = own[None, owner != case.asked]
        if reduce is not None:
            features = reduce.transform(features)  # type: ignore[attr-defined]
        p[model.classes_.astype(int)] += model.predict_proba(features)[0]  # type: ignore[attr-defined]
        return p / p.sum()

    return predict


def peers(everybody: Panel, panel: Panel) -> dict[str, Predict]:
    """Return the peers of one panel."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    # As many neighbors as there are for every question, be it few.
    least = int(np.isfinite(panel.answers).sum(axis=0).min())
    near = max(1, min(round(len(panel.people) ** 0.5), least))
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "logistic regression": (lambda: LogisticRegression(C=0.02, max_iter=200), 0),
        "nearest neighbors": (lambda: KNeighborsClassifier(near), 0),
        "factor model": (lambda: LogisticRegression(C=1.0, max_iter=200), 8),
    }
    return {
        name: sklearn_peer(everybody, panel, make, factors=factors)
        for name, (make, factors) in ways.items()
    }


def measured(
    everybody: Everybody, own: Predictors, others: Mapping[str, Predict], cases: Sequence[Case]
) -> Evaluation:
    """Return every predictor's figures on some cases."""
    items = [everybody.interaction(c.row, c.asked, str(n)) for n, c in enumerate(cases)]
    said = [own.said(case) for case in cases]
    observations = [
        Observation(
            person=item.user_id,
            group=group_of(everybody.space(case.asked), respondents=own.respondents[case.asked]),
            predictors=one,
            truth=str(item.action),
        )
        for item, case, one in zip(items, cases, said, strict=True)
    ]
    names: dict[str, Predictor] = {"others": "others", "panel": "panel", "own scale": "own_scale"}
    ways = {title: [one[name] for one in said] for title, name in names.items()}
    ways[NEW] = [own.own(case, {}) for case in cases]
    ways |= pooled(observations)
    for name, predict in others.items():
        ways[name] = [
            dict(zip(everybody.space(case.asked).options, predict(case).tolist(), strict=True))
            for case in cases
        ]
    arms = [uniform_arm(), *(arm(name, items, told) for name, told in ways.items())]
    return evaluate(arms, items, baseline="others", bootstrap=1_000)


def arm(name: str, items: Sequence[Interaction], said: Sequence[Distribution]) -> Arm:
    """Return an arm that says what was said already."""
    found = {item.key: one for item, one in zip(items, said, strict=True)}

    def predict(interactions: Sequence[Interaction]) -> Batch[Prediction]:
        told = [found[one.key] for one in interactions]
        return Batch(
            tuple(Prediction(action=max(p, key=p.__getitem__), probabilities=p) for p in told)
        )

    return Arm(name, predict)


def records(name: str, size: int, known: int, found: Evaluation) -> list[dict[str, object]]:
    """Return one row per predictor and metric; the difference is to the others' marginal."""
    kept = (
        *("arm", "metric", "value", "low", "high", "n_items", "n_users"),
        *("difference_value", "difference_low", "difference_high"),
    )
    head = {"panel": name, "people": size, "known": known}
    return [
        head | {key: _rounded(row[key]) for key in kept}
        for row in found.to_records()
        if row["metric"] in METRICS
    ]


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("panel", nargs="+", help="bfi, or names of panels; CSV files with --table")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--people", type=int, nargs="+", default=[5, 30, 300, 3_000])
    parser.add_argument("--known", type=int, nargs="+", default=[2, 10, 50])
    parser.add_argument("--each", type=int, default=3, help="answers predicted of each person")
    parser.add_argument("--questions", type=int, default=24, help="questions that are asked")
    parser.add_argument("--csv", type=Path, help="folder of the tables")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    for name in given.panel:
        if given.table:
            print_table(Path(name))
        else:
            run(name, given)


def run(name: str, given: argparse.Namespace) -> None:
    """Measure one panel."""
    panel = with_store_keys(load_panel(name, given.data).panel)
    everybody = Everybody(panel)
    order = np.random.default_rng(0).permutation(len(panel.people))
    test, rest = order[:TEST_PEOPLE], order[TEST_PEOPLE:]
    asked = np.random.default_rng(2).permutation(len(panel.questions))[: given.questions]
    print(f"\n{name}: {len(panel.people)} people, {len(panel.questions)} questions", flush=True)
    rows: list[dict[str, object]] = []
    for size in given.people:
        small = part(panel, rest[:size])
        if given.time:
            timed(small)
        own, others = Predictors(everybody, small), peers(panel, small)
        for known in given.known:
            cases = cases_of(panel, test, known, given.each, asked)
            most = max(len(case.known) for case in cases)
            found = measured(everybody, own, others, cases)
            rows += records(name, len(small.people), most, found)
            print(f"people {len(small.people)}, known {most}, answers {len(cases)}")
            for title in found.arms:
                cells = (found.estimate(title, metric) for metric in METRICS)
                told = "  ".join(f"{one.interval.value:7.3f}" if one else "–" for one in cells)
                print(f"  {title:24s} {told}", flush=True)
            if given.csv is not None:
                write(given.csv / f"{name}.csv", rows)


def write(path: Path, rows: Sequence[dict[str, object]]) -> None:
    """Write what was measured so far."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def print_table(path: Path) -> None:
    """Print log score and accuracy of a CSV file as a Markdown table."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    cells = list(dict.fromkeys((row["people"], row["known"]) for row in rows))
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    of = {(r["people"], r["known"], r["arm"], r["metric"]): r for r in rows}
    print(f"| people, known | {' | '.join(arms)} |\n|{'---|' * (len(arms) + 1)}")
    for people, known in cells:
        told = [
            f"{float(of[people, known, a, 'log_score']['value']):.3f} / "
            f"{float(of[people, known, a, 'accuracy']['value']):.2f}".replace("-", "−")
            for a in arms
        ]
        print(f"| {people}, {known} | {' | '.join(told)} |")


def timed(panel: Panel) -> None:
    """Print what a fit and a whole questionnaire of one person take."""
    tracemalloc.start()
    start = time.process_time()
    model = PanelModel.fit(panel)
    fit = time.process_time() - start
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    keys = [q.key for q in panel.questions]
    known = {
        q.key: q.space.options[int(v)]  # type: ignore[union-attr]
        for q, v in zip(panel.questions, panel.answers[0], strict=True)
        if np.isfinite(v)
    }
    half = {key: known[key] for key in list(known)[: len(known) // 2]}
    start = time.process_time()
    model.predict(half, keys, person=panel.people[0])
    print(
        f"  fit {fit:.1f} s of processor time, {peak:.0f} MiB at the most; a whole questionnaire "
        f"{time.process_time() - start:.2f} s; stored {len(model.to_bytes()) / 2**20:.1f} MiB"
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
