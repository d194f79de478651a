"""A run as a folder of pages that open without a server.

The same pages as the explorer's, in files that are named by number. They are a copy of personal
data: forgetting a person does not reach it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import orjson

from usersim.corpus import RunRecord
from usersim.corpus.browsing.browser import PAGE
from usersim.errors import ConfigError, CorpusError
from usersim.explorer.closeups import Explorer
from usersim.explorer.drawing import ASSETS, asset
from usersim.explorer.links import FileLinks, Step
from usersim.explorer.views import Pages
from usersim.files import sync, sync_tree
from usersim.types.counting import counted
from usersim.views import Progress

__all__ = ["RunExport", "export_run"]

MANIFEST = "usersim-export.json"
"""Says that a folder is an export, which another may replace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunExport:
    """What was written.

    Attributes:
        folder: Where.
        run: The run's name.
        pages: Pages of its list.
        answers: Pages of answers.
    """

    folder: Path
    run: str
    pages: int
    answers: int


def export_run(
    explorer: Explorer,
    folder: str | Path,
    *,
    run: str | None = None,
    measure: bool = False,
    progress: Progress | None = None,
) -> RunExport:
    """Write one run as a folder of HTML pages, each marked as simulated.

    The folder appears when it is whole. Only an earlier export is ever replaced.

    Args:
        explorer: Whose store; its engine measures.
        folder: Where; it must not exist, be empty, or hold an earlier export.
        run: Name of the run; None takes the only one there is.
        measure: Also show every answer token by token and sentence by sentence, which takes
            the engine some seconds for each on a CPU.
        progress: Called with (stage, requests written, requests).

    Raises:
        ConfigError: If the run is unknown, or the folder holds something else.
        CorpusError: If the folder cannot be written.
    """
    record = _chosen(explorer, run)
    target = Path(folder)
    _check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        half = Path(mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            written = _Writer(explorer, record, half, measure, progress).write()
            half.chmod(0o755)
            sync_tree(half)
            if target.exists():
                shutil.rmtree(target)
            half.replace(target)
            sync(target.parent)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise
    except OSError as error:
        raise CorpusError(
            f"the run {record.name!r} cannot be written to {str(target)!r}: {error}",
            hint="choose a writable folder on a disk with free space",
        ) from error
    pages, answers = written
    return RunExport(folder=target, run=record.name, pages=pages, answers=answers)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the pages of one run."""

    explorer: Explorer
    record: RunRecord
    folder: Path
    measure: bool
    progress: Progress | None

    def write(self) -> tuple[int, int]:
        """Write everything; return the numbers of list pages and of answers."""
        step: Step = None
        number, answers, done = 0, 0, 0
        while number == 0 or step is not None:
            number += 1
            pages = Pages(self.explorer, FileLinks(self.record.name, number))
            name = "index.html" if number == 1 else f"page-{number}.html"
            (self.folder / name).write_bytes(pages.run(self.record.name, step))
            after = None if step is None else int(step[1])
            listed = self.explorer.corpus.browse.items(self.record.id, after=after, limit=PAGE)
            for row in listed.items:
                if row.answer_id is not None:
                    self._answer(pages, row.answer_id, bool(row.record.get("reasoning")))
                    answers += 1
                done += 1
                if self.progress is not None:
                    self.progress("write pages", done, self.record.status.total)
            step = None if listed.after is None else ("after", listed.after)
        self._rest(number, answers)
        return number, answers

    def _answer(self, pages: Pages, answer_id: int, reasoned: bool) -> None:  # noqa: FBT001 - internal
        page = pages.answer(answer_id, measure=self.measure and reasoned)
        (self.folder / f"answer-{answer_id}.html").write_bytes(page)

    def _rest(self, pages: int, answers: int) -> None:
        for name in ASSETS:
            (self.folder / name).write_bytes(asset(name))
        told = {
            "run": self.record.name,
            "fingerprint": self.record.fingerprint,
            "pages": pages,
            "answers": answers,
            "simulated": True,
        }
        (self.folder / MANIFEST).write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))


def _chosen(explorer: Explorer, name: str | None) -> RunRecord:
    """Return the run of a name, or the only one.

    Raises:
        ConfigError: If there is none, or none is named and there are several.
    """
    runs = {one.name: one for one in explorer.corpus.runs.all()}
    if name is None and len(runs) == 1:
        return next(iter(runs.values()))
    if name is not None and name in runs:
        return runs[name]
    some = ", ".join(repr(one) for one in list(runs)[-5:])
    asked = (
        f"no run {name!r}" if name is not None else f"{counted(len(runs), 'run')} and none is named"
    )
    raise ConfigError(
        f"no run was selected: the store {explorer.corpus.name!r} has {asked}",
        hint=f"pass --run; the latest ones are {some}"
        if runs
        else "`usersim simulate` creates one",
    )


def _check_target(target: Path) -> None:
    """Raise unless the folder may be written.

    Raises:
        ConfigError: If it holds something that is not an export.
    """
    if target.is_dir() and not target.is_symlink():
        if (target / MANIFEST).is_file() or not any(target.iterdir()):
            return
    elif not target.exists() and not target.is_symlink():
        return
    raise ConfigError(
        f"{str(target)!r} already exists and is not an earlier export",
        hint="choose a folder that does not exist yet",
    )
