"""The corpus: readers of sources, the store, the split, memory, and the ledger of the stages.

    sources -> readers -> rows -> writer -> store -> split
                                             |-> memory (retrieval from a user's own history)
                                             |-> ledger (traces, scores, adapters, responses)
                                             |-> runs (long lists of requests and their answers)
                                             |-> fleets (work on many people, spread over workers)
                                             |-> browse (pages of all of these, for people)

Knows SQLAlchemy and file formats; knows nothing of models, prompts or training.
"""

from usersim.corpus.browsing.browser import Browser
from usersim.corpus.browsing.rows import ItemRow, Page, PersonRow, StoreCounts, StoredAnswer
from usersim.corpus.corpus import Corpus
from usersim.corpus.fleets.fleets import Fleets
from usersim.corpus.fleets.rows import (
    FleetKind,
    FleetRecord,
    FleetStatus,
    FleetTask,
    TaskState,
)
from usersim.corpus.ledger.adapter_removal import RemovedAdapter, adapter_named
from usersim.corpus.ledger.ledger import Ledger
from usersim.corpus.ledger.records import (
    AdapterRecord,
    Response,
    ResponseRecord,
    TraceRecord,
)
from usersim.corpus.ledger.trainings import Training, Trainings, Worker
from usersim.corpus.readers import Codebook, CodebookDraft, ColumnDraft, draft_codebook
from usersim.corpus.removal import LeftFolder, Remains, Removal
from usersim.corpus.report import LoadReport, RefusedRow, RefusedRows
from usersim.corpus.runs.requests import AskedRow, Requests
from usersim.corpus.runs.rows import AnswerRow, FailureRow, RunRecord
from usersim.corpus.runs.runs import Runs
from usersim.corpus.store.address import is_store
from usersim.corpus.store.summaries import UserSummary

__all__ = [
    "AdapterRecord",
    "AnswerRow",
    "AskedRow",
    "Browser",
    "Codebook",
    "CodebookDraft",
    "ColumnDraft",
    "Corpus",
    "FailureRow",
    "FleetKind",
    "FleetRecord",
    "FleetStatus",
    "FleetTask",
    "Fleets",
    "ItemRow",
    "Ledger",
    "LeftFolder",
    "LoadReport",
    "Page",
    "PersonRow",
    "RefusedRow",
    "RefusedRows",
    "Remains",
    "Removal",
    "RemovedAdapter",
    "Requests",
    "Response",
    "ResponseRecord",
    "RunRecord",
    "Runs",
    "StoreCounts",
    "StoredAnswer",
    "TaskState",
    "TraceRecord",
    "Training",
    "Trainings",
    "UserSummary",
    "Worker",
    "adapter_named",
    "draft_codebook",
    "is_store",
]
