"""Contexts of many users through the simulator on vLLM, against the same prompts to vLLM itself.

Both ways draw the same texts: up to 64 tokens of reasoning, then up to 32 of action, with the
seeds of the simulator. Then the same answers through the transformers engine, once.
"""

from __future__ import annotations

import time

from common import arguments, compare, machine, text

from usersim.config import HistoryConfig, SimulationConfig, VllmConfig
from usersim.engines.base import Draw, GenerateRequest
from usersim.engines.transformers.engine import TransformersEngine
from usersim.engines.vllm.engine import VllmEngine
from usersim.simulation import RespondItem, respond
from usersim.types import FreeText, Interaction, Message, Question
from usersim.views import Progress

SIMULATION = SimulationConfig(
    traces=1, max_reasoning_tokens=64, max_action_tokens=32, redraws=0, long_reasoning="close"
)
HISTORY = HistoryConfig(recent=8, evidence=0, max_item_chars=200)


class Recorder:
    """An engine that notes which requests the simulator makes of it."""

    def __init__(self, engine: VllmEngine) -> None:
        self.engine = engine
        self.calls: list[list[GenerateRequest]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.engine, name)

    def generate(
        self, requests: list[GenerateRequest], *, progress: Progress | None = None
    ) -> list[tuple[Draw, ...]]:
        """Note the requests and draw."""
        self.calls.append(list(requests))
        return self.engine.generate(requests, progress=progress)


def items(users: int, contexts: int) -> list[RespondItem]:
    """Contexts in turn over users, each with a history of their own."""

    def past(user: int, n: int) -> Interaction:
        return Interaction(
            key=f"{user}-{n}",
            user_id=f"user{user}",
            context=(Message(text(20, user + n)),),
            space=FreeText(),
            action=text(12, 3 * user + n),
            position=n,
            conversation=f"{user}-{n}",
        )

    histories = [tuple(past(user, n) for n in range(8)) for user in range(users)]
    return [
        RespondItem(
            user_id=f"user{n % users}",
            question=Question.of(f"{text(15, n)}, number {n}?"),
            history=histories[n % users],
            seed=n,
        )
        for n in range(contexts)
    ]


def main() -> None:
    """Measure and print."""
    sizes = arguments(rounds=3, contexts=256, users=16, transformers=1)
    asked = items(sizes.users, sizes.contexts)
    engine = VllmEngine("embedded", VllmConfig(max_model_len=2048))
    recorder = Recorder(engine)
    respond(recorder, asked, config=SIMULATION, history=HISTORY)
    # vLLM itself: its own requests, its own loop, nothing of ours in between.
    llm = engine._loop._engine
    prepared = [
        [
            (engine._texts.prompt(request), engine._drawing(request, 0))
            for request in sorted(call, key=lambda request: request.prompt)
        ]
        for call in recorder.calls
    ]

    def straight() -> None:
        for call in prepared:
            for number, (prompt, params) in enumerate(call):
                llm.add_request(f"{number}", {"prompt_token_ids": prompt}, params)
            while llm.has_unfinished_requests():
                llm.step()

    def simulated() -> None:
        respond(engine, asked, config=SIMULATION, history=HISTORY)

    drawn = sum(len(call) for call in prepared)
    print(f"{sizes.contexts} contexts, {sizes.users} users, {drawn} draws; {machine()}")
    found = compare({"simulator on vLLM": simulated, "vLLM itself": straight}, sizes.rounds)
    simulator = found["simulator on vLLM"]
    print(f"  ratio {simulator.over(found['vLLM itself'])} (at most 1.03 wanted)")
    engine.close()
    if sizes.transformers:
        with TransformersEngine("embedded") as other:
            started = time.perf_counter()
            respond(other, asked, config=SIMULATION, history=HISTORY)
            seconds = time.perf_counter() - started
        print(f"  simulator on transformers                    {seconds:8.2f} s")
        print(f"  vLLM is {seconds / simulator.seconds:.2f} times as fast")


if __name__ == "__main__":
    main()
