"""How a simulated person talks with an assistant, and where an assistant is asked."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from usersim.config.base import Config
from usersim.config.engines import RemoteConfig

__all__ = ["AssistantEndpoint", "DialogueConfig"]


class DialogueConfig(Config):
    """When a dialogue ends, and how many are held at once.

    What the person's own conversations show, their patience and persistence, is read from the
    corpus; these fields say what counts beside it.

    Example:
        >>> DialogueConfig(max_turns=5, patience="off").leaving
        'said'
    """

    max_turns: Annotated[int, Field(ge=1)] = 20
    """Turns of the person at the most; the assistant answers the last one. Long enough that what
    a corpus shows of a person usually ends a dialogue first."""
    leaving: Literal["said", "asked", "never"] = "said"
    """How the person says that they are done or give up. `said`: they are told two marks and end
    a message with one; costs nothing, and needs a model that follows instructions. `asked`: after
    each reply of the assistant they are asked as a closed question, which is scored; costs
    an answer each time. `never`: they do not."""
    done_mark: Annotated[str, Field(min_length=3)] = "[done]"
    """Ends the message of a person who has what they want; never shown to the assistant."""
    give_up_mark: Annotated[str, Field(min_length=3)] = "[give up]"
    """Ends the message of a person who gives up; never shown to the assistant."""
    patience: Literal["corpus", "off"] = "corpus"
    """`corpus`: after each turn the person leaves with the probability that their past
    conversations show. `off`: they never leave for that reason."""
    min_conversations: Annotated[int, Field(ge=1)] = 10
    """Past conversations from which patience and persistence are read: fewer of a person's own
    and those of all people together are read, fewer of these and the defaults stand. At ten, a
    probability of one half is known to about 0.16 (one standard error)."""
    repeats: Annotated[int, Field(ge=1)] | None = None
    """How often in a row the person may say the same; once more ends the dialogue. None takes
    the longest run that the corpus shows, and 2 where it shows none."""
    at_once: Annotated[int, Field(ge=1)] = 64
    """Dialogues under way at once: their turns are drawn in one batch."""
    assistant_calls: Annotated[int, Field(ge=1)] = 16
    """Calls of an asynchronous assistant under way at once."""
    assistant_seconds: Annotated[float, Field(gt=0)] = 300.0
    """Longest wait for one reply of an asynchronous assistant, seconds."""

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        first, second = self.done_mark.casefold(), self.give_up_mark.casefold()
        if first in second or second in first:
            raise ValueError(
                f"done_mark and give_up_mark must differ; got {self.done_mark!r} and "
                f"{self.give_up_mark!r}"
            )
        return self


class AssistantEndpoint(Config):
    """An assistant behind any OpenAI-compatible server.

    Example:
        >>> shop = AssistantEndpoint(model="shop-bot", base_url="http://127.0.0.1:9000/v1")
        >>> shop.server.tries
        6
    """

    model: Annotated[str, Field(min_length=1)]
    """The assistant's name on the server."""
    base_url: str = "http://127.0.0.1:8000/v1"
    """Where the server is, `/v1` included."""
    system: str = ""
    """System prompt of the assistant; empty sends none."""
    options: dict[str, object] = Field(default_factory=dict[str, object])
    """Further fields of each request: `temperature`, `max_tokens`, `seed` and the like."""
    stream: bool = False
    """Have replies sent piece by piece; they are put together before the person reads them."""
    api_key_variable: str = "USERSIM_ASSISTANT_KEY"
    """Environment variable that holds the server's key, if it wants one. Another one than that of
    a remote engine: the assistant's server is seldom the person's."""
    calls: Annotated[int, Field(ge=1)] = 16
    """Requests under way at the most; fewer while the server says that it is overloaded."""
    tries: Annotated[int, Field(ge=1)] = 6
    """How often a request is made before it fails, where another try may help: about half a
    minute of pauses."""
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Longest time for one try, seconds."""

    @field_validator("options")
    @classmethod
    def _own_fields(cls, options: dict[str, object]) -> dict[str, object]:
        taken = sorted({"messages", "model", "stream"} & options.keys())
        if taken:
            raise ValueError(f"options must not contain {taken!r}, which are separate fields")
        return options

    @property
    def server(self) -> RemoteConfig:
        """The server as the transport knows it."""
        return RemoteConfig(
            base_url=self.base_url,
            api_key_variable=self.api_key_variable,
            concurrency=self.calls,
            tries=self.tries,
            timeout=self.timeout,
            deadline=self.tries * self.timeout,
        )
