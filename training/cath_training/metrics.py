"""Figures that training and evaluation report."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist


def match(
    found: NDArray[np.floating], truth: NDArray[np.floating], limit: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Pair found and true positions one to one, nearest overall, none farther apart than ``limit`` px.

    Args:
        found, truth: ``(N, 2)`` and ``(M, 2)``.

    Returns:
        ``(P, 2)`` index pairs (found, truth) and their ``(P,)`` distances in px.
    """
    if len(found) == 0 or len(truth) == 0:
        return np.empty((0, 2), np.intp), np.empty(0)
    distance = cdist(found, truth)
    rows, columns = linear_sum_assignment(np.minimum(distance, 10 * limit))
    near = distance[rows, columns] <= limit
    return np.column_stack([rows, columns])[near], distance[rows, columns][near]
