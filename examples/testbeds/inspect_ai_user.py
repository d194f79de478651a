"""inspect-ai: a simulated user talks with the model under test.

    usersim serve -c people.usersim.db                                 # in one terminal
    python examples/testbeds/inspect_ai_user.py http://127.0.0.1:8000/v1 mira [MODEL]

Needs: pip install inspect-ai openai. MODEL is what inspect calls the model under test, such as
`openai/gpt-5`; without one, a mock stands in for it and nothing leaves the machine.
"""

from __future__ import annotations

import sys

from inspect_ai import Task
from inspect_ai import eval as run_eval
from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    Model,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

SCENARIO = "Your parcel is late. You want to know when it comes, and you are in a hurry."
TURNS = 3


def flipped(messages: list[ChatMessage]) -> list[ChatMessage]:
    """Return a conversation as the model that plays the user sees it.

    The assistant's turns are its `user` turns, the user's are its own. Reasoning of either side
    stays where it is: `text` holds what was said.
    """
    turned: list[ChatMessage] = [ChatMessageSystem(content=SCENARIO)]
    for message in messages:
        if isinstance(message, ChatMessageAssistant):
            turned.append(ChatMessageUser(content=message.text))
        elif isinstance(message, ChatMessageUser):
            turned.append(ChatMessageAssistant(content=message.text))
    return turned


@solver
def talk(user: Model, turns: int = TURNS) -> Solver:
    """Let the simulated user and the model under test speak in turns."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        for _ in range(turns):
            state = await generate(state)
            said = await user.generate(flipped(state.messages))
            state.messages.append(ChatMessageUser(content=said.completion))
        return state

    return solve


@scorer(metrics=[accuracy()])
def was_polite() -> Scorer:
    """Whether the model under test was sorry: what a testbed measures is its own affair."""

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001 - inspect's
        said = [m.text for m in state.messages if isinstance(m, ChatMessageAssistant)]
        return Score(value=any("sorry" in text.lower() for text in said), answer=said[-1])

    return score


def mock() -> Model:
    """Return a stand-in for the model under test."""
    said = ("I am sorry to hear that.", "Which order is it?", "It comes tomorrow.")
    outputs = [ModelOutput.from_content("mockllm/model", text) for text in said]
    for output in outputs:
        output.usage = ModelUsage()  # counting the mock's tokens would download a tokenizer
    return get_model("mockllm/model", custom_outputs=outputs)


def main(base_url: str, person: str, model: str | None = None) -> None:
    """Evaluate a model in a talk with a simulated person."""
    user = get_model(f"openai-api/usersim/user:{person}", base_url=base_url, api_key="unused")
    task = Task(
        dataset=[Sample(input="hello, where is my parcel")], solver=talk(user), scorer=was_polite()
    )
    (log,) = run_eval(
        task, model=get_model(model) if model else mock(), display="none", log_dir="out/inspect"
    )
    assert log.status == "success", log.error
    assert log.samples is not None
    for message in log.samples[0].messages:
        print(f"{message.role}: {message.text}")
    assert log.results is not None
    print("score:", log.results.scores[0].metrics["accuracy"].value)
    print("tokens:", {name: usage.total_tokens for name, usage in log.stats.model_usage.items()})


if __name__ == "__main__":
    main(*sys.argv[1:4])
