"""`sampled_similarity`: generated reconstructions against the true action, without a judge."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from statistics import fmean

from usersim.engines import Engine
from usersim.errors import MissingDependencyError, ScoringError
from usersim.recon.fidelity.base import Answers, Embed, Fidelity, ScoringPlan, Trial
from usersim.recon.fidelity.drawn import drawn_actions, drawn_text
from usersim.recon.words import tokens
from usersim.style import style_distance
from usersim.types.counting import counted

__all__ = ["SampledSimilarity", "likeness"]


@dataclass(frozen=True, slots=True)
class SampledSimilarity:
    """Gain in the likeness of M generated actions to the true one.

    The fidelity of one reconstruction is the mean of its components, each 0 to 1: chrF,
    ROUGE-L (F), 1 - style distance, and the embedding cosine where `embed` is given.

        gain(r) = mean fidelity with r - mean fidelity with the empty reasoning

    The first half of the draws selects (`gain`), the second reports (`reported_gain`). A draw
    that cannot be read as an action has fidelity 0 in every component.

    Unit: share of likeness. Requirements: text generation only; the packages `sacrebleu` and
    `rouge-score`.
    Relations: the score for engines without log-probabilities; `LoglikGain` needs no draws and
    has less noise.

    Attributes:
        samples: M, draws per trace.
        embed: Turns texts into vectors; None leaves the cosine out.
        seed: Seed of the draws.
        temperature: Of the draws.
    """

    samples: int
    embed: Embed | None = None
    seed: int = 0
    temperature: float = 0.7
    name: str = "sampled_similarity@1"
    unit: str = "likeness, 0 to 1"

    def check(self, engine: Engine) -> None:
        """Accept every engine: all of them generate."""

    def plan(self, trial: Trial) -> ScoringPlan:
        """Ask for M actions after the empty reasoning and after each trace."""
        return drawn_actions(trial, n=self.samples, seed=self.seed, temperature=self.temperature)

    def read(self, trial: Trial, answers: Answers) -> tuple[Fidelity, ...]:
        """Return the likeness gained on both halves of the draws, and every component."""
        true = trial.case.interaction.action_text
        rows = [self.components(true, [drawn_text(d) for d in draws]) for draws in answers.draws]
        half = (self.samples + 1) // 2
        select = [_mean(row[:half]) for row in rows]
        report = [_mean(row[half:]) for row in rows]
        none = fmean(select[0].values())
        none_report = fmean(report[0].values())
        return tuple(
            Fidelity(
                gain=fmean(select[i].values()) - none,
                reported_gain=fmean(report[i].values()) - none_report,
                components=select[i] | {f"{k}_none": v for k, v in select[0].items()},
            )
            for i in range(1, len(rows))
        )

    def components(self, true: str, texts: Sequence[str]) -> list[dict[str, float]]:
        """Return the components of each text; all 0 for an empty one."""
        chrf, rouge_l = _metrics()
        found = [
            {
                "chrf": chrf(text, true),
                "rouge_l": rouge_l(text, true),
                "style": 1 - style_distance(text, true) if text else 0.0,
            }
            for text in texts
        ]
        if self.embed is not None:
            reference, *vectors = self.embed([true, *texts])
            for values, vector, text in zip(found, vectors, texts, strict=True):
                values["cosine"] = _cosine(vector, reference) if text else 0.0
        return found


def _mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: fmean(row[name] for row in rows) for name in rows[0]}


def likeness(text: str, true: str) -> float:
    """Return how like a text is to the true one: the mean of chrF, ROUGE-L and style, 0 to 1.

    Raises:
        MissingDependencyError: If `sacrebleu` or `rouge-score` is not installed.
    """
    (found,) = SampledSimilarity(samples=1).components(true, [text])
    return fmean(found.values())


class _Words:
    """The tokenizer that ROUGE-L is given: its own knows ASCII alone."""

    def tokenize(self, text: str) -> list[str]:
        return tokens(text)


@lru_cache(maxsize=1)
def _metrics() -> tuple[Callable[[str, str], float], Callable[[str, str], float]]:
    """Return chrF and ROUGE-L, each of (text, true text), 0 to 1.

    Raises:
        MissingDependencyError: If one of their packages is not installed.
    """
    try:
        chrf = import_module("sacrebleu").sentence_chrf
    except ImportError:
        raise MissingDependencyError("sacrebleu", extra="metrics", why="chrF") from None
    try:
        rouge = import_module("rouge_score.rouge_scorer").RougeScorer
    except ImportError:
        raise MissingDependencyError("rouge-score", extra="metrics", why="ROUGE-L") from None
    scorer = rouge(["rougeL"], tokenizer=_Words())
    return (
        lambda text, true: float(chrf(text, [true]).score) / 100 if text else 0.0,
        lambda text, true: float(scorer.score(true, text)["rougeL"].fmeasure),
    )


def _cosine(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the cosine of two vectors, 0 if one of them is 0 or points away.

    Raises:
        ScoringError: If their lengths differ.
    """
    if len(first) != len(second):
        raise ScoringError(f"embeddings of {len(first)} and {counted(len(second), 'dimension')}")
    norm = math.hypot(*first) * math.hypot(*second)
    return max(sum(a * b for a, b in zip(first, second, strict=True)) / norm, 0.0) if norm else 0.0
