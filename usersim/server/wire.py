"""What goes over the wire: requests and replies in the shapes of OpenAI's chat API.

Knows JSON shapes and their bounds; knows nothing of people, engines or HTTP. A field that is not
listed here is refused, unless it is null, which asks for nothing: nothing that a caller asks for is
dropped in silence.
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from usersim.config import Roles

__all__ = [
    "IGNORED",
    "MIN_TOKENS",
    "UNSUPPORTED",
    "ChatCompletion",
    "ChatMessage",
    "ChatRequest",
    "ErrorReply",
    "Extension",
    "Health",
    "JsonSchema",
    "JsonSchemaFormat",
    "Model",
    "ModelList",
]

MIN_TOKENS = 32
"""Smallest limit in which an answer can be written: half for the reasoning, half for the action.

A closed question, whose answer is scored, has none: with less, it is answered without reasoning."""
IGNORED = (
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "parallel_tool_calls",
)
"""Fields that are taken and not used: the caller's own bookkeeping, which changes no answer."""
UNSUPPORTED = {
    "tools": "tools are not supported",
    "tool_choice": "tools are not supported",
    "tool_calls": "tools are not supported",
    "functions": "functions are not supported",
    "function_call": "functions are not supported",
    "audio": "only text is supported",
    "modalities": "only text is supported",
    "prediction": "predicted outputs are not supported",
    "web_search_options": "web search is not supported",
    "logit_bias": "token biases are not supported",
    "frequency_penalty": "penalties are not supported",
    "presence_penalty": "penalties are not supported",
    "reasoning_effort": "reasoning can only be on, or off with 'none'",
}
"""Fields of the API that a simulated person has no use for, and why; by their last name."""


class _Strict(BaseModel):
    """What is not known is refused, unless it is null: clients send fields that way unset."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        told = cast("dict[object, object]", data)
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {name: value for name, value in told.items() if value is not None or name in known}


class TextPart(_Strict):
    """A part of a message; only text can be shown to a simulated person."""

    model_config = ConfigDict(extra="ignore", strict=True)

    type: Literal["text"]
    text: str


class ChatMessage(_Strict):
    """One message of the conversation.

    Further fields of a message are not read: reasoning of earlier replies, since a person is not
    shown their earlier thoughts, and the marks that clients and testbeds put on turns. Those
    that would have to be shown and cannot be must be empty.
    """

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: Annotated[str, Field(max_length=64, pattern=r"^[^\r\n]+$")] | None = None
    refusal: None = None
    audio: None = None
    function_call: None = None
    tool_calls: Annotated[list[None], Field(max_length=0)] | None = None

    @property
    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class StreamOptions(_Strict):
    """What a stream reports at its end."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class JsonSchema(_Strict):
    """A JSON schema with its name."""

    name: Annotated[str, Field(max_length=64)]
    description: str | None = None
    schema_: Annotated[dict[str, object], Field(alias="schema")]
    strict: bool | None = None


class TextFormat(_Strict):
    """Plain text."""

    type: Literal["text"]


class JsonSchemaFormat(_Strict):
    """A reply that keeps to a JSON schema; see `usersim.server.schema` for those that can be."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


class Extension(_Strict):
    """What only a simulated person can be asked; `extra_body={"x_usersim": {...}}` in clients."""

    roles: Roles | None = None
    reasoning: Literal["hidden"] | None = None
    kind: Literal["choice", "scale", "number", "multi_choice", "free_text"] | None = None
    options: Annotated[list[str], Field(max_length=200)] | None = None
    low: float | None = None
    high: float | None = None
    unit: Annotated[str, Field(max_length=64)] | None = None
    integer: bool | None = None
    decision: Literal["likeliest", "sampled"] | None = None
    traces: Annotated[int, Field(ge=0, le=16)] | None = None


_Zero = Annotated[float, Field(ge=0, le=0)]
_Tokens = Annotated[int, Field(ge=1)]
_Stop = Annotated[str, Field(min_length=1, max_length=200)]
_Bookkeeping = Annotated[str, Field(max_length=1_000)]


class ChatRequest(_Strict):
    """A request for what a simulated person says next."""

    model: Annotated[str, Field(max_length=600)]
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    n: Annotated[int, Field(ge=1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: _Tokens | None = None
    max_completion_tokens: _Tokens | None = None
    stop: _Stop | Annotated[list[_Stop], Field(max_length=16)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: TextFormat | JsonSchemaFormat | None = None
    reasoning_effort: Literal["none"] | None = None
    frequency_penalty: _Zero | None = None
    presence_penalty: _Zero | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    tools: Annotated[list[None], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    modalities: list[Literal["text"]] | None = None
    x_usersim: Extension | None = None
    user: _Bookkeeping | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: _Bookkeeping | None = None
    safety_identifier: _Bookkeeping | None = None
    prompt_cache_key: _Bookkeeping | None = None
    prompt_cache_retention: _Bookkeeping | None = None
    parallel_tool_calls: bool | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def token_limit(self) -> int | None:
        """The smaller of the two limits in use; None without one."""
        limits = [n for n in (self.max_tokens, self.max_completion_tokens) if n is not None]
        return min(limits, default=None)


# ---------------------------------------------------------------------- replies


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TokenLogprob(_Reply):
    """A whole option and its log-probability, in nats."""

    token: str
    logprob: float
    bytes: list[int] | None


class OptionLogprob(TokenLogprob):
    """The chosen option, and the likeliest others."""

    top_logprobs: list[TokenLogprob]


class Logprobs(_Reply):
    """One entry: a closed question's option counts as one token."""

    content: list[OptionLogprob]
    refusal: None = None


class ReplyMessage(_Reply):
    """What the simulated person says; the trace stands in the two fields that clients know."""

    role: Literal["assistant"]
    content: str
    refusal: None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class About(_Reply):
    """Where an answer comes from; it is simulated, not the person's."""

    simulated: Literal[True]
    user_id: str
    kind: str
    seed: int
    recognized: str | None = None
    probabilities: dict[str, float] | None = None
    reasoning_weight: float


class ReplyChoice(_Reply):
    """One of the n answers."""

    index: int
    message: ReplyMessage
    finish_reason: Literal["stop"]
    logprobs: Logprobs | None
    x_usersim: About


class TokenDetails(_Reply):
    """How many of the tokens were reasoning."""

    reasoning_tokens: int


class Usage(_Reply):
    """Tokens of the prompt's messages, and of the texts that the answers were made of."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    completion_tokens_details: TokenDetails


class ChatCompletion(_Reply):
    """The reply to a request that is not streamed."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ReplyChoice]
    usage: Usage


class Model(_Reply):
    """A simulated person."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["usersim"]


class ModelList(_Reply):
    """Everybody who can be asked."""

    object: Literal["list"]
    data: list[Model]


class ErrorDetail(_Reply):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorReply(_Reply):
    """Every error of the endpoint."""

    error: ErrorDetail


class Health(_Reply):
    """Whether the server is alive, or ready."""

    status: Literal["ok", "draining", "engine failing", "queue full"]
    waiting: int
