"""Surveys: the instrument, the walk of a respondent through it, and what came of it."""

from usersim.simulation.survey.conduct import Respondents, conduct
from usersim.simulation.survey.elicitation import Ask, Heard
from usersim.simulation.survey.expressions import Expression, parse
from usersim.simulation.survey.flow import Design, Step, Walk, itinerary
from usersim.simulation.survey.given import Given
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
    space_of,
)
from usersim.simulation.survey.results import (
    Mode,
    SurveyFailure,
    SurveyResponse,
    SurveyResults,
    column_of,
)
from usersim.simulation.survey.survey import Passage, Section, Survey

__all__ = [
    "Ask",
    "Budget",
    "Design",
    "Expression",
    "Given",
    "Heard",
    "LikertScale",
    "Matrix",
    "Mode",
    "MultipleChoice",
    "NumberQuestion",
    "OpenText",
    "Passage",
    "Ranking",
    "Respondents",
    "Section",
    "SingleChoice",
    "Step",
    "Survey",
    "SurveyFailure",
    "SurveyQuestion",
    "SurveyResponse",
    "SurveyResults",
    "Walk",
    "YesNo",
    "codes_of",
    "column_of",
    "conduct",
    "itinerary",
    "parse",
    "space_of",
]
