"""A simulated customer tries out an assistant: who reaches the goal, who leaves, and when.

    python examples/collaboration_dialogue.py [MODEL]

The assistant is any function of chat messages; an `async` one and `AssistantEndpoint(model=...,
base_url=...)` go in the same place. It reads what the person says and nothing else: neither the
goal nor the reasoning. What is exported is marked as simulated. On the embedded model and two
cores it takes about two minutes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from usersim import DialogueConfig, PipelineConfig, Scenario, UserSimulator
from usersim.simulation.dialogue import Messages, Turn
from usersim.simulator import read_dialogues, write_chats

CHATS = [
    ["my card was charged twice for march", "i did that already. twice.", "ok, thanks"],
    ["the app logs me out every hour", "android, the newest one", "fine, i'll wait for it"],
    ["can i pause my plan in summer?", "two months"],
    ["why is the invoice in another name", "it says it on the pdf you sent me", "good"],
    ["is there a student price?", "yes i have a card"],
]
"""What Ines, an invented customer, wrote in five past chats."""
OFFER = "I have booked the second charge back. You will see it in three days."


def past_chats() -> list[dict[str, object]]:
    """Return the chats in the usual `messages` form, with an assistant that asks back."""
    return [
        {
            "id": f"chat-{number}",
            "user_id": "ines",
            "messages": [
                message
                for said in own
                for message in (
                    {"role": "user", "content": said},
                    {"role": "assistant", "content": "Could you tell me more?"},
                )
            ],
        }
        for number, own in enumerate(CHATS)
    ]


def assistant(messages: Messages) -> str:
    """Ask back once, then make the offer: an assistant to be tried out."""
    asked_back = any(one["role"] == "assistant" for one in messages)
    return OFFER if asked_back else "I am sorry to hear that. Which charge is it?"


def offered(turns: Sequence[Turn]) -> bool:
    """Return whether the goal is reached: the offer is made."""
    return turns[-1].text == OFFER


def main(model: str = "embedded") -> None:
    """Hold two dialogues at once, say how they ended, and export them."""
    config = DialogueConfig(max_turns=2, leaving="never", min_conversations=4)
    tiny = PipelineConfig.preset("tiny")
    # A small model does not always come to an end: it is given more room and more tries.
    longer = tiny.simulation.model_copy(update={"max_action_tokens": 256, "redraws": 6})
    settings = tiny.model_copy(update={"simulation": longer})
    goals = [Scenario(goal="get the second charge of March back", draw=draw) for draw in range(2)]
    with (
        tempfile.TemporaryDirectory() as folder,
        UserSimulator.from_corpus(
            past_chats(), user_id="ines", model=model, config=settings
        ) as sim,
    ):
        held, chats = Path(folder) / "held.jsonl", Path(folder) / "chats.jsonl"
        batch = sim.dialogues(assistant, goals, reached=offered, config=config, path=held)
        for dialogue in batch:
            print(f"{dialogue}\n   patience: {dialogue.patience}\n")
        for failure in batch.failures:
            print(f"no dialogue: {failure.message}\n")
        print(f"{len(list(batch))} held, {len(batch.failures)} failed")
        # A text that does not end is no turn: a small model fails so now and then, and says it.
        done = [dialogue.scenario for dialogue in batch]
        if done:
            # Finished dialogues stand in the file, and are not held again.
            again = sim.dialogues(assistant, done, reached=offered, config=config, path=held)
            print(f"the same dialogues from the file: {again.items == tuple(batch)}")
        count = write_chats(read_dialogues(held), chats)
        marked = sum('"simulated":true' in line for line in chats.read_text("utf-8").splitlines())
        print(f"{count} chats exported, {marked} of them marked as simulated")


if __name__ == "__main__":
    main(*sys.argv[1:2])
