"""DICOM runs: every transfer syntax, the pixels' meaning, times, geometry, privacy, and bad files."""

import tracemalloc
from pathlib import Path

import cv2
import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedXAImageStorage,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from cath_perception.errors import SourceError
from cath_perception.sources import open_source

from .conftest import MakeDicom, pattern, smooth

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "xa"


def read(path: Path) -> np.ndarray:
    with open_source(str(path)) as source:
        return np.stack([frame.pixels for frame in source])


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", RLELossless, JPEG2000Lossless])
def test_lossless_syntaxes_give_the_stored_values(make_dicom: MakeDicom, syntax: str, bits: int) -> None:
    pixels = pattern(3, 43, 38, bits)
    path = make_dicom(pixels, syntax, BitsStored=bits, HighBit=bits - 1)
    with open_source(str(path)) as source:
        frames = list(source)
        assert (source.info.width, source.info.height, source.info.bits) == (38, 43, bits)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert frames[0].pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    np.testing.assert_array_equal(np.stack([frame.pixels for frame in frames]), pixels)


@pytest.mark.parametrize("bits", [8, 12])
def test_jpeg_lossless(make_dicom: MakeDicom, tmp_path: Path, bits: int) -> None:
    pixels = pattern(2, 32, 48, bits)
    plain = make_dicom(pixels, BitsStored=bits, HighBit=bits - 1)
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(tmp_path / "lossless.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert pydicom.dcmread(tmp_path / "lossless.dcm").file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
    np.testing.assert_array_equal(read(tmp_path / "lossless.dcm"), pixels)


def test_jpeg_baseline(make_dicom: MakeDicom) -> None:
    pixels = smooth(3, 40, 56)
    encoded = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes() for frame in pixels]
    decoded = read(make_dicom(pixels, JPEGBaseline8Bit, encoded))
    assert decoded.shape == pixels.shape
    assert np.abs(decoded.astype(int) - pixels).mean() < 2.0
    assert [int(frame[20].argmin()) for frame in decoded] == pytest.approx([10, 14, 18], abs=2)


def test_a_frame_in_several_fragments_is_one_frame(make_dicom: MakeDicom) -> None:
    pixels = smooth(1, 40, 56)
    data = cv2.imencode(".jpg", pixels[0])[1].tobytes()
    path = make_dicom(pixels, JPEGBaseline8Bit, [data])
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([data], fragments_per_frame=3)
    dataset.save_as(path)
    assert read(path).shape == (1, 40, 56)


def test_monochrome1_is_inverted_in_its_own_range(make_dicom: MakeDicom) -> None:
    pixels = pattern(1, 9, 14, 12)
    path = make_dicom(pixels, BitsStored=12, HighBit=11, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read(path), 4095 - pixels)


def test_signed_values_are_shifted_to_start_at_zero(make_dicom: MakeDicom) -> None:
    pixels = (pattern(1, 9, 14, 12).astype(int) - 2048).astype(np.int16)
    path = make_dicom(pixels, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read(path), pixels.astype(int) + 2048)


def test_rubbish_above_the_stored_bits_is_ignored(make_dicom: MakeDicom) -> None:
    pixels = pattern(1, 8, 8, 10)
    path = make_dicom(pixels | 0xA000, BitsStored=10, HighBit=9)
    np.testing.assert_array_equal(read(path), pixels)


def test_colour_becomes_luma(make_dicom: MakeDicom) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 10, 12, 3)).astype(np.uint8)
    expected = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in pixels])
    assert np.abs(read(make_dicom(pixels)).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("attributes", "times", "named"),
    [
        ({"FrameTimeVector": [0, 30, 70]}, [0, 0.03, 0.1], "FrameTimeVector"),
        ({"FrameTimeVector": [0, 30], "FrameTime": 40}, [0, 0.04, 0.08], "FrameTime"),
        ({"FrameTimeVector": [0, 30, 70], "FrameTime": 40}, [0, 0.03, 0.1], "FrameTimeVector"),
        ({"CineRate": 10, "RecommendedDisplayFrameRate": 30}, [0, 0.1, 0.2], "CineRate"),
        ({"RecommendedDisplayFrameRate": 5}, [0, 0.2, 0.4], "RecommendedDisplayFrameRate"),
        ({"FrameTime": 0}, [0, 1 / 15, 2 / 15], "none stated, 15 Hz assumed"),
    ],
)
def test_frame_times(make_dicom: MakeDicom, attributes: dict, times: list[float], named: str) -> None:
    with open_source(str(make_dicom(pattern(3, 4, 4, 8), **attributes))) as source:
        assert [frame.time_s for frame in source] == pytest.approx(times)
        assert source.info.metadata["frame_times_from"] == named
        assert source.info.rate_hz == pytest.approx(2 / times[-1], rel=0.4)


def test_isocentre_spacing_and_angles(make_dicom: MakeDicom) -> None:
    geometry = {
        "ImagerPixelSpacing": [0.4, 0.4],
        "DistanceSourceToDetector": 1000,
        "DistanceSourceToPatient": 750,
        "PositionerPrimaryAngle": -30.5,
        "PositionerSecondaryAngle": 20,
    }
    info = open_source(str(make_dicom(pattern(1, 4, 4, 8), **geometry))).info
    assert info.pixel_spacing_mm == pytest.approx(0.3)
    assert info.detector_spacing_mm == 0.4
    assert (info.source_detector_mm, info.source_patient_mm) == (1000, 750)
    assert (info.primary_angle_deg, info.secondary_angle_deg) == (-30.5, 20)
    assert "isocentre" in info.metadata["pixel_spacing_plane"]


def test_calibrated_spacing_wins_and_detector_spacing_is_named_as_such(make_dicom: MakeDicom) -> None:
    calibrated = make_dicom(pattern(1, 4, 4, 8), ImagerPixelSpacing=[0.4, 0.4], PixelSpacing=[0.25, 0.25])
    info = open_source(str(calibrated)).info
    assert info.pixel_spacing_mm == 0.25
    assert "PixelSpacing" in info.metadata["pixel_spacing_plane"]
    info = open_source(str(make_dicom(pattern(1, 4, 4, 8), ImagerPixelSpacing=[0.4, 0.4]))).info
    assert (info.pixel_spacing_mm, info.metadata["pixel_spacing_plane"]) == (
        0.4,
        "detector (ImagerPixelSpacing)",
    )


def test_enhanced_xa_keeps_its_facts_in_functional_groups(make_dicom: MakeDicom) -> None:
    geometry, spacing, angles, shared = Dataset(), Dataset(), Dataset(), Dataset()
    geometry.DistanceSourceToDetector, geometry.DistanceSourceToIsocenter = 1200, 800
    spacing.ImagerPixelSpacing = [0.3, 0.3]
    angles.PositionerPrimaryAngle, angles.PositionerSecondaryAngle = 45, -10
    shared.XRayGeometrySequence = [geometry]
    shared.FramePixelDataPropertiesSequence = [spacing]
    shared.PositionerPositionSequence = [angles]
    frames = []
    for text in ("20200202101500.000000", "20200202101500.100000", "20200202101500.250000"):
        content, group = Dataset(), Dataset()
        content.FrameAcquisitionDateTime = text
        group.FrameContentSequence = [content]
        frames.append(group)
    path = make_dicom(
        pattern(3, 4, 4, 8),
        SOPClassUID=EnhancedXAImageStorage,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
    )
    with open_source(str(path)) as source:
        assert [frame.time_s for frame in source] == pytest.approx([0, 0.1, 0.25])
        assert source.info.pixel_spacing_mm == pytest.approx(0.2)
        assert (source.info.primary_angle_deg, source.info.secondary_angle_deg) == (45, -10)


def test_no_patient_data_is_kept(make_dicom: MakeDicom) -> None:
    text = repr(open_source(str(make_dicom(pattern(1, 4, 4, 8), ManufacturerModelName="M1"))).info)
    assert "M1" in text
    for secret in ("Doe", "4711", "1970", "2020", "Elsewhere", "99"):
        assert secret not in text


def test_a_long_run_needs_no_more_memory_than_a_short_one(make_dicom: MakeDicom) -> None:
    path = make_dicom(np.zeros((200, 256, 256), np.uint8))
    tracemalloc.start()
    count = sum(1 for _ in open_source(str(path)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 200
    assert peak < 5_000_000 < path.stat().st_size


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"BitsAllocated": 32, "BitsStored": 32}, "32 of 32 bits"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "palette"),
        ({"Rows": 0}, "Rows"),
        ({"Rows": 60000}, "60000"),
        ({"NumberOfFrames": 2_000_000_000}, "2000000000 frames"),
        ({"Columns": 40}, "decoded"),
    ],
)
def test_senseless_headers_are_refused(make_dicom: MakeDicom, attributes: dict, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        read(make_dicom(pattern(2, 8, 8, 8), **attributes))


def test_no_pixels(make_dicom: MakeDicom) -> None:
    with pytest.raises(SourceError, match="without pixels"):
        open_source(str(make_dicom(None)))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", RLELossless])
@pytest.mark.parametrize("left", [0.05, 0.3, 0.6, 0.9])
def test_truncated(make_dicom: MakeDicom, syntax: str, left: float) -> None:
    path = make_dicom(pattern(5, 32, 32, 8), syntax)
    data = path.read_bytes()
    path.write_bytes(data[: int(left * len(data))])
    with pytest.raises(SourceError, match=r"run\.dcm"):
        read(path)


def test_a_damaged_jpeg_2000_stream_does_not_end_the_process(make_dicom: MakeDicom) -> None:
    path = make_dicom(pattern(1, 32, 32, 8), JPEG2000Lossless)
    data = bytearray(path.read_bytes())
    depth = data.index(b"\xff\x4f\xff\x51") + 42  # in the SIZ segment; at 128 bits GDCM calls terminate()
    data[depth] = 127
    path.write_bytes(data)
    with pytest.raises(SourceError, match="cannot be decoded"):
        read(path)


@pytest.mark.parametrize(
    ("found", "damaged"),
    [
        (b"1.4.1.1.12.1\x08", b"1.4\\1.1.12.1\x08"),  # two values for a class
        (b"\x02\0\0\0UL\x04\0", b"\x02\0\0\0UL\x05\0"),  # a 32-bit number of five bytes
    ],
)
def test_damage_that_pydicom_trips_over_is_named(make_dicom: MakeDicom, found: bytes, damaged: bytes) -> None:
    path = make_dicom(pattern(1, 8, 8, 8))
    data = path.read_bytes()
    assert found in data
    path.write_bytes(data.replace(found, damaged))
    with pytest.raises(SourceError, match=r"run\.dcm.*damaged"):
        read(path)


def test_fewer_frames_than_stated(make_dicom: MakeDicom) -> None:
    encoded = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in smooth(2, 16, 16)]
    path = make_dicom(smooth(4, 16, 16), JPEGBaseline8Bit, encoded)
    with pytest.raises(SourceError, match="4 frames"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"no DICOM at all" * 40, b"\0" * 128 + b"DICM" + b"\x08\x00" * 30])
def test_not_a_dicom_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.dcm"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"other\.dcm"):
        read(path)


def test_the_suffix_does_not_matter(make_dicom: MakeDicom) -> None:
    pixels = pattern(1, 6, 7, 8)
    np.testing.assert_array_equal(read(make_dicom(pixels, name="IM6")), pixels)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real X-ray data is not here")
class TestRealFiles:
    def test_one_angiogram_in_four_codings_is_the_same(self) -> None:
        images = [read(path) for path in sorted(REAL.glob("cerebral_10bit_*.dcm"))]
        assert len(images) == 4
        assert images[0].shape == (1, 1024, 1024)
        assert images[0].max() == 504
        for other in images[1:]:
            np.testing.assert_array_equal(other, images[0])

    def test_the_cine(self) -> None:
        with open_source(str(REAL / "coronary_cine_jpeg_baseline_8bit.dcm")) as source:
            frames = list(source)
        assert len(frames) == 96
        assert frames[-1].time_s == pytest.approx(95 * 0.033)
        assert (source.info.primary_angle_deg, source.info.secondary_angle_deg) == (-32, 2)
        assert all(frame.pixels.std() > 30 for frame in frames)

    def test_the_phantom(self) -> None:
        info = open_source(str(REAL / "phantom_cine_jpeg_lossless_IM6.dcm")).info
        assert (info.width, info.height, info.bits, info.frames) == (512, 512, 8, 9)
        assert info.rate_hz == pytest.approx(15, abs=0.01)
        assert info.pixel_spacing_mm == pytest.approx(0.390625 * 720 / 939)
