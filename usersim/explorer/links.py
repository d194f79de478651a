"""Where each page is: as an address on a server, or as a file of an export.

A page that does not exist has the empty address; templates then write its name without a link.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import quote, urlencode

__all__ = ["FileLinks", "Links", "ServerLinks", "Step"]

Step = tuple[Literal["after", "before"], str | int] | None
"""`("after", key)` or `("before", key)`; None for the first page of a list."""


class Links(Protocol):
    """Addresses of the explorer's pages, as they stand in `href`."""

    @property
    def offline(self) -> bool:
        """Whether the pages are files, without a server behind them."""
        ...

    def asset(self, name: str) -> str:
        """Return the style sheet, the script or the icon."""
        ...

    def home(self) -> str:
        """Return the overview."""
        ...

    def people(self, *, search: str = "", step: Step = None) -> str:
        """Return the list of people."""
        ...

    def person(self, user_id: str, *, step: Step = None) -> str:
        """Return what a person did."""
        ...

    def answers(self, user_id: str, *, step: Step = None) -> str:
        """Return what was simulated for a person."""
        ...

    def interaction(self, key: str) -> str:
        """Return one interaction."""
        ...

    def trace(self, key: str, *, measure: bool = False) -> str:
        """Return one candidate."""
        ...

    def run(self, name: str, *, step: Step = None) -> str:
        """Return a run."""
        ...

    def answer(self, answer_id: int, *, measure: bool = False) -> str:
        """Return one answer."""
        ...

    def compare(
        self, *, answer: int | None = None, interaction: str | None = None, other: str = ""
    ) -> str:
        """Return two people beside each other in one context."""
        ...


@dataclass(frozen=True, slots=True)
class ServerLinks:
    """Addresses on a server. Ids stand in the query: they may hold any character.

    Attributes:
        prefix: Path under which the explorer is mounted, without a slash at its end.

    Example:
        >>> ServerLinks().person("a/b&c")
        '/person?user=a%2Fb%26c'
    """

    prefix: str = ""

    @property
    def offline(self) -> bool:
        """False."""
        return False

    def asset(self, name: str) -> str:
        """Return the style sheet, the script or the icon."""
        return f"{self.prefix}/static/{quote(name)}"

    def home(self) -> str:
        """Return the overview."""
        return f"{self.prefix}/"

    def people(self, *, search: str = "", step: Step = None) -> str:
        """Return the list of people."""
        return self._at("people", {"q": search}, step)

    def person(self, user_id: str, *, step: Step = None) -> str:
        """Return what a person did."""
        return self._at("person", {"user": user_id}, step)

    def answers(self, user_id: str, *, step: Step = None) -> str:
        """Return what was simulated for a person."""
        return self._at("answers", {"user": user_id}, step)

    def interaction(self, key: str) -> str:
        """Return one interaction."""
        return self._at("interaction", {"key": key})

    def trace(self, key: str, *, measure: bool = False) -> str:
        """Return one candidate."""
        return self._at("trace", {"key": key, "measure": "1" if measure else ""})

    def run(self, name: str, *, step: Step = None) -> str:
        """Return a run."""
        return self._at("run", {"name": name}, step)

    def answer(self, answer_id: int, *, measure: bool = False) -> str:
        """Return one answer."""
        return self._at("answer", {"id": str(answer_id), "measure": "1" if measure else ""})

    def compare(
        self, *, answer: int | None = None, interaction: str | None = None, other: str = ""
    ) -> str:
        """Return two people beside each other in one context."""
        of = {"answer": "" if answer is None else str(answer), "interaction": interaction or ""}
        return self._at("compare", {**of, "other": other})

    def _at(self, page: str, query: dict[str, str], step: Step = None) -> str:
        fields = {name: value for name, value in query.items() if value}
        if step is not None:
            fields[step[0]] = str(step[1])
        text = urlencode(fields, quote_via=quote, safe="")
        return f"{self.prefix}/{page}" + (f"?{text}" if text else "")


@dataclass(frozen=True, slots=True)
class FileLinks:
    """Files of an export, all in one folder; named by number, never by what a corpus says.

    Attributes:
        run_name: The run that is exported.
        page: The page of the run's list that is written, from 1: lists link to their neighbors.

    Example:
        >>> FileLinks("pilot", page=2).run("pilot", step=("after", 99))
        'page-3.html'
    """

    run_name: str
    page: int = 1

    @property
    def offline(self) -> bool:
        """True."""
        return True

    def asset(self, name: str) -> str:
        """Return the style sheet, the script or the icon."""
        return name

    def home(self) -> str:
        """Return the first page of the run."""
        return "index.html"

    def people(self, *, search: str = "", step: Step = None) -> str:
        """Return nothing: the people are not exported."""
        del search, step
        return ""

    def person(self, user_id: str, *, step: Step = None) -> str:
        """Return nothing: what people did is not exported."""
        del user_id, step
        return ""

    def answers(self, user_id: str, *, step: Step = None) -> str:
        """Return nothing: one run is exported."""
        del user_id, step
        return ""

    def interaction(self, key: str) -> str:
        """Return nothing: what people did is not exported."""
        del key
        return ""

    def trace(self, key: str, *, measure: bool = False) -> str:
        """Return nothing: candidates are not exported."""
        del key, measure
        return ""

    def run(self, name: str, *, step: Step = None) -> str:
        """Return a page of the run's list; nothing for another run."""
        if name != self.run_name:
            return ""
        if step is None:
            return "index.html"
        page = self.page + (1 if step[0] == "after" else -1)
        return "index.html" if page == 1 else f"page-{page}.html"

    def answer(self, answer_id: int, *, measure: bool = False) -> str:
        """Return one answer; measuring needs a server."""
        return "" if measure else f"answer-{answer_id}.html"

    def compare(
        self, *, answer: int | None = None, interaction: str | None = None, other: str = ""
    ) -> str:
        """Return nothing: comparing needs the store."""
        del answer, interaction, other
        return ""
