"""The face, and the only package that knows the order of the stages."""

from usersim.simulator.face import UserSimulator
from usersim.simulator.measure import ARMS, ArmName, Measurement, check_arms
from usersim.simulator.recon import Recon, Reconstruction
from usersim.simulator.run import Run, RunCost, RunFailure
from usersim.simulator.sources import SOURCES, TraceSource

__all__ = [
    "ARMS",
    "SOURCES",
    "ArmName",
    "Measurement",
    "Recon",
    "Reconstruction",
    "Run",
    "RunCost",
    "RunFailure",
    "TraceSource",
    "UserSimulator",
    "check_arms",
]
