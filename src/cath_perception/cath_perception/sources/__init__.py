"""Sources of fluoroscopy frames: DICOM, images, video, bags and the synthetic generator, all alike."""

from pathlib import Path

from cath_perception.errors import SourceError
from cath_perception.sources.base import FrameSource, SourceFrame, SourceInfo
from cath_perception.sources.options import AdaptedSource, SourceOptions

__all__ = ["FrameSource", "SourceFrame", "SourceInfo", "SourceOptions", "adapt", "open_source"]


def open_source(spec: str) -> FrameSource:
    """Open whatever ``spec`` names.

    Args:
        spec: path of a DICOM file, an image, a folder of images, a video, a bag (its folder or .mcap file),
            or ``synthetic`` / ``synthetic:key=value,...`` for the generator.

    Returns:
        The source; its :class:`SourceInfo` is known, no frame has been kept.

    Raises:
        SourceError: it is missing, damaged, or of a kind that is not read.
    """
    from cath_perception.sources.synthetic import SyntheticSource, is_synthetic, parse_options

    if is_synthetic(spec):
        return SyntheticSource(**parse_options(spec))
    path = Path(spec).expanduser()
    try:
        if path.is_dir():
            return _open_folder(path)
        if path.is_file():
            return _open_file(path)
    except PermissionError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    raise SourceError(
        f"{path}: no such file or folder; expected a DICOM file, an image or a folder of them, a video, "
        "a bag, or 'synthetic'"
    )


def adapt(source: FrameSource, options: SourceOptions) -> FrameSource:
    """``source`` with ``options`` applied; the source itself where there is nothing to change."""
    return source if options == SourceOptions() else AdaptedSource(source, options)


def _open_folder(path: Path) -> FrameSource:
    if (path / "metadata.yaml").exists() or any(path.glob("*.mcap")) or any(path.glob("*.db3")):
        from cath_perception.sources.bag import BagSource

        return BagSource(path)
    from cath_perception.sources.images import ImagesSource

    return ImagesSource(path)


def _open_file(path: Path) -> FrameSource:
    from cath_perception.sources.dicom import DicomSource, is_dicom
    from cath_perception.sources.images import IMAGE_SUFFIXES, ImagesSource

    suffix = path.suffix.lower()
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty")
    if suffix in (".mcap", ".db3"):
        from cath_perception.sources.bag import BagSource

        return BagSource(path)
    if suffix in (".dcm", ".dicom", ".ima") or is_dicom(path):
        return DicomSource(path)
    if suffix in IMAGE_SUFFIXES:
        return ImagesSource(path)
    from cath_perception.sources.video import VideoSource

    return VideoSource(path)
