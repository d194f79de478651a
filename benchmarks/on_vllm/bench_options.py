"""A closed question to many respondents: option probabilities against answers as text.

Two questions: five options that part at their only token, and seven that share beginnings. The
prompts are in the prefix cache, as they are after a reasoning was drawn, but for the rest of their
last block; their lengths differ, so that this rest is half a block on average. As text the answer's
probabilities are estimated from draws; `--draws` says how many.
"""

from __future__ import annotations

from common import arguments, compare, machine, text

from usersim.config import VllmConfig
from usersim.engines.base import GenerateRequest
from usersim.engines.options import OptionQuery, option_probabilities
from usersim.engines.vllm.engine import VllmEngine

QUESTIONS = {
    "five options of one token": ("never", "sometimes", "often", "usually", "always"),
    "seven options with shared beginnings": (
        "Disagree strongly",
        "Disagree moderately",
        "Disagree a little",
        "Neither agree nor disagree",
        "Agree a little",
        "Agree moderately",
        "Agree strongly",
    ),
}
WANTED = 1.5


def main() -> None:
    """Measure and print."""
    sizes = arguments(rounds=3, respondents=200, draws=1, tokens=16)
    engine = VllmEngine("embedded", VllmConfig(max_model_len=1024))
    print(f"{sizes.respondents} respondents, {sizes.draws} draws as text; {machine()}")
    for title, options in QUESTIONS.items():
        instrument = f"{text(300, 2)}. Answer with one of: {'; '.join(options)}."
        prompts = [
            (
                ("system", instrument),
                ("user", f"Respondent {n}, {text(12 + n % 24, n)}: I like rain."),
            )
            for n in range(sizes.respondents)
        ]
        queries = [OptionQuery(prompt=prompt, prefix="", options=options) for prompt in prompts]
        asks = [
            GenerateRequest(prompt=prompt, max_tokens=sizes.tokens, n=sizes.draws, seed=n)
            for n, prompt in enumerate(prompts)
        ]
        engine.generate(asks)
        print(title)
        found = compare(
            {
                "option probabilities": lambda queries=queries: option_probabilities(
                    engine, queries
                ),
                "answers as text": lambda asks=asks: engine.generate(asks),
            },
            sizes.rounds,
        )
        ratio = found["answers as text"].over(found["option probabilities"])
        print(f"  option probabilities are {ratio} times as fast (at least {WANTED} wanted)")
    engine.close()


if __name__ == "__main__":
    main()
