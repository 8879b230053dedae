"""A perception result as visualization markers, for RViz and Foxglove."""

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from cath_perception.types import Catheter, CatheterStatus, Centerline, Electrode, PerceptionResult

LIFETIME = Duration(sec=1)
"""Markers vanish after this long if the node falls silent."""

_COLOURS = (
    (0.13, 0.70, 0.95),
    (0.98, 0.65, 0.10),
    (0.35, 0.85, 0.35),
    (0.95, 0.35, 0.65),
    (0.70, 0.55, 0.95),
)
_UNGROUPED = (1.0, 0.95, 0.3)
_GREY = (0.6, 0.6, 0.6)
_OPACITY = {CatheterStatus.DETECTED: 1.0, CatheterStatus.PREDICTED: 0.5, CatheterStatus.LOST: 0.35}
_LINE_STEP = 8


def marker_array(result: PerceptionResult, header: Header, metres_per_pixel: float | None) -> MarkerArray:
    """Electrodes as spheres, centrelines as line strips, catheter names as text, in the frame's plane z = 0.

    Positions are in metres where ``metres_per_pixel`` is known and in pixels where it is None; x to the right and
    y down, as in the image. A marker's id is its catheter's (-1: electrodes of none). The first marker deletes those
    of the frame before. Catheters that are PREDICTED are half transparent; those that are LOST are grey and say so.
    """
    scale = 1.0 if metres_per_pixel is None else metres_per_pixel
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for catheter in sorted({electrode.catheter for electrode in result.electrodes}):
        electrodes = [electrode for electrode in result.electrodes if electrode.catheter == catheter]
        markers.append(_spheres(electrodes, catheter, header, scale))
    for found in result.catheters or ():
        if found.centerline is not None and len(found.centerline.points) > 1:
            markers.append(_line(found, found.centerline, header, scale))
            markers.append(_name(found, found.centerline, header, scale))
    return MarkerArray(markers=markers)


def _marker(kind: int, namespace: str, identity: int, header: Header, colour: Sequence[float]) -> Marker:
    marker = Marker(
        header=header, ns=namespace, id=int(identity), type=kind, action=Marker.ADD, lifetime=LIFETIME
    )
    marker.color = ColorRGBA(r=colour[0], g=colour[1], b=colour[2], a=1.0)
    return marker


def _colour(catheter: int) -> tuple[float, float, float]:
    return _COLOURS[catheter % len(_COLOURS)] if catheter >= 0 else _UNGROUPED


def _spheres(electrodes: Sequence[Electrode], identity: int, header: Header, scale: float) -> Marker:
    marker = _marker(Marker.SPHERE_LIST, "electrodes", identity, header, _colour(identity))
    marker.points = [Point(x=float(item.x) * scale, y=float(item.y) * scale) for item in electrodes]
    sizes = [(item.width + item.height) / 2 for item in electrodes]
    marker.scale.x = marker.scale.y = marker.scale.z = max(float(np.mean(sizes)), 1.0) * scale
    return marker


def _line(catheter: Catheter, line: Centerline, header: Header, scale: float) -> Marker:
    marker = _marker(Marker.LINE_STRIP, "centerlines", catheter.id, header, _shade(catheter))
    marker.color.a = _OPACITY[catheter.status]
    points = np.concatenate((line.points[:-1:_LINE_STEP], line.points[-1:])).astype(float) * scale
    marker.points = [Point(x=x, y=y) for x, y in points.tolist()]
    marker.scale.x = max(float(line.width) / 3, 1.0) * scale
    return marker


def _shade(catheter: Catheter) -> tuple[float, float, float]:
    return _GREY if catheter.status is CatheterStatus.LOST else _colour(catheter.id)


def _name(catheter: Catheter, line: Centerline, header: Header, scale: float) -> Marker:
    marker = _marker(Marker.TEXT_VIEW_FACING, "names", catheter.id, header, _shade(catheter))
    tip = line.points[0].astype(float) * scale
    marker.pose.position = Point(x=float(tip[0]), y=float(tip[1]), z=-5.0 * scale)
    marker.text = f"{catheter.id}" if catheter.type is None else f"{catheter.id} {catheter.type}"
    if catheter.status is not CatheterStatus.DETECTED:
        marker.text += f" ({catheter.status.name.lower()})"
    marker.scale.z = 12.0 * scale
    return marker
