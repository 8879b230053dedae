"""Answers out of messages: rclpy's and those a bag is decoded to have the same fields. Imports neither."""

from typing import Any

import numpy as np

from cath_perception.types import Catheter, CatheterStatus, Centerline, Electrode


def catheter_from_message(message: Any) -> Catheter:
    """The catheter a ``cath_msgs/Catheter`` holds."""
    """A decoded ``cath_msgs/Catheter`` as the core's type."""
    line = message.centerline
    points = np.stack([np.asarray(line.x, np.float32), np.asarray(line.y, np.float32)], axis=1)
    return Catheter(
        id=message.id,
        electrodes=tuple(electrode_from_message(item) for item in message.electrodes),
        centerline=Centerline(points, line.width) if len(points) else None,
        score=message.score,
        type=message.type or None,
        type_confidence=message.type_confidence,
        status=CatheterStatus(message.status),
    )


def electrode_from_message(message: Any) -> Electrode:
    """The electrode a ``cath_msgs/Electrode`` holds."""
    """A decoded ``cath_msgs/Electrode`` as the core's type."""
    return Electrode(
        x=message.x,
        y=message.y,
        width=message.width,
        height=message.height,
        score=message.score,
        sigma=message.sigma,
        catheter=message.catheter_id,
        index=message.index,
        visible=message.visible,
    )
