"""Fidelity scorers: their values, their halves, and what they refuse."""

from __future__ import annotations

import math
import sys

import pytest

from tests.fixtures.recon_engine import LIKELY, UNLIKELY, OverlapEngine, pair
from usersim.config import HistoryConfig, ScoringConfig
from usersim.engines import Draw, Score
from usersim.engines.options import OptionQuery, option_probabilities, option_requests
from usersim.errors import CapabilityError, MissingDependencyError, ScoringError
from usersim.recon.fidelity import (
    ChoiceScore,
    Fidelity,
    LoglikGain,
    NumberScore,
    SampledSimilarity,
    ScaleScore,
    Scorer,
    Trial,
    brier,
    measure,
    ranked_probability_score,
    scorer_for,
    similarity,
)
from usersim.transcript import NO_REASONING
from usersim.types import (
    ActionSpace,
    Case,
    Choice,
    FreeText,
    Interaction,
    MultiChoice,
    Number,
    Scale,
)

VIEW = HistoryConfig()
DRINKS = Choice(("tea", "milk", "water"))


def _case(item: Interaction, *reasonings: str, withheld: bool = False) -> Trial:
    return Trial(case=Case(item), reasonings=reasonings, view=VIEW, withheld=withheld)


def _gains(engine: OverlapEngine, scorer: Scorer, case: Trial) -> tuple[Fidelity, ...]:
    (found,) = measure(engine, [case], [scorer])
    assert isinstance(found, tuple)
    return found


def test_loglik_gain_is_the_mean_difference_over_all_action_tokens() -> None:
    """Two of three words become likely; the end token is among the four that are averaged."""
    case = _case(pair("red old boat"), "A boat, and an old one.", "Rain.")
    helps, idle = _gains(OverlapEngine(), LoglikGain(floor=-5), case)
    assert helps.gain == pytest.approx(2 * (LIKELY - UNLIKELY) / 4)
    assert helps.reported_gain == helps.gain
    assert idle.gain == 0


def test_the_floor_limits_what_one_token_can_do() -> None:
    """Below the floor a token counts as the floor, with and without the trace."""
    case = _case(pair("red"), "Red.")
    (found,) = _gains(OverlapEngine(), LoglikGain(floor=-1.0), case)
    assert found.gain == pytest.approx((-0.5 - -1.0) / 2)


def test_choice_gain_is_the_log_of_the_probability_ratio() -> None:
    """With all orders taken nothing is random, and Brier stands beside the log score."""
    case = _case(pair("milk", DRINKS, context="Thirsty?"), "Milk is white.")
    (found,) = _gains(OverlapEngine(), ChoiceScore(orders=6, floor=-5), case)
    ratio = math.exp(LIKELY) / (math.exp(LIKELY) + 2 * math.exp(UNLIKELY))
    assert found.gain == pytest.approx(math.log(ratio) - math.log(1 / 3))
    assert found.reported_gain == found.gain
    assert found.components["orders"] == 6
    assert found.components["brier_none"] == pytest.approx(brier((1 / 3,) * 3, 1))
    assert found.components["brier"] < found.components["brier_none"]


class _PlaceEngine(OverlapEngine):
    """Prefers options by their place, the first the most, and the trace's words."""

    def _score(self, request):
        """Add a bonus that falls with the place."""
        shown = request.prompt[-1][1].split("Options: ")[1].splitlines()[0].split(" | ")
        place = shown.index(request.continuation)
        return Score((super()._score(request).total - 1.5 * place,))


def test_a_preference_for_a_place_cancels_over_all_orders() -> None:
    """Averaged over all orders, the options are equally likely without a trace."""
    case = _case(pair("water", DRINKS, context="Thirsty?"), "Hm.")
    (all_orders,) = _gains(_PlaceEngine(), ChoiceScore(orders=6, floor=-5), case)
    (own_order,) = _gains(_PlaceEngine(), ChoiceScore(orders=1, floor=-5), case)
    assert all_orders.components["p_action_none"] == pytest.approx(1 / 3)
    assert own_order.components["p_action_none"] < 0.1


def test_random_orders_are_split_into_disjoint_halves() -> None:
    """Where orders are random, the ones that select are not the ones that report."""
    space = Choice(("tea", "milk", "water", "juice", "cocoa"))
    scorer = ChoiceScore(orders=8, floor=-5)
    case = _case(pair("milk", space, context="Thirsty?"), "Milk.")
    engine = _PlaceEngine()
    (found,) = _gains(engine, scorer, case)
    orders = list(
        dict.fromkeys(request.prompt[-1][1].split("Options: ")[1] for request in engine.scored[0])
    )
    assert len(orders) == len(set(orders)) == 8
    assert orders[0] == "tea | milk | water | juice | cocoa"
    assert found.gain != found.reported_gain


def test_a_choice_of_probability_zero_counts_as_the_floor() -> None:
    """An option whose probability underflows has the floor as its log score."""

    class Sure(OverlapEngine):
        def _score(self, request):
            return Score((-5000.0 if request.continuation == "milk" else 0.0,))

    case = _case(pair("milk", DRINKS), "x")
    (found,) = _gains(Sure(), ChoiceScore(orders=1, floor=-5), case)
    assert found.gain == 0
    assert found.components["p_action"] == 0


def test_scale_gain_is_the_fall_of_the_ranked_probability_score() -> None:
    """Both directions are shown; the gain is RPS without minus RPS with the trace."""
    space = Scale(("low", "middle", "high"))
    engine = OverlapEngine()
    (found,) = _gains(engine, ScaleScore(orders=8), _case(pair("high", space), "High up."))
    prompts = {request.prompt[-1][1].split("Options: ")[1] for request in engine.scored[0]}
    assert prompts == {"low | middle | high", "high | middle | low"}
    p = math.exp(LIKELY) / (math.exp(LIKELY) + 2 * math.exp(UNLIKELY))
    other = (1 - p) / 2
    expected = ranked_probability_score((1 / 3,) * 3, 2) - ranked_probability_score(
        (other, other, p), 2
    )
    assert found.gain == pytest.approx(expected)
    assert found.reported_gain == found.gain


def test_being_off_by_more_costs_more_on_a_scale() -> None:
    """The ranked probability score grows with the distance."""
    near, far = ((0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    assert ranked_probability_score(near, 0) < ranked_probability_score(far, 0) == 1


def _numbers(*after: str):
    """Draw "5" without a trace and the given texts in turn with one."""

    def draw(request, i):
        if request.prefix == NO_REASONING:
            return Draw(text="5", finish="end", n_tokens=1)
        return Draw(text=after[i % len(after)], finish="end", n_tokens=1)

    return draw


def test_number_gain_is_the_fall_of_the_crps_on_each_half() -> None:
    """The first half of the draws selects, the second reports."""
    engine = OverlapEngine(draw=_numbers("9", "9", "7", "7"), logprobs=False)
    case = _case(pair(9.0, Number()), "Many.")
    (found,) = _gains(engine, NumberScore(samples=4), case)
    assert found.gain == 4
    assert found.reported_gain == 2


def test_an_unreadable_number_counts_as_the_farthest_draw() -> None:
    """Words instead of a number never help, and are counted."""
    engine = OverlapEngine(draw=_numbers("9", "nine", "9", "9"))
    case = _case(pair(9.0, Number()), "Many.")
    (found,) = _gains(engine, NumberScore(samples=4), case)
    assert found.gain == pytest.approx(4 - (2 - 4 / 2))
    assert found.components["unreadable"] == 1


def test_no_readable_number_is_an_error_of_that_item_alone() -> None:
    """Where nothing can be read there is no score, and the other items keep theirs."""
    engine = OverlapEngine(draw=lambda r, i: Draw(text="many", finish="length", n_tokens=1))
    cases = [_case(pair(9.0, Number()), "x"), _case(pair("tea"), "tea")]
    failed, done = measure(engine, cases, [NumberScore(samples=2), LoglikGain(floor=-5)])
    assert isinstance(failed, ScoringError)
    assert (
        "none of the draws is a number (user 'ada', interaction 'k1', the first is 'many')"
        in str(failed)
    )
    assert isinstance(done, tuple)


def test_similarity_keeps_every_component_on_both_halves() -> None:
    """A reconstruction equal to the action has likeness 1 in every component."""
    true = "I would rather stay in."

    def draw(request, i):
        if request.prefix == NO_REASONING:
            return Draw(text="</think>", finish="end", n_tokens=1)
        return Draw(text=true if i < 2 else "No", finish="end", n_tokens=1)

    scorer = SampledSimilarity(samples=4, embed=lambda texts: [[1.0, 0.0] for _ in texts])
    (found,) = _gains(OverlapEngine(draw=draw, logprobs=False), scorer, _case(pair(true), "x"))
    assert found.gain == pytest.approx(1)
    assert 0 < found.reported_gain < 1
    for name in ("chrf", "rouge_l", "style", "cosine"):
        assert found.components[name] == pytest.approx(1)
        assert found.components[f"{name}_none"] == 0


def test_similarity_knows_other_scripts() -> None:
    """ROUGE-L compares words of any script."""
    _, rouge_l = similarity._metrics()
    assert rouge_l("أنا هنا", "أنا هنا") == 1
    assert rouge_l("はい", "はい") == 1


def test_embeddings_of_different_length_are_refused() -> None:
    """An embedder that changes its dimension is named."""
    scorer = SampledSimilarity(samples=2, embed=lambda texts: [[1.0] * (i + 1) for i in range(9)])
    scorer = SampledSimilarity(
        samples=2, embed=lambda texts: [[1.0] * (1 if i else 2) for i, _ in enumerate(texts)]
    )
    (found,) = measure(OverlapEngine(), [_case(pair("tea"), "x")], [scorer])
    assert "embeddings of 1 and 2 dimensions" in str(found)


@pytest.mark.parametrize(
    ("module", "package"), [("sacrebleu", "sacrebleu"), ("rouge_score.rouge_scorer", "rouge-score")]
)
def test_a_missing_metric_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    """Without the package, the error names it and the command that installs it."""
    similarity._metrics.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=f"'{package}' is needed") as caught:
        measure(OverlapEngine(), [_case(pair("tea"), "x")], [SampledSimilarity(samples=2)])
    assert "usersim-recon[metrics]" in caught.value.hint


@pytest.mark.parametrize(
    ("space", "name"),
    [
        (FreeText(), "loglik_gain@1"),
        (DRINKS, "choice@2"),
        (Scale(("a", "b")), "scale@2"),
        (Number(), "number@1"),
        (MultiChoice(("a", "b")), "loglik_gain@1"),
    ],
)
def test_auto_takes_the_proper_score_of_the_kind(space: ActionSpace, name: str) -> None:
    """Every kind of action has its score."""
    assert scorer_for(space, ScoringConfig()).name == name


def test_a_named_scorer_is_taken_for_every_kind() -> None:
    """Naming a scorer overrides the kind."""
    config = ScoringConfig(scorer="sampled_similarity")
    assert scorer_for(DRINKS, config).name == "sampled_similarity@1"


@pytest.mark.parametrize(
    "scorer",
    [ChoiceScore(orders=1, floor=-5), ScaleScore(orders=1), NumberScore(samples=2)],
)
def test_a_scorer_refuses_a_kind_that_it_cannot_score(scorer: Scorer) -> None:
    """The error names the scorer, the kind, the user and the item."""
    (found,) = measure(OverlapEngine(), [_case(pair("hello"), "x")], [scorer])
    assert "cannot score a 'free_text' action (user 'ada', interaction 'k1')" in str(found)


@pytest.mark.parametrize(
    ("scorer", "item"),
    [
        (LoglikGain(floor=-5), pair("tea")),
        (ChoiceScore(orders=1, floor=-5), pair("tea", DRINKS)),
        (ScaleScore(orders=1), pair("a", Scale(("a", "b")))),
    ],
)
def test_likelihood_scorers_need_log_probabilities(scorer: Scorer, item: Interaction) -> None:
    """An engine that only writes text is refused before anything is asked of it."""
    with pytest.raises(CapabilityError, match="'logprobs'"):
        measure(OverlapEngine(logprobs=False), [_case(item, "x")], [scorer])


def test_a_withheld_case_shows_neither_context_nor_history() -> None:
    """With the context withheld only the form of the answer and the trace are left."""
    item = pair("milk", DRINKS, context="Thirsty?")
    case = Trial(case=Case(item, (pair("x", key="p"),)), reasonings=(), view=VIEW, withheld=True)
    assert case.prompt()[1][1] == "(no context)\nOptions: tea | milk | water"


def test_option_probabilities_are_asked_in_one_call_and_sum_to_one() -> None:
    """Many questions, one call; long options do not underflow."""
    engine = OverlapEngine()
    prompt = (("user", "the boat"),)
    queries = [
        OptionQuery(prompt=prompt, prefix=NO_REASONING, options=("boat", "car")),
        OptionQuery(prompt=prompt, prefix=NO_REASONING, options=("x " * 900, "y " * 900, "boat")),
    ]
    first, second = option_probabilities(engine, queries)
    assert first[0] > first[1]
    assert sum(first) == pytest.approx(1)
    assert second == pytest.approx((0, 0, 1))
    assert len(engine.scored) == 1


@pytest.mark.parametrize(
    ("options", "end"),
    [
        (("tea", "coffee"), False),
        (("Very Accurate", "Very Inaccurate"), False),
        (("1", "2", "10"), True),
        (("Agree", "Agree strongly"), True),
    ],
)
def test_the_end_is_scored_only_where_one_option_begins_another(
    options: tuple[str, ...], end: bool
) -> None:
    """How much a model minds to stop after an option says nothing about the person."""
    query = OptionQuery(prompt=(("user", "Well?"),), prefix=NO_REASONING, options=options)
    requests = option_requests(query)
    assert [request.continuation for request in requests] == list(options)
    assert {request.end for request in requests} == {end}


def test_option_probabilities_need_log_probabilities() -> None:
    """The helper refuses an engine without them."""
    with pytest.raises(CapabilityError, match="option probabilities needs an engine"):
        option_probabilities(OverlapEngine(logprobs=False), [])
