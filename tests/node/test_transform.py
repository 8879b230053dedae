"""The motion as a transform: the same points, in pixels and metres, and why there may be none."""

import math

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header

from cath_perception.motion import Motion
from cath_perception.transform import METRES, PIXELS, motion_transform, refusal

CENTRE, TURN, SHIFT = np.array((200.0, 100.0)), 0.3, np.array((12.0, -5.0))
MOTION = Motion(True, 1.0, SHIFT, TURN, CENTRE, SHIFT, np.zeros(2), 0.2, 0.9)
HEADER = Header(frame_id="xray")


def applied(message: TransformStamped, point: np.ndarray) -> np.ndarray:
    q, t = message.transform.rotation, message.transform.translation
    angle = 2.0 * math.atan2(q.z, q.w)
    c, s = math.cos(angle), math.sin(angle)
    return np.array((c * point[0] - s * point[1] + t.x, s * point[0] + c * point[1] + t.y))


def test_the_centre_goes_where_the_motion_says_and_others_turn_about_it() -> None:
    message = motion_transform(MOTION, HEADER, 1.0)
    assert (message.header.frame_id, message.child_frame_id) == ("xray", "xray_motion_reference")
    assert applied(message, CENTRE) == pytest.approx(CENTRE + SHIFT)
    right = applied(message, CENTRE + np.array((10.0, 0.0))) - (CENTRE + SHIFT)
    assert right == pytest.approx([10.0 * math.cos(TURN), 10.0 * math.sin(TURN)])


def test_metres_scale_everything_alike() -> None:
    message = motion_transform(MOTION, HEADER, 2e-4)
    assert applied(message, CENTRE * 2e-4) == pytest.approx((CENTRE + SHIFT) * 2e-4)


def test_what_is_missing_is_said() -> None:
    assert "frame_id" in refusal(PIXELS, "", None)
    assert "mm_per_pixel" in refusal(METRES, "xray", None)
    assert refusal(METRES, "xray", 2e-4) == refusal(PIXELS, "xray", None) == ""
