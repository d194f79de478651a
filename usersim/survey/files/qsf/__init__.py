"""Qualtrics' own file of an instrument (`.qsf`, JSON), read as a `Survey`."""

from usersim.survey.files.qsf.reader import read_qsf

__all__ = ["read_qsf"]
