"""The decode loop against the library's own `generate` and against exact distributions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from usersim.engines import sampling
from usersim.engines.loading import load_model, load_tokenizer
from usersim.engines.sampling import stream_of
from usersim.engines.transformers import decoding
from usersim.engines.transformers.decoding import DrawState, decode

PROMPTS = [[5, 9, 30, 31, 32], [5, 9, 30, 40], [5, 9, 30, 40, 41, 42, 43, 44], [77]]


@pytest.fixture(scope="module")
def model(tiny_model: Path):
    """The tiny model."""
    return load_model(tiny_model, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path):
    """Its tokenizer."""
    return load_tokenizer(tiny_model)


def state(prompt: list[int], seed: int = 0, **fields) -> DrawState:
    """One draw that is to be made."""
    settings = {"max_tokens": 10, "temperature": 1.0, "top_p": 1.0, "stop": (), **fields}
    return DrawState(prompt=prompt, stream=stream_of(seed, 0), **settings)


def run(model, draws: list[DrawState], *, ends=frozenset(), text_of=None) -> list[DrawState]:
    """Decode to the end."""
    text_of = text_of or (lambda tokens: "".join(chr(97 + token % 26) for token in tokens))
    for _ in decode(model, draws, ends=ends, text_of=text_of, row_tokens=64):
        pass
    return draws


def test_greedy_draws_equal_generate(model, tokenizer) -> None:
    """At temperature 0 prompts of many lengths give what `generate` gives one at a time."""
    ends = frozenset({tokenizer.eos_token_id})
    draws = run(model, [state(p, temperature=0, max_tokens=16) for p in PROMPTS], ends=ends)
    for prompt, draw in zip(PROMPTS, draws, strict=True):
        alone = model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=16, min_new_tokens=0
        )[0, len(prompt) :]
        assert draw.tokens == alone.tolist()


def test_log_probabilities_are_those_of_a_plain_pass(model) -> None:
    """Each drawn token's log-probability is at temperature 1 and without a cut."""
    for draw in run(model, [state(p, seed=2, temperature=0.5, top_p=0.7) for p in PROMPTS]):
        whole = torch.tensor([draw.prompt + draw.tokens])
        with torch.inference_mode():
            logs = model(whole).logits[0].log_softmax(-1)
        at = range(len(draw.prompt) - 1, whole.shape[1] - 1)
        expected = [float(logs[i, whole[0, i + 1]]) for i in at]
        np.testing.assert_allclose(draw.logprobs, expected, atol=1e-4)


def test_a_draw_does_not_depend_on_its_neighbors(model) -> None:
    """Alone, in a batch, and among draws that end early, a seed draws the same tokens."""
    alone = [run(model, [state(p, seed=i)])[0].tokens for i, p in enumerate(PROMPTS)]
    together = run(model, [state(p, seed=i) for i, p in enumerate(PROMPTS)])
    assert [draw.tokens for draw in together] == alone
    crowd = [state(PROMPTS[0], seed=50 + i, max_tokens=1 + i % 3) for i in range(12)]
    mixed = run(model, [*crowd, *(state(p, seed=i) for i, p in enumerate(PROMPTS))])
    assert [draw.tokens for draw in mixed[12:]] == alone
    assert [len(draw.tokens) for draw in mixed[:12]] == [1 + i % 3 for i in range(12)]


def test_a_draw_ends_at_the_first_stop_string(model) -> None:
    """The text ends before the stop string that comes first, though it spans tokens."""
    full = run(model, [state(PROMPTS[0], seed=1)])[0]
    assert full.finish == "length"
    assert len(full.text) == 10
    stops = (full.text[6:8], full.text[3:5])
    cut = run(model, [state(PROMPTS[0], seed=1, stop=stops)])[0]
    first = min(full.text.find(stop) for stop in stops)
    assert (cut.finish, cut.text) == ("stop", full.text[:first])
    assert len(cut.tokens) < len(full.tokens)


def test_a_stop_string_in_the_last_token_still_counts(model) -> None:
    """A draw that completes its stop string with its last token was stopped, not cut."""
    full = run(model, [state(PROMPTS[0], seed=1)])[0]
    cut = run(model, [state(PROMPTS[0], seed=1, stop=(full.text[-1],), max_tokens=10)])[0]
    assert cut.finish == "stop"


def test_an_end_token_ends_the_turn(model) -> None:
    """The token that ends the turn is counted and is not in the text."""
    full = run(model, [state(PROMPTS[0], seed=1)])[0]
    end = full.tokens[4]
    place = full.tokens.index(end)
    draw = run(model, [state(PROMPTS[0], seed=1)], ends=frozenset({end}))[0]
    assert draw.finish == "end"
    assert draw.tokens == full.tokens[: place + 1]
    assert draw.text == full.text[:place]


# ---------------------------------------------------------------------- sampling

LOGITS = torch.tensor([2.0, -1.0, 1.5, 0.0, -3.0, 0.5])
N = 4000


def exact(logits: torch.Tensor, temperature: float, top_p: float) -> np.ndarray:
    """The nucleus distribution by its definition: the fewest likeliest tokens that hold top_p."""
    p = (logits / temperature).softmax(-1).double().numpy()
    order = np.argsort(-p, kind="stable")
    size = int(np.searchsorted(np.cumsum(p[order]), top_p)) + 1 if top_p < 1 else len(p)
    kept = np.zeros_like(p)
    kept[order[:size]] = p[order[:size]]
    return kept / kept.sum()


def frequencies(logits: torch.Tensor, temperature: float, top_p: float) -> np.ndarray:
    """How often each token is chosen over many seeds."""
    draws = [state([1], seed=i, temperature=temperature, top_p=top_p) for i in range(N)]
    tokens, _ = decoding._choose(logits.expand(N, -1).clone(), draws)
    return np.bincount(tokens.numpy(), minlength=len(logits))


@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.6, 0.1])
@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("shortlist", [256, 2])
def test_tokens_come_as_often_as_the_nucleus_says(
    temperature: float, top_p: float, shortlist: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over many seeds the counts fit the exact distribution, also where all are sorted."""
    monkeypatch.setattr(sampling, "NUCLEUS_SHORTLIST", shortlist)
    counts = frequencies(LOGITS, temperature, top_p)
    expected = exact(LOGITS, temperature, top_p) * N
    assert (counts[expected == 0] == 0).all(), "a token outside the nucleus was drawn"
    inside = expected > 0
    # Chi-square with at most 5 degrees of freedom; 25.7 is exceeded once in ten thousand.
    assert ((counts - expected)[inside] ** 2 / expected[inside]).sum() < 25.7


@pytest.mark.parametrize("top_p", [1.0, 0.97, 0.5])
def test_the_shortlist_changes_no_draw(top_p: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary far wider than the shortlist gives the same tokens as a full sort."""
    logits = torch.randn(N, 600, generator=torch.Generator().manual_seed(0))
    draws = [state([1], seed=i, top_p=top_p) for i in range(N)]
    quick, _ = decoding._choose(logits.clone(), draws)
    monkeypatch.setattr(sampling, "NUCLEUS_SHORTLIST", 600)
    whole, _ = decoding._choose(logits.clone(), draws)
    assert (quick == whole).float().mean() > 0.999  # sums of other lengths round differently


def test_temperature_zero_takes_the_likeliest() -> None:
    """Whatever the seed."""
    assert frequencies(LOGITS, 0.0, 1.0)[0] == N
