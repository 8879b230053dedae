"""ROS messages <-> core types. Headers are passed on untouched; positions stay pixels of the input image."""

import array
import io
import sys
from collections.abc import Sequence

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from cath_msgs.msg import Catheter as CatheterMessage
from cath_msgs.msg import CatheterArray, CatheterMotion, CenterlineArray, ElectrodeArray
from cath_msgs.msg import Centerline as CenterlineMessage
from cath_msgs.msg import Electrode as ElectrodeMessage
from numpy.typing import NDArray
from PIL import Image as PillowImage
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cath_perception.errors import ImageError
from cath_perception.from_message import catheter_from_message
from cath_perception.image import ENCODINGS, gray_from_buffer
from cath_perception.motion import Motion
from cath_perception.types import Catheter, Centerline, Electrode

try:
    from cv_bridge import CvBridge
except ImportError:  # ROS from wheels has no cv_bridge; the core reads the same encodings itself
    CvBridge = None

COMPRESSED_FORMATS = ("JPEG", "PNG")
MAX_COMPRESSED_PIXELS = 8192 * 8192


def pixels_from_image(message: Image) -> NDArray[np.generic]:
    """Grey pixels ``(height, width)`` uint8, uint16 or float32 of an Image; a view of it where possible.

    cv_bridge unpacks the message where it is installed, the core where it is not; both give equal pixels.
    Raises ImageError for an unknown encoding, sizes that do not fit the data, and values that are not finite.
    """
    return pixels_by_core(message) if CvBridge is None else pixels_by_cv_bridge(message)


def pixels_by_core(message: Image) -> NDArray[np.generic]:
    """``pixels_from_image`` without cv_bridge."""
    return gray_from_buffer(
        message.data,
        message.width,
        message.height,
        message.encoding,
        message.step,
        bool(message.is_bigendian),
    )


def pixels_by_cv_bridge(message: Image) -> NDArray[np.generic]:
    """``pixels_from_image`` with cv_bridge: it unpacks the rows, the core makes grey and checks the values.

    Images that cv_bridge misreads or fails on are left to the core: rows padded by less than whole pixels, the other
    byte order (with NumPy 2), and sizes or encodings that are wrong.
    """
    if not _cv_bridge_reads(message):
        return pixels_by_core(message)
    pixels = np.ascontiguousarray(CvBridge().imgmsg_to_cv2(message, "passthrough"))
    big = sys.byteorder == "big"
    return gray_from_buffer(pixels, message.width, message.height, message.encoding, pixels.strides[0], big)


def _cv_bridge_reads(message: Image) -> bool:
    kind = ENCODINGS.get(message.encoding)
    if kind is None or bool(message.is_bigendian) != (sys.byteorder == "big"):
        return False
    pixel = np.dtype(kind.dtype).itemsize * kind.channels
    whole = message.step % pixel == 0 and message.step >= message.width * pixel > 0
    return whole and len(message.data) == message.height * message.step > 0


def pixels_from_compressed(message: CompressedImage) -> NDArray[np.generic]:
    """Grey pixels ``(height, width)`` uint8 or uint16 of a JPEG or PNG image.

    Colour becomes luma, alpha is ignored. The size is read from the file's header and
    bounded before anything is decoded. Raises ImageError.
    """
    _check_compressed(message)
    decoded = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ImageError(
            f"compressed image (format '{message.format}', {len(message.data)} bytes) cannot be decoded: "
            "expected a whole JPEG or PNG; is it truncated?"
        )
    if decoded.ndim == 2:
        return decoded
    if decoded.dtype != np.uint8:
        raise ImageError(f"compressed colour image of {decoded.dtype}: expected 8 bits a channel, or grey")
    encoding = {3: "bgr8", 4: "bgra8"}[decoded.shape[2]]
    return gray_from_buffer(
        decoded.reshape(-1), decoded.shape[1], decoded.shape[0], encoding, decoded.strides[0], False
    )


def _check_compressed(message: CompressedImage) -> None:
    """Raise ImageError unless the data begin as a JPEG or PNG of a bearable size."""
    if len(message.data) == 0:
        raise ImageError("compressed image without data: expected a JPEG or PNG")
    try:
        with PillowImage.open(io.BytesIO(message.data), formats=COMPRESSED_FORMATS) as header:
            width, height = header.size
    except (OSError, SyntaxError, ValueError, PillowImage.DecompressionBombError) as error:
        raise ImageError(
            f"compressed image (format '{message.format}') is neither JPEG nor PNG: {error}"
        ) from error
    if width * height > MAX_COMPRESSED_PIXELS:
        raise ImageError(
            f"compressed image of {width} x {height} px, at most {MAX_COMPRESSED_PIXELS} pixels are read"
        )


def image_message(pixels: NDArray[np.uint8], encoding: str, header: Header) -> Image:
    """An Image of uint8 ``pixels``: ``(H, W)`` for mono8, ``(H, W, 3)`` for bgr8."""
    message = Image(
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.size // pixels.shape[0],
    )
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    message.data = data
    return message


def electrode_message(electrode: Electrode) -> ElectrodeMessage:
    """One electrode as a message."""
    return ElectrodeMessage(
        x=float(electrode.x),
        y=float(electrode.y),
        width=float(electrode.width),
        height=float(electrode.height),
        score=float(electrode.score),
        sigma=float(electrode.sigma),
        catheter_id=int(electrode.catheter),
        index=int(electrode.index),
        visible=bool(electrode.visible),
    )


def electrode_array(electrodes: Sequence[Electrode], header: Header) -> ElectrodeArray:
    """All electrodes of a frame."""
    return ElectrodeArray(
        header=header, electrodes=[electrode_message(electrode) for electrode in electrodes]
    )


def centerline_message(centerline: Centerline, catheter: int) -> CenterlineMessage:
    """One centreline with the id of its catheter."""
    points = np.ascontiguousarray(centerline.points.T, dtype=np.float32)
    message = CenterlineMessage(catheter_id=int(catheter), width=float(centerline.width))
    message.x, message.y = array.array("f", points[0].tobytes()), array.array("f", points[1].tobytes())
    return message


def catheter_message(catheter: Catheter) -> CatheterMessage:
    """One catheter; an unknown type is the empty string, a missing centreline has no points."""
    message = CatheterMessage(
        id=int(catheter.id),
        type=catheter.type or "",
        score=float(catheter.score),
        type_confidence=float(catheter.type_confidence),
        status=int(catheter.status),
    )
    message.electrodes = [electrode_message(electrode) for electrode in catheter.electrodes]
    if catheter.centerline is not None:
        message.centerline = centerline_message(catheter.centerline, catheter.id)
    return message


def catheter_array(catheters: Sequence[Catheter] | None, header: Header) -> CatheterArray:
    """All catheters of a frame; None (not computed) is told apart from none found by ``computed``."""
    messages = [catheter_message(catheter) for catheter in catheters or ()]
    return CatheterArray(header=header, computed=catheters is not None, catheters=messages)


def centerline_array(catheters: CatheterArray) -> CenterlineArray:
    """The centrelines of a message with catheters, of those that have one."""
    lines = [catheter.centerline for catheter in catheters.catheters if len(catheter.centerline.x)]
    return CenterlineArray(header=catheters.header, centerlines=lines)


def motion_message(motion: Motion, reference_stamp: Time, header: Header) -> CatheterMotion:
    """The reference catheter's motion; ``valid`` False where there is no answer."""
    return CatheterMotion(
        header=header,
        reference_stamp=reference_stamp,
        valid=motion.valid,
        translation_px=motion.translation.astype(float),
        rotation_rad=float(motion.rotation),
        respiratory_px=motion.respiratory.astype(float),
        cardiac_px=motion.cardiac.astype(float),
        residual_px=float(motion.residual),
        quality=float(motion.quality),
    )


def catheters_from_message(message: CatheterArray) -> tuple[Catheter, ...] | None:
    """The catheters a message holds; None if they were not computed."""
    return (
        tuple(catheter_from_message(catheter) for catheter in message.catheters) if message.computed else None
    )
