"""Cine runs from DICOM: XA, RF, enhanced XA/XRF and secondary captures, every common transfer syntax."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, JPEG2000TransferSyntaxes

from cath_perception.errors import SourceError
from cath_perception.image import MAX_SIDE
from cath_perception.sources.base import (
    DEFAULT_RATE_HZ,
    MAX_FRAMES,
    FrameSource,
    Pixels,
    SourceFrame,
    SourceInfo,
)

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_OPENJPEG = ("pylibjpeg", "pillow")
"""Decoders of JPEG 2000 to take before GDCM, which ends the whole process at some damaged streams."""


def is_dicom(path: Path) -> bool:
    """True for a file with DICOM's preamble, whatever its name."""
    with path.open("rb") as stream:
        head = stream.read(132)
    return head[128:] == b"DICM"


class DicomSource(FrameSource):
    """A single- or multi-frame DICOM image, decoded frame by frame.

    Pixels are the stored values as unsigned integers: signed ones are shifted to start at 0, MONOCHROME1 is
    inverted so that dark means absorbed, colour becomes luma. No window or look-up table is applied.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _named(path, "the DICOM header cannot be read, the file is damaged"):
            # Pixel data stays on disk until it is asked for, so a long run costs no memory here.
            header = pydicom.dcmread(path, defer_size=4096)
            _check_pixels(path, header)
            self._syntax = header.file_meta.TransferSyntaxUID
            self._signed = bool(header.get("PixelRepresentation", 0))
            self._inverted = header.PhotometricInterpretation == "MONOCHROME1"
            count = max(int(header.get("NumberOfFrames") or 1), 1)
            self._times, timing = frame_times(header, count)
            self.info = _describe(path, header, self._times, timing)

    def __iter__(self) -> Iterator[SourceFrame]:
        index = -1
        for index, stored in enumerate(_decoded(self.path, self._syntax)):
            if index >= len(self._times):
                break
            yield SourceFrame(self._pixels(stored), float(self._times[index]), index, self.info.name)
        if index + 1 < len(self._times):
            raise SourceError(
                f"{self.path}: the header states {len(self._times)} frames, the file holds {index + 1}; "
                "it is truncated, copy it again"
            )

    def _pixels(self, stored: NDArray[Any]) -> Pixels:
        expected = (self.info.height, self.info.width)
        if stored.shape[:2] != expected:
            raise SourceError(
                f"{self.path}: a frame decoded to {stored.shape[:2]}, the header states {expected}"
            )
        bits = self.info.bits
        if stored.ndim == 3:
            return _narrowed(np.rint(stored.astype(np.float32) @ _LUMA), bits)
        values = stored.astype(np.int32)
        if self._signed:
            values += 1 << (bits - 1)
        values = np.clip(values, 0, (1 << bits) - 1)
        if self._inverted:
            values = (1 << bits) - 1 - values
        return _narrowed(values, bits)


def _narrowed(values: NDArray[Any], bits: int) -> Pixels:
    return values.astype(np.uint8) if bits <= 8 else values.astype(np.uint16)


@contextmanager
def _named(path: Path, what: str) -> Iterator[None]:
    """Whatever pydicom raises on a damaged file (it has no common class), as ``SourceError``; its warnings are dropped."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except SourceError:
        raise
    except InvalidDicomError:
        raise SourceError(f"{path}: not a DICOM file (no 'DICM' after its preamble)") from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{path}: {what}: {reason}") from error


def _check_pixels(path: Path, header: pydicom.Dataset) -> None:
    kind = header.get("SOPClassUID")
    named = kind.name if kind else "no SOP class"
    if not any(keyword in header for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise SourceError(
            f"{path}: a DICOM file without pixels ({named}); expected an X-ray image or cine run"
        )
    if "PixelData" not in header:
        raise SourceError(f"{path}: floating-point pixels are not supported; expected 8 to 16 bit integers")
    missing = [
        keyword
        for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "PhotometricInterpretation")
        if not header.get(keyword)
    ]
    if missing:
        raise SourceError(f"{path}: the DICOM header lacks {', '.join(missing)}")
    if not 8 <= header.BitsStored <= 16 or header.BitsStored > header.BitsAllocated:
        raise SourceError(
            f"{path}: {header.BitsStored} of {header.BitsAllocated} bits a pixel; expected 8 to 16"
        )
    if max(header.Rows, header.Columns) > MAX_SIDE:
        raise SourceError(
            f"{path}: {header.Columns} x {header.Rows} px; at most {MAX_SIDE} a side is accepted"
        )
    if not 0 <= int(header.get("NumberOfFrames") or 1) <= MAX_FRAMES:
        raise SourceError(f"{path}: {header.NumberOfFrames} frames stated; 1 to {MAX_FRAMES} are accepted")
    if header.PhotometricInterpretation == "PALETTE COLOR":
        raise SourceError(
            f"{path}: palette colour is not supported; expected MONOCHROME1, MONOCHROME2 or RGB"
        )
    if not getattr(header, "file_meta", None) or "TransferSyntaxUID" not in header.file_meta:
        raise SourceError(
            f"{path}: the file does not state its transfer syntax, so its pixels cannot be decoded"
        )


def _decoded(path: Path, syntax: UID) -> Iterator[NDArray[Any]]:
    """Frames as pydicom decodes them, errors named. Only one frame is in memory at a time."""
    plugin = ""
    if syntax in JPEG2000TransferSyntaxes:
        there = get_decoder(syntax).available_plugins
        plugin = next((name for name in _OPENJPEG if name in there), "")
    with _named(path, "the pixels cannot be decoded"):
        yield from iter_pixels(path, decoding_plugin=plugin)


def frame_times(header: pydicom.Dataset, count: int) -> tuple[NDArray[Any], str]:
    """Seconds of each of ``count`` frames from the first, and the attribute they come from."""
    vector = _numbers(header.get("FrameTimeVector"))
    if len(vector) == count and min(vector[1:], default=1.0) > 0:
        return np.cumsum([0.0, *vector[1:]]) / 1000.0, "FrameTimeVector"
    stamps = _acquisition_times(header, count)
    if stamps is not None:
        return stamps, "FrameAcquisitionDateTime"
    period = _first_number(header, "FrameTime")
    if period and period > 0:
        return np.arange(count) * period / 1000.0, "FrameTime"
    for keyword in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = _first_number(header, keyword)
        if rate and rate > 0:
            return np.arange(count) / rate, keyword
    return np.arange(count) / DEFAULT_RATE_HZ, f"none stated, {DEFAULT_RATE_HZ:g} Hz assumed"


def _acquisition_times(header: pydicom.Dataset, count: int) -> NDArray[Any] | None:
    """Times of an enhanced object's frames; None unless all are there and rise."""
    groups = header.get("PerFrameFunctionalGroupsSequence") or []
    if len(groups) != count or count < 2:
        return None
    seconds = []
    for group in groups:
        content = (group.get("FrameContentSequence") or [pydicom.Dataset()])[0]
        text = content.get("FrameAcquisitionDateTime") or content.get("FrameReferenceDateTime")
        match = re.match(r"(\d{14}(?:\.\d{1,6})?)", str(text or ""))
        if not match:
            return None
        layout = "%Y%m%d%H%M%S.%f" if "." in match[1] else "%Y%m%d%H%M%S"
        seconds.append(datetime.strptime(match[1], layout).timestamp())
    times = np.array(seconds) - seconds[0]
    return times if np.all(np.diff(times) > 0) else None


def _describe(path: Path, header: pydicom.Dataset, times: NDArray[Any], timing: str) -> SourceInfo:
    gaps = np.diff(times)
    detector = _spacing(header, "ImagerPixelSpacing")
    source_detector = _first_number(header, "DistanceSourceToDetector")
    source_patient = _first_number(header, "DistanceSourceToPatient") or _first_number(
        header, "DistanceSourceToIsocenter"
    )
    spacing, plane = _plane_spacing(header, detector, source_detector, source_patient)
    metadata = {
        "kind": "dicom",
        "frame_times_from": timing,
        "transfer_syntax": str(header.file_meta.TransferSyntaxUID.name),
        "photometric_interpretation": str(header.PhotometricInterpretation),
        **({"pixel_spacing_plane": plane} if plane else {}),
    }
    for keyword in ("Modality", "Manufacturer", "ManufacturerModelName", "PixelIntensityRelationship", "KVP"):
        if header.get(keyword) not in (None, ""):
            metadata[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", keyword).lower()] = str(header.get(keyword))
    return SourceInfo(
        name=path.stem if path.suffix.lower() in (".dcm", ".dicom", ".ima") else path.name,
        width=int(header.Columns),
        height=int(header.Rows),
        bits=int(header.BitsStored),
        frames=len(times),
        rate_hz=float(1.0 / np.median(gaps)) if gaps.size else _single_rate(header),
        pixel_spacing_mm=spacing,
        detector_spacing_mm=detector,
        source_detector_mm=source_detector,
        source_patient_mm=source_patient,
        primary_angle_deg=_first_number(header, "PositionerPrimaryAngle"),
        secondary_angle_deg=_first_number(header, "PositionerSecondaryAngle"),
        metadata=metadata,
    )


def _single_rate(header: pydicom.Dataset) -> float:
    times, _ = frame_times(header, 2)
    return float(1.0 / times[1])


def _plane_spacing(
    header: pydicom.Dataset,
    detector: float | None,
    source_detector: float | None,
    source_patient: float | None,
) -> tuple[float | None, str]:
    """Best spacing for lengths inside the patient, and the plane it holds in."""
    calibrated = _spacing(header, "PixelSpacing") or _spacing(header, "ObjectPixelSpacingInCenterOfBeam")
    if calibrated:
        return calibrated, "object, as calibrated in the file (PixelSpacing)"
    if detector and source_detector and source_patient and source_patient < source_detector:
        return detector * source_patient / source_detector, "isocentre (ImagerPixelSpacing x SOD / SID)"
    return (detector, "detector (ImagerPixelSpacing)") if detector else (None, "")


def _spacing(header: pydicom.Dataset, keyword: str) -> float | None:
    """Mean of row and column spacing in mm; None unless both are there and within 1 % of one another."""
    values = _numbers(_find(header, keyword))
    if len(values) != 2 or min(values) <= 0 or max(values) > 1.01 * min(values):
        return None
    return sum(values) / 2


def _find(header: pydicom.Dataset, keyword: str) -> Any:
    """An attribute's value at the top level or in the (shared, then first frame's) functional groups."""
    if header.get(keyword) is not None:
        return header.get(keyword)
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for macro in (header.get(groups) or [pydicom.Dataset()])[0]:
            if macro.VR == "SQ" and macro.value and macro.value[0].get(keyword) is not None:
                return macro.value[0].get(keyword)
    return None


def _first_number(header: pydicom.Dataset, keyword: str) -> float | None:
    values = _numbers(_find(header, keyword))
    return values[0] if values else None


def _numbers(value: Any) -> list[float]:
    """A DICOM value of any multiplicity as finite floats; empty where it is absent or no number."""
    if value is None or value == "":
        return []
    values = list(value) if isinstance(value, pydicom.multival.MultiValue | list | tuple) else [value]
    try:
        numbers = [float(item) for item in values]
    except (TypeError, ValueError):
        return []
    return numbers if np.all(np.isfinite(numbers)) else []
