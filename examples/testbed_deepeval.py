# pyright: basic, reportMissingImports=false
"""A simulated person as the user of DeepEval's conversation simulator.

    pip install deepeval
    python examples/testbed_deepeval.py [MODEL]

DeepEval holds the dialogue and asks a node of its simulation graph for each of the user's turns;
the node is a function around `UserCallback`. No judge is asked and nothing needs a network.
"""

from __future__ import annotations

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


def person_in_deepeval(person: UserCallback, desk: str):  # noqa: ANN201 - DeepEval's
    """Return a DeepEval simulator in which `person` is the user and `desk` what it replies."""
    from deepeval.models import DeepEvalBaseLLM
    from deepeval.simulator import ConversationSimulator, SimulationNode
    from deepeval.simulator.controller.controller import end, proceed
    from deepeval.test_case import Turn

    gone: dict[str, str] = {}

    async def user(turns: list[Turn], thread_id: str) -> str:
        said = await person.acall([{"role": one.role, "content": one.content} for one in turns])
        if said.stop:
            gone[thread_id] = str(said.stop)
        return said.text or "(leaves)"

    async def assistant(input: str) -> Turn:  # noqa: A002 - DeepEval's name
        return Turn(role="assistant", content=f"{desk} You wrote {len(input)} characters.")

    class NoModel(DeepEvalBaseLLM):
        """DeepEval wants a model for its own prompts; none is asked here."""

        def load_model(self):  # noqa: ANN202
            return self

        def generate(self, prompt: str) -> str:
            raise NotImplementedError(prompt)

        async def a_generate(self, prompt: str) -> str:
            raise NotImplementedError(prompt)

        def get_model_name(self) -> str:
            return "none"

    return ConversationSimulator(
        model_callback=assistant,
        simulation_graph=SimulationNode(user),
        stopping_controller=lambda thread_id: (
            end(gone[thread_id]) if thread_id in gone else proceed()
        ),
        simulator_model=NoModel(),
    )


def main(model: str = "embedded") -> None:
    """Let Mo talk to a desk inside DeepEval, twice at the same time."""
    # Read when DeepEval is imported: it reports its use otherwise.
    os.environ["DEEPEVAL_TELEMETRY_OPT_OUT"] = "1"
    from deepeval.dataset import ConversationalGolden

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
        mo = UserCallback(sim, goal, config=DialogueConfig(leaving="never"), seed=1)
        simulator = person_in_deepeval(mo, "Your parcel comes tomorrow before six.")
        goldens = [ConversationalGolden(scenario=goal.goal) for _ in range(2)]
        for case in simulator.simulate(goldens, max_user_simulations=2):
            print("\n".join(f"{turn.role}: {turn.content}" for turn in case.turns), end="\n\n")


if __name__ == "__main__":
    main(*sys.argv[1:2])
