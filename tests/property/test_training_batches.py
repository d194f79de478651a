"""Laws of micro-batches: nothing lost, nothing invented, targets exactly where they belong."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from usersim.training.batches import KINDS, MicroBatch, make_batch, plan_steps
from usersim.training.dataset import Decision, EncodedExample, Term

few = st.lists(st.integers(0, 3), min_size=1, max_size=6)


@st.composite
def encoded_examples(draw: st.DrawFn) -> list[EncodedExample]:
    """Draw examples of two users that share prompts, over an alphabet of four tokens.

    Open and closed questions, with a trace and without.
    """
    examples: list[EncodedExample] = []
    prompts = draw(st.lists(few, min_size=1, max_size=3))
    for number in range(draw(st.integers(1, 8))):
        prompt = draw(st.sampled_from(prompts))
        options = draw(st.integers(1, 4))
        terms: list[Term] = []
        decisions: list[Decision] = []
        for before in [prompt, [*prompt, *draw(few)]][: draw(st.integers(1, 2))]:
            places = tuple(range(len(terms), len(terms) + options))
            kind = "action" if options == 1 else "option"
            terms += [Term(kind, (*before, *draw(few)), len(before)) for _ in places]
            truth = draw(st.integers(0, options - 1))
            decisions.append(Decision(places, truth, reasoned=bool(decisions)))
        if len(decisions) > 1:
            terms.append(Term("reasoning", (*prompt, *draw(few)), len(prompt)))
        user = draw(st.sampled_from(["ada", "bob"]))
        examples.append(EncodedExample(str(number), user, tuple(terms), tuple(decisions)))
    return examples


def predicted(batch: MicroBatch) -> list[tuple[tuple[int, ...], list[int]]]:
    """Return what stands before the first target of each term, and its targets."""
    depth, ancestors = batch.row.positions, batch.row.mask()
    found: list[tuple[tuple[int, ...], list[int]]] = []
    for term in range(len(batch.sizes)):
        own = np.flatnonzero(batch.term == term)
        for count, place in enumerate(own):
            seen = np.flatnonzero(ancestors[batch.nodes[batch.source[place]]])
            before = tuple(batch.row.tokens[seen[np.argsort(depth[seen])]].tolist())
            if count == 0:
                found.append((before, []))
            # Each target is predicted from the tree's path to it, and from nothing else.
            assert before == (*found[-1][0], *found[-1][1])
            found[-1][1].append(int(batch.target[place]))
    return found


@given(encoded_examples())
def test_a_batch_predicts_exactly_the_target_tokens(examples: list[EncodedExample]):
    """Each term's targets follow what stands before them, and nothing else is predicted."""
    batch = make_batch(examples)
    terms = [term for example in examples for term in example.terms]
    assert predicted(batch) == [(t.tokens[: t.start], list(t.targets)) for t in terms]
    assert [KINDS[kind] for kind in batch.kind] == [term.kind for term in terms]
    assert batch.sizes.tolist() == [len(term.targets) for term in terms]


@given(encoded_examples())
def test_a_batch_holds_no_node_that_predicts_nothing(examples: list[EncodedExample]):
    """The tree is that of the terms without their last tokens, each beginning once."""
    terms = [term for example in examples for term in example.terms]
    beginnings = {term.tokens[:n] for term in terms for n in range(1, len(term.tokens))}
    assert len(make_batch(examples).row.tokens) == len(beginnings)


@given(encoded_examples())
def test_decisions_point_at_their_own_terms(examples: list[EncodedExample]):
    """Every decision has its options in order, its truth, and whether a trace stands before."""
    batch = make_batch(examples)
    first = 0
    expected: list[tuple[list[int], int, bool]] = []
    for example in examples:
        expected += [
            ([first + place for place in one.terms], one.truth, one.reasoned)
            for one in example.decisions
        ]
        first += len(example.terms)
    found = [
        ([place for place in row if place >= 0], truth, reasoned)
        for row, truth, reasoned in zip(
            batch.options.tolist(), batch.truth.tolist(), batch.reasoned.tolist(), strict=True
        )
    ]
    assert found == expected


@given(encoded_examples(), st.floats(0, 2))
def test_the_weights_of_a_batch_sum_to_its_terms(
    examples: list[EncodedExample], reasoning_weight: float
):
    """A long trace weighs no more than a short one; an option counts in its decision alone."""
    batch = make_batch(examples)
    weights = batch.term_weights(reasoning_weight)
    kinds = Counter(term.kind for example in examples for term in example.terms)
    expected = (kinds["action"] + reasoning_weight * kinds["reasoning"]) / len(examples)
    assert abs(float(weights.sum()) - expected) < 1e-4
    assert (weights[batch.kind == KINDS.index("option")] == 0).all()


@given(encoded_examples(), st.integers(1, 40), st.integers(1, 3), st.integers(0, 5))
def test_each_epoch_has_every_example_once(
    examples: list[EncodedExample], batch_tokens: int, epochs: int, seed: int
):
    """Whatever the row length, nothing is left out and nothing is trained twice."""
    steps = plan_steps(examples, batch_tokens=batch_tokens, epochs=epochs, seed=seed)
    count = Counter(index for step in steps for index in step)
    assert count == dict.fromkeys(range(len(examples)), epochs)
    assert steps == plan_steps(examples, batch_tokens=batch_tokens, epochs=epochs, seed=seed)


@given(encoded_examples(), st.integers(1, 40))
def test_a_row_stays_within_its_limit(examples: list[EncodedExample], batch_tokens: int):
    """`batch_tokens`, or twice the longest example where that is more."""
    for step in plan_steps(examples, batch_tokens=batch_tokens, epochs=1, seed=0):
        members = [examples[index] for index in step]
        longest = max(sum(len(term.tokens) for term in member.terms) for member in members)
        assert len(make_batch(members).row.tokens) <= max(batch_tokens, 2 * longest)


def test_a_part_of_an_epoch_is_a_part_of_its_steps():
    """`epochs = 1.5` is one pass and half of the steps of another, in another order."""
    examples = [EncodedExample(str(i), "ada", (Term("action", (1, i, 9), 2),)) for i in range(100)]
    steps = plan_steps(examples, batch_tokens=6, epochs=1.5, seed=0)
    whole = plan_steps(examples, batch_tokens=6, epochs=1, seed=0)
    assert steps[: len(whole)] == whole
    assert abs(len(steps) - 1.5 * len(whole)) <= 1
    assert steps[len(whole) :] != whole[: len(steps) - len(whole)]
