"""What a writer makes of its prompt: ratings, named options, and words of the person's own answers.

For people of a panel, one question each with eight past answers in the prompt, four of them the
most associated with the question: how many draws are only a rating or an option, cannot be read,
name the chosen option, or use a word of a past question. Nothing is drawn again.
`--templates FOLDER` takes `forward.jinja` and `backward.jinja` from elsewhere, to compare wordings.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from panels import load_panel

from usersim import load_engine
from usersim.config import HistoryConfig, SynthesisConfig
from usersim.engines import GenerateRequest
from usersim.prompts import backward_prompt, forward_prompt, load_template
from usersim.recon.bare_answers import is_bare_answer
from usersim.recon.leakage import copying
from usersim.recon.synthesis import read_draw
from usersim.transcript import OPEN, REASONING_STOP
from usersim.types import Interaction, Message, Panel, content_key

PAST, EVIDENCE, KNOWN = 4, 4, 60
COMMON_WORDS = """
    this that accurate accurately inaccurate describe statement very much have things people just
    more with like feel want what when they about because myself always often never
"""
COMMON = frozenset(COMMON_WORDS.split())
FIGURES = ("only an answer", "unreadable", "names the option", "uses a past answer")


def words(text: str) -> set[str]:
    """Return the words of four letters and more."""
    return set(re.findall(r"[a-z]{4,}", text.casefold()))


def items(panel: Panel, n: int, seed: int) -> list[tuple[Interaction, tuple[Interaction, ...]]]:
    """Return one question of each of `n` people, with past answers."""
    random, answers = np.random.default_rng(seed), panel.answers
    found: list[tuple[Interaction, tuple[Interaction, ...]]] = []
    for person in random.permutation(len(answers)):
        known = np.flatnonzero(~np.isnan(answers[person]))
        if len(known) <= PAST + EVIDENCE:
            continue
        asked, *others = (int(place) for place in random.permutation(known)[:KNOWN])
        strength = {other: _association(answers, asked, other) for other in others}
        ranked = sorted(others, key=strength.__getitem__)
        shown = [*ranked[:PAST], *ranked[-EVIDENCE:]]
        history = tuple(_answer(panel, int(person), q, i) for i, q in enumerate(shown))
        found.append((_answer(panel, int(person), asked, len(shown)), history))
        if len(found) == n:
            break
    return found


def _association(answers: np.ndarray, first: int, second: int) -> float:
    both = ~np.isnan(answers[:, first]) & ~np.isnan(answers[:, second])
    pair = answers[both][:, [first, second]]
    return abs(float(np.nan_to_num(np.corrcoef(pair.T)[0, 1]))) if len(pair) > 1 else 0.0


def _answer(panel: Panel, person: int, place: int, position: int) -> Interaction:
    question = panel.questions[place]
    return Interaction(
        key=f"{person}-{place}",
        user_id=f"person {person}",
        position=position,
        context=(Message(question.text),),
        action=question.space.options[int(panel.answers[person, place])],
        space=question.space,
        conversation=str(place),
    )


def told(text: str, one: Interaction, history: Sequence[Interaction]) -> tuple[bool, ...]:
    """Return the figures of one readable draw."""
    bare = is_bare_answer(text, one)
    asked = words(one.context[0].content) | COMMON
    past = set[str]().union(*(words(past.context[0].content) for past in history)) - asked
    named = not bare and copying(one, text).asserts_option
    return bare, False, named, not bare and bool(past & words(text))


def main() -> None:
    """Print the counts of both directions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panel", default="bfi")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--templates", type=Path)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--show", type=int, default=0, help="how many draws are printed")
    options = parser.parse_args()
    view, config = HistoryConfig(), SynthesisConfig()
    chosen = items(load_panel(options.panel, options.data).panel, options.people, config.seed)
    engine = load_engine(options.model)
    print(f"{options.model}, {options.panel}: {len(chosen)} people")
    for direction in ("forward", "backward"):
        own = options.templates and load_template(options.templates / f"{direction}.jinja")
        requests = [
            GenerateRequest(
                prompt=forward_prompt(one.user_id, one.question, past, config=view, template=own)
                if direction == "forward"
                else backward_prompt(
                    one.user_id,
                    one.question,
                    past,
                    config=view,
                    action_text=one.action_text,
                    template=own,
                ),
                prefix=OPEN,
                max_tokens=config.max_tokens,
                temperature=config.temperature,
                top_p=config.top_p,
                stop=(REASONING_STOP, "\n"),
                n=options.draws,
                seed=int(content_key(one.key, direction)[:8], 16) >> 1,
            )
            for one, past in chosen
        ]
        counts, total = np.zeros(len(FIGURES), dtype=int), 0
        for (one, past), draws in zip(chosen, engine.generate(requests), strict=True):
            for draw in draws:
                text, readable = read_draw(draw)
                counts += told(text, one, past) if readable else (False, True, False, False)
                if total < options.show:
                    print(f"  {one.context[0].content[-60:]} [{one.action_text}]: {text}")
                total += 1
        said = ", ".join(f"{name} {n}" for name, n in zip(FIGURES, counts, strict=True))
        print(f"{direction}: {total} draws; {said}")


if __name__ == "__main__":
    main()
