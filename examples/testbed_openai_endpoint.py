"""A simulated user behind OpenAI's chat API: any testbed that takes a base URL can ask them.

    python examples/testbed_openai_endpoint.py [MODEL]

Needs: pip install "usersim-recon[server]" openai. Here the server runs in a thread of this process;
`usersim serve -c people.usersim.db` is the same one by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from openai import APIError, OpenAI  # noqa: TID253 - an example loads what it shows
from openai.types.chat import ChatCompletionMessageParam  # noqa: TID253

from usersim import UserSimulator
from usersim.server import serving

PERSON = "ines"
ROWS: list[dict[str, object]] = [
    {"user_id": PERSON, "order": order, "context": said, "action": answered}
    for order, (said, answered) in enumerate(
        (
            ("How may I help you?", "my parcel is late. again."),
            ("Could you give me the order number?", "it's in the mail you sent me..."),
            ("We could send it once more.", "no, money back please"),
            ("Would a voucher be all right?", "no. money."),
            ("It takes five working days.", "fine, but not one more"),
        )
    )
]
"""An invented person who writes to a shop."""
GOAL = "You ordered a lamp that came broken. You want your money back, and end the talk with DONE."
ASSISTANT = (
    "Hello, how can I help you?",
    "I am sorry. Shall we send you a new one?",
    "I see. You will have the money in five days.",
)
"""What the assistant under test says, turn by turn; a real one would be asked here."""


def conversation(client: OpenAI) -> list[ChatCompletionMessageParam]:
    """Let the person talk with the assistant, in the roles in which testbeds ask for a user.

    The endpoint's model plays the person, so the person's own turns are `assistant` turns and
    the assistant's are `user` turns; the scenario is the system prompt.
    """
    messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": GOAL}]
    for turn, said in enumerate(ASSISTANT):
        messages.append({"role": "user", "content": said})
        reply = client.chat.completions.create(model=f"user:{PERSON}", messages=messages, seed=turn)
        answer = reply.choices[0].message
        print(f"assistant: {said}")
        print(f"    (thinks: {getattr(answer, 'reasoning', '')})")
        print(f"{PERSON}: {answer.content}")
        messages.append({"role": "assistant", "content": answer.content or ""})
    return messages


def closed_question(client: OpenAI, options: Sequence[str]) -> None:
    """Ask for one of several options: it is scored, not written, and comes with probabilities."""
    reply = client.chat.completions.create(
        model=f"user:{PERSON}",
        messages=[{"role": "user", "content": "How satisfied are you with our service?"}],
        seed=7,
        extra_body={"x_usersim": {"options": list(options), "kind": "scale"}},
    )
    choice = reply.choices[0]
    about: dict[str, object] = (choice.model_extra or {})["x_usersim"]
    print(f"satisfied? {choice.message.content}, of {about['probabilities']}")
    print(f"simulated: {about['simulated']}")


def streamed(client: OpenAI) -> None:
    """Read an answer as it is written.

    What was sent cannot be drawn again, so a text that does not end makes the stream end with an
    error. An answer that is not streamed is drawn again instead.
    """
    print("streamed: ", end="")
    with client.chat.completions.create(
        model=f"user:{PERSON}",
        messages=[{"role": "user", "content": "Anything else?"}],
        seed=4,
        stream=True,
    ) as chunks:
        try:
            for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    print(chunk.choices[0].delta.content, end="")
            print()
        except APIError as error:
            print(f"\n(not an answer: {error})")


def main(model: str = "embedded") -> None:
    """Serve one invented person, and ask them as a testbed does."""
    with (
        UserSimulator.from_corpus(ROWS, model=model, config="tiny") as sim,
        serving(sim) as base_url,
        OpenAI(base_url=base_url, api_key="none is needed on loopback") as client,
    ):
        print("models:", ", ".join(one.id for one in client.models.list()))
        conversation(client)
        closed_question(client, ("not at all", "somewhat", "very"))
        streamed(client)


if __name__ == "__main__":
    main(*sys.argv[1:2])
