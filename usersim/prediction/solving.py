# pyright: basic
"""The rim to scipy, which has no type stubs: linear solves and bounded minimization.

The matrices are small and many. Spread over threads, each solve waits for the slowest of them: on
two busy cores a panel of 33 people and 362 questions took ten times the processor time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from threadpoolctl import ThreadpoolController

    Floats = NDArray[np.float64]

__all__ = ["cholesky_solver", "minimize", "on_one_thread"]

P = ParamSpec("P")
R = TypeVar("R")


def on_one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function that solves many small systems solve each on one thread."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with _thread_pools().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return run


@lru_cache(maxsize=1)
def _thread_pools() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401 - its own library must be loaded to be limited
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def cholesky_solver(matrix: Floats, *, least_eigenvalue: float) -> Callable[[Floats], Floats]:
    """Return what solves `matrix · x = b` for a symmetric matrix.

    Args:
        matrix: Symmetric. Shape `(n, n)`.
        least_eigenvalue: Smaller eigenvalues are raised to it, where there are negative ones.
    """
    from scipy.linalg import cho_factor, cho_solve, eigh

    try:
        factor = cho_factor(matrix)
    except np.linalg.LinAlgError:
        # Only the few that are raised: a third of the time of all eigenvectors.
        values, vectors = eigh(matrix, subset_by_value=(-np.inf, least_eigenvalue))
        factor = cho_factor(matrix + (vectors * (least_eigenvalue - values)) @ vectors.T)
    return lambda right: cho_solve(factor, right)


def minimize(
    loss: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    bounds: Sequence[tuple[float | None, float | None]],
) -> Floats:
    """Return where a smooth function is least within bounds (L-BFGS-B).

    Args:
        loss: Value and slope at a point.
        start: Where to begin. Shape `(n,)`.
        bounds: Lowest and highest value of each coordinate; None where there is none.
    """
    from scipy.optimize import minimize

    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
