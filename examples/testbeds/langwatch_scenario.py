"""langwatch-scenario: its user simulator agent, with a simulated person in place of a plain model.

    usersim serve -c people.usersim.db                                 # in one terminal
    python examples/testbeds/langwatch_scenario.py http://127.0.0.1:8000/v1 mira

Needs: pip install langwatch-scenario. It asks through litellm, and sends the roles flipped, as
`usersim serve` expects them. The agent under test is a function here; nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import os
import sys

# No telemetry: a testbed of people's likenesses tells nobody of its talks.
os.environ.setdefault("SCENARIO_HEADLESS", "true")
os.environ.setdefault("LANGWATCH_API_KEY", "")
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import scenario

DESCRIPTION = "The user's parcel is late. They want to know when it comes, and are in a hurry."


class Shop(scenario.AgentAdapter):
    """The agent under test."""

    async def call(self, input: scenario.AgentInput) -> scenario.AgentReturnTypes:  # noqa: A002 - the testbed's word
        """Answer the user's last message."""
        return f"I am sorry. You wrote: {input.last_new_user_message_str()!r}. It comes tomorrow."


async def talk(base_url: str, person: str) -> scenario.ScenarioResult:
    """Let the person and the agent speak in turns."""
    user = scenario.UserSimulatorAgent(
        model=f"openai/user:{person}", api_base=base_url, api_key="unused"
    )
    turn = [scenario.user(), scenario.agent()]
    return await scenario.run(
        name="a late parcel",
        description=DESCRIPTION,
        agents=[Shop(), user],
        script=[*turn, *turn, scenario.succeed("both spoke twice")],
    )


def main(base_url: str, person: str) -> None:
    """Run one scenario."""
    result = asyncio.run(talk(base_url, person))
    for message in result.messages:
        print(f"{message['role']}: {message['content']}")
    print("success:", result.success)


if __name__ == "__main__":
    main(*sys.argv[1:3])
