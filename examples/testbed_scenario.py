# pyright: basic, reportMissingImports=false
"""A simulated person as the user of a langwatch-scenario test.

    pip install langwatch-scenario
    python examples/testbed_scenario.py [MODEL]

Scenario holds the dialogue and asks an adapter in the role of the user for each turn. The adapter
is three lines around `UserCallback`. Nothing here needs a network: the assistant under test is a
function, and no judge model is asked; the script decides.
"""

from __future__ import annotations

import asyncio
import os
import sys

from usersim import DialogueConfig, PipelineConfig, Scenario, UserSimulator
from usersim.integrations.callback import UserCallback

PAST = [
    ("Your order is on its way. Anything else?", "no. just bring it before six, i work nights"),
    ("Shall we leave the parcel with a neighbor?", "third floor, ring twice, she is deaf"),
    ("Would you rate your delivery?", "it came. that is all i ask"),
]
"""What Mo, an invented customer, said before."""


def assistant(text: str) -> str:
    """Reply as the assistant under test."""
    return "Your parcel comes tomorrow before six." if "when" in text.lower() else "I see. When?"


async def run(person: UserCallback) -> None:
    """Run one scripted scenario with the person as its user."""
    import scenario

    class Person(scenario.AgentAdapter):
        role = scenario.AgentRole.USER

        async def call(self, input: scenario.AgentInput) -> str:  # noqa: A002 - Scenario's name
            said = await person.acall(input.messages)
            return said.text or "(leaves)"

    class Desk(scenario.AgentAdapter):
        role = scenario.AgentRole.AGENT

        async def call(self, input: scenario.AgentInput) -> str:  # noqa: A002 - Scenario's name
            return assistant(input.last_new_user_message_str())

    def end(state: scenario.ScenarioState) -> None:
        assert all(one["content"] for one in state.messages), "somebody said nothing"

    result = await scenario.run(
        name="parcel",
        description="A customer asks when a parcel comes.",
        agents=[Person(), Desk()],
        script=[
            *[scenario.user(), scenario.agent()] * 2,
            end,
            scenario.succeed("both spoke"),
        ],
    )
    for message in result.messages:
        print(f"{message['role']}: {message['content']}")
    print(f"passed: {result.success}")


def main(model: str = "embedded") -> None:
    """Let Mo talk to the desk in a scenario."""
    os.environ.setdefault("SCENARIO_HEADLESS", "true")
    # A library of Scenario's fetches a list of prices otherwise.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    rows = [
        {"user_id": "mo", "context": [{"role": "assistant", "content": asked}], "action": said}
        for asked, said in PAST
    ]
    tiny = PipelineConfig.preset("tiny")
    # A small model does not always come to an end: it is given more room and more tries.
    longer = tiny.simulation.model_copy(update={"max_action_tokens": 256, "redraws": 6})
    config = tiny.model_copy(update={"simulation": longer})
    with UserSimulator.from_corpus(rows, user_id="mo", model=model, config=config) as sim:
        goal = Scenario(goal="know when my parcel comes")
        asyncio.run(run(UserCallback(sim, goal, config=DialogueConfig(leaving="never"), seed=1)))


if __name__ == "__main__":
    main(*sys.argv[1:2])
