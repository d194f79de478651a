"""Scoring: shared beginnings computed once, and the engine's own cost.

1. Eight candidates that share a prompt of 100, 400 or 600 tokens (the reward of a group): as one
   token tree, against each as a full sequence in a left-padded batch whose vocabulary head runs
   on the last positions only.
2. Sixteen requests that share nothing: through the engine, against the same token ids through
   plain transformers in that same kind of batch.

Both ways alternate in one process; medians and ratios are printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import torch

from usersim.engines import ScoreRequest
from usersim.engines.chat import encode_continuation, encode_prompt
from usersim.engines.embedded import model_folder
from usersim.engines.loading import load_model
from usersim.engines.transformers.engine import TransformersEngine

ROUNDS = 5
CANDIDATES = 8
TARGETS = {100: 2.0, 400: 4.0, 600: 3.0}
"""Shared tokens, and how many times as fast the tree is to be."""
WORDS = ("river", "letter", "quiet", "window", "often", "friend", "late", "train", "music", "rain")


def text(words: int, offset: int) -> str:
    """Return `words` words of a fixed, varied sequence."""
    return " ".join(WORDS[(offset * 7 + i * i + i) % len(WORDS)] for i in range(words)) + "."


def shared_requests(engine: TransformersEngine, tokens: int) -> list[ScoreRequest]:
    """Eight traces after one prompt of about `tokens`, each followed by the same action."""
    words = tokens
    while engine.count_tokens(text(words, 0)) > tokens:
        words -= 10
    prompt = (("system", "You are a person."), ("user", text(words, 0)))
    return [
        ScoreRequest(prompt=prompt, prefix=text(40, 11 * k + 3), continuation=text(12, 5))
        for k in range(CANDIDATES)
    ]


def unrelated_requests() -> list[ScoreRequest]:
    """Sixteen requests that differ from the first word of the prompt on."""
    return [
        ScoreRequest(
            prompt=(("system", f"{k} {text(60, k)}"), ("user", text(60, 3 * k))),
            continuation=text(12, 5),
        )
        for k in range(16)
    ]


def plain(
    engine: TransformersEngine, model: torch.nn.Module, requests: Sequence[ScoreRequest]
) -> list[float]:
    """Score full sequences in left-padded batches of eight, as one would by hand."""
    tokenizer = engine.tokenizer
    rows = [
        (
            encode_prompt(tokenizer, r.prompt, r.prefix),
            encode_continuation(tokenizer, r.continuation, end=r.end),
        )
        for r in requests
    ]
    totals: list[float] = []
    for start in range(0, len(rows), 8):
        part = rows[start : start + 8]
        width = max(len(p) + len(a) for p, a in part)
        tail = max(len(a) for _, a in part)
        ids = torch.zeros(len(part), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, (p, a) in enumerate(part):
            ids[i, width - len(p) - len(a) :] = torch.tensor(p + a)
            mask[i, width - len(p) - len(a) :] = 1
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        with torch.inference_mode():
            logits = model(
                input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=tail + 1
            ).logits
        logs = logits[:, :-1].log_softmax(-1)
        for i, (_, a) in enumerate(part):
            own = logs[i, tail - len(a) :].gather(-1, torch.tensor(a)[:, None])
            totals.append(float(own.sum()))
    return totals


def seconds(run: Callable[[], object]) -> float:
    """Return how long `run` takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(
    title: str,
    engine: TransformersEngine,
    model: torch.nn.Module,
    requests: Sequence[ScoreRequest],
    target: float,
) -> None:
    """Alternate both ways on the same requests; print medians, ratio and agreement."""
    ours = [score.total for score in engine.score(requests)]
    theirs = plain(engine, model, requests)
    gap = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    rounds = [
        (
            seconds(lambda: engine.score(requests)),
            seconds(lambda: plain(engine, model, requests)),
        )
        for _ in range(ROUNDS)
    ]
    tree, padded = (median(column) for column in zip(*rounds, strict=True))
    print(title)
    print(f"  engine {tree * 1e3:8.0f} ms   padded {padded * 1e3:8.0f} ms")
    print(f"  {padded / tree:.2f} times as fast (target: at least {target})")
    print(f"  largest difference of a log-probability: {gap:.1e} nats")


def main() -> None:
    """Run both comparisons on the embedded model."""
    # A copy of its own: the engine's model carries the engine's attention.
    model = load_model(model_folder("embedded"), dtype="float32", device="cpu")
    with TransformersEngine("embedded") as engine:
        for tokens, target in TARGETS.items():
            requests = shared_requests(engine, tokens)
            compare(f"8 candidates, {tokens} shared tokens", engine, model, requests, target)
        compare("16 unrelated requests", engine, model, unrelated_requests(), 0.97)


if __name__ == "__main__":
    main()
