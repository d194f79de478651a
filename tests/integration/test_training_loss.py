"""The loss of packed rows against a plain padded computation; LoRA on and off."""

from __future__ import annotations

from pathlib import Path

import pytest

from usersim.engines.chat import encode_continuation, encode_prompt
from usersim.engines.transformers import load_model, load_tokenizer
from usersim.errors import TrainingError
from usersim.training.batches import make_batch
from usersim.training.dataset import EncodedExample, encode_examples
from usersim.training.lora import adapted, batch_loss, evaluate, own_randomness
from usersim.types import TrainingExample

REASONING_WEIGHT = 0.5


class EngineTokens:
    """The engine's encoding of one tokenizer."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = load_tokenizer(folder)

    def prompt(self, messages, prefix):
        """Return the chat's tokens."""
        return encode_prompt(self.tokenizer, tuple(messages), prefix)

    def continuation(self, text, *, end):
        """Return the text's tokens."""
        return encode_continuation(self.tokenizer, text, end=end)


@pytest.fixture
def model(tiny_model: Path):
    """Return a fresh tiny model."""
    return load_model(tiny_model, dtype="float32", device="cpu")


@pytest.fixture
def encoded(tiny_model: Path) -> tuple[EncodedExample, ...]:
    """Return examples of one person: shared history, with and without traces."""
    history = ("system", "You are ada. You like the garden and walk in the rain.")
    examples = [
        TrainingExample(
            key=str(i),
            user_id="ada",
            messages=(history, ("user", f"Shall we take the {what}?")),
            reasoning=reasoning,
            action=action,
        )
        for i, (what, reasoning, action) in enumerate(
            [
                ("train", "It is late, and late trains are quiet.", "Yes."),
                ("bus", "", "No, never the bus."),
                ("train", "She does not like trains at all, as she said before.", "No."),
                ("car", "Short.", "I would rather walk, the rain is fine."),
            ]
        )
    ]
    return encode_examples(examples, EngineTokens(tiny_model), measured=False).examples


def padded_term(model, sequences, starts):
    """Return each sequence's mean negative log-likelihood from its start on: the plain way."""
    import torch

    width = max(map(len, sequences))
    ids = torch.tensor([[*s, *[0] * (width - len(s))] for s in sequences])
    seen = torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s in sequences])
    logits = model(input_ids=ids, attention_mask=seen).logits
    losses = []
    for row, (sequence, start) in enumerate(zip(sequences, starts, strict=True)):
        predicted = logits[row, start - 1 : len(sequence) - 1]
        losses.append(torch.nn.functional.cross_entropy(predicted, torch.tensor(sequence[start:])))
    return losses


def padded_loss(model, examples):
    """Return the loss of method.md: the two means separately, then over the examples."""
    total = 0.0
    for example in examples:
        losses = padded_term(
            model, [t.tokens for t in example.terms], [t.start for t in example.terms]
        )
        weights = {"action": 1.0, "reasoning": REASONING_WEIGHT}
        total = total + sum(
            weights[t.kind] * loss for t, loss in zip(example.terms, losses, strict=True)
        )
    return total / len(examples)


def test_loss_and_gradients_of_a_packed_row_equal_the_padded_ones(model, encoded):
    """Sharing nodes changes neither the loss nor any weight's gradient."""
    import torch

    batch = make_batch(encoded)
    terms = [term for example in encoded for term in example.terms]
    assert len(batch.row.tokens) < sum(len(term.tokens) for term in terms) / 2
    packed = batch_loss(model, batch, REASONING_WEIGHT)
    packed.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    plain = padded_loss(model, encoded)
    plain.backward()
    assert packed.item() == pytest.approx(plain.item(), abs=1e-5)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-5)


def test_a_long_trace_does_not_drown_a_short_action(model, encoded):
    """The reasoning counts as much as its weight, however long it is."""
    example = encoded[0]
    both = batch_loss(model, make_batch([example]), 1.0).item()
    action = batch_loss(model, make_batch([example]), 0.0).item()
    alone = EncodedExample("x", "ada", example.terms[:1])
    assert action == pytest.approx(batch_loss(model, make_batch([alone]), 1.0).item(), abs=1e-5)
    (reasoning,) = padded_term(model, [example.terms[1].tokens], [example.terms[1].start])
    assert both - action == pytest.approx(reasoning.item(), abs=1e-5)


def test_the_validation_figures_equal_the_padded_ones(model, tiny_model):
    """Mean log p(action) per token, averaged over examples, with the trace and with the marker."""
    examples = [
        TrainingExample(
            key=str(i), user_id="ada", messages=(("user", "Tea?"),), reasoning=r, action="Yes."
        )
        for i, r in enumerate(["The rain is quiet.", ""])
    ]
    encoded = encode_examples(examples, EngineTokens(tiny_model), measured=True).examples
    found = evaluate(model, [make_batch(encoded)], step=7)
    terms = [term for example in encoded for term in example.terms]
    means = padded_term(model, [t.tokens for t in terms], [t.start for t in terms])
    traced, _, alone, bare = (-mean.item() for mean in means)
    assert found.step == 7
    assert found.action_logprob == pytest.approx((traced + bare) / 2, abs=1e-5)
    assert found.action_logprob_alone == pytest.approx((alone + bare) / 2, abs=1e-5)


def test_a_model_is_bit_identical_after_its_adapter_was_trained_and_taken_off(model, encoded):
    """Weights, gradients' flags, mode and outputs are what they were; the adapter did change."""
    import torch

    ids = torch.tensor([list(encoded[0].terms[0].tokens)])
    with torch.no_grad():
        before = model(ids).logits
    with adapted(model, rank=4, alpha=8) as peft_model:
        trained = [p for p in peft_model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=1e-2)
        for _ in range(3):
            batch_loss(peft_model, make_batch(encoded), 0.5).backward()
            optimiser.step()
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
        pytest.raises(TrainingError, match="carries an adapter already"),
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
