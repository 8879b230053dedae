"""What training saw is left out of what it is judged by, also where it was compressed anew."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cath_training.data.copies import without_copies
from cath_training.data.labelled import DataError
from cath_training.synthetic import background


def test_a_picture_compressed_anew_is_a_copy_and_others_are_not(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.jpg" for n in range(5)]
    for n, picture in enumerate(background.bank(np.random.default_rng(1), 4, [])):
        cv2.imwrite(str(paths[n]), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
    again = cv2.imread(str(paths[1]), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(paths[4]), again, [cv2.IMWRITE_JPEG_QUALITY, 60])
    assert without_copies(paths[2:], paths[:2]) == paths[2:4]
    assert without_copies(paths[2:], []) == paths[2:]
    assert without_copies([], paths) == []


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.jpg"):
        without_copies([tmp_path / "broken.jpg"], [tmp_path / "broken.jpg"])
