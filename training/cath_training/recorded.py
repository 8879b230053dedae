"""Answers of a node that were recorded into a bag beside the images and the truth."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cath_perception.bags import NANOSECONDS, TRUTH_TOPIC, BagReader
from cath_perception.from_message import catheter_from_message, electrode_from_message
from cath_perception.sources.bag import BagSource, stamp_ns
from cath_perception.types import Catheter
from cath_training.cases import recording
from cath_training.data.labelled import DataError
from cath_training.evaluate import Answer, Evaluation, table


def judge_recorded(path: Path) -> Evaluation:
    """Judge the recorded answers by the recorded truth, frame by frame of the same stamp.

    A frame that was never answered is left out; ``answered`` in the figures says how many were. Raises DataError.
    """
    electrodes, catheters = _answers(path)
    evaluation = Evaluation()
    with BagSource(path) as source:
        for frame in recording(source):
            evaluation.asked += 1
            stamp = source.start_ns + round(frame.time_s * NANOSECONDS)
            if stamp in electrodes:
                answer = Answer(electrodes[stamp], 0.0, None, catheters.get(stamp))
                evaluation.add(frame, answer)
    return evaluation


def _answers(path: Path) -> tuple[dict[int, NDArray[np.float64]], dict[int, tuple[Catheter, ...]]]:
    """Electrodes and catheters by stamp in ns."""
    electrodes: dict[int, NDArray[np.float64]] = {}
    catheters: dict[int, tuple[Catheter, ...]] = {}
    with BagReader(path) as reader:
        names = {kind: _topic(reader, path, kind) for kind in ("ElectrodeArray", "CatheterArray")}
        for item in reader.messages({name for name in names.values() if name}):
            message: Any = reader.decode(item)
            if item.topic == names["ElectrodeArray"]:
                electrodes[stamp_ns(message)] = table(map(electrode_from_message, message.electrodes))
            elif message.computed:
                catheters[stamp_ns(message)] = tuple(map(catheter_from_message, message.catheters))
    if not electrodes:
        raise DataError(
            f"{path}: holds no electrodes that a node answered: leave --recorded out to run the model"
        )
    return electrodes, catheters


def _topic(reader: BagReader, path: Path, kind: str) -> str | None:
    """The one topic of this type beside the truth, None if there is none."""
    names = [n for n, k in reader.topics.items() if k == f"cath_msgs/msg/{kind}" and n != TRUTH_TOPIC]
    if len(names) > 1:
        raise DataError(f"{path}: {kind} on {', '.join(sorted(names))}: expected the answers of one node")
    return names[0] if names else None
