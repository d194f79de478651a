"""Likelihoods of what a person did: marginalized over traces, mixed, nothing dropped."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fixtures.people import AGREE, DRINKS, TEXT, YEARS, engine, question
from usersim import transcript
from usersim.config import HistoryConfig, SimulationConfig
from usersim.engines import Capabilities, ScoreRequest
from usersim.engines.options import OptionQuery, option_probabilities
from usersim.errors import CapabilityError
from usersim.simulation import Likelihoods, RespondItem, likelihoods, predict, prediction
from usersim.transcript import REASONING_STOP

TAG = f"\n{REASONING_STOP}"
THREE = SimulationConfig(traces=3)
THOUGHTS = ("Tea calms me.", "Coffee wakes me.", "Water is enough.")


def item(space=TEXT, text="What do you take?", **fields) -> RespondItem:
    """One question to an invented person."""
    return RespondItem(user_id="ada", question=question(text, space), **fields)


def thinking(texts=THOUGHTS):
    """An engine whose i-th trace is `texts[i]`, as it stands."""
    return engine(reasoning=lambda request, i: texts[i])


def closed_texts(*texts: str) -> list[str]:
    """The texts with their closing tag."""
    return [text + TAG for text in texts]


def test_open_likelihoods_are_those_of_the_whole_action() -> None:
    """Each entry is log p(action, end of turn | x, r_k), summed over the action's tokens."""
    model = thinking(closed_texts(*THOUGHTS))
    one = item()
    (found,) = likelihoods(model, [(one, "Tea, please.")], config=THREE)
    requests = [
        ScoreRequest(
            prompt=one.prompt(HistoryConfig()),
            prefix=transcript.prefix(text),
            continuation="Tea, please.",
        )
        for text in (*THOUGHTS, "")
    ]
    expected = [score.total for score in model.score(requests)]
    np.testing.assert_allclose([*found.given, found.without], expected)
    assert found.n_tokens == 5  # Tea , please . and the end of the turn
    assert found.reasonings == THOUGHTS


@pytest.mark.parametrize("space", [DRINKS, AGREE], ids=lambda space: space.kind)
def test_closed_likelihoods_are_normalized_over_the_options(space) -> None:
    """The likelihood of an option is its share among the options."""
    model = thinking(closed_texts(*THOUGHTS))
    one = item(space)
    (found,) = likelihoods(model, [(one, space.options[1])], config=THREE)
    queries = [
        OptionQuery(
            prompt=one.prompt(HistoryConfig()),
            prefix=transcript.prefix(text),
            options=space.options,
        )
        for text in (*THOUGHTS, "")
    ]
    rows = np.array(option_probabilities(model, queries))
    np.testing.assert_allclose([*found.given, found.without], np.log(rows[:, 1]))
    assert found.n_tokens == 1
    for weight in (0.0, 0.4, 1.0):
        made = prediction(found, one.question, weight)
        mean = weight * rows[:3].mean(axis=0) + (1 - weight) * rows[3]
        np.testing.assert_allclose(list(made.probabilities.values()), mean)
        assert made.log_likelihood == pytest.approx(np.log(mean[1]))
        assert made.action == space.options[int(mean.argmax())]


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("shift", [0.0, -2000.0])
def test_the_mixture_is_a_mean_of_probabilities(weight: float, shift: float) -> None:
    """log(w * mean_k exp(given) + (1 - w) * exp(without)), also where exp would be 0."""
    given = np.array([-3.0, -1.5, -7.0]) + shift
    without = -2.0 + shift
    found = Likelihoods(given=tuple(given), without=without, n_tokens=3, reasonings=THOUGHTS)
    terms = [np.logaddexp.reduce(given) - np.log(3)] if weight else []
    logs = [np.log(weight) + term for term in terms] if weight else []
    if weight < 1:
        logs.append(np.log1p(-weight) + without)
    assert found.mixture(weight) == pytest.approx(np.logaddexp.reduce(logs), rel=1e-12)


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_fewer_traces_are_measured_on_groups_of_the_same_draws(weight: float) -> None:
    """K = 1 is the mean of each draw's, K = 4 of four disjoint groups', and values rise with K."""
    given = np.random.default_rng(3).normal(-3, 2, size=16)
    found = Likelihoods(given=tuple(given), without=-2.0, n_tokens=1, reasonings=())
    at = found.at(weight)
    assert list(at) == [1, 4, 16]

    def mixed(draws: np.ndarray) -> float:
        return float(np.log(weight * np.exp(draws).mean() + (1 - weight) * np.exp(-2.0)))

    assert at[1] == pytest.approx(np.mean([mixed(given[i : i + 1]) for i in range(16)]))
    assert at[4] == pytest.approx(np.mean([mixed(given[i::4]) for i in range(4)]))
    assert at[16] == pytest.approx(found.mixture(weight))
    assert at[1] < at[4] < at[16]


@pytest.mark.parametrize(("drawn", "counts"), [(0, []), (1, [1]), (3, [1, 3]), (6, [1, 4, 6])])
def test_the_number_that_was_drawn_is_always_told(drawn: int, counts: list[int]) -> None:
    """Beside 1, 4 and 16 as far as they go; without draws there is none."""
    found = Likelihoods(given=(-1.0,) * drawn, without=-2.0, n_tokens=1, reasonings=())
    assert list(found.at(1.0)) == counts
    told = prediction(found, item().question, 1.0).detail.get("log_likelihood_at", {})
    assert list(told) == [str(k) for k in counts]
    assert "log_likelihood_at" not in prediction(found, item().question, 0.0).detail


def test_without_draws_every_weight_is_the_marker() -> None:
    """With K = 0 there is nothing to mix."""
    (found,) = likelihoods(engine(), [(item(), "Yes.")], config=SimulationConfig(traces=0))
    assert found.given == ()
    assert found.mixture(1.0) == found.mixture(0.0) == found.without


@pytest.mark.parametrize("space", [TEXT, DRINKS], ids=lambda space: space.kind)
def test_malformed_draws_count_as_no_reasoning(space) -> None:
    """A draw that cannot be read is neither dropped nor drawn again: it counts as the marker."""
    model = thinking(["It <think> has no end", f"Tea calms me.{TAG}", "Nor <think> has this"])
    (found,) = likelihoods(model, [(item(space), "tea")], config=THREE)
    assert found.reasonings == ("Tea calms me.",)
    assert found.given[1:] == (found.without, found.without)
    assert found.given[0] != found.without
    made = prediction(found, item(space).question, 1.0)
    assert made.detail["malformed"] == 2
    if space is DRINKS:
        assert found.options[1] == found.options[2] == found.options[3]


def test_items_of_all_kinds_keep_their_places() -> None:
    """Closed and open questions are scored in two calls and come back in order."""
    asked = [(item(DRINKS), "tea"), (item(), "Yes."), (item(AGREE), "agree"), (item(YEARS), 7.0)]
    batch = predict(engine(), asked, config=THREE)
    kinds = [bool(made.probabilities) for made in batch]
    assert kinds == [True, False, True, False]
    assert [made.n_tokens for made in batch] == [1, 3, 1, 2]


def test_each_item_is_mixed_by_its_own_weight() -> None:
    """`predict` reads the reasoning weight of the item."""
    asked = [(item(DRINKS, reasoning_weight=w), "tea") for w in (0.0, 1.0)]
    without, given = predict(thinking(closed_texts(*THOUGHTS)), asked, config=THREE)
    assert without.probabilities != given.probabilities
    assert (without.detail["reasonings"], given.detail["reasonings"]) == ([], list(THOUGHTS))


def test_an_engine_without_log_probabilities_cannot_predict() -> None:
    """It says what is missing, for open and for closed questions."""
    silent = engine(capabilities=Capabilities(logprobs=False, adapters=False))
    for space in (TEXT, DRINKS):
        with pytest.raises(CapabilityError, match="'logprobs'"):
            likelihoods(silent, [(item(space), "tea")], config=THREE)
