"""Work on many people, spread over workers on one machine or on a cluster (Ray).

    job (one person's train, reconstruct or simulate) -> driver -> workers
                                                          |-> ledger of tasks in the store

Importing this package does not import Ray. Knows the simulator; knows no table and no command.
"""

from usersim.fleet.cluster import Resources
from usersim.fleet.jobs import (
    Job,
    ReconstructJob,
    SimulateJob,
    TrainJob,
    Work,
    WorkerSettings,
    absolute_store,
)
from usersim.fleet.outcomes import Outcome
from usersim.fleet.running import FleetOptions, run_fleet, shared_adapter, simulate

__all__ = [
    "FleetOptions",
    "Job",
    "Outcome",
    "ReconstructJob",
    "Resources",
    "SimulateJob",
    "TrainJob",
    "Work",
    "WorkerSettings",
    "absolute_store",
    "run_fleet",
    "shared_adapter",
    "simulate",
]
