"""Errors this package raises. Each message says what was expected, what came, and what to do."""


class CathError(Exception):
    """Base of every error a user can cause or mend."""


class ImageError(CathError):
    """An image that cannot be used: encoding, step, size or values."""


class BundleError(CathError):
    """A model bundle that is missing, damaged, or not what its manifest says."""


class BackendError(CathError):
    """An inference backend that cannot be used here."""


class SourceError(CathError):
    """A recording, image, video or DICOM file that cannot be read or written."""
