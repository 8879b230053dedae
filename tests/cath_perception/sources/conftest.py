"""DICOM files made in the tests, with known pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid

MakeDicom = Callable[..., Path]


def pattern(frames: int, height: int, width: int, bits: int, seed: int = 0) -> NDArray[Any]:
    """``(frames, height, width)`` values that use all of the range and differ everywhere."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 1 << bits, (frames, height, width))
    values[:, 0, 0], values[:, 0, 1] = 0, (1 << bits) - 1
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


def smooth(frames: int, height: int, width: int) -> NDArray[np.uint8]:
    """A picture that lossy coding changes little: a slope with a dark bar that moves from frame to frame."""
    y, x = np.mgrid[:height, :width]
    return np.stack(
        [np.where(abs(x - 10 - 4 * index) < 3, 40, 100 + x + y) for index in range(frames)]
    ).astype(np.uint8)


@pytest.fixture
def make_dicom(tmp_path: Path) -> MakeDicom:
    """Writes ``pixels`` ``(frames, height, width)`` as an XA file; attributes are given by keyword."""

    def make(
        pixels: NDArray[Any] | None,
        syntax: str = ExplicitVRLittleEndian,
        encoded: list[bytes] | None = None,
        name: str = "run.dcm",
        **attributes: Any,
    ) -> Path:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = XRayAngiographicImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian if encoded is None else syntax
        dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID = meta.MediaStorageSOPClassUID
        dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
        dataset.Modality = "XA"
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Doe^Jane", "4711", "19700101"
        dataset.StudyDate, dataset.InstitutionName, dataset.AccessionNumber = "20200202", "St Elsewhere", "99"
        if pixels is not None:
            _add_pixels(dataset, pixels, encoded)
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        if pixels is not None and encoded is None and syntax != ExplicitVRLittleEndian:
            dataset.compress(syntax, generate_instance_uid=False)
        path = tmp_path / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    return make


def _add_pixels(dataset: FileDataset, pixels: NDArray[Any], encoded: list[bytes] | None) -> None:
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 3 else pixels.shape[3]
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 3 else "RGB"
    if pixels.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored = dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    data = pixels.tobytes() if encoded is None else encapsulate(encoded)
    if encoded is None and len(data) % 2:
        data += b"\0"
    dataset.add_new("PixelData", "OW" if pixels.itemsize > 1 else "OB", data)
    dataset["PixelData"].is_undefined_length = encoded is not None
