"""Many users' adapters in one batch, against one shared, one after the other, and none."""

from __future__ import annotations

from common import arguments, compare, machine, make_adapters, text

from usersim.config import VllmConfig
from usersim.engines.base import AdapterRef, ScoreRequest
from usersim.engines.vllm.engine import VllmEngine


def main() -> None:
    """Measure and print."""
    sizes = arguments(rounds=3, requests=64, adapters=8, words=30)
    adapters = make_adapters(sizes.adapters)
    engine = VllmEngine("embedded", VllmConfig(max_model_len=1024, adapter_slots=sizes.adapters))
    bare = VllmEngine("embedded", VllmConfig(max_model_len=1024, adapters="never"))

    def asks(choose: list[AdapterRef | None]) -> list[ScoreRequest]:
        # Forced tokens: every way computes exactly the same number, whatever its weights prefer.
        return [
            ScoreRequest(
                prompt=(("system", text(60, 1)), ("user", f"{n} {text(20, n)}")),
                continuation=text(sizes.words, n),
                adapter=choose[n % len(choose)],
            )
            for n in range(sizes.requests)
        ]

    def one_after_the_other() -> None:
        whole = asks(list(adapters))
        for adapter in adapters:
            engine.score([ask for ask in whole if ask.adapter == adapter])

    ways = {
        "8 adapters mixed": lambda: engine.score(asks(list(adapters))),
        "one shared adapter": lambda: engine.score(asks([adapters[0]])),
        "adapters one after the other": one_after_the_other,
        "no adapter, adapters possible": lambda: engine.score(asks([None])),
        "no adapter, adapters switched off": lambda: bare.score(asks([None])),
    }
    for way in ways.values():
        way()  # starts vLLM, loads what is loaded once
    print(f"{sizes.requests} requests of {sizes.words} words, forced; {machine()}")
    found = compare(ways, sizes.rounds)
    mixed = found["8 adapters mixed"]
    print(f"  mixed / shared {mixed.over(found['one shared adapter'])} (at most 1.15 wanted)")
    other = found["adapters one after the other"]
    print(f"  one after the other / mixed {other.over(mixed)} (at least 2 wanted)")
    print(f"  mixed / none {mixed.over(found['no adapter, adapters switched off'])}")
    engine.close()
    bare.close()


if __name__ == "__main__":
    main()
