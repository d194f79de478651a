"""Leakage guards: a trace may help to predict the action, but not by stating it."""

from usersim.recon.leakage.copying import copying
from usersim.recon.leakage.guards import refusals
from usersim.recon.leakage.masking import BLANK, mask
from usersim.recon.leakage.mentions import asserts_option

__all__ = ["BLANK", "asserts_option", "copying", "mask", "refusals"]
