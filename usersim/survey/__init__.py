"""Surveys: the instrument, the respondents' way through it, and what came of it.

    questions, expressions, checks -> survey -> flow, elicitation -> conduct -> results
                                                                       |-> population (weights)
    files (instruments in, results out), estimates (statistics), report (one page)

Stands below the simulator, which asks the people of a store (`UserSimulator.survey`); knows who
answers by the protocol `Respondents` alone.
"""

from usersim.survey.comparison import SurveyComparison, compare_survey
from usersim.survey.elicitation import Ask, PartReply
from usersim.survey.expressions import Expression, parse
from usersim.survey.flow import Design, Step, Walk, itinerary
from usersim.survey.given import GivenAnswer
from usersim.survey.interview import Respondents
from usersim.survey.population import Population
from usersim.survey.questions import (
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
from usersim.survey.rectified import RectifiedItem
from usersim.survey.responses import Mode, SurveyFailure, SurveyResponse, column_of
from usersim.survey.sections import Passage, Section
from usersim.survey.survey import Survey, SurveyResults, conduct

__all__ = [
    "Ask",
    "Budget",
    "Design",
    "Expression",
    "GivenAnswer",
    "LikertScale",
    "Matrix",
    "Mode",
    "MultipleChoice",
    "NumberQuestion",
    "OpenText",
    "PartReply",
    "Passage",
    "Population",
    "Ranking",
    "RectifiedItem",
    "Respondents",
    "Section",
    "SingleChoice",
    "Step",
    "Survey",
    "SurveyComparison",
    "SurveyFailure",
    "SurveyQuestion",
    "SurveyResponse",
    "SurveyResults",
    "Walk",
    "YesNo",
    "codes_of",
    "column_of",
    "compare_survey",
    "conduct",
    "itinerary",
    "parse",
    "space_of",
]
