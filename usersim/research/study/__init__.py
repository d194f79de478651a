"""A study: a written plan of arms, sets and seeds, run cell by cell into one folder and one page.

    plan.yaml -> StudyPlan -> cells (a set under a seed) -> one report folder each -> pooled figures

Knows plans, folders and figures; what measures a cell is given.
"""

from usersim.research.study.cells import Cell, cells_of
from usersim.research.study.figures import Contrast, Figures, SetFigures, figures_of
from usersim.research.study.page import write_study_page
from usersim.research.study.plan import Comparison, Planted, SetPlan, Settings, StudyPlan, read_plan
from usersim.research.study.running import CellState, StudyRun, run_cells, states_of

__all__ = [
    "Cell",
    "CellState",
    "Comparison",
    "Contrast",
    "Figures",
    "Planted",
    "SetFigures",
    "SetPlan",
    "Settings",
    "StudyPlan",
    "StudyRun",
    "cells_of",
    "figures_of",
    "read_plan",
    "run_cells",
    "states_of",
    "write_study_page",
]
