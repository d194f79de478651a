"""Prompts: templates with an identity, and what they are shown."""

from usersim.prompts.environment import (
    PromptTemplate,
    load_template,
    template_names,
    templates_key,
)
from usersim.prompts.requests import (
    PersonChat,
    backward_prompt,
    forward_prompt,
    judge_pair_prompt,
    judge_prompt,
    persona_prompt,
    respond_prompt,
    tell_apart_prompt,
    turn_text,
    why_prompt,
)

__all__ = [
    "PersonChat",
    "PromptTemplate",
    "backward_prompt",
    "forward_prompt",
    "judge_pair_prompt",
    "judge_prompt",
    "load_template",
    "persona_prompt",
    "respond_prompt",
    "tell_apart_prompt",
    "template_names",
    "templates_key",
    "turn_text",
    "why_prompt",
]
