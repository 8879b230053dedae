"""Answers of a node that were recorded into a bag beside the images and the truth."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cath_perception.bags import TRUTH_TOPIC, BagReader
from cath_perception.from_message import electrode_from_message
from cath_perception.sources.bag import stamp_ns
from cath_perception.types import Catheter
from cath_training.cases import catheters_by_stamp, recording
from cath_training.data.labelled import DataError
from cath_training.evaluate import Answer, Evaluation, table


def judge_recorded(path: Path) -> Evaluation:
    """Judge the recorded answers by the recorded truth, frame by frame of the same stamp.

    A frame that was never answered is left out; ``answered`` in the figures says how many were. Raises DataError.
    """
    electrodes, catheters = _answers(path)
    evaluation = Evaluation()
    for frame in recording(path):
        evaluation.asked += 1
        if frame.stamp_ns in electrodes:
            said = electrodes[frame.stamp_ns]
            evaluation.add(frame, Answer(said, 0.0, None, catheters.get(frame.stamp_ns)))
    return evaluation


def _answers(path: Path) -> tuple[dict[int, NDArray[np.float64]], dict[int, tuple[Catheter, ...]]]:
    """Electrodes and catheters by stamp in ns."""
    electrodes: dict[int, NDArray[np.float64]] = {}
    with BagReader(path) as reader:
        topic, grouped = (_topic(reader, path, kind) for kind in ("ElectrodeArray", "CatheterArray"))
        for item in reader.messages({topic}) if topic else ():
            message = reader.decode(item)
            electrodes[stamp_ns(message)] = table(map(electrode_from_message, message.electrodes))
    if not electrodes:
        raise DataError(
            f"{path}: holds no electrodes that a node answered: leave --recorded out to run the model"
        )
    return electrodes, catheters_by_stamp(path, {grouped} if grouped else set())


def _topic(reader: BagReader, path: Path, kind: str) -> str | None:
    """The one topic of this type beside the truth, None if there is none."""
    names = [n for n, k in reader.topics.items() if k == f"cath_msgs/msg/{kind}" and n != TRUTH_TOPIC]
    if len(names) > 1:
        raise DataError(f"{path}: {kind} on {', '.join(sorted(names))}: expected the answers of one node")
    return names[0] if names else None
