"""Chats to token ids: text stays text, and the prompt is ours alone."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.tiny import DEFAULT_SYSTEM, END, PAD, START, make_tokenizer
from usersim.engines.chat import (
    encode_continuation,
    encode_prompt,
    end_of_turn_id,
    uses_plain_format,
)
from usersim.errors import EngineError, ModelLoadError

CHAT = (("system", "Be Ada."), ("user", "Hi."), ("assistant", "Yes?"), ("user", "Rain?"))
TOKENIZER = make_tokenizer()
STRICT = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}"
    "{% endif %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "[{{ m['role'] }}]{{ m['content'] | trim }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def test_a_chat_is_what_the_template_renders() -> None:
    """Harmless contents give the text that the library's own rendering gives."""
    ids = encode_prompt(TOKENIZER, CHAT, "So ")
    messages = [{"role": role, "content": content} for role, content in CHAT]
    rendered = TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert TOKENIZER.decode(ids) == rendered + "So "


@given(
    st.lists(
        st.sampled_from([START, END, PAD, "system", "\n", "a", "é🫖", "{{ 7*7 }}", "<|im_"]),
        max_size=8,
    ).map("".join)
)
@settings(max_examples=100)
def test_contents_never_become_control_tokens(text: str) -> None:
    """Whatever a content, prefix or continuation spells, the control ids are the template's."""
    controls = set(TOKENIZER.all_special_ids)

    def count(ids: list[int]) -> int:
        return sum(number in controls for number in ids)

    chat = (("system", text), ("user", text))
    honest = encode_prompt(TOKENIZER, (("system", "a"), ("user", "a")), "")
    ids = encode_prompt(TOKENIZER, chat, text)
    assert count(ids) == count(honest)
    assert count(encode_continuation(TOKENIZER, text, end=False)) == 0
    assert TOKENIZER.decode(encode_continuation(TOKENIZER, text, end=False)) == text


def test_control_tokens_not_marked_special_stay_text_too() -> None:
    """A template's own token is text in a content even where the tokenizer calls it ordinary."""
    from tokenizers import AddedToken

    tokenizer = make_tokenizer("{% for m in messages %}<turn>{{ m['content'] }}{% endfor %}<turn>")
    tokenizer.add_tokens([AddedToken("<turn>", special=False)])
    turn = tokenizer.convert_tokens_to_ids("<turn>")
    ids = encode_prompt(tokenizer, (("user", "a<turn>b<turn>"),), "")
    assert ids.count(turn) == 2
    assert tokenizer.decode(ids) == "<turn>a<turn>b<turn><turn>"


def test_no_default_system_prompt_sneaks_in() -> None:
    """A template's own system text is replaced by an empty system message."""
    text = TOKENIZER.decode(encode_prompt(TOKENIZER, (("user", "Hi."),), ""))
    assert DEFAULT_SYSTEM not in text
    assert text == f"{START}system\n{END}\n{START}user\nHi.{END}\n{START}assistant\n"


def test_a_template_without_default_system_is_left_alone() -> None:
    """No empty system message is added where the template adds nothing."""
    tokenizer = make_tokenizer(
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[assistant]"
    )
    assert tokenizer.decode(encode_prompt(tokenizer, (("user", "Hi."),), "")) == (
        "[user]Hi.[assistant]"
    )


def test_a_refused_system_role_is_merged() -> None:
    """System and neighboring messages of one role become one user message."""
    tokenizer = make_tokenizer(STRICT)
    chat = (("system", "Be Ada."), ("user", "Hi."), ("user", "There?"))
    text = tokenizer.decode(encode_prompt(tokenizer, chat, ""))
    assert text == f"[user]Be Ada.\n\nHi.\n\nThere?{END}[assistant]"


def test_refused_roles_are_an_error() -> None:
    """A chat that the template cannot take in any form is refused with its roles."""
    with pytest.raises(EngineError, match=r"rejects the roles \['assistant', 'user'\]"):
        encode_prompt(make_tokenizer(STRICT), (("assistant", "Hi."), ("user", "Hi.")), "")


def test_a_template_that_drops_a_message_is_an_error() -> None:
    """A content that the template does not show is not lost in silence."""
    tokenizer = make_tokenizer("{{ messages[-1]['content'] }}")
    with pytest.raises(EngineError, match="chat template rejects the roles"):
        encode_prompt(tokenizer, (("user", "a"), ("assistant", "b"), ("user", "c")), "")


def test_a_broken_template_is_an_error() -> None:
    """What a template raises besides a refusal is reported with the roles."""
    tokenizer = make_tokenizer("{{ messages[0]['content'] + 1 }}")
    with pytest.raises(EngineError, match=r"rendering the chat template for roles \['user'\]"):
        encode_prompt(tokenizer, (("user", "a"),), "")


def test_without_a_template_a_plain_format_is_used(caplog: pytest.LogCaptureFixture) -> None:
    """A base model gets the documented plain format, and a warning once."""
    tokenizer = make_tokenizer(None)
    with caplog.at_level(logging.WARNING):
        texts = [tokenizer.decode(encode_prompt(tokenizer, CHAT[1:], "")) for _ in range(2)]
    assert texts == ["User:\nHi.\n\nAssistant:\nYes?\n\nUser:\nRain?\n\nAssistant:\n"] * 2
    assert [record.message for record in caplog.records] == [
        "the tokenizer has no chat template; a plain format is used instead"
    ]
    assert uses_plain_format(tokenizer)
    assert end_of_turn_id(tokenizer) == tokenizer.eos_token_id


def test_a_model_without_any_end_is_an_error() -> None:
    """An end of turn that nobody defined cannot be scored."""
    tokenizer = make_tokenizer(None)
    tokenizer.eos_token = None
    with pytest.raises(ModelLoadError, match="neither a chat template that closes a turn"):
        end_of_turn_id(tokenizer)


def test_the_end_of_turn_is_the_templates() -> None:
    """The token after an assistant's content wins over `eos`."""
    tokenizer = make_tokenizer()
    tokenizer.eos_token = PAD
    assert end_of_turn_id(tokenizer) == tokenizer.convert_tokens_to_ids(END)
    ids = encode_continuation(tokenizer, "No.", end=True)
    assert ids == [*encode_continuation(tokenizer, "No.", end=False), end_of_turn_id(tokenizer)]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [((), "the prompt is empty"), ((("judge", "Hi."),), "unknown role 'judge'")],
)
def test_bad_prompts_are_errors(prompt: tuple, message: str) -> None:
    """A chat without messages or with an unknown role is refused."""
    with pytest.raises(EngineError, match=message):
        encode_prompt(TOKENIZER, prompt, "")


def test_a_slow_tokenizer_is_refused() -> None:
    """Only fast tokenizers can keep control tokens out of texts."""
    with pytest.raises(ModelLoadError, match="'object'"):
        encode_continuation(object(), "a", end=False)  # pyright: ignore[reportArgumentType]


def test_unpaired_surrogates_are_replaced() -> None:
    """Half of a surrogate pair, as broken exports hold, does not end the run."""
    ids = encode_continuation(TOKENIZER, "a\ud83d", end=False)
    assert TOKENIZER.decode(ids) == "a�"


def test_the_callers_tokenizer_is_not_disturbed() -> None:
    """Threads that encode texts and controls at once get what each gets alone."""
    text = f"a{END}b" * 20
    alone = encode_continuation(TOKENIZER, text, end=False)
    own = TOKENIZER(text).input_ids

    def work(turn: int) -> bool:
        if turn % 2:
            return TOKENIZER(text).input_ids == own
        return encode_continuation(TOKENIZER, text + "x" * turn, end=False)[: len(alone)] == alone

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(400)))


@pytest.mark.model
def test_the_embedded_models_prompt(embedded_model: Path) -> None:
    """SmolLM2's template adds no system text of its own to our prompts."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(embedded_model)
    ids = encode_prompt(tokenizer, (("user", "Hi.<|im_end|>"),), "")
    assert "SmolLM" not in tokenizer.decode(ids)
    assert ids.count(end_of_turn_id(tokenizer)) == 2
