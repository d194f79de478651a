"""The panel model against other ways to predict an answer from other answers.

    python benchmarks/bench_panel.py bfi
    python benchmarks/bench_panel.py NAME --data FOLDER --people 30 300 3000 --known 10 all

For panels of several sizes and several numbers of known answers: mean log score (nats) and
accuracy of uniform guessing, the others' marginal, the panel model, and with `--peers` of
multinomial logistic regression, nearest neighbours and a factor model (scikit-learn), all on the
same people, who are in no panel. Intervals are over people; the last column is the panel model's
gain over the marginal, paired. With `--time`, seconds of a fit and of a whole questionnaire.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from panels import load_panel, part

from usersim.prediction import PanelModel
from usersim.types import Panel

TEST_PEOPLE = 300
PEER_QUESTIONS = 12


class Case(NamedTuple):
    """One answer to be predicted."""

    row: int
    asked: int
    known: tuple[int, ...]


def cases_of(
    panel: Panel, rows: Sequence[int], known: str, each: int, asked: Sequence[int] | None
) -> list[Case]:
    """Return answers of some people to predict, and the known ones of each."""
    random = np.random.default_rng(1)
    cases: list[Case] = []
    for row in rows:
        have = np.flatnonzero(np.isfinite(panel.answers[row]))
        wanted = have if asked is None else np.intersect1d(have, asked)
        for place in random.permutation(wanted)[:each]:
            rest = have[have != place]
            size = len(rest) if known == "all" else min(int(known), len(rest))
            own = tuple(int(i) for i in random.permutation(rest)[:size])
            cases.append(Case(int(row), int(place), own))
    return cases


Predict = Callable[[Panel, Case], np.ndarray]


def panel_model(panel: Panel) -> tuple[Predict, Predict]:
    """Return the predictions of the panel model and of its marginal."""
    model = PanelModel.fit(panel)
    last: dict[Case, tuple[np.ndarray, np.ndarray]] = {}

    def found(everybody: Panel, case: Case) -> tuple[np.ndarray, np.ndarray]:
        if case not in last:
            last.clear()
            questions = everybody.questions
            known = {
                questions[i].key: questions[i].space.options[int(everybody.answers[case.row, i])]  # type: ignore[union-attr]
                for i in case.known
            }
            one = model.predict(known, [questions[case.asked].key])[0]
            options = questions[case.asked].space.options  # type: ignore[union-attr]
            uniform = np.full(len(options), 1 / len(options))
            last[case] = (
                (np.array([*one.probabilities.values()]), np.array([*one.others.values()]))
                if one
                else (uniform, uniform)
            )
        return last[case]

    return (lambda p, c: found(p, c)[0]), (lambda p, c: found(p, c)[1])


def _codes(panel: Panel, rows: np.ndarray | list[int]) -> np.ndarray:
    """Return scores from -1 to 1 and one-hot choices; missing is the column's mean, 0."""
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


def sklearn_peer(panel: Panel, make: Callable[[], object], *, factors: int = 0) -> Predict:
    """Return a peer that fits one classifier per question on all other answers."""
    from sklearn.decomposition import FactorAnalysis

    train = _codes(panel, np.arange(len(panel.people)))
    mean = np.nanmean(train, axis=0)
    filled = np.nan_to_num(np.where(np.isnan(train), mean, train))
    owner = _owner(panel)
    fits: dict[int, tuple[object, object]] = {}

    def fitted(asked: int) -> tuple[object, object]:
        others, rows = owner != asked, np.isfinite(panel.answers[:, asked])
        features, reduce = filled[rows][:, others], None
        if factors:
            size = min(factors, rows.sum() - 1, others.sum())
            reduce = FactorAnalysis(size, random_state=0).fit(features)
            features = reduce.transform(features)
        truth = panel.answers[rows, asked]
        if len(np.unique(truth)) == 1:
            return float(truth[0]), reduce
        return make().fit(features, truth), reduce  # type: ignore[attr-defined]

    def predict(everybody: Panel, case: Case) -> np.ndarray:
        if case.asked not in fits:
            fits[case.asked] = fitted(case.asked)
        model, reduce = fits[case.asked]
        size = len(everybody.questions[case.asked].space.options)  # type: ignore[union-attr]
        p = np.full(size, 1e-3)
        if isinstance(model, float):
            p[int(model)] = 1.0
            return p / p.sum()
        own = _codes(everybody, [case.row])[0]
        own = np.where(np.isin(owner, case.known) & ~np.isnan(own), own, mean)
        features = np.nan_to_num(own)[None, owner != case.asked]
        if reduce is not None:
            features = reduce.transform(features)  # type: ignore[attr-defined]
        p[model.classes_.astype(int)] += model.predict_proba(features)[0]  # type: ignore[attr-defined]
        return p / p.sum()

    return predict


def peers(panel: Panel) -> dict[str, Predict]:
    """Return the peers of one panel, each with the penalty that suits its size."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    people = len(panel.people)
    near = max(3, round(people**0.5))
    return {
        "logistic": sklearn_peer(panel, lambda: LogisticRegression(C=0.02, max_iter=200)),
        "neighbors": sklearn_peer(panel, lambda: KNeighborsClassifier(near)),
        "factors": sklearn_peer(panel, lambda: LogisticRegression(C=1.0, max_iter=200), factors=8),
    }


def interval(values: np.ndarray, people: np.ndarray) -> tuple[float, float, float]:
    """Return a mean and its 95 % bootstrap interval over people."""
    random = np.random.default_rng(0)
    sums = np.bincount(people, weights=values)
    counts = np.bincount(people)
    draws = random.integers(len(sums), size=(1_000, len(sums)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def measured(panel: Panel, cases: Sequence[Case], predict: Predict) -> np.ndarray:
    """Return the log score and whether the likeliest option was right. Shape `(n, 2)`."""
    rows: list[tuple[float, float]] = []
    for case in cases:
        p = predict(panel, case)
        truth = int(panel.answers[case.row, case.asked])
        rows.append((float(np.log(max(p[truth], 1e-4))), float(p.argmax() == truth)))
    return np.array(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("panel", nargs="+")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--people", type=int, nargs="+", default=[5, 30, 300, 3_000])
    parser.add_argument("--known", nargs="+", default=["2", "10", "all"])
    parser.add_argument("--each", type=int, default=3, help="answers predicted of each person")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--time", action="store_true")
    given = parser.parse_args()
    for name in given.panel:
        run(name, given)


def run(name: str, given: argparse.Namespace) -> None:
    """Measure one panel."""
    panel = load_panel(name, given.data).panel
    order = np.random.default_rng(0).permutation(len(panel.people))
    test, rest = order[:TEST_PEOPLE], order[TEST_PEOPLE:]
    asked = None
    if given.peers:
        asked = np.random.default_rng(2).permutation(len(panel.questions))[:PEER_QUESTIONS]
    print(f"\n{name}: {len(panel.people)} people, {len(panel.questions)} questions")
    for size in given.people:
        small = part(panel, rest[:size])
        if given.time:
            timed(small)
        own, marginal = panel_model(small)
        ways = {"marginal": marginal, "panel model": own}
        if given.peers:
            ways |= peers(small)
        for known in given.known:
            cases = cases_of(panel, test, known, given.each, asked)
            people = np.unique([case.row for case in cases], return_inverse=True)[1]
            options = [len(panel.questions[c.asked].space.options) for c in cases]  # type: ignore[union-attr]
            chance = float(-np.log(options).mean())
            found = {way: measured(panel, cases, ways[way]) for way in ways}
            gain = interval(found["panel model"][:, 0] - found["marginal"][:, 0], people)
            cells = [f"chance {chance:.3f}"] + [
                f"{way} {rows[:, 0].mean():.3f}/{rows[:, 1].mean():.3f}"
                for way, rows in found.items()
            ]
            print(
                f"people {len(small.people):5d} known {known:>3} n {len(cases)}: "
                f"{', '.join(cells)}; gain {gain[0]:+.3f} [{gain[1]:+.3f}, {gain[2]:+.3f}]",
                flush=True,
            )


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
    main()
