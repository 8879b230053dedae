"""``./cath synth``: a contact sheet of synthetic frames, to look at beside real ones."""

import argparse
from pathlib import Path

import cv2
import numpy as np

from cath_perception.errors import CathError
from cath_training.synthetic.still import Still, draw_still


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``./cath synth``."""
    sheet = Path("out/synthetic.png")
    parser.add_argument("--sheet", type=Path, nargs="?", default=sheet, const=sheet, help="PNG to write")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--labels", action="store_true", help="draw the truth")
    parser.add_argument(
        "--angiograms", type=Path, default=Path("../shared/data/angiograms"), help="real backgrounds"
    )


def _tile(still: Still, labels: bool) -> np.ndarray:
    image = cv2.cvtColor(still.pixels, cv2.COLOR_GRAY2BGR)
    if labels:
        image[still.mask] = (0.75 * image[still.mask] + np.array([0, 60, 0])).astype(np.uint8)
        for x, y, _, _ in still.electrodes:
            cv2.circle(image, (round(float(x)), round(float(y))), 3, (0, 0, 255), -1, cv2.LINE_AA)
    return image


def run(args: argparse.Namespace) -> int:
    """Write the sheet, four frames a row."""
    if args.count < 1:
        raise CathError(f"--count: expected 1 or more, got {args.count}")
    angiograms = sorted(args.angiograms.glob("*.jpg"))
    tiles = [_tile(draw_still(args.seed + i, angiograms=angiograms), args.labels) for i in range(args.count)]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % min(4, len(tiles)))
    across = min(4, len(tiles))
    rows = [np.hstack(tiles[i : i + across]) for i in range(0, len(tiles), across)]
    args.sheet.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.sheet), np.vstack(rows)):
        raise CathError(f"{args.sheet}: could not be written; expected a name that ends in .png")
    print(f"{args.sheet}: {args.count} frames")
    return 0
