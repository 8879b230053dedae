"""Pictures that are copies of others: published collections hold the same picture twice, compressed anew."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cath_training.data.labelled import DataError

_SIDE, _BLUR, _EDGE = 64, 6.0, 6
_ALIKE = 0.85
"""Correlation of what is finer than a tenth of the picture; copies have 0.99, other frames of one run 0.8 to 0.91."""


def without_copies(paths: Sequence[Path], seen: Sequence[Path]) -> list[Path]:
    """Those of ``paths`` that show none of the pictures ``seen``, nor nearly one (the next frame of its run).

    Raises DataError for a file that OpenCV cannot read.
    """
    if not paths or not seen:
        return list(paths)
    alike = (_thumbnails(paths) @ _thumbnails(seen).T).max(axis=1)
    return [path for path, most in zip(paths, alike, strict=True) if most <= _ALIKE]


def _thumbnails(paths: Sequence[Path]) -> NDArray[np.float32]:
    """``(N, K)`` small pictures without their slow shading, of unit length each."""
    rows = np.stack([_thumbnail(path) for path in paths])
    rows -= rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6), np.float32)


def _thumbnail(path: Path) -> NDArray[np.float32]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise DataError(f"{path}: expected an image, OpenCV cannot read it")
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    fine = small - cv2.GaussianBlur(small, (0, 0), _BLUR)
    return fine[_EDGE:-_EDGE, _EDGE:-_EDGE].ravel()
