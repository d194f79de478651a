"""A seven-option question to many respondents: option probabilities against answers as text.

As text the answer's probabilities are estimated from draws; `--draws` says how many.
"""

from __future__ import annotations

from common import arguments, compare, machine, text

from usersim.config import VllmConfig
from usersim.engines.base import GenerateRequest
from usersim.engines.options import OptionQuery, option_probabilities
from usersim.engines.vllm.engine import VllmEngine

OPTIONS = (
    "Disagree strongly",
    "Disagree moderately",
    "Disagree a little",
    "Neither agree nor disagree",
    "Agree a little",
    "Agree moderately",
    "Agree strongly",
)


def main() -> None:
    """Measure and print."""
    sizes = arguments(rounds=3, respondents=200, draws=1, tokens=16)
    engine = VllmEngine("embedded", VllmConfig(max_model_len=1024))
    instrument = f"{text(300, 2)}. Answer with one of: {'; '.join(OPTIONS)}."
    prompts = [
        (("system", instrument), ("user", f"Respondent {n}, {text(12, n)}: I like rain."))
        for n in range(sizes.respondents)
    ]
    queries = [OptionQuery(prompt=prompt, prefix="", options=OPTIONS) for prompt in prompts]
    asks = [
        GenerateRequest(prompt=prompt, max_tokens=sizes.tokens, n=sizes.draws, seed=n)
        for n, prompt in enumerate(prompts)
    ]
    engine.generate(asks[:2])
    print(
        f"{sizes.respondents} respondents, {len(OPTIONS)} options, {sizes.draws} draws as text; "
        f"{machine()}"
    )
    found = compare(
        {
            "option probabilities": lambda: option_probabilities(engine, queries),
            "answers as text": lambda: engine.generate(asks),
        },
        sizes.rounds,
    )
    ratio = found["answers as text"] / found["option probabilities"]
    print(f"  option probabilities are {ratio:.2f} times as fast (at least 3 wanted)")
    engine.close()


if __name__ == "__main__":
    main()
