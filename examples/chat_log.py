"""A chat log in, the next turn out, piece by piece.

    python examples/chat_log.py [MODEL]

In a log the modeled person is one of the speakers. Name them, and their turns become actions;
what was said before each of them is its context.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from usersim import Message, UserSimulator
from usersim.errors import TranscriptError

CHATS = [
    [
        ("assistant", "Your parcel is at the depot. Shall it come on Monday?"),
        ("user", "monday is bad, i'm on shift. thursday?"),
        ("assistant", "Thursday works, between nine and noon."),
        ("user", "perfect, ta. leave it with the bakery if i don't hear the bell"),
    ],
    [
        ("assistant", "How was the delivery?"),
        ("user", "all good. the bakery had fun guessing what's in it"),
    ],
    [
        ("assistant", "We have a new pickup point in your street."),
        ("user", "the bakery has been that for years, hasn't it"),
    ],
]
"""Chats of Bo, an invented customer, with an assistant."""


def write_log(path: Path) -> Path:
    """Write the chats as JSON Lines in the usual `messages` form."""
    lines = [
        {"id": f"chat-{number}", "messages": [{"role": r, "content": c} for r, c in chat]}
        for number, chat in enumerate(CHATS)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def main(model: str = "embedded") -> None:
    """Import the log, show whose turns became actions, and stream an answer."""
    with tempfile.TemporaryDirectory() as folder:
        log = write_log(Path(folder) / "chats.jsonl")
        with UserSimulator.from_corpus(
            log, user_id="bo", person="user", model=model, config="tiny"
        ) as sim:
            print(sim.report)
            for past in sim.corpus.interactions(["bo"]):
                print(f"{past.split}: after {past.context[-1].content!r}\n    {past.action_text!r}")
            say(sim, [Message("Your parcel is here. Where shall it go?", role="assistant")])


def say(sim: UserSimulator, context: list[Message]) -> None:
    """Print an answer while it is written: all of the reasoning, then the action."""
    print("\nwhat Bo might say next:")
    part = ""
    try:
        for piece in sim.stream(context, seed=1):
            if piece.part != part:
                part = piece.part
                print(f"\n[{part}]", end=" ")
            print(piece.text, end="", flush=True)
        print()
    except TranscriptError as error:
        # A text that does not end is no answer; `respond` would draw it again.
        print(f"\n(not an answer: {error})")


if __name__ == "__main__":
    main(*sys.argv[1:2])
