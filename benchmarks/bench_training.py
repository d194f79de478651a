"""Training the user model: answers learned a minute, and what they are worth at run time.

    python benchmarks/bench_training.py form ROWS.jsonl
    python benchmarks/bench_training.py pace ROWS.jsonl
    python benchmarks/bench_training.py worth ROWS.jsonl --rate 1e-4 5e-4 --order kept mixed

`form` needs no model: what stands before an answer that is learned, with the order of questions
kept and mixed, and what stands before a held-out question at run time.

`pace` alternates steps of two trainings on the same people: one example at a time, each with its
own prompt, and whole people. Figures are CPU seconds of this process, forward and backward.

`worth` trains on three quarters of the people and asks closed questions of the corpus' held-out
part with the prompts that `respond` makes: later questions of people who were learned from, and
the same of people who were not. Each row is the untrained model or a training; differences are
paired, with 95 % intervals over people. It takes hours on two cores with the embedded model.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from usersim import Corpus
from usersim.config import EngineConfig, HistoryConfig, TrainingConfig
from usersim.engines.embedded import model_folder
from usersim.engines.loading import load_model, load_tokenizer
from usersim.engines.options import OptionQuery, option_probabilities
from usersim.engines.transformers.engine import TransformersEngine
from usersim.prompts import respond_prompt
from usersim.simulator.history import Histories
from usersim.simulator.lessons import person_lessons, shown_when_asked
from usersim.training import TrainedAdapter, train_user_model
from usersim.training.batches import MicroBatch, make_batch, plan_steps
from usersim.training.dataset import EngineEncoder, encode_example
from usersim.training.lora import adapted, batch_loss, max_tokens
from usersim.training.windows import Windows
from usersim.types import Choice, Interaction, Scale, TrainingExample

MODEL = os.environ.get("USERSIM_BENCH_MODEL", "embedded")
"""Another model is for trying the command out."""
UNSEEN_EVERY = 4
DRAWS = 2_000
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class People:
    """Closed answers of a corpus, and who is learned from."""

    corpus: Corpus
    histories: Histories
    rows: tuple[Interaction, ...]
    learned: tuple[str, ...]
    unseen: tuple[str, ...]

    def of(self, users: Sequence[str], split: str) -> list[Interaction]:
        """Return the answers of some people in one split."""
        return [one for one in self.rows if one.split == split and one.user_id in users]


def people(path: Path, view: HistoryConfig) -> People:
    """Read a corpus; every fourth person is never learned from."""
    corpus = Corpus.open(":memory:")
    corpus.add(path)
    users = sorted(user.user_id for user in corpus.users())
    rows = tuple(one for one in corpus.interactions() if isinstance(one.space, Choice | Scale))
    unseen = tuple(users[::UNSEEN_EVERY])
    learned = tuple(user for user in users if user not in unseen)
    return People(corpus, Histories(corpus, view), rows, learned, unseen)


# ---------------------------------------------------------------------- form


def describe(title: str, asked: Sequence[tuple[Interaction, Sequence[Interaction]]]) -> None:
    """Print how much stands before the questions, and how much of it has the same options."""
    before = [len(shown) for _, shown in asked]
    written = [one.space != shown[-1].space if shown else True for one, shown in asked]
    alike = [np.mean([p.space == one.space for p in shown[-4:]]) for one, shown in asked if shown]
    print(
        f"{title}: {len(asked)} answers, {np.median(before):.0f} interactions before (median);"
        f" options written anew {np.mean(written):.2f}, the same options among the last four"
        f" {np.mean(alike):.2f}"
    )


def form(path: Path, view: HistoryConfig, tokens: int) -> None:
    """Compare what training windows show with what run-time prompts show."""
    found = people(path, view)
    encoder = EngineEncoder(load_tokenizer(model_folder(MODEL)))
    for title, ordered in (("learned, order kept", found.learned), ("learned, mixed", ())):
        lessons = person_lessons(
            found.of(found.learned, "train"),
            {},
            TrainingConfig(validation_share=0.0, validation_people=0.0),
            ordered=ordered,
        )
        cut = Windows(lessons, encoder, view, window_tokens=tokens, max_tokens=None)
        seen: list[tuple[Interaction, Sequence[Interaction]]] = []
        for step in cut.plan(epochs=1, seed=0):
            for window in step.windows:
                rows = [lessons[window.lesson].interactions[member] for member in window.members]
                seen += [(one, rows[:place]) for place, one in enumerate(rows)]
        describe(title, seen)
    rows = found.of((*found.learned, *found.unseen), "held_out")
    shown = [found.histories.of(one.user_id, one.question, before=None) for one in rows]
    describe("asked at run time", list(zip(rows, shown, strict=True)))


# ---------------------------------------------------------------------- pace


def one_by_one(
    found: People, view: HistoryConfig, encoder: EngineEncoder, tokens: int
) -> Iterator[MicroBatch]:
    """Yield the steps of a training whose examples have prompts of their own."""
    users = found.learned[:4]
    examples = [
        encode_example(
            TrainingExample(
                key=one.key,
                user_id=one.user_id,
                messages=respond_prompt(
                    one.user_id,
                    one.question,
                    found.histories.of(one.user_id, one.question, before=one.position),
                    config=view,
                ),
                reasoning="",
                action=one.action_text,
                options=one.space.options if isinstance(one.space, Choice | Scale) else (),
            ),
            encoder,
        )
        for one in found.of(users, "train")
    ]
    for step in plan_steps(examples, batch_tokens=tokens, epochs=1, seed=0):
        yield make_batch([examples[which] for which in step])


def whole(
    found: People, view: HistoryConfig, encoder: EngineEncoder, tokens: int, limit: int | None
) -> Iterator[MicroBatch]:
    """Yield the steps of a training on whole people."""
    users = found.learned[:4]
    lessons = person_lessons(
        found.of(users, "train"),
        {},
        TrainingConfig(validation_share=0.0),
        ordered=found.corpus.ordered_users(),
    )
    cut = Windows(lessons, encoder, view, window_tokens=tokens, max_tokens=limit)
    for step in cut.plan(epochs=1, seed=0):
        yield cut.batch(step)


def pace(path: Path, view: HistoryConfig, *, tokens: int, steps: int) -> None:
    """Alternate the two trainings step by step; print answers a minute and their ratio."""
    found, folder = people(path, view), model_folder(MODEL)
    encoder = EngineEncoder(load_tokenizer(folder))
    model = load_model(folder, dtype="float32", device="cpu")
    settings = TrainingConfig()
    trainings = {
        "one by one": one_by_one(found, view, encoder, tokens),
        "whole people": whole(found, view, encoder, tokens, max_tokens(model)),
    }
    answers, seconds, nodes = (dict.fromkeys(trainings, 0.0) for _ in range(3))
    with adapted(model, rank=settings.rank, alpha=settings.alpha) as peft_model:
        for _ in range(steps):
            for name, batches in trainings.items():
                for batch in islice(batches, 1):
                    start = time.process_time()
                    loss: Any = batch_loss(peft_model, batch, settings.reasoning_weight)
                    loss.backward()
                    seconds[name] += time.process_time() - start
                    answers[name] += batch.n_examples
                    nodes[name] += len(batch.row.tokens)
                    print(
                        f"{name}: {batch.n_examples} answers, {len(batch.row.tokens)} tokens,"
                        f" {seconds[name]:.1f} s in all",
                        flush=True,
                    )
    rates = {name: 60 * answers[name] / seconds[name] for name in trainings}
    for name in trainings:
        each = nodes[name] / answers[name]
        print(f"{name}: {rates[name]:.1f} answers a CPU minute, {each:.0f} tokens an answer")
    print(f"whole people learn {rates['whole people'] / rates['one by one']:.1f} times as many")


# ---------------------------------------------------------------------- worth


@dataclass(frozen=True)
class Asked:
    """Held-out questions with their run-time prompts, and the options that were chosen."""

    queries: tuple[OptionQuery, ...]
    truth: tuple[int, ...]
    users: tuple[str, ...]


def held_out(found: People, view: HistoryConfig, *, each: int) -> Asked:
    """Return up to `each` held-out questions of everybody, drawn at random."""
    random = np.random.default_rng(1)
    queries: list[OptionQuery] = []
    truth: list[int] = []
    users: list[str] = []
    for user in (*found.learned, *found.unseen):
        rows: list[Interaction] = found.of([user], "held_out")
        for which in np.sort(random.permutation(len(rows))[:each]):
            one = rows[int(which)]
            options = one.space.options if isinstance(one.space, Choice | Scale) else ()
            shown = found.histories.of(user, one.question, before=None)
            prompt = respond_prompt(user, one.question, shown, config=view)
            queries.append(OptionQuery(prompt=prompt, prefix="", options=options))
            truth.append(options.index(one.action_text))
            users.append(user)
    return Asked(tuple(queries), tuple(truth), tuple(users))


def scores(engine: TransformersEngine, asked: Asked, adapter: TrainedAdapter | None) -> Floats:
    """Return log-probability of the truth and whether it was the likeliest. Shape `(n, 2)`."""
    ref = adapter.ref if adapter else None
    found = option_probabilities(engine, [replace(one, adapter=ref) for one in asked.queries])
    return np.array(
        [
            (np.log(max(p[y], 1e-9)), float(np.argmax(p) == y))
            for p, y in zip(found, asked.truth, strict=True)
        ]
    )


def interval(values: Floats, users: Sequence[str]) -> str:
    """Return a mean with its 95 % interval over people."""
    names = sorted(set(users))
    sums = np.array([values[[u == name for u in users]].sum() for name in names])
    sizes = np.array([sum(u == name for u in users) for name in names])
    draws = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    low, high = np.percentile(sums[draws].sum(1) / sizes[draws].sum(1), [2.5, 97.5])
    return f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def show(title: str, found: Floats, base: Floats, asked: Asked, people_: People) -> None:
    """Print a row for each group: figures, and differences from the untrained model."""
    for group, names in (("learned from", people_.learned), ("never seen", people_.unseen)):
        own = [place for place, user in enumerate(asked.users) if user in names]
        users = [asked.users[place] for place in own]
        log, right = found[own].mean(axis=0)
        gain, more = (interval((found - base)[own, k], users) for k in (0, 1))
        print(
            f"{title}, {group}, {len(own)} answers: log {log:.3f}, accuracy {right:.3f};"
            f" against untrained {gain} nats, accuracy {more}",
            flush=True,
        )


def worth(path: Path, view: HistoryConfig, arguments: argparse.Namespace) -> None:
    """Train in every way that was asked for, and compare with the untrained model."""
    found = people(path, view)
    asked = held_out(found, view, each=arguments.each)
    uniform = np.mean([-np.log(len(one.options)) for one in asked.queries])
    print(f"{len(asked.truth)} answers, uniform {uniform:.3f}", flush=True)
    with (
        TransformersEngine(MODEL, EngineConfig(dtype="float32", device="cpu")) as engine,
        TemporaryDirectory() as out,
    ):
        base = scores(engine, asked, None)
        show("untrained", base, base, asked, found)
        for order, rate, seed in product(arguments.order, arguments.rate, arguments.seed):
            lessons = person_lessons(
                found.of(found.learned, "train"),
                {},
                TrainingConfig(),
                ordered=found.corpus.ordered_users() if order == "kept" else (),
            )
            adapter = train_user_model(
                lessons,
                base_model=MODEL,
                out_dir=out,
                name=f"{order}-{rate}-{seed}",
                config=TrainingConfig(learning_rate=rate, epochs=arguments.epochs, seed=seed),
                history=view,
                as_asked=lambda lesson, one: shown_when_asked(found.histories, lesson, one),
            )
            title = f"order {order}, rate {rate:g}, seed {seed}, {adapter.manifest.pace}"
            show(title, scores(engine, asked, adapter), base, asked, found)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Training the user model.")
    parser.add_argument("what", choices=["form", "pace", "worth"])
    parser.add_argument("rows", type=Path)
    parser.add_argument("--recent", type=int, default=HistoryConfig().recent)
    parser.add_argument("--evidence", type=int, default=HistoryConfig().evidence)
    parser.add_argument("--tokens", type=int, default=TrainingConfig().batch_tokens)
    parser.add_argument("--steps", type=int, default=4, help="of each training, for pace")
    parser.add_argument("--each", type=int, default=6, help="questions of each person")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--order", nargs="+", choices=["kept", "mixed"], default=["kept", "mixed"])
    parser.add_argument("--rate", nargs="+", type=float, default=[1e-4, 5e-4])
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1])
    arguments = parser.parse_args()
    view = HistoryConfig(recent=arguments.recent, evidence=arguments.evidence)
    if arguments.what == "form":
        form(arguments.rows, view, arguments.tokens)
    elif arguments.what == "pace":
        pace(arguments.rows, view, tokens=arguments.tokens, steps=arguments.steps)
    else:
        worth(arguments.rows, view, arguments)


if __name__ == "__main__":
    main()
