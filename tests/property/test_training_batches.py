"""Laws of micro-batches: nothing lost, nothing invented, targets exactly where they belong."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from usersim.training.batches import KINDS, make_batch, plan_steps
from usersim.training.dataset import EncodedExample, Term

few = st.lists(st.integers(0, 3), min_size=1, max_size=6)


@st.composite
def encoded_examples(draw: st.DrawFn) -> list[EncodedExample]:
    """Draw examples of two users that share prompts, over an alphabet of four tokens."""
    examples: list[EncodedExample] = []
    prompts = draw(st.lists(few, min_size=1, max_size=3))
    for number in range(draw(st.integers(1, 8))):
        prompt = draw(st.sampled_from(prompts))
        kinds = draw(st.sampled_from([KINDS[:1], KINDS[:2], KINDS]))
        terms = [Term(kind, (*prompt, *draw(few)), len(prompt)) for kind in kinds]
        user = draw(st.sampled_from(["ada", "bob"]))
        examples.append(EncodedExample(str(number), user, tuple(terms)))
    return examples


@given(encoded_examples())
def test_a_batch_predicts_exactly_the_target_tokens(examples: list[EncodedExample]):
    """Per kind the multiset of (everything before, target, share) is that of the examples."""
    batch = make_batch(examples)
    depth = batch.row.positions
    ancestors = batch.row.mask()
    found: Counter[tuple[object, ...]] = Counter()
    for source, target, share, kind in zip(
        batch.source, batch.target, batch.share, batch.kind, strict=True
    ):
        seen = np.flatnonzero(ancestors[batch.nodes[source]])
        before = batch.row.tokens[seen[np.argsort(depth[seen])]]
        found[KINDS[kind], tuple(before.tolist()), int(target), float(share)] += 1
    expected = Counter(
        (term.kind, term.tokens[:place], term.tokens[place], float(np.float32(1 / len(targets))))
        for example in examples
        for term in example.terms
        for targets in [term.targets]
        for place in range(term.start, len(term.tokens))
    )
    assert found == expected


@given(encoded_examples(), st.floats(0, 2))
def test_the_weights_of_a_batch_sum_to_its_terms(
    examples: list[EncodedExample], reasoning_weight: float
):
    """A long trace weighs no more than a short one; what is only measured weighs nothing."""
    weights = make_batch(examples).weights(reasoning_weight)
    traced = sum(len(example.terms) > 1 for example in examples)
    expected = 1.0 + reasoning_weight * traced / len(examples)
    assert abs(float(weights.sum()) - expected) < 1e-4
    assert (weights[make_batch(examples).kind == KINDS.index("action_alone")] == 0).all()


@given(encoded_examples())
def test_bare_targets_are_those_of_examples_without_a_trace(examples: list[EncodedExample]):
    """They are what both validation figures have in common."""
    batch = make_batch(examples)
    bare = sum(len(e.terms[0].targets) for e in examples if len(e.terms) == 1)
    assert int(batch.bare.sum()) == bare
    assert (batch.kind[batch.bare] == 0).all()


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
        longest = max(len(make_batch([member]).row.tokens) for member in members)
        assert len(make_batch(members).row.tokens) <= max(batch_tokens, 2 * longest)


def test_a_part_of_an_epoch_is_a_part_of_its_steps():
    """`epochs = 1.5` is one pass and half of the steps of another, in another order."""
    examples = [EncodedExample(str(i), "ada", (Term("action", (1, i, 9), 2),)) for i in range(100)]
    steps = plan_steps(examples, batch_tokens=6, epochs=1.5, seed=0)
    whole = plan_steps(examples, batch_tokens=6, epochs=1, seed=0)
    assert steps[: len(whole)] == whole
    assert abs(len(steps) - 1.5 * len(whole)) <= 1
    assert steps[len(whole) :] != whole[: len(steps) - len(whole)]
