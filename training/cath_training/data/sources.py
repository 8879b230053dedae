"""Labelled images by name, as a configuration or a command line has them."""

from pathlib import Path

from cath_training.data.coco import CocoSource
from cath_training.data.labelled import DataError, LabelledSource
from cath_training.data.oct import OctSource
from cath_training.data.ucl import Pair, UclSource

KINDS = ("coco", "oct", "ucl")


def open_labelled(kind: str, path: Path, files: tuple[tuple[str, str, str, str], ...] = ()) -> LabelledSource:
    """The data set of ``kind`` in the folder ``path``.

    ``files``: for ``ucl``, rows of image file, its key, label file, its key where they differ from the published ones.
    Raises DataError with the reason.
    """
    if kind not in KINDS:
        raise DataError(f"kind of data: expected one of {', '.join(KINDS)}, got {kind!r}")
    if not path.exists():
        raise DataError(f"{path}: no such folder; expected a data set of kind {kind}")
    if files and kind != "ucl":
        raise DataError(f"files: only data of kind ucl has them, not {kind}")
    if kind == "ucl":
        return UclSource(path, [Pair(*row) for row in files] or None)
    return OctSource(path) if kind == "oct" else CocoSource(path)
