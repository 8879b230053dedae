"""Own annotations: COCO JSON with boxes or key points of electrodes, and masks as PNG files."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from cath_perception.image import check_size
from cath_training.data.labelled import DataError, LabelledImage, LabelledSource

LARGEST_JSON = 200_000_000
POINT_SHARE = (
    1 / 64
)  # of the longer side: the box of an electrode that is a key point, whose size nobody measured
VISIBLE = 2


class CocoSource(LabelledSource):
    """Images of one COCO file.

    Beside ``annotations.json`` (``folder`` may also be the JSON file itself) lie the images, in ``images/`` or where
    ``file_name`` says from the JSON's folder, and masks ``masks/<file_name, as PNG>`` (0 is no catheter), or
    ``masks/<name of the image>.png`` where no other image of that name is in another folder; images without such a
    file have no mask.

    Annotations of the categories named ``electrode`` (or of those in ``categories``) are electrodes: each ``bbox``, or
    each visible key point where there are ``keypoints``. ``"attributes": {"catheter": TYPE}`` names its catheter.
    Box edges count from the image's corner, key points from the first pixel's centre, as COCO has it. Without such a
    category, and in images with ``"electrodes": false``, electrodes are not labelled; otherwise an image without
    annotations has none. A group is the image's ``subject``, else the folder in its ``file_name``, else its own name.
    """

    def __init__(self, folder: Path, categories: tuple[str, ...] = ("electrode",)) -> None:
        path = folder / "annotations.json" if folder.is_dir() else folder
        content = _load(path)
        self._root = path.parent
        try:
            self._read(content, categories)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path}: not a COCO data set: {type(error).__name__} {error}") from error

    def _read(self, content: dict[str, Any], categories: tuple[str, ...]) -> None:
        wanted = {int(c["id"]) for c in content.get("categories", []) if c["name"] in categories}
        rows: dict[int, list[dict[str, Any]]] = {}
        for note in content.get("annotations", []):
            if int(note["category_id"]) in wanted and not note.get("iscrowd"):
                rows.setdefault(int(note["image_id"]), []).append(note)
        self.images = sorted(content["images"], key=lambda image: str(image["file_name"]))
        self._boxes: list[tuple[NDArray[np.float32], tuple[str, ...]] | None] = []
        for image in self.images:
            check_size(int(image["width"]), int(image["height"]))
            labelled = bool(wanted) and image.get("electrodes", True)
            self._boxes.append(_boxes(rows.get(int(image["id"]), []), image) if labelled else None)
        self.groups = [_group(image) for image in self.images]
        self._names = Counter(Path(str(image["file_name"])).stem for image in self.images)

    def __getitem__(self, index: int) -> LabelledImage:
        entry = self.images[index]
        size = int(entry["width"]), int(entry["height"])
        path = self._inside(str(entry["file_name"]))
        image = _picture(path, size)
        mask_path = self._mask(Path(str(entry["file_name"])))
        mask = None if mask_path is None else _picture(mask_path, size) > 0
        boxes, kinds = self._boxes[index] or (None, ())
        return LabelledImage(image, boxes, mask, index, str(entry["file_name"]), kinds)

    def _mask(self, name: Path) -> Path | None:
        """The mask of the image called ``name``."""
        own, plain = (self._root / "masks" / path for path in (name.with_suffix(".png"), f"{name.stem}.png"))
        if own.is_file() and own.resolve().is_relative_to(self._root.resolve()):
            return own
        return plain if plain.is_file() and self._names[name.stem] == 1 else None

    def _inside(self, name: str) -> Path:
        """The image called ``name``, which must lie below the JSON's folder."""
        for base in (self._root / "images", self._root):
            path = (base / name).resolve()
            if path.is_file() and path.is_relative_to(self._root.resolve()):
                return path
        raise DataError(
            f"{self._root}: no image {name} in images/ or beside the JSON (links and .. do not count)"
        )


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise DataError(f"{path}: larger than {LARGEST_JSON} bytes: split it")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(content, dict) or not content.get("images"):
        raise DataError(f"{path}: expected a COCO data set with images")
    return content


def _group(image: dict[str, Any]) -> str:
    name = Path(str(image["file_name"]))
    return str(image.get("subject") or (name.parent if name.parent != Path() else name.stem))


def _boxes(notes: list[dict[str, Any]], image: dict[str, Any]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Electrodes ``(N, 4)`` x, y, width, height in px, and the catheter types, empty unless all are known."""
    rows: list[tuple[float, float, float, float]] = []
    kinds: list[str] = []
    side = POINT_SHARE * max(int(image["width"]), int(image["height"]))
    for note in notes:
        if note.get("keypoints"):
            points = np.asarray(note["keypoints"], float).reshape(-1, 3)
            found = [(float(x), float(y), side, side) for x, y, seen in points if seen == VISIBLE]
        else:
            x, y, width, height = (float(value) for value in note["bbox"])
            found = [(x + width / 2 - 0.5, y + height / 2 - 0.5, width, height)]
        rows += found
        kinds += [str((note.get("attributes") or {}).get("catheter", ""))] * len(found)
    table = np.array(rows, np.float32).reshape(-1, 4)
    if not np.isfinite(table).all() or (table[:, 2:] <= 0).any():
        raise ValueError(f"a box of {image['file_name']} has no size")
    return table, tuple(kinds) if all(kinds) else ()


def _picture(path: Path, size: tuple[int, int]) -> NDArray[np.float32]:
    """A grey image ``(H, W)`` 0..1 of 8 or 16 bits; its size is checked before it is decoded."""
    try:
        with PIL.Image.open(path) as file:
            found = file.size
    except (OSError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise DataError(f"{path}: expected an image: {error}") from error
    if found != size:
        raise DataError(f"{path}: is {found[0]} x {found[1]} px, the annotations say {size[0]} x {size[1]}")
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise DataError(f"{path}: expected an image, OpenCV cannot read it")
    if image.shape[::-1] != size:
        raise DataError(f"{path}: its header says {size[0]} x {size[1]} px and its pixels are others")
    return np.asarray(image, np.float32) / np.float32(255 if image.dtype == np.uint8 else 65535)
