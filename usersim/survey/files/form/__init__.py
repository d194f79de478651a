"""An instrument as a form: one page that works without a network and saves answers as CSV."""

from usersim.survey.files.form.page import write_form

__all__ = ["write_form"]
