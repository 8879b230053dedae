"""The reference catheter's motion as a transform, with which an overlay drawn in the reference image follows it."""

from __future__ import annotations

import math

from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from std_msgs.msg import Header

from cath_perception.alignment import rotation
from cath_perception.motion import Motion

OFF, PIXELS, METRES = "off", "pixels", "metres"
REFERENCE = "_motion_reference"
"""What the reference image's frame is called: the image's ``frame_id`` with this behind it."""


def motion_transform(motion: Motion, header: Header, scale: float) -> TransformStamped:
    """From the reference image to the image of ``header``; ``motion`` must be valid.

    Both frames have their origin at the centre of the top-left pixel, x to the right, y down, z into the picture
    (REP 103's optical frames), and the motion lies in the plane z = 0. A point at p in the child frame, the reference
    image, is at R p + t in the parent, the header's. ``scale``: metres per pixel, or 1 for a translation in pixels.
    """
    moved = motion.centre + motion.translation - rotation(motion.rotation) @ motion.centre
    x, y = (moved * scale).tolist()
    message = TransformStamped(header=header, child_frame_id=header.frame_id + REFERENCE)
    message.transform.translation = Vector3(x=x, y=y, z=0.0)
    half = 0.5 * motion.rotation
    message.transform.rotation = Quaternion(x=0.0, y=0.0, z=math.sin(half), w=math.cos(half))
    return message


def refusal(mode: str, frame_id: str, metres_per_pixel: float | None) -> str:
    """Why no transform can be made of any motion; "" where it can."""
    if not frame_id:
        return "motion_transform: the images have no frame_id to publish a transform for"
    if mode == METRES and metres_per_pixel is None:
        return (
            "motion_transform is 'metres', but the size of a pixel is not known: set mm_per_pixel, or use_camera_info "
            "with source_detector_mm, or choose 'pixels'"
        )
    return ""
