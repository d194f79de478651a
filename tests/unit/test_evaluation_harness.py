"""The harness: what is refused, what is kept, what is compared; reference arms; the cache."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from usersim.errors import EngineUnavailableError, EvaluationError
from usersim.evaluation import (
    Arm,
    FileCache,
    evaluate,
    others_arm,
    sentence,
    uniform_arm,
    verdicts,
)
from usersim.evaluation.metrics import ACCURACY, LENGTH_RATIO, LOG_SCORE
from usersim.types import (
    Batch,
    Choice,
    Failure,
    FreeText,
    Interaction,
    Message,
    MultiChoice,
    Number,
    Prediction,
    Scale,
)

TEA = Choice(("tea", "coffee", "water"))


def item(key: str, user: str, action, space=TEA, *, split="held_out", text="?") -> Interaction:
    """Return one interaction in a conversation of its own."""
    return Interaction(
        key=key,
        user_id=user,
        position=0,
        context=(Message(text),),
        action=action,
        space=space,
        conversation=key,
        split=split,
    )


ITEMS = [item(f"k{n}", f"user {n % 5}", TEA.options[n % 3]) for n in range(30)]


class Known:
    """An arm that is right on a given share of the items, fails on some, and counts its calls."""

    def __init__(self, right: float, *, failing: Sequence[str] = ()) -> None:
        self.right, self.failing, self.asked = right, failing, 0

    def __call__(self, interactions: Sequence[Interaction]) -> Batch[Prediction]:
        """Predict, and count."""
        self.asked += len(interactions)
        items, failures = [], []
        for n, i in enumerate(interactions):
            if i.key in self.failing:
                items.append(None)
                failures.append(
                    Failure(index=n, item=i.key, error="TranscriptError", message="cut")
                )
                continue
            good = int(i.key[1:]) % 10 < 10 * self.right
            action = i.action if good else next(o for o in TEA.options if o != i.action)
            p = {o: 0.8 if o == action else 0.1 for o in TEA.options}
            items.append(Prediction(action=str(action), probabilities=p, detail={"n": n}))
        return Batch(tuple(items), tuple(failures))


def test_figures_and_counts() -> None:
    """Estimates are the plain means, with counts of items, people, failures and charges."""
    found = evaluate([Arm("A", Known(0.5)), Arm("B", Known(1.0, failing=["k1", "k2"]))], ITEMS)
    a, b = found.estimate("A", "accuracy"), found.estimate("B", "accuracy")
    assert a is not None
    assert b is not None
    assert (a.interval.value, b.interval.value) == (0.5, pytest.approx(28 / 30))
    assert (b.n_items, b.n_users, b.n_charged) == (30, 5, 2)
    assert [f.index for f in found.failures["B"]] == [1, 2]
    assert found.predictions["B"][1].detail["error"] == "TranscriptError"
    assert found.n_users == 5


def test_comparisons_are_paired_and_counted() -> None:
    """The difference is that of the estimates; wins, ties and losses add up to the items."""
    found = evaluate([Arm("A", Known(0.3)), Arm("B", Known(0.8)), uniform_arm()], ITEMS)
    one = next(c for c in found.comparisons if (c.arm, c.metric) == ("B", "accuracy"))
    assert one.difference.value == pytest.approx(0.5)
    assert one.win_rate is not None
    assert (one.win_rate.wins, one.win_rate.ties, one.win_rate.losses) == (15, 15, 0)
    assert one.win_rate.all.value == pytest.approx(0.75)
    assert one.p_holm >= one.p_value
    assert {c.baseline for c in found.against("B")} == {"B"}
    no_rate = next(c for c in found.comparisons if c.metric == "macro_f1")
    assert no_rate.win_rate is None


def test_an_arm_is_not_judged_by_what_it_never_tells() -> None:
    """An arm without probabilities has no log score, rather than a bad one."""

    def text_only(items: Sequence[Interaction]) -> Batch[Prediction]:
        return Batch(tuple(Prediction(action="tea") for _ in items))

    found = evaluate([Arm("A", text_only), uniform_arm()], ITEMS)
    assert found.estimate("A", LOG_SCORE.name) is None
    assert found.estimate("A", ACCURACY.name) is not None
    assert not [c for c in found.comparisons if c.metric == LOG_SCORE.name]
    with pytest.raises(EvaluationError, match=r"'A'.*'log_score'"):
        found.items("A", LOG_SCORE.name)


def test_an_arm_that_only_fails_is_charged() -> None:
    """Failing on every item is not a way out of a metric."""
    arm = Arm("A", Known(1.0, failing=[i.key for i in ITEMS]))
    estimate = evaluate([arm], ITEMS).estimate("A", LOG_SCORE.name)
    assert estimate is not None
    assert estimate.interval.value == pytest.approx(-math.log(3))
    assert estimate.n_charged == 30


def test_progress_counts_predictions() -> None:
    """Progress ends at arms times items."""
    seen: list[tuple[str, int, int | None]] = []
    evaluate(
        [uniform_arm(), Arm("B", Known(1))],
        ITEMS,
        bootstrap=10,
        progress=lambda *at: seen.append(at),
    )
    assert seen[-1] == ("measure", 60, 60)


def _raises(items: Sequence[Interaction]) -> Batch[Prediction]:
    raise RuntimeError("no memory left")


def _offline(items: Sequence[Interaction]) -> Batch[Prediction]:
    raise EngineUnavailableError("the server is away")


def _improbable(items: Sequence[Interaction]) -> Batch[Prediction]:
    return Batch(tuple(Prediction(action="tea", probabilities={"tea": 7.0}) for _ in items))


@pytest.mark.parametrize(
    ("arms", "items", "extra", "message"),
    [
        ([], ITEMS, {}, "0 arms, 30 interactions"),
        ([uniform_arm()], [], {}, "1 arm, 0 interactions"),
        ([uniform_arm(), uniform_arm()], ITEMS, {}, "same name: \\['Chance', 'Chance'\\]"),
        ([uniform_arm()], ITEMS, {"baseline": "B2"}, "baseline 'B2' is not among"),
        ([uniform_arm()], [ITEMS[0], ITEMS[0]], {}, "'k0' occurs 2 times"),
        ([Arm("A", _raises)], ITEMS, {}, "running arm 'A' failed: RuntimeError: no memory left"),
        ([Arm("A", lambda _: Batch(()))], ITEMS, {}, "'A' returned 0 predictions for 30 items"),
        ([Arm("A", _improbable)], ITEMS, {}, "arm 'A': probabilities of 'k0' \\(user 'user 0'\\)"),
    ],
)
def test_what_cannot_be_trusted_is_refused(arms, items, extra, message) -> None:
    """Wrong arms, baselines, items and answers raise, naming the value."""
    with pytest.raises(EvaluationError, match=message):
        evaluate(arms, items, bootstrap=10, **extra)


def test_typed_errors_of_an_arm_pass() -> None:
    """An arm's own typed error, which may be retryable, is not wrapped."""
    with pytest.raises(EngineUnavailableError, match="the server is away"):
        evaluate([Arm("A", _offline)], ITEMS)


def test_training_items_are_refused() -> None:
    """An interaction of the training split raises with its key and user."""
    with pytest.raises(EvaluationError, match=r"'k9'.*'ada'.*'train'"):
        evaluate([uniform_arm()], [*ITEMS[:3], item("k9", "ada", "tea", split="train")])


def test_unknown_names_are_refused() -> None:
    """Asking for an arm or metric that was not measured raises with the measured ones."""
    found = evaluate([uniform_arm()], ITEMS, metrics=[ACCURACY], bootstrap=10)
    with pytest.raises(EvaluationError, match="'rps'"):
        found.metric("rps")
    with pytest.raises(EvaluationError, match="'B2'"):
        found.against("B2")


def test_cache_resumes_without_asking_again(tmp_path) -> None:
    """A second run asks for what is missing only, and ends with the same figures."""
    whole = evaluate([Arm("A", Known(0.7), identity="v1")], ITEMS)
    first = Known(0.7)
    evaluate([Arm("A", first, identity="v1")], ITEMS[:20], cache=FileCache(tmp_path))
    second = Known(0.7)
    arm = Arm("A", second, identity="v1")
    found = evaluate([arm], ITEMS, cache=FileCache(tmp_path))
    assert (first.asked, second.asked) == (20, 10)
    assert found.to_dict() == whole.to_dict()
    again = Known(0.7)
    evaluate([Arm("A", again, identity="v2")], ITEMS, cache=FileCache(tmp_path))
    assert again.asked == 30


def test_cache_skips_nameless_arms_and_failures(tmp_path) -> None:
    """An arm without identity is never cached, and a failure is tried again."""
    nameless = Known(1.0)
    for _ in range(2):
        evaluate([Arm("A", nameless)], ITEMS, cache=FileCache(tmp_path), bootstrap=5)
    assert nameless.asked == 60
    failing = Known(1.0, failing=["k3"])
    for _ in range(2):
        evaluate([Arm("A", failing, identity="v")], ITEMS, cache=FileCache(tmp_path), bootstrap=5)
    assert failing.asked == 31


def test_cache_survives_half_a_line(tmp_path) -> None:
    """A line cut by a kill is skipped, and what is appended after it can be read."""
    cache = FileCache(tmp_path)
    cache.put("a", Prediction(action="tea", probabilities={"tea": 1.0}, detail={"x": [1]}))
    cache.put("b", Prediction(action="\ud800 odd", log_likelihood=-1.5, n_tokens=2))
    whole = cache.path.read_bytes()
    cache.path.write_bytes(whole[:-20])
    cut = FileCache(tmp_path)
    assert cut.get("b") is None
    assert (len(cut), cut.damaged) == (1, 1)
    cut.put("b", Prediction(action="water"))
    cut.path.write_bytes(cut.path.read_bytes() + b'{"key": 3}\n[1]\n')
    last = FileCache(tmp_path)
    assert last.get("a") == cache.get("a")
    assert last.get("b") == Prediction(action="water")
    assert last.damaged == 3


def test_cache_in_an_impossible_place(tmp_path) -> None:
    """A folder that is a file, and a file that cannot be written, raise with the path."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(EvaluationError, match=r"file/predictions-cache\.jsonl' cannot be opened"):
        FileCache(tmp_path / "file")
    cache = FileCache(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(EvaluationError, match="a prediction cannot be written to"):
        cache.put("a", Prediction(action="tea"))


def test_cache_notices_a_short_write(tmp_path, monkeypatch) -> None:
    """A disk that takes half a line is an error, not a silent loss."""
    monkeypatch.setattr(os, "write", lambda *_: 3)
    with pytest.raises(EvaluationError, match="cut after 3 of"):
        FileCache(tmp_path).put("a", Prediction(action="tea"))


def test_others_never_count_the_person() -> None:
    """The other people's mode leaves the person's own answers out; counts are smoothed by one."""
    pool = [item("1", "ada", "tea"), item("2", "ada", "tea"), item("3", "bob", "coffee")]
    prediction = others_arm(pool).predict([replace(pool[0], key="x")]).items[0]
    assert prediction is not None
    assert prediction.action == "coffee"
    assert prediction.probabilities == {"tea": 0.25, "coffee": 0.5, "water": 0.25}


def test_others_need_the_same_question() -> None:
    """Another text is another question, answered uniformly; names of speakers are not part."""
    pool = [item("3", "bob", "coffee", text="Drink?")]
    unknown = others_arm(pool).predict([item("1", "ada", "tea")]).items[0]
    assert unknown is not None
    assert set(unknown.probabilities.values()) == {1 / 3}
    named = replace(pool[0], key="n", user_id="ada", context=(Message("Drink?", name="Eve"),))
    known = others_arm(pool).predict([named]).items[0]
    assert known is not None
    assert known.action == "coffee"


def test_ties_on_a_scale_go_to_the_middle() -> None:
    """Of equally frequent points of a scale the one nearest to the median is taken."""
    scale = Scale(("1", "2", "3", "4", "5"))
    pool = [item(str(n), "bob", a, scale) for n, a in enumerate("11445522")][:6]
    answer = others_arm(pool).predict([item("x", "ada", "1", scale)]).items[0]
    assert answer is not None
    assert answer.action == "4"


def test_numbers_take_the_median() -> None:
    """References answer a number with the median of the past ones."""
    space = Number(low=0, high=100, integer=True)
    pool = [item(str(n), "bob", float(v), space) for n, v in enumerate((1, 5, 90))]
    asked = item("x", "ada", 7.0, space)
    answer = others_arm(pool).predict([asked]).items[0]
    assert answer is not None
    assert answer.action == "5"
    chance = uniform_arm().predict([asked]).items[0]
    assert chance is not None
    assert 0 <= float(str(chance.action)) <= 100
    assert answer.probabilities == {"1": 1 / 3, "5": 1 / 3, "90": 1 / 3}


def test_chance_of_a_number_is_nearly_the_uniform_distribution() -> None:
    """Chance scores what a failure is charged: the uniform distribution on the range."""

    def nothing(asked: Sequence[Interaction]) -> Batch[Prediction]:
        return Batch((None,) * len(asked))

    for space in (Number(low=0, high=100), Number(low=1, high=5, integer=True)):
        asked = [item(str(n), "ada", float(n), space) for n in (1, 2, 5)]
        found = evaluate([uniform_arm(), Arm("Silent", nothing)], asked, bootstrap=10)
        of = {e.arm: e.interval.value for e in found.estimates if e.metric == "range_crps"}
        assert of["Chance"] == pytest.approx(of["Silent"], abs=0.001 if not space.integer else 0.05)


def test_a_multiple_choice_has_its_chance_and_its_others() -> None:
    """Chance takes each option or leaves it; others give the options that most of them chose."""
    space = MultiChoice(("tea", "milk", "rum"))
    told = [("tea", "milk"), ("tea",), ("tea", "milk")]
    pool = [item(str(n), "bob", one, space) for n, one in enumerate(told)]
    asked = item("x", "ada", ("tea",), space)
    others = others_arm(pool).predict([asked]).items[0]
    assert others is not None
    assert others.action == "tea | milk"
    assert others.probabilities == {"tea": 0.8, "milk": 0.6, "rum": 0.2}
    found = evaluate([uniform_arm(), others_arm(pool)], [asked], bootstrap=10)
    of = {e.arm: e.interval.value for e in found.estimates if e.metric == "option_log_score"}
    assert of["Chance"] == pytest.approx(math.log(0.5))
    by_hand = (math.log(0.8) + math.log(0.4) + math.log(0.8)) / 3
    assert of["Others"] == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("space", "true", "told", "message"),
    [
        (Number(), 1.0, {"many": 1.0}, "name what is no answer"),
        (Number(), 1.0, {"1": 0.4, "2": 0.4}, "are not a distribution"),
        (MultiChoice(("a", "b")), ("a",), {"c": 1.0}, "unknown options: \\['c'\\]"),
        (MultiChoice(("a", "b")), ("a",), {"a": 1.2}, "not between 0 and 1"),
    ],
)
def test_what_is_no_distribution_is_rejected(
    space: Number | MultiChoice, true: object, told: dict[str, float], message: str
) -> None:
    """An arm that reports what is no distribution of the question is named."""
    action = "1" if isinstance(space, Number) else "a"

    def predict(asked: Sequence[Interaction]) -> Batch[Prediction]:
        return Batch((Prediction(action=action, probabilities=told),) * len(asked))

    with pytest.raises(EvaluationError, match=f"arm 'Odd'.*{message}"):
        evaluate([Arm("Odd", predict)], [item("x", "ada", true, space)], bootstrap=10)


def test_chance_has_no_text() -> None:
    """Free text and unbounded numbers have no uniform answer: typed failures."""
    batch = uniform_arm().predict([item("a", "u", "x", FreeText()), item("b", "u", 1.0, Number())])
    assert batch.items == (None, None)
    assert [f.index for f in batch.failures] == [0, 1]


def test_mixed_kinds_are_measured_apart() -> None:
    """Each metric counts the items of its own kind."""
    scale = Scale(("low", "mid", "high"))
    mixed = [*ITEMS[:4], *[item(f"s{n}", "ada", "mid", scale) for n in range(3)]]
    found = evaluate([uniform_arm()], mixed, bootstrap=50)
    counts = {e.metric: e.n_items for e in found.estimates}
    assert (counts["accuracy"], counts["rps"], counts["macro_f1"]) == (7, 3, 4)


def test_verdict_needs_the_interval() -> None:
    """A win is said only where the interval excludes 0, in words that carry the figures."""
    names = [f"user {n}" for n in range(40)]
    items = [item(f"k{n}", u, TEA.options[n % 3]) for n, u in enumerate(names)]
    found = evaluate([Arm("A", Known(0.3)), Arm("B", Known(0.9)), Arm("C", Known(0.3))], items)
    said = {(c.arm, c.metric): sentence(found, c) for c in found.comparisons}
    assert said["B", "accuracy"].startswith("Accuracy: B is better than A: difference +0.600 [")
    assert "C is not distinguishable from A: difference +0.000 [" in said["C", "accuracy"]
    worse = next(c for c in found.against("B") if (c.arm, c.metric) == ("A", "accuracy"))
    assert "A is worse than B: difference −0.600" in sentence(found, worse)
    weak = replace(worse, p_holm=0.2)
    assert sentence(found, weak).endswith(
        "does not survive the correction for several arms (p = 0.20)."
    )
    assert [line for line in verdicts(found) if "not distinguishable" in line] == [
        "Accuracy: not distinguishable from A: C.",
        "Log score: not distinguishable from A: C.",
    ]
    assert sum("B is better than A" in line for line in verdicts(found)) == 2


def test_verdict_of_a_target_metric() -> None:
    """Where there is a target and no direction, a difference is no win."""
    items = [item(f"k{n}", f"u{n}", "four", FreeText()) for n in range(9)]

    def says(text: str) -> Arm:
        return Arm(text, lambda xs: Batch(tuple(Prediction(action=text) for _ in xs)))

    found = evaluate([says("four"), says("eight888")], items, metrics=[LENGTH_RATIO])
    (one,) = found.comparisons
    assert "eight888 differs from four: difference +1.000" in sentence(found, one)
    assert one.win_rate is None


def test_terminal_table_and_frame() -> None:
    """The table shows every arm with intervals; the frame has a row per arm and metric."""
    found = evaluate([Arm("[red]A", Known(0.5)), uniform_arm()], ITEMS)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(found)
    shown = console.export_text()
    assert "[red]A" in shown
    assert "0.500" in shown
    frame = found.to_frame()
    assert len(frame) == len(found.estimates)
    assert {"value", "low", "high", "p_holm", "win_rate_value"} <= set(frame.columns)
    assert np.isnan(found.items("Chance", "ece")).all()
