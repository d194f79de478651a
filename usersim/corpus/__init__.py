"""The corpus: readers of sources, the store, the split, memory, and the ledger of the stages.

    sources -> readers -> rows -> writer -> store -> split
                                             |-> memory (retrieval from a user's own history)
                                             |-> ledger (traces, scores, adapters, responses)

Knows SQLAlchemy and file formats; knows nothing of models, prompts or training.
"""

from usersim.corpus.ledger import Ledger
from usersim.corpus.ledger_records import (
    AdapterRecord,
    ResponseRecord,
    RunRecord,
    TraceRecord,
)
from usersim.corpus.memory import EmbeddingMemory, SearchMemory
from usersim.corpus.readers import Codebook
from usersim.corpus.removal import Removal
from usersim.corpus.report import LoadReport, RefusedRow, RefusedRows
from usersim.corpus.store import Corpus, UserSummary

__all__ = [
    "AdapterRecord",
    "Codebook",
    "Corpus",
    "EmbeddingMemory",
    "Ledger",
    "LoadReport",
    "RefusedRow",
    "RefusedRows",
    "Removal",
    "ResponseRecord",
    "RunRecord",
    "SearchMemory",
    "TraceRecord",
    "UserSummary",
]
