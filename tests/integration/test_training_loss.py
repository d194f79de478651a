"""The loss of packed windows against a plain padded computation; LoRA on and off."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.lessons import LIKING, answered, engine_encoder, lesson
from usersim.config import HistoryConfig
from usersim.engines.transformers.engine import load_model
from usersim.errors import TrainingError
from usersim.training.batches import MicroBatch, make_batch
from usersim.training.dataset import EncodedExample, encode_example
from usersim.training.lora import (
    adapted,
    batch_loss,
    decision_logprobs,
    evaluate,
    own_randomness,
    save_adapter,
    term_logprobs,
)
from usersim.training.windows import Windows
from usersim.types import Choice, Scale, TrainingExample

REASONING_WEIGHT = 0.5


@pytest.fixture
def model(tiny_model: Path):
    """Return a fresh tiny model."""
    return load_model(tiny_model, dtype="float32", device="cpu")


def person():
    """Return one person: closed and open answers, some with a trace, one option within another."""
    scale = Scale(("1", "2", "10"))
    rows = [
        answered("a", "I like the rain.", "yes", space=LIKING, place=0),
        answered("b", "I like the train.", "no", space=LIKING, place=1),
        answered("c", "Shall we walk?", "I would rather take the train.", place=2),
        answered("d", "How late, 1 to 10?", "10", space=scale, place=3),
        answered("e", "And you?", "No, never.", place=4),
        answered(
            "f", "Where to?", "the garden", space=Choice(("the garden", "the train")), place=5
        ),
    ]
    traces = {"b": "Late trains are not quiet.", "c": "The rain.", "d": "She walked on."}
    return lesson(rows, reasonings=traces)


@pytest.fixture
def window(tiny_model: Path) -> MicroBatch:
    """Return the person as one window."""
    cut = Windows(
        [person()],
        engine_encoder(tiny_model),
        HistoryConfig(),
        window_tokens=5000,
        max_tokens=None,
    )
    (step,) = cut.plan(epochs=1, seed=0)
    return cut.batch(step)


@pytest.fixture
def encoded(tiny_model: Path) -> tuple[EncodedExample, ...]:
    """Return the same answers, each encoded by itself after all that the person did before."""
    from usersim.prompts import respond_prompt

    made, encoder = person(), engine_encoder(tiny_model)
    return tuple(
        encode_example(
            TrainingExample(
                key=one.key,
                user_id="ada",
                messages=respond_prompt(
                    "ada", one.question, made.interactions[:place], config=HistoryConfig()
                ),
                reasoning=made.reasonings.get(one.key, ""),
                action=one.action_text,
                options=one.space.options if isinstance(one.space, Choice | Scale) else (),
            ),
            encoder,
        )
        for place, one in enumerate(made.interactions)
    )


def padded_terms(model, terms):
    """Return each sequence's mean and summed log-likelihood from its start on: the plain way."""
    import torch

    width = max(len(term.tokens) for term in terms)
    ids = torch.tensor([[*t.tokens, *[0] * (width - len(t.tokens))] for t in terms])
    seen = torch.tensor([[1] * len(t.tokens) + [0] * (width - len(t.tokens)) for t in terms])
    logits = model(input_ids=ids, attention_mask=seen).logits
    means, sums = [], []
    for row, term in enumerate(terms):
        predicted = logits[row, term.start - 1 : len(term.tokens) - 1]
        loss = torch.nn.functional.cross_entropy(predicted, torch.tensor(term.targets))
        means.append(-loss)
        sums.append(-loss * len(term.targets))
    return means, sums


def padded_decisions(model, example):
    """Return the log-likelihood of what was chosen, without reasoning and after the trace."""
    import torch

    means, sums = padded_terms(model, example.terms)
    return [
        sums[one.terms[one.truth]] - torch.stack([sums[t] for t in one.terms]).logsumexp(0)
        if len(one.terms) > 1
        else means[one.terms[0]]
        for one in example.decisions
    ]


def padded_loss(model, examples):
    """Return the loss as it is defined: actions with and without trace, and the trace's mean."""
    total = 0.0
    for example in examples:
        means, _ = padded_terms(model, example.terms)
        for term, mean in zip(example.terms, means, strict=True):
            if term.kind == "reasoning":
                total = total - REASONING_WEIGHT * mean
        total = total - sum(padded_decisions(model, example))
    return total / len(examples)


def test_loss_and_gradients_of_a_window_equal_the_padded_ones(model, window, encoded):
    """One tree for a whole person changes neither the loss nor any weight's gradient."""
    import torch

    terms = [term for example in encoded for term in example.terms]
    assert len(window.row.tokens) < sum(len(term.tokens) for term in terms) / 8
    packed = batch_loss(model, window, REASONING_WEIGHT)
    packed.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    plain = padded_loss(model, encoded)
    plain.backward()
    assert packed.item() == pytest.approx(plain.item(), abs=1e-5)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-5)


def test_the_probabilities_of_the_options_sum_to_one(model, window):
    """A closed decision is a distribution over the options shown, with the trace and without."""
    import torch

    with torch.no_grad():
        terms = term_logprobs(model, window)
    closed = [row for row in window.options.tolist() if sum(place >= 0 for place in row) > 1]
    assert len(closed) == 6
    for row in closed:
        places = [place for place in row if place >= 0]
        total = 0.0
        for truth in range(len(places)):
            one = MicroBatch(
                **{
                    **{name: getattr(window, name) for name in window.__slots__},
                    "options": window.options[:1] * 0 + row,
                    "truth": window.truth[:1] * 0 + truth,
                    "reasoned": window.reasoned[:1],
                }
            )
            total += decision_logprobs(one, terms).exp().item()
        assert total == pytest.approx(1.0, abs=1e-5)


def test_a_long_trace_does_not_drown_a_short_action(model, encoded):
    """The reasoning counts as much as its weight, however long it is."""
    example = encoded[2]
    both = batch_loss(model, make_batch([example]), 1.0).item()
    actions = batch_loss(model, make_batch([example]), 0.0).item()
    means, _ = padded_terms(model, example.terms)
    assert actions == pytest.approx(-(means[0] + means[1]).item(), abs=1e-5)
    assert both - actions == pytest.approx(-means[2].item(), abs=1e-5)


def test_the_validation_figures_are_means_over_the_same_answers(model, encoded):
    """With the trace where there is one, and without; what has no trace counts in both."""
    found = evaluate(model, [make_batch(encoded[:2]), make_batch(encoded[2:])], step=7)
    decisions = [[one.item() for one in padded_decisions(model, e)] for e in encoded]
    alone = sum(one[0] for one in decisions) / len(encoded)
    given = sum(one[-1] for one in decisions) / len(encoded)
    assert (found.step, found.n) == (7, len(encoded))
    assert found.action_logprob == pytest.approx(given, abs=1e-5)
    assert found.action_logprob_alone == pytest.approx(alone, abs=1e-5)
    assert found.watched == pytest.approx((given + alone) / 2, abs=1e-5)
    assert given != pytest.approx(alone, abs=1e-3)


def test_in_bfloat16_the_adapter_and_the_loss_stay_in_float32(tiny_model, window):
    """The frozen base alone is rounded: what is learned is not."""
    import torch

    half = load_model(tiny_model, dtype="bfloat16", device="cpu")
    whole = load_model(tiny_model, dtype="float32", device="cpu")
    with adapted(half, rank=4, alpha=8) as rounded, adapted(whole, rank=4, alpha=8) as exact:
        loss = batch_loss(rounded, window, REASONING_WEIGHT)
        loss.backward()
        trained = [p for p in rounded.parameters() if p.requires_grad]
        assert loss.dtype == torch.float32
        assert {p.dtype for p in trained} == {p.grad.dtype for p in trained} == {torch.float32}
        assert {p.dtype for p in half.parameters() if not p.requires_grad} == {torch.bfloat16}
        expected = batch_loss(exact, window, REASONING_WEIGHT).item()
    assert loss.item() == pytest.approx(expected, rel=0.02)


def test_an_adapter_can_begin_with_the_weights_of_another(model, window, tmp_path):
    """The model answers as with the other adapter before a step is taken."""
    import torch

    with adapted(model, rank=4, alpha=8) as peft_model:
        with torch.no_grad():
            for name, parameter in peft_model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(generator=torch.Generator().manual_seed(1))
            before = term_logprobs(peft_model, window)
        save_adapter(peft_model, tmp_path, base_model="tiny")
    with adapted(model, rank=4, alpha=8, start=tmp_path) as peft_model, torch.no_grad():
        assert torch.equal(term_logprobs(peft_model, window), before)
        assert all(p.requires_grad == ("lora_" in n) for n, p in peft_model.named_parameters())
    for form in ({"rank": 2, "alpha": 8}, {"rank": 4, "alpha": 4}):
        with (
            pytest.raises(TrainingError, match=rf"rank 4 and alpha 8.*rank {form['rank']}"),
            adapted(model, **form, start=tmp_path),
        ):
            pass
    assert not hasattr(model, "peft_config")


def test_a_model_is_bit_identical_after_its_adapter_was_trained_and_taken_off(model, encoded):
    """Weights, gradients' flags, mode and outputs are what they were; the adapter did change."""
    import torch

    ids = torch.tensor([list(encoded[0].terms[0].tokens)])
    with torch.no_grad():
        before = model(ids).logits
    with adapted(model, rank=4, alpha=8) as peft_model:
        trained = [p for p in peft_model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-2)
        for _ in range(3):
            batch_loss(peft_model, make_batch(encoded), 0.5).backward()
            optimizer.step()
        with torch.no_grad(), peft_model.disable_adapter():
            assert torch.equal(peft_model(ids).logits, before)
        with torch.no_grad():
            assert not torch.equal(peft_model(ids).logits, before)
    with torch.no_grad():
        assert torch.equal(model(ids).logits, before)
    assert all(p.requires_grad for p in model.parameters())
    assert not model.training
    with adapted(model, rank=4, alpha=8):
        pass  # no warning about a second adapter: nothing of the first was left


def test_a_model_that_carries_an_adapter_is_refused(model):
    """Training on top of another adapter would not be what its name says."""
    with (
        adapted(model, rank=2, alpha=4),
        pytest.raises(TrainingError, match="already has an adapter"),
        adapted(model, rank=2, alpha=4),
    ):
        pass


def test_the_callers_random_states_are_given_back():
    """Training does not change what the caller draws next."""
    import random

    import numpy as np
    import torch

    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    before = states()
    with own_randomness(3):
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.rand(3)
        assert states() != before
    assert states() == before
