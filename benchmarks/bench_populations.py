"""How alike simulated people are, and how near their population is: before the pool and after.

    python benchmarks/bench_populations.py nonvoters2020 --data FOLDER --people 400

Each simulated person tells half of the questions and is asked the other half, and the other way
round, so that everybody answers everything. The panel model is fitted to the other people. Four
ways of answering on the same people: the option that most of the others took; the likeliest
option of the pool; one option drawn from the pool; the pool's probabilities themselves. All are
compared with what these people really answered, each counted with their survey weight. No
language model speaks: what it adds is measured by `bench_prediction.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from panels import load_panel, part

from usersim.prediction import PanelModel, Pool, group_of
from usersim.survey.estimates import AnswerTable, Item, SurveyFit, survey_fit
from usersim.types import Choice, Panel, Scale

Ways = dict[str, dict[str, dict[str, str | float]]]


def simulate(
    model: PanelModel, people: Panel, seed: int
) -> tuple[Ways, dict[str, dict[str, Mapping[str, float]]]]:
    """Return each way's answers by person and question, and the pool's probabilities."""
    rng = np.random.default_rng(seed)
    pool = Pool()
    halves = rng.permutation(len(people.questions)) % 2
    ways: Ways = {"the others' first option": {}, "likeliest": {}, "drawn": {}}
    told: dict[str, dict[str, Mapping[str, float]]] = {}
    for row, person in enumerate(people.people):
        for way in ways.values():
            way[person] = {}
        told[person] = {}
        for half in (0, 1):
            known = {
                q.key: q.space.options[int(people.answers[row, place])]  # type: ignore[union-attr]
                for place, q in enumerate(people.questions)
                if halves[place] == half and np.isfinite(people.answers[row, place])
            }
            asked = [
                q
                for place, q in enumerate(people.questions)
                if halves[place] != half and np.isfinite(people.answers[row, place])
            ]
            found = model.predict(known, [q.key for q in asked])
            for question, one in zip(asked, found, strict=True):
                if one is None:
                    continue
                space = question.space
                assert isinstance(space, Choice | Scale)
                group = group_of(space, respondents=one.respondents)
                p = pool.combine(
                    group, {"panel": one.probabilities, "others": one.others}
                ).probabilities
                options, weights = list(p), np.array(list(p.values()))
                told[person][question.key] = p
                ways["the others' first option"][person][question.key] = max(
                    one.others, key=one.others.__getitem__
                )
                ways["likeliest"][person][question.key] = options[int(weights.argmax())]
                ways["drawn"][person][question.key] = options[
                    int(rng.choice(len(options), p=weights / weights.sum()))
                ]
    return ways, told


def row_of(name: str, fit: SurveyFit) -> str:
    """Return one line of figures."""
    ordered = [
        one.distances.wasserstein for one in fit.items if np.isfinite(one.distances.wasserstein)
    ]
    w1 = f"{np.mean(ordered):.3f}" if ordered else "–"
    parts = [
        f"{name:26s} entropy ratio {fit.entropy_ratio}",
        f"W1 {w1}",
        f"TV {fit.total_variation} (halves of the people {fit.floor:.3f})",
    ]
    if (found := fit.correlation) is not None:
        off = f"correlations off by {found.gap} (halves {found.floor:.3f})"
        parts.append(f"{off}, strength {found.strength:.2f}")
    if fit.groups:
        parts.append(f"groups' TV {np.mean([one.total_variation for one in fit.groups]):.3f}")
    return "  ".join(parts)


def main() -> None:
    """Measure one panel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--by", default="", help="column of the table whose groups are compared")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    whole = load_panel(given.name, given.data).panel
    order = np.random.default_rng(given.seed).permutation(len(whole.people))
    people, others = part(whole, order[: given.people]), part(whole, order[given.people :])
    model = PanelModel.fit(others, seed=given.seed)
    ways, told = simulate(model, people, given.seed)
    items = [
        Item(key=q.key, options=q.space.options, ordered=isinstance(q.space, Scale))  # type: ignore[union-attr]
        for q in people.questions
    ]
    weights = dict(zip(people.people, people.weights.tolist(), strict=True))
    groups = groups_of(given.name, given.data, given.by)
    real = {
        person: [
            {
                q.key: q.space.options[int(people.answers[row, place])]  # type: ignore[union-attr]
                for place, q in enumerate(people.questions)
                if np.isfinite(people.answers[row, place])
            }
        ]
        for row, person in enumerate(people.people)
    }
    human = AnswerTable.of(items, real, weights=weights, groups=groups)
    print(f"{given.name}: {len(people.people)} simulated people, panel of {len(others.people)}")
    for name, answers in ways.items():
        table = AnswerTable.of(
            items,
            {p: [a] for p, a in answers.items()},
            weights=weights,
            groups=groups,
            simulated=True,
        )
        print(row_of(name, survey_fit(human, table, seed=given.seed)), flush=True)
    table = AnswerTable.of(
        items,
        {p: [a] for p, a in ways["likeliest"].items()},
        weights=weights,
        groups=groups,
        probabilities=told,
        simulated=True,
    )
    print(row_of("probabilities", survey_fit(human, table, by="probabilities", seed=given.seed)))


def groups_of(name: str, data: Path | None, by: str) -> dict[str, dict[str, str]]:
    """Return the category of each person, where a column is named."""
    if not by:
        return {}
    import pandas as pd

    frame = pd.read_parquet((data or Path()) / f"{name}.parquet")
    return {
        str(person): {by: str(value)}
        for person, value in zip(frame["user_id"], frame[by], strict=True)
    }


if __name__ == "__main__":
    main()
