"""What a trained user model adds for people it never saw, on known and on new questions.

    python benchmarks/bench_adapter.py nonvoters2020 --data FOLDER --out FOLDER
    python benchmarks/bench_adapter.py bfi --learned 60 --rate 1e-4 3e-4 --seed 0 1 --out FOLDER

From a whole panel (see `panels.py`), some people are learned from, each with answers to questions
that may be known, in an order of their own. Other people, of whom some answers to those questions
are known, are asked two kinds of questions with the prompts that `respond` makes: questions that
the learned people answered, and questions that nobody did. The untrained model and each trained
one answer the same.

Reported, by kind of question: accuracy, log score as the model says it and after one exponent that
was fitted on other people (five folds), and log score of a log-linear pool with what needs no
model: the person's own use of the options, and, of known questions, the learned people's answers.
Differences are paired, with 95 % intervals over people. Answers are kept in the folder, and a run
that finds them there goes on. The defaults take about an hour of one core for each training.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from bench_prediction import Everybody, with_store_keys
from panels import load_panel
from scipy.optimize import minimize

from usersim import Corpus
from usersim.config import CorpusConfig, EngineConfig, HistoryConfig, TrainingConfig
from usersim.engines.options import OptionQuery, option_probabilities
from usersim.engines.transformers.engine import TransformersEngine
from usersim.prediction import own_scale, rank_evidence
from usersim.prompts import respond_prompt
from usersim.simulator.history import Histories
from usersim.simulator.lessons import person_lessons, shown_when_asked
from usersim.training import TrainedAdapter, train_user_model
from usersim.types import Message, Question

FOLDS = 5
DRAWS = 4_000
FLOOR = 1e-6
KINDS = ("known", "new")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """Questions to people who were not learned from, and what was answered.

    Attributes:
        queries: Run-time prompts and options.
        truth: Place of the option that was chosen.
        people: Who.
        kinds: `known` or `new`.
        plain: Distributions that need no model, each over the options; None where there is none.
    """

    queries: tuple[OptionQuery, ...]
    truth: tuple[int, ...]
    people: tuple[str, ...]
    kinds: tuple[str, ...]
    plain: tuple[tuple[list[float], list[float] | None], ...]


class Experiment:
    """A panel, divided into who is learned from, who is asked, and what nobody answered."""

    def __init__(self, name: str, options: argparse.Namespace, seed: int) -> None:
        panel = with_store_keys(load_panel(name, options.data).panel)
        random = np.random.default_rng(100 + seed)
        self.everybody, self.options, self.random = Everybody(panel), options, random
        people = random.permutation(len(panel.people))
        questions = random.permutation(len(panel.questions))
        cut = int(options.new * len(questions))
        self.new, self.known = questions[:cut], questions[cut:]
        self.learned = people[: options.learned]
        self.asked = people[options.learned : options.learned + options.asked]
        self.view = HistoryConfig(recent=options.recent, evidence=options.evidence)
        rows = [self.row(p, q, o) for p in self.learned for o, q in self.some(p, options.answers)]
        tests: list[tuple[str, int, int]] = []
        for person in self.asked:
            own = random.permutation(self.have(person, self.known))
            rows += [self.row(person, q, o) for o, q in enumerate(own[: options.known])]
            rest = own[options.known : options.known + options.each]
            fresh = random.permutation(self.have(person, self.new))[: options.each]
            tests += [("known", int(person), int(q)) for q in rest]
            tests += [("new", int(person), int(q)) for q in fresh]
        self.corpus = Corpus.open(":memory:", config=CorpusConfig(train_share=0.99))
        self.corpus.add(rows)
        self.histories = Histories(self.corpus, self.view)
        self.questions = self.prompts(tests)

    def have(self, person: int, among: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return which of some questions a person answered."""
        return among[np.isfinite(self.everybody.panel.answers[person, among])]

    def some(self, person: int, n: int) -> list[tuple[int, int]]:
        """Return places and questions of a learned person, drawn at random."""
        drawn = self.random.permutation(self.have(person, self.known))[:n]
        return list(enumerate(map(int, drawn)))

    def row(self, person: int, place: int, order: int) -> dict[str, object]:
        """Return an answer in the row format."""
        space = self.everybody.space(place)
        return {
            "user_id": self.everybody.panel.people[person],
            "context": self.everybody.panel.questions[place].text,
            "action": self.everybody.option(person, place),
            "action_type": space.kind,
            "options": list(space.options),
            "order": order,
        }

    def prompts(self, tests: Sequence[tuple[str, int, int]]) -> Asked:
        """Return the questions as `respond` would put them."""
        panel = self.everybody.panel
        found: list[tuple[OptionQuery, int, str, str, tuple[list[float], list[float] | None]]] = []
        for kind, person, place in tests:
            space, user = self.everybody.space(place), panel.people[person]
            question = Question((Message(panel.questions[place].text),), space)
            shown = self.histories.of(user, question, before=None)
            prompt = respond_prompt(user, question, shown, config=self.view)
            past = list(self.corpus.interactions([user]))
            own = own_scale(space, past, list(rank_evidence(question, past, measured={})))
            cells = panel.answers[self.learned, place]
            cells = cells[np.isfinite(cells)].astype(int)
            counts = np.bincount(cells, minlength=len(space.options)) + 1.0
            others = (counts / counts.sum()).tolist() if kind == "known" else None
            found.append(
                (
                    OptionQuery(prompt=prompt, prefix="", options=space.options),
                    space.options.index(self.everybody.option(person, place)),
                    user,
                    kind,
                    ([own[option] for option in space.options], others),
                )
            )
        queries, truth, people, kinds, plain = zip(*found, strict=True)
        return Asked(queries, truth, people, kinds, plain)

    def train(self, model: str, rate: float, seed: int, out: Path) -> TrainedAdapter:
        """Train on the learned people, their questions in a new order in each epoch."""
        names = {self.everybody.panel.people[i] for i in self.learned}
        rows = [one for one in self.corpus.interactions() if one.user_id in names]
        settings = TrainingConfig(
            learning_rate=rate,
            epochs=self.options.epochs,
            seed=seed,
            validation_most=60,
            evaluations=2,
        )
        return train_user_model(
            person_lessons(rows, {}, settings, ordered=()),
            base_model=model,
            out_dir=out,
            name=f"{rate:g}-{seed}",
            config=settings,
            history=self.view,
            as_asked=lambda lesson, one: shown_when_asked(self.histories, lesson, one),
        )


# ---------------------------------------------------------------------- figures


def pooled(weights: Floats, parts: Sequence[Sequence[float]]) -> Floats:
    """Return log-probabilities of the log-linear pool of some distributions."""
    logs = weights @ np.log(np.maximum(np.array(parts), FLOOR))
    return logs - np.logaddexp.reduce(logs)


def stacked(asked: Asked, parts: Sequence[Sequence[Sequence[float]]], chosen: list[int]) -> Floats:
    """Return the log score of each answer by a pool whose weights other people fitted."""
    names = sorted(set(asked.people))
    fold = {name: place % FOLDS for place, name in enumerate(names)}
    found = np.zeros(len(asked.truth))
    for number in range(FOLDS):
        fitted = [i for i in chosen if fold[asked.people[i]] != number]

        def loss(weights: Floats, fitted: list[int] = fitted) -> float:
            return -float(np.mean([pooled(weights, parts[i])[asked.truth[i]] for i in fitted]))

        n = len(parts[chosen[0]])
        weights: Any = minimize(loss, np.full(n, 0.3), bounds=[(0, 3)] * n).x
        for i in chosen:
            if fold[asked.people[i]] == number:
                found[i] = pooled(weights, parts[i])[asked.truth[i]]
    return found


def interval(values: Sequence[float], people: Sequence[str]) -> str:
    """Return a mean with its 95 % interval over people."""
    place = {name: n for n, name in enumerate(sorted(set(people)))}
    who = np.array([place[name] for name in people])
    sums = np.bincount(who, weights=np.array(values))
    sizes = np.bincount(who)
    names = list(place)
    draws = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    low, high = np.percentile(sums[draws].sum(1) / sizes[draws].sum(1), [2.5, 97.5])
    return f"{sums.sum() / sizes.sum():+.3f} [{low:+.3f}, {high:+.3f}]"


Gains = dict[tuple[str, str], tuple[list[float], list[str]]]
"""By kind of question and measure: trained less untrained of each answer, and whose it is."""


def show(title: str, asked: Asked, base: list[list[float]], found: list[list[float]]) -> Gains:
    """Print what a trained model's answers are worth beside the untrained model's."""
    gains: Gains = {}
    for kind in KINDS:
        chosen = [i for i, one in enumerate(asked.kinds) if one == kind]
        plain = [[p for p in parts if p is not None] for parts in asked.plain]
        scores: dict[str, dict[str, Floats]] = {}
        for name, made in (("untrained", base), ("trained", found)):
            own = [[p] for p in made]
            both = [[*parts, p] for parts, p in zip(plain, made, strict=True)]
            scores[name] = {
                "accuracy": np.array(
                    [float(np.argmax(p) == t) for p, t in zip(made, asked.truth, strict=True)]
                ),
                "log score": np.array(
                    [np.log(max(p[t], FLOOR)) for p, t in zip(made, asked.truth, strict=True)]
                ),
                "log score, one exponent": stacked(asked, own, chosen),
                "pool with the model": stacked(asked, both, chosen),
            }
        without = stacked(asked, plain, chosen)
        uniform = np.mean([-np.log(len(asked.queries[i].options)) for i in chosen])
        print(f"{title}, {kind} questions, {len(chosen)} answers, uniform {uniform:.3f}")
        print(f"  {'pool without the model':26} {without[chosen].mean():.3f}")
        for measure, values in scores["trained"].items():
            before = scores["untrained"][measure]
            people = [asked.people[i] for i in chosen]
            gained = gains[kind, measure] = ((values - before)[chosen].tolist(), people)
            print(
                f"  {measure:26} {before[chosen].mean():.3f} -> {values[chosen].mean():.3f}, "
                f"trained less untrained {interval(*gained)}"
            )
        more = scores["trained"]["pool with the model"] - without
        gained = gains[kind, "pool with the trained model less without"] = (
            more[chosen].tolist(),
            [asked.people[i] for i in chosen],
        )
        print(f"  pool with the trained model less without {interval(*gained)}")
    return gains


def answers(
    engine: TransformersEngine, asked: Asked, adapter: TrainedAdapter | None, kept: Path
) -> list[list[float]]:
    """Return the model's distributions, from the file where they are kept already."""
    if not kept.exists():
        ref = adapter.ref if adapter else None
        found = option_probabilities(engine, [replace(one, adapter=ref) for one in asked.queries])
        kept.write_text(json.dumps([list(map(float, one)) for one in found]), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="What a trained user model adds for people it never saw."
    )
    parser.add_argument("panel")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of what was answered")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--learned", type=int, default=100, help="people to learn from")
    parser.add_argument("--answers", type=int, default=40, help="of each of them")
    parser.add_argument("--asked", type=int, default=50, help="other people")
    parser.add_argument("--known", type=int, default=20, help="answers of each that are known")
    parser.add_argument("--each", type=int, default=4, help="questions of each kind to each person")
    parser.add_argument("--new", type=float, default=0.3, help="share of questions nobody answered")
    parser.add_argument("--recent", type=int, default=8)
    parser.add_argument("--evidence", type=int, default=4)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--rate", nargs="+", type=float, default=[3e-4])
    parser.add_argument("--seed", nargs="+", type=int, default=[0])
    run(parser.parse_args())


def run(options: argparse.Namespace) -> None:
    """Train, ask, and print each seed and all of them together."""
    options.out.mkdir(parents=True, exist_ok=True)
    by_rate: dict[float, list[Gains]] = {}
    with TransformersEngine(options.model, EngineConfig(dtype="bfloat16", device="cpu")) as engine:
        for seed, rate in product(options.seed, options.rate):
            made = Experiment(options.panel, options, seed)
            stem = f"{options.panel}-{options.learned}-{seed}"
            base = answers(engine, made.questions, None, options.out / f"{stem}-untrained.json")
            kept = options.out / f"{stem}-{rate:g}.json"
            adapter = None
            if not kept.exists():
                adapter = made.train(options.model, rate, seed, options.out / "adapters")
                print(f"seed {seed}, rate {rate:g}: {adapter.manifest.pace}", flush=True)
            found = answers(engine, made.questions, adapter, kept)
            gains = show(f"seed {seed}, rate {rate:g}", made.questions, base, found)
            by_rate.setdefault(rate, []).append(gains)
    for rate, every in by_rate.items():
        if len(every) > 1:
            print(f"all {len(every)} seeds, rate {rate:g}, trained less untrained")
            for kind, measure in every[0]:
                values = [value for gains in every for value in gains[kind, measure][0]]
                people = [person for gains in every for person in gains[kind, measure][1]]
                print(f"  {kind} questions, {measure}: {interval(values, people)}")


if __name__ == "__main__":
    main()
