"""Planted users: synthetic people whose reasons are known, and how often a trace names them."""

from usersim.research.planted.naming import NamingRate, names_other, names_reason, naming_rate
from usersim.research.planted.rules import (
    PlantedFacts,
    PlantedRule,
    PlantedSituation,
    PlantedUser,
)
from usersim.research.planted.users import PlantedPopulation, planted_users

__all__ = [
    "NamingRate",
    "PlantedFacts",
    "PlantedPopulation",
    "PlantedRule",
    "PlantedSituation",
    "PlantedUser",
    "names_other",
    "names_reason",
    "naming_rate",
    "planted_users",
]
