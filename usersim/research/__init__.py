"""Tools of a study: planted users, pooling over seeds, transfer between models, and power.

    planted (people whose reasons are known) -> naming rates of traces
    report folders -> pooling (several seeds), transfer (several models)
    power (how many comparisons a study needs)

Stands above evaluation, whose reports it reads; knows no engine and no store.
"""

from usersim.research.planted import (
    NamingRate,
    PlantedFacts,
    PlantedPopulation,
    PlantedRule,
    PlantedSituation,
    PlantedUser,
    names_other,
    names_reason,
    naming_rate,
    planted_users,
)
from usersim.research.pooling import PooledDifference, pool
from usersim.research.power import comparisons_needed
from usersim.research.transfer import TransferCell, TransferMatrix
from usersim.research.transfer_plot import write_transfer

__all__ = [
    "NamingRate",
    "PlantedFacts",
    "PlantedPopulation",
    "PlantedRule",
    "PlantedSituation",
    "PlantedUser",
    "PooledDifference",
    "TransferCell",
    "TransferMatrix",
    "comparisons_needed",
    "names_other",
    "names_reason",
    "naming_rate",
    "planted_users",
    "pool",
    "write_transfer",
]
