"""The face, and the only package that knows the order of the stages."""

from usersim.simulator.arm_names import ARMS, ArmName, check_arms
from usersim.simulator.dialogue import Alone, Holding, Voices
from usersim.simulator.dialogue_files import read_dialogues, write_chats
from usersim.simulator.elicitation import (
    Elicitation,
    ElicitationComparison,
    compare_elicitation,
)
from usersim.simulator.face import UserSimulator
from usersim.simulator.measure import Measurement
from usersim.simulator.naming import naming_rates
from usersim.simulator.recon import Recon, Reconstruction
from usersim.simulator.run import Run, RunCost, RunFailure
from usersim.simulator.sources import SOURCES, TraceSource
from usersim.simulator.surveys import StoreRespondents, SurveyCost
from usersim.simulator.synthesiser import RECIPES

__all__ = [
    "ARMS",
    "RECIPES",
    "SOURCES",
    "Alone",
    "ArmName",
    "Elicitation",
    "ElicitationComparison",
    "Holding",
    "Measurement",
    "Recon",
    "Reconstruction",
    "Run",
    "RunCost",
    "RunFailure",
    "StoreRespondents",
    "SurveyCost",
    "TraceSource",
    "UserSimulator",
    "Voices",
    "check_arms",
    "compare_elicitation",
    "naming_rates",
    "read_dialogues",
    "write_chats",
]
