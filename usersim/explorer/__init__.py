"""The trace explorer: pages over a store, for reading what was simulated and why.

    links, drawing -> views -> router -> app (with its guard)
                        |----> export (the same pages as files)

Shows what the store holds, and what `closeups` measures with the simulator's engine.
"""

from usersim.explorer.app import ServedExplorer, explorer_app, serve_explorer
from usersim.explorer.closeups import Explorer
from usersim.explorer.export import RunExport, export_run
from usersim.explorer.router import explorer_router

__all__ = [
    "Explorer",
    "RunExport",
    "ServedExplorer",
    "explorer_app",
    "explorer_router",
    "export_run",
    "serve_explorer",
]
