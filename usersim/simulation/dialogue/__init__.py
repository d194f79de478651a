"""A simulated person talks with an assistant toward a goal; pure but for the assistant's calls."""

from usersim.simulation.dialogue.assistants import Assistant, Assistants, Messages, name_of
from usersim.simulation.dialogue.faults import FAULTS, Fault, Faults, count_faults
from usersim.simulation.dialogue.hold import hold
from usersim.simulation.dialogue.patience import Patience, learn_patience
from usersim.simulation.dialogue.record import (
    ENDINGS,
    Dialogue,
    Ending,
    Scenario,
    Stop,
    fault_rate,
)
from usersim.simulation.dialogue.rules import Reached
from usersim.simulation.dialogue.talk import Talk
from usersim.simulation.dialogue.turns import Speaker, Turn

__all__ = [
    "ENDINGS",
    "FAULTS",
    "Assistant",
    "Assistants",
    "Dialogue",
    "Ending",
    "Fault",
    "Faults",
    "Messages",
    "Patience",
    "Reached",
    "Scenario",
    "Speaker",
    "Stop",
    "Talk",
    "Turn",
    "count_faults",
    "fault_rate",
    "hold",
    "learn_patience",
    "name_of",
]
