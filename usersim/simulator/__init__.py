"""The face, and the only package that knows the order of the stages."""

from usersim.simulator.adapter_list import StoredAdapter, StoredAdapters, stored_adapters
from usersim.simulator.adapters import AdapterChoice, Base
from usersim.simulator.calibration import Calibration
from usersim.simulator.costs import CostPlan, Lengths, StageCost, lengths_of, plan_costs
from usersim.simulator.dialogue import Voices
from usersim.simulator.dialogue_files import read_dialogues, write_chats
from usersim.simulator.elicitation import (
    Elicitation,
    ElicitationComparison,
    compare_elicitation,
)
from usersim.simulator.face import UserSimulator
from usersim.simulator.hardware import GPUS, Gpu, ModelSize
from usersim.simulator.measure import Measurement
from usersim.simulator.naming import naming_rates
from usersim.simulator.planning import (
    EvaluationPlan,
    TimeEstimate,
    plan_evaluation,
    time_evaluation,
)
from usersim.simulator.recon import Recon, Reconstruction
from usersim.simulator.respondents import StoreRespondents, SurveyCost
from usersim.simulator.run import Run, RunCost, RunFailure
from usersim.simulator.sources import SOURCES
from usersim.simulator.stores import open_store
from usersim.simulator.streams import AnswerStream, AsyncAnswerStream
from usersim.simulator.surveyed import SurveyCalibration, calibrate_on_survey
from usersim.simulator.synthesizer import RECIPES

__all__ = [
    "GPUS",
    "RECIPES",
    "SOURCES",
    "AdapterChoice",
    "AnswerStream",
    "AsyncAnswerStream",
    "Base",
    "Calibration",
    "CostPlan",
    "Elicitation",
    "ElicitationComparison",
    "EvaluationPlan",
    "Gpu",
    "Lengths",
    "Measurement",
    "ModelSize",
    "Recon",
    "Reconstruction",
    "Run",
    "RunCost",
    "RunFailure",
    "StageCost",
    "StoreRespondents",
    "StoredAdapter",
    "StoredAdapters",
    "SurveyCalibration",
    "SurveyCost",
    "TimeEstimate",
    "UserSimulator",
    "Voices",
    "calibrate_on_survey",
    "compare_elicitation",
    "lengths_of",
    "naming_rates",
    "open_store",
    "plan_costs",
    "plan_evaluation",
    "read_dialogues",
    "stored_adapters",
    "time_evaluation",
    "write_chats",
]
