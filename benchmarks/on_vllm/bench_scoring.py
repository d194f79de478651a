"""Scoring rows that share a prompt of 577 tokens: forced decoding against `prompt_logprobs`.

And against the transformers engine's best way; then with eight adapters mixed, once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from common import arguments, compare, machine, make_adapters, text

from usersim.config import VllmConfig
from usersim.engines.base import AdapterRef, ScoreRequest
from usersim.engines.transformers.engine import TransformersEngine
from usersim.engines.vllm.engine import VllmEngine

SHARED_TOKENS = 577


def requests(engine: VllmEngine, rows: int, adapters: Sequence[AdapterRef | None] = (None,)):
    """Rows over one prompt, about 20 tokens of their own and 15 of action each."""
    words = SHARED_TOKENS
    while engine.count_tokens(text(words, 0)) > SHARED_TOKENS:
        words -= 1
    return [
        ScoreRequest(
            prompt=(("user", text(words, 0)),),
            prefix=f"{n} {text(14, n)}. ",
            continuation=f"{text(12, 5 * n)} {n}",
            adapter=adapters[n % len(adapters)],
        )
        for n in range(rows)
    ]


def by_prompt_logprobs(engine: VllmEngine, asks: Sequence[ScoreRequest]) -> float:
    """Score through vLLM's own `prompt_logprobs`. Seconds."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    llm = engine._loop._engine
    params = SamplingParams(
        max_tokens=1, prompt_logprobs=0, output_kind=RequestOutputKind.FINAL_ONLY
    )
    started = time.perf_counter()
    for number, ask in enumerate(asks):
        prompt, own = engine._texts.scored(ask)
        llm.add_request(f"p{number}", {"prompt_token_ids": prompt + own}, params)
    while llm.has_unfinished_requests():
        llm.step()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    sizes = arguments(rounds=3, rows=64, adapters=8)
    engine = VllmEngine("embedded", VllmConfig(max_model_len=1024))
    other = TransformersEngine("embedded")
    asks = requests(engine, sizes.rows)
    engine.score(asks[:1])  # starts vLLM

    def cold() -> None:
        engine._loop._engine.reset_prefix_cache()
        engine.score(asks)

    print(f"{sizes.rows} rows over {SHARED_TOKENS} shared tokens; {machine()}")
    ways = {
        "vLLM, forced decoding, cold cache": cold,
        "vLLM, forced decoding, warm cache": lambda: engine.score(asks),
        "transformers engine": lambda: other.score(asks),
    }
    found = compare(ways, sizes.rounds)
    forced = found["vLLM, forced decoding, cold cache"]
    pairs = zip(engine.score(asks), other.score(asks), strict=True)
    print(f"  sums differ by at most {max(abs(a.total - b.total) for a, b in pairs):.1e} nats")
    ratio = found["transformers engine"].over(forced)
    print(f"  {ratio} times as fast as transformers (at least 1.5 wanted)")
    seconds = by_prompt_logprobs(engine, asks)
    longer = seconds / forced.seconds
    print(f"  vLLM, prompt_logprobs, once {seconds:.2f} s: {longer:.2f} times as long")
    mixed = requests(engine, sizes.rows, make_adapters(sizes.adapters))
    engine.score(mixed[: sizes.adapters])  # starts vLLM again, with adapters
    started = time.perf_counter()
    engine.score(mixed)
    print(f"  {sizes.adapters} adapters mixed, once {time.perf_counter() - started:.2f} s")
    engine.close()


if __name__ == "__main__":
    main()
