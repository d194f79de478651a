"""The report of a survey: one page that compares simulated with human answers, and its plots."""

from usersim.survey.report.page import write_survey_report

__all__ = ["write_survey_report"]
