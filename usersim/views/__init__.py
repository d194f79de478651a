"""What is shown to people while something runs, and when it is printed: progress and tables.

Knows texts and counts; knows nothing of people, models or storage.
"""

from usersim.views.progress import Progress, clock, show_progress, staged
from usersim.views.tables import Cell, Sheet, facts, in_words, printed, shortened

__all__ = [
    "Cell",
    "Progress",
    "Sheet",
    "clock",
    "facts",
    "in_words",
    "printed",
    "shortened",
    "show_progress",
    "staged",
]
