"""Frame rate, length and size changed on the way; the generator as a source."""

from collections.abc import Iterator

import numpy as np
import pytest

from cath_perception.errors import SourceError
from cath_perception.sources import SourceOptions, adapt, open_source
from cath_perception.sources.base import FrameSource, SourceFrame, SourceInfo
from cath_perception.sources.synthetic import parse_options
from cath_perception.types import Catheter, Centerline, Electrode

CATHETER = Catheter(
    id=3,
    electrodes=(Electrode(9.5, 4.5, 3, 2, 1.0, catheter=3, index=0),),
    centerline=Centerline(np.array([[9.5, 4.5], [0, 0]], np.float32), 2.0),
    score=1.0,
    type="ablation",
)


class Steps(FrameSource):
    """Ten frames, ten a second, each with a dark block where the truth says."""

    info = SourceInfo("steps", 40, 20, 8, 10, 10.0, pixel_spacing_mm=0.3, detector_spacing_mm=0.4)

    def __init__(self) -> None:
        self.made = 0

    def __iter__(self) -> Iterator[SourceFrame]:
        for index in range(10):
            self.made += 1
            pixels = np.full((20, 40), 200, np.uint8)
            pixels[4:6, 9:11] = index
            yield SourceFrame(pixels, index / 10, index, "steps", (CATHETER,))


def test_nothing_to_change_is_the_source_itself() -> None:
    source = Steps()
    assert adapt(source, SourceOptions()) is source


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (SourceOptions(frames=3), 3),
        (SourceOptions(frames=30), 10),
        (SourceOptions(seconds=0.35), 4),
        (SourceOptions(seconds=0.3), 3),
        (SourceOptions(seconds=0.5, frames=2), 2),
        (SourceOptions(seconds=0.5, rate_hz=20), 10),
        (SourceOptions(seconds=0.5, rate_hz=4), 2),
    ],
)
def test_length(options: SourceOptions, count: int) -> None:
    source = adapt(Steps(), options)
    assert len(list(source)) == count == source.info.frames


def test_no_frame_is_made_in_vain() -> None:
    source = Steps()
    assert len(list(adapt(source, SourceOptions(frames=3)))) == source.made == 3


def test_rate_replaces_the_times() -> None:
    source = adapt(Steps(), SourceOptions(rate_hz=4))
    assert [frame.time_s for frame in source][:3] == [0, 0.25, 0.5]
    assert source.info.rate_hz == 4


@pytest.mark.parametrize("size", [20, 80, 100])
def test_truth_and_spacing_follow_the_size(size: int) -> None:
    source = adapt(Steps(), SourceOptions(size=size))
    scale = size / 40
    frame = next(iter(source))
    assert frame.pixels.shape == (round(20 * scale), size) == (source.info.height, source.info.width)
    assert source.info.pixel_spacing_mm == pytest.approx(0.3 / scale)
    assert source.info.detector_spacing_mm == pytest.approx(0.4 / scale)
    # Where the block is darkest on average is where the truth must be.
    weight = 200.0 - frame.pixels
    y, x = np.mgrid[: frame.pixels.shape[0], : frame.pixels.shape[1]]
    assert frame.truth is not None
    electrode = frame.truth[0].electrodes[0]
    assert electrode.x == pytest.approx((x * weight).sum() / weight.sum(), abs=0.02 * scale)
    assert electrode.y == pytest.approx((y * weight).sum() / weight.sum(), abs=0.02 * scale)
    assert electrode.width == pytest.approx(3 * scale)
    line = frame.truth[0].centerline
    assert line is not None
    np.testing.assert_allclose(line.points[0], [electrode.x, electrode.y], atol=1e-5)


@pytest.mark.parametrize(
    "options", [{"rate_hz": 0.0}, {"frames": 0}, {"size": 4}, {"size": 100_000}, {"seconds": -1.0}]
)
def test_senseless_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(SourceError, match=next(iter(options))):
        SourceOptions(**options)  # type: ignore[arg-type]


def test_generator_options() -> None:
    assert parse_options("synthetic") == {}
    assert parse_options("synthetic:seconds=2.5, seed=3") == {"seconds": 2.5, "seed": 3}


@pytest.mark.parametrize(
    "spec", ["synthetic:seconds", "synthetic:size=1", "synthetic:rate=fast", "synthetic:seed=-1"]
)
def test_bad_generator_options_are_refused(spec: str) -> None:
    with pytest.raises(SourceError, match="synthetic"):
        open_source(spec)


def test_the_generator_with_its_truth() -> None:
    pytest.importorskip("torch")
    source = open_source("synthetic:seconds=0.2,rate=10,size=128,seed=5")
    first, again = list(source), list(open_source("synthetic:seconds=0.2,rate=10,size=128,seed=5"))
    assert source.info.frames == len(first) == 2
    assert (source.info.width, source.info.height, source.info.rate_hz) == (128, 128, 10)
    assert [frame.time_s for frame in first] == pytest.approx([0, 0.1])
    assert first[0].truth
    assert all(catheter.electrodes for catheter in first[0].truth)
    np.testing.assert_array_equal(first[1].pixels, again[1].pixels)


def test_an_option_the_generator_does_not_know() -> None:
    pytest.importorskip("torch")
    with pytest.raises(SourceError, match="no option colour"):
        open_source("synthetic:colour=red")
