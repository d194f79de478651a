"""Does a reconstructor hear a trace that quotes the answer, with and without the end of the turn?

    python docs/results/quoted.py CORPUS MODEL [PEOPLE] [ROWS]

The last ROWS training rows of the first PEOPLE of a corpus of closed questions, preset `tiny`,
bfloat16: the raw gain of the leak oracle's trace under the rule before decision 0022, which scored
the end of the turn after each option, and under the present one.
"""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace
from itertools import islice
from statistics import fmean
from unittest.mock import patch

from usersim import Corpus, PipelineConfig
from usersim.engines import ScoreRequest
from usersim.engines.options import OptionQuery, option_requests
from usersim.engines.select import load_engine
from usersim.recon import oracle, score_candidates
from usersim.simulator.history import Histories


def ended(query: OptionQuery) -> list[ScoreRequest]:
    """Return the requests of the rule before."""
    return [replace(request, end=True) for request in option_requests(query)]


def main(source: str, model: str, people: str = "12", rows: str = "3") -> None:
    """Print both rules' gains."""
    config = PipelineConfig.preset("tiny")
    with (
        Corpus.open(":memory:") as corpus,
        closing(load_engine(model, engine="transformers", dtype="bfloat16")) as engine,
    ):
        corpus.add(source)
        histories = Histories(corpus, config.history)
        cases = [
            replace(histories.around(row), candidates=(oracle(row)[0],))
            for user in islice(corpus.users(), int(people))
            for row in list(corpus.interactions([user.user_id], split="train"))[-int(rows) :]
        ]
        for name, rule in (("with the end", ended), ("without", option_requests)):
            with patch("usersim.recon.fidelity.closed.option_requests", rule):
                scored = score_candidates(
                    engine, cases, config.scoring, config.guards, config.history
                )
            gains = [one.scores.raw_gain for (one,) in scored]
            above = fmean(gain > 0 for gain in gains)
            print(f"{name}: raw gain {fmean(gains):+.3f}, above 0 {above:.2f}, n = {len(gains)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
