"""Surveys as files of other programs: instruments in, results out."""

from usersim.simulation.survey_files.answers import read_answers
from usersim.simulation.survey_files.codebooks import codebook_of
from usersim.simulation.survey_files.frames import (
    Shape,
    to_csv,
    to_frame,
    to_parquet,
    weight_column,
)
from usersim.simulation.survey_files.notes import Column, Note, SurveyImport
from usersim.simulation.survey_files.qsf import read_qsf
from usersim.simulation.survey_files.qualtrics_csv import (
    PERSONAL,
    QualtricsAnswers,
    read_qualtrics_csv,
)
from usersim.simulation.survey_files.spss import spss_problems, to_spss
from usersim.simulation.survey_files.tables import TABLES, check_ending, write_table

__all__ = [
    "PERSONAL",
    "TABLES",
    "Column",
    "Note",
    "QualtricsAnswers",
    "Shape",
    "SurveyImport",
    "check_ending",
    "codebook_of",
    "read_answers",
    "read_qsf",
    "read_qualtrics_csv",
    "spss_problems",
    "to_csv",
    "to_frame",
    "to_parquet",
    "to_spss",
    "weight_column",
    "write_table",
]
