"""Closed questions in a client's own form: recognized word for word, and answered in that form."""

from __future__ import annotations

import ast
import json
import math
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.endpoint import ask, chat, served
from tests.fixtures.people import engine
from usersim.config import ServerConfig, SimulationConfig
from usersim.server.asked import AnswerRequest, read_request
from usersim.server.recognition import LONGEST, PROMPT_FORMS, PromptForm, recognize
from usersim.server.recognition.parts import MOST_SUBSETS
from usersim.server.wire import ChatRequest
from usersim.types import ActionValue, Choice, FreeText, MultiChoice, Number, Scale

RECORDED = Path(__file__).parents[1] / "fixtures" / "client_requests.jsonl"
"""Requests as EDSL 1.0.9 sent them to a recorder of ours, for questions of our own making."""
READ = {
    "drink": ("edsl multiple choice", Choice(("tea", "coffee", "water")), "tea", "tea"),
    "drink_code": ("edsl coded choice", Choice(("tea", "coffee", "water")), "coffee", "1"),
    "drink_letter": ("edsl coded choice", Choice(("tea", "coffee", "water")), "water", "C"),
    "likely": (
        "edsl linear scale",
        Scale(("1 (not at all)", "2", "3", "4", "5 (very)")),
        "5 (very)",
        "5",
    ),
    "likely_bare": ("edsl linear scale", Scale(("1", "2", "3", "4", "5")), "2", "2"),
    "likes": ("edsl yes/no", Choice(("No", "Yes")), "Yes", "Yes"),
    "offers": ("edsl checkbox", None, "tea | water", '["tea", "water"]'),
    "offers_code": ("edsl coded checkbox", None, "tea | coffee", "[0, 1]"),
    "cups": ("edsl numerical", Number(high=20), 3.0, "3"),
    "agree": (
        "edsl multiple choice",
        Scale(("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree")),
        "Agree",
        "Agree",
    ),
    "rank": None,
    "list": None,
    "why": None,
}
"""By name of a recorded request: its form, what an answer may be, one answer, and its text."""


def recorded() -> dict[str, dict]:
    """The recorded requests by name."""
    lines = RECORDED.read_text(encoding="utf-8").splitlines()
    return {one["name"]: one["request"] for one in map(json.loads, lines)}


def read(body: dict, **settings: object) -> AnswerRequest:
    """A request, read by a server with these settings."""
    return read_request(
        ChatRequest.model_validate(body),
        server=ServerConfig.model_validate(settings),
        simulation=SimulationConfig(),
    )


@pytest.mark.parametrize("name", READ)
def test_recorded_requests_are_read_in_their_form(name: str) -> None:
    """Each request that EDSL sent is read as its question, or left open where no form fits."""
    asked = read(recorded()[name])
    expected = READ[name]
    if expected is None:
        assert asked.recognized is None
        assert asked.question.space == FreeText()
        return
    form, space, action, written = expected
    assert asked.recognized == form
    assert asked.form.write(action) == written
    if space is not None:
        assert asked.question.space == space
    context = asked.question.context
    assert "may be selected" not in context[-1].content
    assert "espond" not in context[-1].content


def test_edsls_own_system_prompt_is_no_scenario() -> None:
    """The sentence that EDSL sends with every question is dropped; traits are a scenario."""
    bodies = recorded()
    assert [one.content for one in read(bodies["drink"]).question.context] == ["Which drink?"]
    body = json.loads(json.dumps(bodies["drink"]))
    body["messages"][0]["content"] += "\nYour traits: {'age': 40}"
    assert "'age': 40" in read(body).question.context[0].content


def test_every_recorded_request_has_its_expectation() -> None:
    """The fixture and the table name the same requests."""
    assert set(recorded()) == set(READ)


@pytest.mark.parametrize("form", PROMPT_FORMS, ids=lambda form: form.name)
def test_an_example_is_read_by_its_own_form_alone(form: PromptForm) -> None:
    """Every form reads its example, and no other form does."""
    found = recognize(form.example)
    assert found is not None
    assert found.form == form.name
    assert found.question
    assert [one.name for one in PROMPT_FORMS if one.read(form.example)] == [form.name]


@pytest.mark.parametrize("form", PROMPT_FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("more", ["\nI had tea with my aunt.", " What do you think of that?"])
def test_an_example_that_goes_on_is_left_open(form: PromptForm, more: str) -> None:
    """A message that says anything after the instruction is not recognized."""
    assert recognize(form.example.rstrip() + more) is None


FORMS = [
    ("Which?\nA) tea\nB) coffee\nAnswer:", "coffee", "B"),
    ("Question: Which?\nOptions:\n1. tea\n2. coffee\nReply only with the number.", "coffee", "2"),
    ("Which?\n(a) tea\n(b) coffee\nPlease answer with just the letter (a or b).", "tea", "a"),
    ("Which?\nA) tea B) coffee C) water\nAnswer with the letter only.", "water", "C"),
    ("Which?\nA. tea\nB. coffee\nChoose one and answer with the text of the option.", "tea", "tea"),
    (
        'Which?\nA) tea\nB) "coffee"\nAnswer in JSON: {"why": "", "answer": "<letter>"}',
        '"coffee"',
        '{"why": "", "answer": "B"}',
    ),
    ('Which?\n1) tea\n2) coffee\nAnswer in JSON: {"n": <number>}', "tea", '{"n": 1}'),
    (
        'Which?\nA) x\nB) y\nReply as JSON: {"action": {"type": "TALK", "content": "<letter>"}}',
        "y",
        '{"action": {"type": "TALK", "content": "B"}}',
    ),
    (
        "Great service!\nRespond with one of these labels: positive, negative.",
        "negative",
        "negative",
    ),
    ("Is it warm? Answer only 'True' or 'False'.", "False", "False"),
    ("How warm is it?\nRespond with a number from 0 to 10 and nothing else.", "7", "7"),
    ("How old are you? Answer with a whole number between 1 and 120.", 33.0, "33"),
]


@pytest.mark.parametrize(("text", "action", "written"), FORMS)
def test_an_answer_is_written_as_the_instruction_says(
    text: str, action: ActionValue, written: str
) -> None:
    """Labels, texts, JSON and numbers come in the form that the message asks for."""
    found = recognize(text)
    assert found is not None
    assert found.space.parse(found.space.render(action)) == action
    assert found.write(action) == written


LEFT_OPEN = [
    "Tea or coffee?",
    "I made a list:\n1. milk\n2. tea",
    "First we go to A) the shop and B) the bank, then home.",
    "Which?\nA) tea\nB) coffee",
    "Which?\nA) tea\nB) coffee\nAnswer with the number only.",
    "Which?\n1. tea\n2. coffee\nAnswer with the letter only.",
    "Which?\nA) tea\nC) coffee\nAnswer with the letter only.",
    "Which?\nA) tea\nB) tea\nAnswer with the letter only.",
    "Which?\nA) tea\nB. coffee\nAnswer with the letter only.",
    "A) tea\nB) coffee\nAnswer with the letter only.",
    "One:\nA) x\nB) y\nTwo:\nA) tea\nB) coffee\nAnswer with the letter only.",
    "Which?\nA) tea\nB) coffee\nAnswer with the letter, and tell me why you like it.",
    'Which?\nA) tea\nB) coffee\nAnswer in JSON: {"answer": "<letter>", "why": "<option>"}',
    'Which?\nA) tea\nB) coffee\nAnswer in JSON: {"answer": <letter>}',
    'Which?\nA) tea\nB) coffee\nAnswer in JSON: {"answer": "..."}',
    "He told me to answer with one of: tea, coffee. I said no.",
    "Respond with one of the managers.",
    "Did you answer yes or no?",
    "Should I answer yes or no.",
    "Pick. Answer with one of: tea",
    "How warm? Answer with a number from 10 to 1.",
    "",
]


@pytest.mark.parametrize("text", LEFT_OPEN)
def test_what_is_not_asked_word_for_word_is_left_open(text: str) -> None:
    """Lists, half instructions and contradictions are not taken for closed questions."""
    assert recognize(text) is None


WORDS = st.sampled_from(
    re.findall(
        r"\S+",
        "tea coffee the and I you was went shop. bank? yes no or Answer: answer with letter only "
        "A) B) 1. 2. options JSON {} please code number, scale from 1 to 5 :",
    )
)
LINES = st.lists(st.lists(WORDS, max_size=9).map(" ".join), max_size=7)


@given(LINES.map("\n".join) | st.text(max_size=300))
def test_ordinary_conversation_is_left_alone(text: str) -> None:
    """Without an instruction that ends the message, nothing is recognized, whatever it lists."""
    said = f"{text}\nThat is how my day was, and now I would like to hear about yours."
    assert recognize(said) is None


@given(st.sampled_from(PROMPT_FORMS), st.integers(0, 400), st.integers(1, 40))
def test_half_a_prompt_is_read_as_it_stands_or_not_at_all(
    form: PromptForm, at: int, cut: int
) -> None:
    """A prompt with a piece cut out never fails, and what is read of it can be answered."""
    found = recognize(form.example[:at] + form.example[at + cut :])
    if found is not None and isinstance(found.space, Choice | Scale):
        written = [found.write(option) for option in found.space.options]
        assert len(set(written)) == len(written)


OPTIONS = st.lists(
    st.text("abcdefgh ÄéŁ'\"-", min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda one: one and not one.endswith((".", ")"))),
    min_size=2,
    max_size=6,
    unique=True,
)


@given(OPTIONS)
def test_options_come_back_as_they_were_listed(options: list[str]) -> None:
    """Whatever the options say, each is found, and answered with its own letter or text."""
    listed = "\n".join(f"{chr(65 + at)}) {one}" for at, one in enumerate(options))
    found = recognize(f"Which?\n{listed}\nAnswer with the letter only.")
    assert found is not None
    assert isinstance(found.space, Choice)
    assert list(found.space.options) == options
    assert [found.write(one) for one in options] == [chr(65 + at) for at in range(len(options))]
    block = "".join(f"{one}\n    \n" for one in options)
    found = recognize(
        f"Which?\n\n    \n{block}\n\nPlease respond only with a comma-separated list of the "
        "options that apply, with square brackets. E.g., ['Good', 'Bad', 'Ugly']\n"
    )
    assert found is not None
    assert ast.literal_eval(found.write(found.space.parse(options[-1]))) == [options[-1]]


def test_limits_of_a_selection_are_kept() -> None:
    """Of a bounded selection every option is a whole selection; too many are not recognized."""

    def asked(count: int, limits: str) -> str:
        block = "".join(f"{n}: word {n}\n    \n" for n in range(count))
        return (
            f"Which?\n\n    \n{block}\n\n{limits}\n\nPlease respond only with a comma-separated "
            "list of the code of the options that apply, with square brackets. E.g., [0, 1, 3]\n"
        )

    two = recognize(asked(4, "You must select exactly 2 options."))
    assert two is not None
    assert isinstance(two.space, Choice)
    written = [json.loads(two.write(option)) for option in two.space.options]
    assert len(written) == math.comb(4, 2)
    assert {len(one) for one in written} == {2}
    assert recognize(asked(12, "You must select exactly 5 options.")) is None
    any_of_many = recognize(asked(12, ""))
    assert any_of_many is not None
    assert isinstance(any_of_many.space, MultiChoice)
    assert any_of_many.write(("word 1", "word 11")) == "[1, 11]"
    assert MOST_SUBSETS < 2**12


@pytest.mark.parametrize("piece", ["\n", " ", "A) ", "\nA) x", "answer with ", "1 : \n", "{", "<"])
def test_a_long_message_is_read_in_no_time(piece: str) -> None:
    """A message made to be slow to read costs less than half a second of the processor."""
    text = (piece * LONGEST)[: LONGEST - 40] + "\nAnswer with the letter only, or"
    before = time.process_time()
    assert recognize(text) is None
    assert time.process_time() - before < 0.5


# ---------------------------------------------------------------------- the endpoint


LETTERS = "Which drink, number 1?\nA) tea\nB) coffee\nAnswer with the letter only."


def test_a_request_that_says_what_an_answer_may_be_is_taken_at_its_word() -> None:
    """Options, kinds and schemas of the request come first, and the switch turns it all off."""
    assert read(chat(LETTERS)).recognized == "labeled options"
    assert read(chat(LETTERS), recognize=False).question.space == FreeText()
    assert read(chat(LETTERS, x_usersim={"kind": "free_text"})).question.space == FreeText()
    own = read(chat(LETTERS, x_usersim={"options": ["one", "two"]}))
    assert own.question.space == Choice(("one", "two"))
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "boolean"}}}
    assert read(chat(LETTERS, response_format=schema)).recognized is None


def test_a_stop_that_cuts_no_option_is_no_hindrance() -> None:
    """A client's usual stop strings are met by a letter; one that cuts an option is not."""
    kept = read(chat(LETTERS, stop=["\n"]))
    assert kept.recognized is not None
    assert kept.stops == ()
    cut = read(chat(LETTERS, stop=["B"]))
    assert cut.recognized is None
    assert cut.stops == ("B",)


def test_the_reply_is_a_letter_with_the_options_probabilities() -> None:
    """The content is what was asked for, marked in the extension field, also in a stream."""
    own = engine(action="it depends")
    with served(own) as url:
        reply = ask(
            f"{url}/chat/completions", chat(LETTERS, logprobs=True, top_logprobs=5, seed=1)
        ).json["choices"][0]
        streamed = ask(f"{url}/chat/completions", chat(LETTERS, stream=True, seed=1)).body.decode()
    assert reply["message"]["content"] in {"A", "B"}
    assert reply["x_usersim"]["recognized"] == "labeled options"
    assert set(reply["x_usersim"]["probabilities"]) == {"tea", "coffee"}
    top = reply["logprobs"]["content"][0]["top_logprobs"]
    assert {one["token"] for one in top} == {"A", "B"}
    assert sum(math.exp(one["logprob"]) for one in top) == pytest.approx(1)
    contents = re.findall(r'"content":"([^"]*)"', streamed)
    assert "".join(contents) == reply["message"]["content"]
    assert '"recognized":"labeled options"' in streamed
    assert all("it depends" not in request.prompt[-1][1] for request in own.requests)


def test_switched_off_the_question_is_an_open_one() -> None:
    """Without recognition the person writes whatever they would say."""
    with served(engine(action="it depends"), recognize=False) as url:
        reply = ask(f"{url}/chat/completions", chat(LETTERS)).json["choices"][0]
    assert reply["message"]["content"] == "it depends"
    assert "recognized" not in reply["x_usersim"]
