# pyright: basic
"""The rim to scipy, which has no type stubs: linear solves and bounded minimization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["cholesky_solver", "minimize"]


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
