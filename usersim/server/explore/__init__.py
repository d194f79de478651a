"""The trace explorer: pages over a store, for reading what was simulated and why.

    links, drawing -> views -> router -> app (with its guard)
                        |----> export (the same pages as files)

Shows what the store holds and what `usersim.simulator.exploring` measures; computes nothing.
"""

from usersim.server.explore.app import ServedExplorer, explorer_app, serve_explorer
from usersim.server.explore.export import Exported, export_run
from usersim.server.explore.router import explorer_router

__all__ = [
    "Exported",
    "ServedExplorer",
    "explorer_app",
    "explorer_router",
    "export_run",
    "serve_explorer",
]
