"""Reading requests: whose turns they are, what an answer may be, and what is refused."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import pytest
from pydantic import BaseModel, ValidationError

from usersim.config import ServerConfig, SimulationConfig
from usersim.errors import ContextLengthError, EngineUnavailableError, RefusedRequestError
from usersim.server.asked import AnswerRequest, read_request
from usersim.server.refusals import error_body, refusal_of
from usersim.server.roles import context_of
from usersim.server.schema import form_of_schema
from usersim.server.wire import IGNORED, ChatMessage, ChatRequest
from usersim.types import Choice, FreeText, Message, MultiChoice, Number, Scale

SIMULATION = SimulationConfig(max_reasoning_tokens=64, max_action_tokens=256)


def request(**fields: object) -> ChatRequest:
    """A request that asks ada one question, with further fields."""
    asked = {"model": "user:ada", "messages": [{"role": "user", "content": "Tea?"}]}
    return ChatRequest.model_validate(asked | fields)


def read(
    header: str | None = None, server: ServerConfig | None = None, **fields: object
) -> AnswerRequest:
    """A request, read."""
    return read_request(
        request(**fields),
        server=server or ServerConfig(),
        simulation=SIMULATION,
        roles_header=header,
    )


def turns(*pairs: tuple[str, str]) -> list[ChatMessage]:
    """A conversation."""
    return [ChatMessage.model_validate({"role": role, "content": text}) for role, text in pairs]


# ---------------------------------------------------------------------- roles


def test_flipped_roles_are_those_of_a_model_that_plays_the_user() -> None:
    """What a testbed sends as `user` was said to the person; `assistant` turns are their own."""
    said = turns(
        ("system", "Ask for tea."), ("user", "Hello!"), ("assistant", "Hi."), ("user", "?")
    )
    assert context_of(said, user_id="ada", roles="flipped") == (
        Message("Ask for tea.", "system", "Scenario"),
        Message("Hello!", "assistant"),
        Message("Hi.", "user", "ada"),
        Message("?", "assistant"),
    )


def test_natural_roles_mean_the_same_conversation_the_other_way_round() -> None:
    """The same talk in both orientations is one context."""
    flipped = turns(("system", "s"), ("user", "Hello!"), ("assistant", "Hi."), ("user", "?"))
    natural = turns(("system", "s"), ("assistant", "Hello!"), ("user", "Hi."), ("assistant", "?"))
    assert context_of(flipped, user_id="ada", roles="flipped") == context_of(
        natural, user_id="ada", roles="natural"
    )


@pytest.mark.parametrize(
    ("roles", "last", "other"),
    [("flipped", "assistant", "natural"), ("natural", "user", "flipped")],
)
def test_a_conversation_that_ends_with_the_persons_turn_is_refused(
    roles: Literal["flipped", "natural"], last: str, other: str
) -> None:
    """The wrong orientation is told with the setting that mends it, and never guessed."""
    with pytest.raises(RefusedRequestError, match=r"messages\[0\], is 'ada'") as raised:
        context_of(turns((last, "Hi.")), user_id="ada", roles=roles)
    assert repr(other) in raised.value.hint


def test_a_name_wins_over_the_role() -> None:
    """A message under the person's own name is theirs, and one under another name is not."""
    said = [
        ChatMessage(role="user", content="Mine.", name="ada"),
        ChatMessage(role="assistant", content="Not mine.", name="bo"),
    ]
    assert context_of(said, user_id="ada", roles="flipped") == (
        Message("Mine.", "user", "ada"),
        Message("Not mine.", "assistant", "bo"),
    )


def test_a_person_may_begin() -> None:
    """A system prompt alone asks the person to speak first."""
    context = context_of(turns(("developer", "Order tea.")), user_id="ada", roles="flipped")
    assert context == (Message("Order tea.", "system", "Scenario"),)


def test_a_lone_message_is_a_plain_question() -> None:
    """One message reads as it does in `UserSimulator.respond`, in parts or as a string."""
    parts = {
        "role": "user",
        "content": [{"type": "text", "text": "Te"}, {"type": "text", "text": "a?"}],
    }
    assert context_of([ChatMessage.model_validate(parts)], user_id="ada", roles="flipped") == (
        Message("Tea?"),
    )


def test_empty_messages_are_refused() -> None:
    """Where nothing was said there is nothing to answer."""
    with pytest.raises(RefusedRequestError, match="every message is empty"):
        context_of(turns(("user", " ")), user_id="ada", roles="flipped")


@pytest.mark.parametrize(
    ("fields", "header", "role"),
    [
        ({}, None, "user"),
        ({}, "natural", "assistant"),
        ({"x_usersim": {"roles": "flipped"}}, "natural", "user"),
    ],
)
def test_the_request_wins_over_the_header_over_the_server(
    fields: dict[str, object], header: str | None, role: str
) -> None:
    """Orientation is looked for in the body, the header and the server's setting, in this order."""
    asked = read(header, messages=[{"role": role, "content": "Tea?"}], **fields)
    assert asked.question.context == (Message("Tea?"),)


def test_an_unknown_orientation_is_refused() -> None:
    """A misspelled header does not fall back to the default."""
    with pytest.raises(RefusedRequestError, match="'Flipped'"):
        read("Flipped")


# ---------------------------------------------------------------------- what an answer may be


@pytest.mark.parametrize(
    ("schema", "space", "action", "written"),
    [
        ({"enum": ["tea", "coffee"]}, Choice(("tea", "coffee")), "tea", '"tea"'),
        ({"type": "integer", "enum": [1, 2]}, Choice(("1", "2")), "2", "2"),
        ({"type": "boolean"}, Choice(("yes", "no")), "no", "false"),
        (
            {"type": "integer", "minimum": 0, "maximum": 9},
            Number(low=0, high=9, integer=True),
            4.0,
            "4",
        ),
        ({"type": "number"}, Number(), 2.5, "2.5"),
        ({"type": "string"}, FreeText(), 'a "b"', '"a \\"b\\""'),
        (
            {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
            MultiChoice(("a", "b")),
            ("b",),
            '["b"]',
        ),
    ],
)
@pytest.mark.parametrize("inside", [False, True], ids=["bare", "property"])
def test_a_schema_is_an_action_space(
    schema: dict[str, object], space: object, action: object, written: str, inside: bool
) -> None:
    """Each kind of answer has a schema, by itself and as the one property of an object."""
    if inside:
        schema = {"type": "object", "properties": {"it": schema}, "required": ["it"]}
        written = f'{{"it": {written}}}'
    form = form_of_schema(schema)
    assert form.space == space
    assert form.write(action) == written  # type: ignore[arg-type]


def test_a_pydantic_model_of_one_enumeration_is_a_choice() -> None:
    """What `client.chat.completions.parse` sends of a model is understood."""

    class Drink(BaseModel):
        drink: Literal["tea", "coffee"]

    form = form_of_schema(Drink.model_json_schema())
    assert Drink.model_validate_json(form.write("coffee")).drink == "coffee"


def test_a_reference_is_followed() -> None:
    """An enumeration that stands in `$defs` is found; one that does not is told."""
    defined = {"$defs": {"D": {"enum": ["a", "b"]}}, "$ref": "#/$defs/D"}
    assert form_of_schema(defined).space == Choice(("a", "b"))
    with pytest.raises(RefusedRequestError, match="'#/\\$defs/E' does not exist"):
        form_of_schema({"$ref": "#/$defs/E"})


def test_references_are_resolved_against_the_whole_schema_from_wherever_they_stand() -> None:
    """A list of an enumeration, as pydantic writes it; chains are followed, circles are not."""

    class Drink(StrEnum):
        tea = "tea"
        milk = "milk"

    class Drinks(BaseModel):
        drinks: list[Drink]

    form = form_of_schema(Drinks.model_json_schema())
    assert form.space == MultiChoice(("tea", "milk"))
    assert Drinks.model_validate_json(form.write(("milk",))).drinks == [Drink.milk]
    chain = {"$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"enum": [1, 2]}}, "$ref": "#/$defs/A"}
    assert form_of_schema(chain).write("2") == "2"
    numbers = form_of_schema({"type": "array", "items": {"enum": [1, 2]}})
    assert numbers.write(("1", "2")) == "[1, 2]"
    circle = {"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"}
    with pytest.raises(RefusedRequestError, match="form a cycle"):
        form_of_schema(circle)
    with pytest.raises(RefusedRequestError, match="'maxLength'"):
        form_of_schema({**defined_drink(), "$ref": "#/$defs/D", "maxLength": 3})


def defined_drink() -> dict[str, object]:
    """A schema with one definition."""
    return {"$defs": {"D": {"enum": ["a", "b"]}}}


def test_a_range_that_no_number_is_in_is_refused_before_anybody_is_asked() -> None:
    """From a schema and from the extension."""
    for schema in (
        {"type": "number", "minimum": 5, "maximum": 1},
        {"type": "integer", "minimum": 0.2, "maximum": 0.8},
    ):
        with pytest.raises(RefusedRequestError, match=r"above|no whole number"):
            form_of_schema(schema)
    with pytest.raises(RefusedRequestError, match=r"5.0, is above the highest, 1.0"):
        read(x_usersim={"low": 5.0, "high": 1.0})


def test_an_unknown_field_that_is_null_is_absent_and_any_other_is_refused() -> None:
    """Clients send what they leave unset as null."""
    read(verbosity=None, x_usersim={"later": None}, stream_options=None)
    with pytest.raises(ValidationError, match="verbosity"):
        read(verbosity="low")


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "object", "properties": {"a": {}, "b": {}}}, "can have only one"),
        ({"type": "object"}, "None"),
        ({"type": "string", "maxLength": 3}, "'maxLength'"),
        ({"anyOf": [{"type": "string"}]}, "of type None"),
        ({"enum": ["only"]}, "at least two options"),
        ({"enum": [1, "1"]}, "have the same text"),
        ({"enum": [None, "a"]}, "None is not an option"),
        ({"enum": "tea"}, "'tea'"),
        ({"const": "tea"}, "'const'"),
        ({"type": "array", "items": {"type": "string"}}, "have no enum"),
        ({"type": "array"}, "None is not a schema"),
        ({"type": "array", "items": {"enum": ["a|b", "c"]}}, r"a\|b"),
        ({"enum": [10**4199, 1]}, "is too large"),
        ({"enum": [10**6000, 1]}, "is too large"),
        ({"enum": [[10**6000], 1]}, "list"),
        ({"enum": 10**6000}, "int"),
        ({"type": "array", "items": {"enum": [10**4199, 1]}}, "is too large"),
        ({"type": "integer", "minimum": -(10**4199)}, "is too large"),
        ({"type": "number", "maximum": 10**6000}, "is too large"),
        ({"type": "number", "minimum": [10**6000]}, "'low' of a number"),
        ({"type": 10**6000}, "int"),
        ({"type": "object", "properties": 10**6000}, "int"),
    ],
)
def test_a_schema_that_is_no_single_answer_is_refused(schema: dict[str, object], said: str) -> None:
    """Nothing of a schema is dropped: what no person can answer is told."""
    with pytest.raises(RefusedRequestError, match=said) as raised:
        form_of_schema(schema)
    assert raised.value.code == "unsupported_schema"


def test_options_may_be_given_beside_the_messages() -> None:
    """`x_usersim` makes closed questions and numbers whose answer is plain text."""
    scale = read(x_usersim={"options": ["no", "yes"], "kind": "scale"})
    assert scale.question.space == Scale(("no", "yes"))
    number = read(x_usersim={"low": 0, "high": 10, "integer": True})
    assert number.question.space == Number(low=0, high=10, integer=True)
    assert number.form.write(7.0) == "7"


# ---------------------------------------------------------------------- settings of a request


def test_sampling_settings_become_those_of_the_simulation() -> None:
    """Temperature, nucleus, decision and traces of a request replace the server's."""
    asked = read(temperature=0, top_p=0.5, x_usersim={"decision": "sampled", "traces": 2})
    config = asked.simulation
    assert (config.temperature, config.top_p, config.decision, config.traces) == (
        0,
        0.5,
        "sampled",
        2,
    )
    assert read(reasoning_effort="none").simulation.traces == 0
    assert read().simulation == SIMULATION


@pytest.mark.parametrize(
    ("limit", "reasoning", "action"), [(40, 20, 20), (100, 50, 50), (200, 64, 136), (9999, 64, 256)]
)
def test_a_token_limit_is_shared(limit: int, reasoning: int, action: int) -> None:
    """Reasoning and action together stay within the limit, and within the server's own."""
    config = read(max_tokens=9999, max_completion_tokens=limit).simulation
    assert (config.max_reasoning_tokens, config.max_action_tokens) == (reasoning, action)
    assert reasoning + action <= limit


def test_a_closed_question_leaves_the_limit_to_the_reasoning() -> None:
    """A scored answer draws no tokens of its own."""
    config = read(max_tokens=50, x_usersim={"options": ["a", "b"]}).simulation
    assert config.max_reasoning_tokens == 50


@pytest.mark.parametrize("limit", [1, 5, 31])
def test_a_closed_question_is_answered_within_any_limit(limit: int) -> None:
    """Clients that want one label send `max_tokens=1`: the label is scored, without reasoning."""
    asked = {"x_usersim": {"options": ["a", "b"]}}
    assert read(max_tokens=limit, **asked).simulation.traces == 0
    assert read(max_tokens=32, **asked).simulation.traces == SIMULATION.traces


@pytest.mark.parametrize(
    "fields", [{}, {"x_usersim": {"options": ["a", "b"], "traces": 2}}], ids=["open", "traces"]
)
def test_a_limit_too_small_for_an_answer_says_what_to_send(fields: dict[str, object]) -> None:
    """The error names the limit, the least that can be sent, and what needs none."""
    with pytest.raises(RefusedRequestError, match="max_tokens=16 leaves no room") as refused:
        read(max_tokens=16, **fields)
    assert (refused.value.param, refused.value.status) == ("max_tokens", 400)
    assert "at least 32, or leave max_tokens out" in (refused.value.hint or "")
    assert "x_usersim.options" in (refused.value.hint or "")


def test_seeds_come_from_the_request_the_server_or_chance() -> None:
    """A request's seed wins; without one, two requests differ, unless the server fixes it."""
    assert read(seed=-5).seed == -5
    assert read(server=ServerConfig(seed=9)).seed == 9
    assert read().seed != read().seed


def test_reasoning_can_be_hidden_and_not_be_unhidden() -> None:
    """The server's word is the last one."""
    assert read().shown
    assert not read(x_usersim={"reasoning": "hidden"}).shown
    assert not read(server=ServerConfig(reasoning="hidden")).shown


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"model": "gpt-5"}, "model_not_found", "'gpt-5'"),
        ({"model": "user:"}, "model_not_found", "'user:'"),
        ({"n": 17}, "limit_exceeded", "17"),
        ({"logprobs": True}, "unsupported_parameter", "free_text"),
        ({"top_logprobs": 2}, "invalid_value", "needs logprobs"),
        ({"stream_options": {}}, "invalid_value", "needs stream"),
        ({"stop": "t", "x_usersim": {"options": ["a", "b"]}}, "unsupported_parameter", "'choice'"),
        ({"x_usersim": {"options": ["a"]}}, "invalid_options", "at least two"),
        ({"x_usersim": {"kind": "scale"}}, "invalid_options", "scale"),
    ],
)
def test_what_cannot_be_done_is_refused(fields: dict[str, object], code: str, said: str) -> None:
    """Each refusal has a code for programs and names the value."""
    with pytest.raises(RefusedRequestError, match=said) as raised:
        read(**fields)
    assert raised.value.code == code


def test_a_schema_and_options_do_not_go_together() -> None:
    """Two ways to say what an answer may be are one too many."""
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "boolean"}}}
    with pytest.raises(RefusedRequestError, match="both set"):
        read(response_format=schema, x_usersim={"options": ["a", "b"]})
    text = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "string"}}}
    with pytest.raises(RefusedRequestError, match="cut the JSON"):
        read(response_format=text, stop="x")


def test_too_many_messages_are_refused() -> None:
    """The number of messages is bounded."""
    many = [{"role": "user", "content": "Tea?"}] * 4
    with pytest.raises(RefusedRequestError, match="messages: got 4, more"):
        read(server=ServerConfig(max_messages=3), messages=many)


@pytest.mark.parametrize(
    "fields",
    [
        {"top_k": 5},
        {"frequency_penalty": 0.5},
        {"tools": [{"type": "function"}]},
        {"logit_bias": {"1": 2}},
        {"response_format": {"type": "json_object"}},
        {"reasoning_effort": "high"},
        {"max_tokens": 0},
        {"temperature": float("nan")},
        {"messages": []},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "assistant", "content": "x", "tool_calls": [{"id": "1"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        {"messages": [{"role": "user", "content": "x", "name": "a\nMe"}]},
    ],
)
def test_what_is_not_listed_is_no_request(fields: dict[str, object]) -> None:
    """Nothing is ignored in silence: an unknown or unusable field is an error."""
    with pytest.raises(ValidationError):
        request(**fields)


def test_marks_on_messages_are_not_read() -> None:
    """Testbeds mark turns with ids and send earlier reasoning back: neither reaches the person."""
    marked = {"trace_id": "1", "reasoning": "secret", "reasoning_content": "secret"}
    asked = read(messages=[{"role": "user", "content": "Tea?", "tool_calls": [], **marked}])
    assert asked.question.context == (Message("Tea?"),)


def test_the_callers_bookkeeping_is_ignored() -> None:
    """The documented fields are taken and change nothing."""
    values = {"metadata": {"run": "1"}, "store": True, "parallel_tool_calls": False}
    plain = read(seed=1)
    kept = read(seed=1, **{name: values.get(name, "x") for name in IGNORED})
    assert (kept.question, kept.simulation) == (plain.question, plain.simulation)


# ---------------------------------------------------------------------- errors


def test_errors_of_the_library_have_a_status_and_a_code() -> None:
    """What cannot fit is the caller's to mend; a fault of the engine may pass."""
    long = refusal_of(ContextLengthError(9000, 8192))
    assert (long.status, long.code, long.retry_after) == (400, "context_length_exceeded", None)
    gone = refusal_of(EngineUnavailableError("gone"))
    assert (gone.status, gone.code) == (503, "engine_failed")
    assert gone.retry_after
    assert error_body(gone)["error"] == {
        "message": "gone",
        "type": "server_error",
        "param": None,
        "code": "engine_failed",
    }
