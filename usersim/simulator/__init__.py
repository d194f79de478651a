"""The face, and the only package that knows the order of the stages."""

from usersim.simulator.arm_names import ARMS, ArmName, check_arms
from usersim.simulator.dialogue import Alone, Holding, Voices
from usersim.simulator.dialogue_files import read_dialogues, write_chats
from usersim.simulator.face import UserSimulator
from usersim.simulator.measure import Measurement
from usersim.simulator.naming import naming_rates
from usersim.simulator.recon import Recon, Reconstruction
from usersim.simulator.run import Run, RunCost, RunFailure
from usersim.simulator.sources import SOURCES, TraceSource
from usersim.simulator.synthesiser import RECIPES

__all__ = [
    "ARMS",
    "RECIPES",
    "SOURCES",
    "Alone",
    "ArmName",
    "Holding",
    "Measurement",
    "Recon",
    "Reconstruction",
    "Run",
    "RunCost",
    "RunFailure",
    "TraceSource",
    "UserSimulator",
    "Voices",
    "check_arms",
    "naming_rates",
    "read_dialogues",
    "write_chats",
]
