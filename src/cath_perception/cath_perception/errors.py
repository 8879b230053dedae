"""Errors this package raises. Each message says what was expected, what came, and what to do."""

from enum import Enum


class CathError(Exception):
    """Base of every error a user can cause or mend."""


class ImageError(CathError):
    """An image that cannot be used: encoding, step, size or values."""


class BundleError(CathError):
    """A model bundle that is missing, damaged, or not what its manifest says."""


class BackendError(CathError):
    """An inference backend that cannot be used here."""


class EngineMissingError(BackendError):
    """There is no usable engine for this model on this GPU; the message says why, and building one mends it."""


class DeviceFault(Enum):
    """What can ail a compute device; the value is what people read."""

    NO_DEVICE = "no device"
    OUT_OF_MEMORY = "out of memory"
    DRIVER = "driver failure"
    LOST = "device lost"


class DeviceError(BackendError):
    """The device failed, not the frame: nothing will run on it in this process until the fault is gone."""

    def __init__(self, fault: DeviceFault, detail: str) -> None:
        super().__init__(f"{fault.value}: {detail}")
        self.fault = fault


class SourceError(CathError):
    """A recording, image, video or DICOM file that cannot be read or written."""
