"""How hard a reconstruction is to tell from what the person did, among their other actions.

A reader is shown what the person did elsewhere, the context in question and two replies, the true
one and one that was drawn after the trace, in both orders. The probability that it takes the
drawn one for the person's own is the trace's indistinguishability: 0.5 where it cannot tell. It
rewards acting like this person, where a gain rewards naming the action alone.
Of answers in words only: two options differ by what they say, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from usersim.engines import Engine, GenerateRequest
from usersim.engines.options import OptionQuery, option_probabilities
from usersim.prompts import tell_apart_prompt
from usersim.recon.fidelity.base import Trial
from usersim.recon.fidelity.drawn import drawn_actions, drawn_text
from usersim.recon.leakage.masking import mask
from usersim.transcript import NO_REASONING
from usersim.types import FreeText, content_key

__all__ = ["indistinguishability"]

UNKNOWN = 0.5
"""What a reader that cannot tell two replies apart gives; also of equal ones."""
_PLACES = ("1", "2")


def indistinguishability(
    engine: Engine,
    reader: Engine,
    trials: Sequence[Trial],
    *,
    seed: int,
    temperature: float,
) -> list[tuple[float | None, ...]]:
    """Return for each trace how often its reconstruction passes for what the person did.

    The reconstruction is drawn after the masked trace, so that quoting the action does not pay.

    Args:
        engine: The reconstructor: draws one reply after each trace.
        reader: Tells replies apart; needs `logprobs`. The reconstructor itself, or another model.
        trials: Traces of what people did in words.
        seed: Of the draws; combined with the interaction's key and the trace.
        temperature: Of the draws.

    Returns:
        Per item one value per trace, 0 to 1; 0 where nothing could be drawn, and None for every
        trace of an action that is not in words.

    Raises:
        CapabilityError: If `reader` cannot score given text.

    Example:
        >>> from usersim.config import HistoryConfig
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> from usersim.types import Case, Interaction, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Always.", space=FreeText(), conversation="c")
        >>> trial = Trial(case=Case(tea), reasonings=("I like tea.",), view=HistoryConfig())
        >>> engine = ScriptedEngine({"Tea": "Gladly."})
        >>> ((passes,),) = indistinguishability(engine, engine, [trial], seed=0, temperature=0.7)
        >>> 0 < passes < 1
        True
    """
    wanted = [_requests(trial, seed, temperature) for trial in trials]
    requests = [request for many in wanted for request in many]
    drawn = iter(engine.generate(requests) if requests else [])
    replies = [[drawn_text(next(drawn)[0]) for _ in many] for many in wanted]
    asked = [
        [_queries(trial, text) for text in texts]
        for trial, texts in zip(trials, replies, strict=True)
    ]
    queries = [query for many in asked for pair in many for query in pair]
    told = iter(option_probabilities(reader, queries) if queries else [])
    found: list[tuple[float | None, ...]] = []
    for trial, texts, pairs in zip(trials, replies, asked, strict=True):
        values = [
            _value(trial, text, [next(told) for _ in pair])
            for text, pair in zip(texts, pairs, strict=True)
        ]
        found.append(tuple(values) if values else (None,) * len(trial.reasonings))
    return found


def _requests(trial: Trial, seed: int, temperature: float) -> list[GenerateRequest]:
    """Return a draw after each masked trace; none where the action is not in words."""
    one = trial.case.interaction
    if not isinstance(one.space, FreeText):
        return []
    requests: list[GenerateRequest] = []
    for place, text in enumerate(trial.reasonings):
        masked = replace(trial, reasonings=(mask(one, text),))
        own = int(content_key(seed, one.key, place, "reply")[:8], 16) >> 1
        requests.append(drawn_actions(masked, n=1, seed=own, temperature=temperature).generate[-1])
    return requests


def _queries(trial: Trial, reply: str) -> list[OptionQuery]:
    """Ask which of two replies is the person's own, the drawn one second and then first."""
    true = trial.case.interaction.action_text
    if not reply or reply == true:
        return []
    one = trial.case.interaction
    return [
        OptionQuery(
            prompt=tell_apart_prompt(
                one.user_id, one.question, trial.case.history, pair, config=trial.view
            ),
            prefix=NO_REASONING,
            options=_PLACES,
        )
        for pair in ((true, reply), (reply, true))
    ]


def _value(trial: Trial, reply: str, told: Sequence[Sequence[float]]) -> float:
    """Return the mean probability of the drawn reply's place over both orders."""
    if reply == trial.case.interaction.action_text:
        return UNKNOWN
    if not told:
        return 0.0
    (_, second), (first, _) = told
    return (second + first) / 2
