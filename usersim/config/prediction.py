"""How closed answers are predicted: which predictors, and over whom."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from usersim.config.base import Config

__all__ = ["PredictionConfig", "PredictorName"]

PredictorName = Literal["reasoning", "no_reasoning", "own_answer", "panel", "others", "own_scale"]


class PredictionConfig(Config):
    """How the answer to a closed question is put together.

    Example:
        >>> from usersim import PipelineConfig, UserSimulator
        >>> config = PipelineConfig(prediction=PredictionConfig(predictors=("own_scale", "others")))
        >>> options = ["yes", "no"]
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "yes", "options": options}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted", config=config) as sim:
        ...     answer = sim.respond("Milk?", options=options)
        >>> {share.predictor for share in answer.trace.predictors} <= {"own_scale", "others"}
        True
    """

    predictors: Annotated[tuple[PredictorName, ...], Field(min_length=1)] = get_args(PredictorName)
    """Whose distributions are pooled. `("reasoning",)` answers as the simulator alone, and so do
    the arms that compare ways of reasoning."""
    weight: str | None = None
    """Field of the metadata that says how many people a person stands for; everybody counts once
    without it."""
    calibration: Annotated[int, Field(ge=8)] = 200
    """Answers that calibration looks at, spread over the people."""
    seed: int = 0
    """Of the people and answers that the panel model is tuned on, and of calibration."""
