"""Answers: typed by the question, reproducible, and never made of malformed text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.fixtures.people import AGREE, DRINKS, HOBBIES, OWN, SPACES, TEXT, YEARS, engine, question
from usersim import transcript
from usersim.config import HistoryConfig, SimulationConfig
from usersim.engines import Capabilities, GenerateRequest, ScoreRequest
from usersim.engines.options import OptionQuery, option_probabilities
from usersim.engines.scripted import ScriptedEngine
from usersim.errors import CapabilityError
from usersim.simulation import Answer, RespondItem, respond
from usersim.transcript import REASONING_STOP
from usersim.types import Number, is_closed

CONFIG = SimulationConfig(traces=2, redraws=1)
TAG = f"\n{REASONING_STOP}"


def item(space=TEXT, text="What do you take?", **fields) -> RespondItem:
    """One question to an invented person."""
    return RespondItem(user_id="ada", question=question(text, space), **fields)


def drawn_texts(model: ScriptedEngine) -> list[GenerateRequest]:
    """The requests for text."""
    return [r for r in model.requests if isinstance(r, GenerateRequest)]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.kind)
def test_an_action_has_the_type_of_its_question(space) -> None:
    """A choice is one of its options, a number a float, several options a tuple, text a string."""
    model = engine(action=OWN.get(space.kind, "With milk."))
    (answer,) = respond(model, [item(space)], config=CONFIG).items
    assert answer.kind == space.kind
    if is_closed(space):
        assert answer.action in space.options
        assert list(answer.probabilities) == list(space.options)
        assert sum(answer.probabilities.values()) == pytest.approx(1)
    else:
        expected = {"number": 42.0, "multi_choice": ("reading", "music"), "free_text": "With milk."}
        assert answer.action == expected[space.kind]
        assert type(answer.action) is type(expected[space.kind])
        assert answer.probabilities == {}


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.kind)
def test_reasoning_never_reaches_the_action(space) -> None:
    """What stands between the tags is the reasoning, and no part of it is in the action."""
    model = engine(reasoning="Zebra thoughts.", action=OWN.get(space.kind, "With milk."))
    (answer,) = respond(model, [item(space)], config=CONFIG).items
    assert answer.reasoning == "Zebra thoughts."
    assert "zebra" not in answer.action_text.lower()
    assert "think" not in answer.action_text


def test_an_action_that_tries_to_think_again_is_refused() -> None:
    """A second reasoning block inside the action makes it malformed, never an answer."""
    model = engine(action="Yes. <think>\nBut secretly no.\n</think>\nNo.")
    batch = respond(model, [item()], config=CONFIG)
    assert batch.items == (None,)
    assert batch.failures[0].error == "ActionError"
    assert "But secretly no." in batch.failures[0].text


def test_reasoning_that_is_never_closed_fails_with_the_whole_text() -> None:
    """After the configured redraws the item fails, and every text that was drawn is kept."""
    endless = "and then " * 40
    model = engine(reasoning=lambda request, i: f"{endless}{request.seed}")
    config = SimulationConfig(traces=2, redraws=2, long_reasoning="refuse")
    (failure,) = respond(model, [item()], config=config).failures
    assert (failure.index, failure.item, failure.error) == (0, "ada", "TranscriptError")
    assert "user 'ada', item 0: none of 3 drawn traces" in failure.message
    texts = failure.text.split("\n---\n")
    assert len(texts) == 3
    assert all(text.startswith("and then and then") for text in texts)
    seeds = [request.seed for request in drawn_texts(model)]
    assert len(set(seeds)) == 3, "a redraw needs another seed"


@pytest.mark.parametrize("space", [DRINKS, AGREE], ids=lambda space: space.kind)
def test_a_closed_question_needs_no_readable_trace(space) -> None:
    """It is answered as without reasoning, is flagged, and keeps the unreadable texts."""
    config = SimulationConfig(traces=2, redraws=1)
    batch = respond(engine(reasoning=f" {TAG}"), [item(space)], config=config)
    plain = respond(engine(), [item(space)], config=SimulationConfig(traces=0))
    (answer,), (other,) = batch.items, plain.items
    assert not batch.failures
    assert (answer.action, answer.reasoning) == (other.action, "")
    assert answer.probabilities == other.probabilities
    assert (answer.trace.reasoning_failed, other.trace.reasoning_failed) == (True, False)
    assert (len(answer.trace.unreadable), answer.trace.redraws) == (4, 4)
    assert answer.trace.reasoning_weight == 0
    assert Answer.from_dict(answer.to_dict()) == answer


def test_the_strict_setting_makes_a_closed_question_fail_without_a_readable_trace() -> None:
    """With `require_reasoning` the item is a failure that keeps the texts."""
    config = SimulationConfig(traces=2, redraws=1, require_reasoning=True)
    (failure,) = respond(engine(reasoning=f" {TAG}"), [item(DRINKS)], config=config).failures
    assert (failure.error, len(failure.text.split("\n---\n"))) == ("TranscriptError", 4)


def test_an_answer_stored_before_the_flag_existed_can_be_read() -> None:
    """Answers of older stores count as answered with their reasoning."""
    (answer,) = respond(engine(), [item(DRINKS)], config=CONFIG).items
    data = answer.to_dict()
    trace = dict(data["trace"])
    del trace["reasoning_failed"], trace["unreadable"]
    assert Answer.from_dict({**data, "trace": trace}) == answer


def test_an_open_question_still_needs_its_trace() -> None:
    """A drawn action follows its reasoning: without one there is no answer."""
    batch = respond(engine(reasoning=f" {TAG}"), [item(TEXT), item(DRINKS)], config=CONFIG)
    assert [failure.index for failure in batch.failures] == [0]
    assert batch.items[1].trace.reasoning_failed


def test_a_draft_ends_with_the_turn_of_the_model() -> None:
    """A base model is shown examples without a closing tag: its turn's end ends the trace."""
    model = engine(reasoning=lambda request, index: "I take the train, and a book.")
    (answer,) = respond(model, [item(drafted=True)], config=CONFIG).items
    assert answer.reasoning == "I take the train, and a book."
    assert answer.trace.redraws == 0
    assert not answer.trace.drawn[0].closed


def test_a_turn_that_ends_within_the_reasoning_is_its_end_where_that_is_allowed() -> None:
    """What learned few traces does not close them; it is marked, or refused if that is wished."""
    model = engine(reasoning=lambda request, index: "I take the train, and a book.")
    (answer,) = respond(model, [item()], config=CONFIG).items
    assert answer.reasoning == "I take the train, and a book."
    assert answer.trace.drawn[0].closed
    strict = CONFIG.model_copy(update={"long_reasoning": "refuse"})
    failed = respond(model, [item()], config=strict)
    assert [one.error for one in failed.failures] == ["TranscriptError"]


def test_long_reasoning_is_closed_after_its_last_sentence_where_that_is_allowed() -> None:
    """A trace that runs into the limit keeps its full sentences and is marked."""
    model = engine(reasoning=lambda request, i: "It is late. " + "so tired " * 80)
    (answer,) = respond(model, [item()], config=CONFIG).items
    assert answer.reasoning == "It is late."
    assert answer.trace.drawn[0].closed
    assert answer.trace.redraws == 0


def test_a_malformed_draw_is_drawn_again_and_counted() -> None:
    """One bad trace and one bad action are replaced; the answer counts both."""
    seen: dict[str, int] = {"reasoning": 0, "action": 0}

    def first_fails(kind: str, bad: str, good: str):
        def reply(request: GenerateRequest, index: int) -> str:
            seen[kind] += 1
            return bad if seen[kind] == 1 else good

        return reply

    model = engine(
        reasoning=first_fails("reasoning", "once <think> more", f"Tea it is.{TAG}"),
        action=first_fails("action", "not a number", "7"),
    )
    (answer,) = respond(model, [item(YEARS)], config=SimulationConfig(traces=1, redraws=1)).items
    assert (answer.action, answer.reasoning, answer.trace.redraws) == (7.0, "Tea it is.", 2)


@pytest.mark.parametrize(
    ("space", "text", "reason"),
    [
        (YEARS, "a hundred", "is not a number"),
        (YEARS, "4000", "outside the range"),
        (HOBBIES, "reading | flying", "not among the options"),
        (TEXT, "   ", "the action is empty"),
        (TEXT, "and so on " * 400, "cut at the token limit"),
    ],
)
def test_an_action_of_another_kind_is_a_failure(space, text, reason) -> None:
    """What is no value of the action space, or was cut, becomes a failure with its text."""
    batch = respond(engine(action=text), [item(space)], config=CONFIG)
    (failure,) = batch.failures
    assert reason in failure.message
    assert failure.error == "ActionError"
    assert text.strip()[:60] in failure.text


def test_one_failure_does_not_end_the_batch() -> None:
    """The items around a failed one are answered, in their places."""

    def reply(request: GenerateRequest, index: int) -> str:
        return "no <think> end" if "Broken" in request.prompt[-1][1] else f"A calm thought.{TAG}"

    items = [item(text="Fine?"), item(text="Broken?"), item(DRINKS, text="Drink?")]
    batch = respond(engine(reasoning=reply), items, config=CONFIG)
    assert [answer is None for answer in batch.items] == [False, True, False]
    assert [failure.index for failure in batch.failures] == [1]
    assert len(list(batch)) == 2


def test_an_item_that_does_not_fit_the_model_fails_alone() -> None:
    """A prompt longer than the model's context is that item's failure, not the batch's end."""
    small = replace(engine().capabilities, max_context=400)
    items = [item(text="Short?"), item(text="long " * 600), item(DRINKS, text="Also short?")]
    batch = respond(engine(capabilities=small), items, config=CONFIG)
    assert [answer is None for answer in batch.items] == [False, True, False]
    (failure,) = batch.failures
    assert (failure.index, failure.error) == (1, "ContextLengthError")
    assert "the model takes 400" in failure.message


def test_an_empty_batch_asks_nothing() -> None:
    """No items, no answers, no calls."""
    model = engine()
    assert respond(model, []).items == ()
    assert drawn_texts(model) == []


def test_the_same_seed_answers_the_same_alone_and_in_a_batch() -> None:
    """An answer depends on its own item and seed, on nothing else that is asked."""
    items = [item(space, seed=7, text=f"About {space.kind}?") for space in (TEXT, DRINKS, AGREE)]
    alone = [respond(ScriptedEngine(), [one], config=CONFIG).items[0] for one in items]
    together = respond(ScriptedEngine(), list(reversed(items)), config=CONFIG).items[::-1]
    for one, other in zip(alone, together, strict=True):
        same = {"seconds": 0.0}
        assert replace(one, trace=replace(one.trace, **same)) == replace(
            other, trace=replace(other.trace, **same)
        )


def test_another_seed_draws_another_trace() -> None:
    """The seed is used."""
    answers = [
        respond(ScriptedEngine(), [item(seed=seed)], config=CONFIG).items[0] for seed in "ab"
    ]
    assert answers[0].reasoning != answers[1].reasoning


def option_p(model: ScriptedEngine, one: RespondItem, reasoning: str) -> np.ndarray:
    """Option probabilities after one reasoning, by the engine's own function."""
    query = OptionQuery(
        prompt=one.prompt(HistoryConfig()),
        prefix=transcript.prefix(reasoning),
        options=one.question.space.options,
    )
    return np.array(option_probabilities(model, [query])[0])


@pytest.mark.parametrize("weight", [1.0, 0.3, 0.0])
def test_probabilities_are_averaged_over_traces_and_mixed_by_the_weight(weight: float) -> None:
    """p(a) = w * mean_k p(a | x, r_k) + (1 - w) * p(a | x), to the last digit."""
    thoughts = ["Tea, surely.", "Coffee wakes me.", "Plain water."]
    model = engine(reasoning=lambda request, i: thoughts[i] + TAG)
    one = item(DRINKS, reasoning_weight=weight)
    (answer,) = respond(model, [one], config=SimulationConfig(traces=3)).items
    given = np.mean([option_p(model, one, text) for text in thoughts], axis=0)
    expected = weight * given + (1 - weight) * option_p(model, one, "")
    np.testing.assert_allclose(list(answer.probabilities.values()), expected, rtol=1e-12)
    assert answer.trace.reasoning_weight == weight
    assert answer.action == DRINKS.options[int(expected.argmax())]


def test_the_trace_that_speaks_most_for_the_answer_is_shown() -> None:
    """Traces are ordered by the probability that they give to the chosen option."""
    thoughts = ["Coffee wakes me.", "Tea, tea, tea.", "Tea or water."]
    model = engine(reasoning=lambda request, i: thoughts[i] + TAG)
    (answer,) = respond(model, [item(DRINKS)], config=SimulationConfig(traces=3)).items
    support = [trace.probabilities[answer.action] for trace in answer.trace.drawn]
    assert support == sorted(support, reverse=True)
    assert answer.reasoning == answer.trace.drawn[0].reasoning
    assert {trace.reasoning for trace in answer.trace.drawn} == set(thoughts)


def test_a_number_is_the_median_over_traces() -> None:
    """One number is drawn after each of the K traces; the answer is their median."""
    numbers = iter(["10", "90", "20"])
    model = engine(action=lambda request, i: next(numbers))
    (answer,) = respond(model, [item(YEARS)], config=SimulationConfig(traces=3)).items
    assert answer.action == 20.0
    assert [trace.action for trace in answer.trace.drawn] == ["10", "90", "20"]


def test_open_text_follows_one_trace() -> None:
    """Free text is drawn after a single trace, however many a closed question averages."""
    (answer,) = respond(engine(), [item()], config=SimulationConfig(traces=5)).items
    assert len(answer.trace.drawn) == 1


@pytest.mark.parametrize("space", [TEXT, DRINKS, YEARS], ids=lambda space: space.kind)
def test_without_traces_the_marker_stands_for_the_reasoning(space) -> None:
    """`traces=0` draws no reasoning: the empty marker precedes the action."""
    model = engine(action=OWN.get(space.kind, "Yes."))
    (answer,) = respond(model, [item(space)], config=SimulationConfig(traces=0)).items
    assert answer.reasoning == ""
    assert len(answer.trace.drawn) == 1
    assert {request.prefix for request in model.requests} == {transcript.NO_REASONING}


def test_sampled_decisions_follow_the_probabilities() -> None:
    """Over many seeds the options come as often as their probabilities say."""
    config = SimulationConfig(traces=1, decision="sampled")
    items = [item(DRINKS, seed=seed) for seed in range(2000)]
    answers = list(respond(engine(), items, config=config))
    p = np.array(list(answers[0].probabilities.values()))
    drawn = np.array([[answer.action == option for option in DRINKS.options] for answer in answers])
    counts = drawn.sum(axis=0)
    expected = p * len(items)
    # Chi-square with 2 degrees of freedom; 18.4 is exceeded once in ten thousand.
    assert ((counts - expected) ** 2 / expected).sum() < 18.4
    assert respond(engine(), [items[5]], config=config).items[0].action == answers[5].action


def test_option_orders_change_the_prompt_and_are_averaged() -> None:
    """With K orders each option stands at each place once, and the probabilities are the mean."""
    model = engine()
    one = item(DRINKS)
    config = SimulationConfig(traces=1, option_orders=3)
    (answer,) = respond(model, [one], config=config).items
    prompts = {r.prompt[-1][1] for r in model.requests if isinstance(r, ScoreRequest)}
    assert len(prompts) == 3
    assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_a_closed_question_needs_log_probabilities() -> None:
    """An engine that writes text only says so, and names what is missing."""
    silent = engine(capabilities=Capabilities(logprobs=False, adapters=False))
    with pytest.raises(CapabilityError, match="option probabilities needs an engine"):
        respond(silent, [item(DRINKS)], config=CONFIG)
    (answer,) = respond(silent, [item()], config=CONFIG).items
    assert answer.action == "With milk, please."


def test_explaining_needs_log_probabilities() -> None:
    """The influence of a trace cannot be measured by an engine without log-probabilities."""
    silent = engine(capabilities=Capabilities(logprobs=False, adapters=False))
    with pytest.raises(CapabilityError, match="the influence of a trace"):
        respond(silent, [item()], config=CONFIG, explain=True)


def test_influence_of_a_closed_answer() -> None:
    """Own, without and swapped are the chosen option's probabilities under each reasoning."""

    def reply(request: GenerateRequest, index: int) -> str:
        return ("Tea calms." if "Drink" in request.prompt[-1][1] else "Water, always.") + TAG

    model = engine(reasoning=reply)
    one, other = item(DRINKS, text="Drink?"), item(DRINKS, text="Lunch?")
    answer, _ = respond(model, [one, other], config=CONFIG, explain=True).items
    place = DRINKS.options.index(answer.action)
    found = answer.influence
    assert found.unit == "probability"
    assert found.own == pytest.approx(option_p(model, one, "Tea calms.")[place])
    assert found.without == pytest.approx(option_p(model, one, "")[place])
    assert found.swapped == pytest.approx(option_p(model, one, "Water, always.")[place])
    swapped = option_p(model, one, "Water, always.")
    assert found.action_swapped == DRINKS.options[int(swapped.argmax())]


def test_influence_of_an_open_answer() -> None:
    """The answer's own text is scored after its trace, the marker and another trace."""
    model = engine(action=lambda request, i: "Tea calms." if "Tea" in request.prefix else "Yes.")
    one = item(reasonings={"k": "An older thought."})
    thought = engine(reasoning="Tea calms.", action="Tea calms.")
    (answer,) = respond(thought, [one], config=CONFIG, explain=True).items
    found = answer.influence
    assert found.unit == "nats per token"

    def mean(reasoning: str) -> float:
        request = ScoreRequest(
            prompt=one.prompt(HistoryConfig()),
            prefix=transcript.prefix(reasoning),
            continuation="Tea calms.",
        )
        return model.score([request])[0].mean()

    assert found.own == pytest.approx(mean("Tea calms."))
    assert found.without == pytest.approx(mean(""))
    assert found.swapped == pytest.approx(mean("An older thought."))
    assert found.own > found.without


def test_a_lone_question_without_kept_traces_has_nothing_to_swap() -> None:
    """Where no other trace of the person is known, `swapped` is None and not a number."""
    for space in (DRINKS, TEXT):
        (answer,) = respond(engine(), [item(space)], config=CONFIG, explain=True).items
        assert answer.influence.swapped is None
        assert answer.influence.action_swapped is None


def test_an_answer_that_stays_the_same_was_not_changed_by_its_trace() -> None:
    """`changed` compares answers: a trace that only makes the same answer likelier changed none."""
    model = engine(reasoning="Tea calms.", action="Tea calms.")
    (same,) = respond(model, [item()], config=CONFIG, explain=True).items
    assert same.influence.own > same.influence.without
    assert same.influence.action == same.influence.action_without == "Tea calms."
    assert not same.influence.changed


def test_an_answer_that_differs_without_its_trace_was_changed() -> None:
    """`changed` is true where the answer would have been another without the trace."""
    model = engine(
        reasoning="Coffee.",
        action=lambda request, i: "Tea" if "Coffee" not in request.prefix else "Coffee",
    )
    (open_answer,) = respond(model, [item()], config=CONFIG, explain=True).items
    assert (open_answer.action, open_answer.influence.action_without) == ("Coffee", "Tea")
    assert open_answer.influence.changed


def test_explaining_a_batch_skips_its_failures() -> None:
    """A failed item stays a failure and its neighbors get their influence."""

    def reply(request: GenerateRequest, index: int) -> str:
        return "no <think> end" if "Broken" in request.prompt[-1][1] else f"A calm thought.{TAG}"

    items = [item(text="Broken?"), item(DRINKS, text="Drink?")]
    broken, fine = respond(engine(reasoning=reply), items, config=CONFIG, explain=True).items
    assert broken is None
    assert fine.influence is not None


def test_progress_reaches_the_number_of_items() -> None:
    """The callback ends at (items, items), whatever has to be drawn again."""
    told: list[tuple[str, int, int | None]] = []
    items = [item(text=f"{i}?") for i in range(3)]
    respond(engine(), items, config=CONFIG, progress=lambda *at: told.append(at))
    assert told[-1] == ("generate", 3, 3)


def test_whole_numbers_are_read_with_unit_and_commas() -> None:
    """A number is a number whatever small decoration the model writes around it."""
    space = Number(low=0, unit="kg")
    (answer,) = respond(engine(action="1,250 kg."), [item(space)], config=CONFIG).items
    assert answer.action == 1250.0


def test_the_answer_without_the_trace_uses_the_same_random_stream() -> None:
    """What is drawn without the trace differs from the answer by the reasoning alone."""
    model = engine()
    respond(model, [item(seed=3)], config=CONFIG, explain=True)
    actions = [r for r in drawn_texts(model) if REASONING_STOP not in r.stop]
    assert len(actions) == 3
    assert len({request.seed for request in actions}) == 1
