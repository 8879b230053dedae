import numpy as np
import pytest

from cath_perception.catheters import group
from cath_perception.centerline import Trace
from cath_perception.shutters import ends_covered
from cath_perception.types import Electrode


def frame(edge=300.0, softness=3.0, dark=10.0):
    """A noisy field of view up to a shutter at ``x = edge``, with less light behind it."""
    rng = np.random.default_rng(1)
    open_to = 1.0 / (1.0 + np.exp((np.arange(512) - edge) / softness))
    return dark + open_to * (110.0 + rng.normal(0.0, 8.0, (512, 512)))


def trace(start, end, width=8.0):
    count = int(np.hypot(*np.subtract(end, start))) + 1
    return Trace(np.linspace(start, end, count), width, 0.9)


@pytest.mark.parametrize(
    ("kind", "scale"),
    [(np.uint8, 1.0), (np.uint16, 300.0), (np.float32, 1e-3)],
    ids=["8 bits", "16 bits", "float"],
)
def test_a_shaft_that_goes_on_behind_a_shutter_is_covered_at_that_end(kind, scale):
    pixels = (frame() * scale).astype(kind)
    shafts = [trace((120, 200), (299, 220)), trace((299, 220), (120, 200)), trace((120, 200), (265, 220))]
    assert ends_covered(pixels, shafts) == [(False, True), (True, False), (False, False)]


def test_a_tip_near_a_shutter_or_in_an_open_field_is_not_covered():
    assert ends_covered(frame().astype(np.uint8), [trace((120, 200), (282, 200))]) == [(False, False)]
    assert ends_covered(frame(edge=900.0).astype(np.uint8), [trace((120, 200), (299, 200))]) == [
        (False, False)
    ]
    assert ends_covered(None, [trace((120, 200), (299, 200))]) == [(False, False)]


def test_a_shaft_enters_where_a_shutter_covers_it():
    """Its electrodes are nearer to that end, which else would be the tip."""
    electrodes = [Electrode(x, 200.0, 8.0, 8.0, 0.9) for x in (150.0, 190.0, 230.0, 280.0)]
    shaft = trace((120, 200), (299, 200))
    tips = [
        group(electrodes, [shaft], 512, 512, pixels)[1][0].electrodes[0].x
        for pixels in (None, frame().astype(np.uint8))
    ]
    assert tips == [280.0, 150.0]
