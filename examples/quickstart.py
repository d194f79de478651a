"""From a handful of observations to a trained simulator, and back from disk.

    python examples/quickstart.py [MODEL]

MODEL is a Hugging Face folder or name; without it the embedded model is taken.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from usersim import UserSimulator

DAYS = [
    ("It is pouring. Shall we still go for the walk?", "Yes! I'll bring the big umbrella."),
    ("Two tickets for the early train, or the late one?", "Early. The station is mine then."),
    ("There is a party on Saturday. Are you coming?", "For an hour. Then I go home to my book."),
    ("The office wants everybody to fill in the form.", "Done already, this morning at six."),
    ("Would you rather have the window or the aisle?", "Window, always."),
    ("They moved the meeting to the evening.", "Not for me. Mornings, or a letter."),
    ("Karaoke after dinner?", "You sing, I hold the coats."),
    ("It rains again tomorrow, says the radio.", "Good. The garden was asking."),
]


def rows() -> list[dict[str, object]]:
    """Return what Mira, an invented person, once said, oldest first."""
    return [
        {"user_id": "mira", "order": day, "context": asked, "action": said}
        for day, (asked, said) in enumerate(DAYS)
    ]


def main(model: str = "embedded") -> None:
    """Load, answer, train, answer again, save and bring back."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with UserSimulator.from_corpus(
            rows(), user_id="mira", store=place / "mira.db", model=model, config="tiny"
        ) as sim:
            print(sim.report)
            print("\nBefore any training, from the history alone:")
            ask(sim)
            adapter = sim.train()
            print(f"\nAfter training on {len(sim.corpus.history('mira'))} interactions:")
            print(f"{adapter.manifest.steps} steps, adapter {adapter.ref.name}")
            ask(sim)
            saved = sim.save(place / "mira")
        with UserSimulator.load(saved) as again:
            print("\nBrought back from disk:")
            ask(again)


def ask(sim: UserSimulator) -> None:
    """Ask one closed question: its answer is one of the options, with a probability for each."""
    answer = sim.respond("A day in town, or a day at the lake?", options=["town", "lake"])
    print(f"  {answer.action}   {dict(answer.probabilities)}")
    print(f"  because, says the model: {answer.reasoning}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
