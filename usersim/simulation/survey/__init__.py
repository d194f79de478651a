"""Surveys: the instrument, the walk of a respondent through it, and what came of it."""

from usersim.simulation.survey.questions import (
    Budget,
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Ranking,
    SingleChoice,
    SurveyQuestion,
    YesNo,
    codes_of,
)
from usersim.simulation.survey.results import (
    Mode,
    SurveyFailure,
    SurveyResponse,
    SurveyResults,
    column_of,
)
from usersim.simulation.survey.survey import Section, Survey

__all__ = [
    "Budget",
    "LikertScale",
    "Matrix",
    "Mode",
    "MultipleChoice",
    "NumberQuestion",
    "OpenText",
    "Ranking",
    "Section",
    "SingleChoice",
    "Survey",
    "SurveyFailure",
    "SurveyQuestion",
    "SurveyResponse",
    "SurveyResults",
    "YesNo",
    "codes_of",
    "column_of",
]
