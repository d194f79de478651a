"""Surveys as files of other programs: instruments in, results out."""

from usersim.simulation.survey_files.frames import Shape, to_csv, to_frame, to_parquet
from usersim.simulation.survey_files.notes import Note, SurveyImport
from usersim.simulation.survey_files.qsf import read_qsf
from usersim.simulation.survey_files.spss import to_spss

__all__ = [
    "Note",
    "Shape",
    "SurveyImport",
    "read_qsf",
    "to_csv",
    "to_frame",
    "to_parquet",
    "to_spss",
]
