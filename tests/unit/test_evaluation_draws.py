"""The likelihood at several numbers of traces: which K an arm stands at, and against what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fixtures.recon_engine import pair
from usersim.evaluation import Arm, Evaluation, by_traces, evaluate, title_of
from usersim.simulator.pages import k_notes, k_sections
from usersim.types import Batch, Interaction, Prediction

PEOPLE = 6
NONE = title_of("none")


def held_out(n: int) -> list[Interaction]:
    """One held-out interaction of each of `n` people."""
    rows = [pair("It rains.", key=f"k{i}", user_id=f"u{i}") for i in range(n)]
    return [replace(one, split="held_out") for one in rows]


def measured(*, none: bool = True, tokens: int = 4, failed: int | None = None) -> Evaluation:
    """An arm with reasoning that gains 0.1 nats a token at K = 1 and 0.5 at K = 4."""
    rows = held_out(PEOPLE)

    def said(value: float, at: dict[str, float]) -> Prediction:
        detail = {"log_likelihood_at": at} if at else {}
        return Prediction(action="", log_likelihood=value, n_tokens=tokens, detail=detail)

    def reasoning(interactions) -> Batch[Prediction]:
        made = [
            said(tokens * -1.5, {"1": tokens * (-1.9 - 0.01 * i), "4": tokens * (-1.5 - 0.01 * i)})
            for i, _ in enumerate(interactions)
        ]
        if failed is not None:
            made[failed] = said(tokens * -1.5, {})
        return Batch(tuple(made))

    def plain(interactions) -> Batch[Prediction]:
        return Batch(
            tuple(said(tokens * (-2.0 - 0.01 * i), {}) for i, _ in enumerate(interactions))
        )

    arms = [Arm("with", reasoning, "reasons")]
    return evaluate([*arms, Arm(NONE, plain, "does not")] if none else arms, rows)


def test_each_arm_with_reasoning_stands_at_each_k_against_none() -> None:
    """Per token, rising with K, and paired with the arm without reasoning."""
    rows = by_traces(measured(), none=NONE)
    assert [(row.arm, row.k, row.n_items) for row in rows] == [("with", 1, 6), ("with", 4, 6)]
    first, fourth = rows
    assert first.log_likelihood.value == pytest.approx(-1.925)
    assert fourth.log_likelihood.value == pytest.approx(-1.525)
    assert first.over_none is not None
    assert fourth.over_none is not None
    assert first.over_none.value == pytest.approx(0.1)
    assert fourth.over_none.value == pytest.approx(0.5)
    # Paired: the people differ, the differences do not.
    assert first.over_none.high - first.over_none.low < 1e-9


def test_an_arm_that_draws_nothing_has_no_k() -> None:
    """Nothing is said of arms without reasoning, and nothing compared where none was measured."""
    assert by_traces(measured(), none=NONE, arms=[NONE]) == []
    assert {row.over_none for row in by_traces(measured(none=False), none=NONE)} == {None}


def test_an_item_without_a_value_is_left_out_of_the_row() -> None:
    """The number of items says so."""
    assert {row.n_items for row in by_traces(measured(failed=2), none=NONE)} == {PEOPLE - 1}


def test_the_page_and_the_notes_say_at_which_k_arms_stand() -> None:
    """The largest K in the note, every K in the table, and that a likelihood rises with it."""
    found = measured()
    (note,) = k_notes(found)
    assert "K = 4 traces" in note
    assert "rises with K" in note
    (section,) = k_sections(found)
    assert section.columns == ("Arm", "K", "Log-likelihood", f"Less {NONE}", "Answers")
    assert [row[:2] for row in section.rows] == [("with", "1"), ("with", "4")]
    assert "rises with K" in section.paragraphs[0]
    (alone,) = k_sections(measured(none=False))
    assert f"Less {NONE}" not in alone.columns


def test_without_arms_that_reason_nothing_is_said_of_k() -> None:
    """A page of arms without reasoning has no such section."""
    made = Prediction(action="", log_likelihood=-1.0, n_tokens=1)
    arm = Arm(NONE, lambda interactions: Batch((made,) * len(interactions)), "does not")
    found = evaluate([arm], held_out(2))
    assert k_notes(found) == []
    assert k_sections(found) == []
