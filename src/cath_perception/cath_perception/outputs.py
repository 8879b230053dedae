"""The publishers of one frame's answer: made on configure, each message built only if someone listens."""

from functools import partial

import numpy as np
from builtin_interfaces.msg import Time
from cath_msgs.msg import CatheterArray, CatheterMotion, CenterlineArray, ElectrodeArray
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from cath_perception.convert import (
    catheter_array,
    centerline_array,
    electrode_array,
    image_message,
    motion_message,
)
from cath_perception.markers import marker_array
from cath_perception.motion import Motion
from cath_perception.overlay import draw
from cath_perception.types import PerceptionResult

DEPTH = 5


class Outputs:
    """Publishers of electrodes, catheters, centrelines and motion (``publish_positions``), mask, markers and overlay
    (``publish_pictures``), all reliable and with the input's header."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        publisher = partial(
            node.create_lifecycle_publisher,
            qos_profile=QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._electrodes = publisher(ElectrodeArray, "~/electrodes")
        self._catheters = publisher(CatheterArray, "~/catheters")
        self._centerlines = publisher(CenterlineArray, "~/centerlines")
        self._motion = publisher(CatheterMotion, "~/motion")
        self._transform = publisher(TransformStamped, "~/motion_transform")
        self._mask = publisher(Image, "~/mask")
        self._markers = publisher(MarkerArray, "~/markers")
        self._overlay = publisher(Image, "~/overlay")

    @property
    def mask_is_wanted(self) -> bool:
        """Whether anyone listens to the mask or to the overlay, which shows it."""
        return _heard(self._mask) or _heard(self._overlay)

    def publish_positions(
        self, result: PerceptionResult, motion: Motion | None, reference: Time, header: Header
    ) -> None:
        """What a controller waits for; ``reference`` is the stamp of the motion's reference frame."""
        if _heard(self._electrodes):
            self._electrodes.publish(electrode_array(result.electrodes, header))
        self._publish_catheters(result, header)
        if motion is not None and _heard(self._motion):
            self._motion.publish(motion_message(motion, reference, header))

    def _publish_catheters(self, result: PerceptionResult, header: Header) -> None:
        lines_too = result.catheters is not None and _heard(self._centerlines)
        if lines_too or _heard(self._catheters):
            message = catheter_array(result.catheters, header)
            if _heard(self._catheters):
                self._catheters.publish(message)
            if lines_too:
                self._centerlines.publish(centerline_array(message))

    def publish_transform(self, transform: TransformStamped) -> None:
        """The motion once more, as a transform."""
        self._transform.publish(transform)

    def publish_pictures(
        self,
        result: PerceptionResult,
        pixels: NDArray[np.generic],
        header: Header,
        metres_per_pixel: float | None,
    ) -> None:
        """What people and tools look at."""
        if result.mask is not None and _heard(self._mask):
            self._mask.publish(image_message(result.mask, "mono8", header))
        if _heard(self._markers):
            self._markers.publish(marker_array(result, header, metres_per_pixel))
        if _heard(self._overlay):
            self._overlay.publish(image_message(draw(pixels, result), "bgr8", header))

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (
            self._electrodes,
            self._catheters,
            self._centerlines,
            self._motion,
            self._transform,
            self._mask,
            self._markers,
            self._overlay,
        ):
            self._node.destroy_lifecycle_publisher(publisher)


def _heard(publisher: Publisher) -> bool:
    return publisher.get_subscription_count() > 0
