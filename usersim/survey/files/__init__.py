"""Surveys as files of other programs: instruments in, results out."""

from usersim.survey.files.answers import read_answers
from usersim.survey.files.codebooks import codebook_of
from usersim.survey.files.form.page import write_form
from usersim.survey.files.frames import (
    Shape,
    to_csv,
    to_frame,
    to_parquet,
    weight_column,
)
from usersim.survey.files.notes import Column, Note, SurveyExport, SurveyImport
from usersim.survey.files.qsf.reader import read_qsf
from usersim.survey.files.qsf.writer import write_qsf
from usersim.survey.files.qualtrics_csv import (
    PERSONAL,
    QualtricsAnswers,
    read_qualtrics_csv,
)
from usersim.survey.files.spss import spss_problems, to_spss
from usersim.survey.files.tables import TABLES, check_ending, write_table

__all__ = [
    "PERSONAL",
    "TABLES",
    "Column",
    "Note",
    "QualtricsAnswers",
    "Shape",
    "SurveyExport",
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
    "write_form",
    "write_qsf",
    "write_table",
]
