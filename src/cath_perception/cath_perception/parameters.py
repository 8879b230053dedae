"""The node's parameters: a table of descriptions, ranges and moments of change, and the typed values."""

import math
from dataclasses import dataclass, fields
from enum import Enum

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

Value = bool | int | float | str


class Change(Enum):
    """When a parameter may be changed."""

    ALWAYS = "at any time"
    UNCONFIGURED = "while the node is unconfigured"
    START = "at start only"


@dataclass(frozen=True, slots=True)
class Specification:
    """One parameter: ``low``/``high`` bound a number, ``choices`` a string; its type is ``default``'s."""

    name: str
    default: Value
    description: str
    change: Change
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """The parameters' values, as named in ``PARAMETERS``."""

    model: str
    backend: str
    threads: int
    device: str
    openvino_precision: str
    fallback: str
    centerlines: bool
    templates: str
    tracking: bool
    lost_after: float
    reference_type: str
    motion_transform: str
    input_transport: str
    input_reliability: str
    use_camera_info: bool
    electrode_threshold: float
    mask_threshold: float
    max_age: float
    deadline: float
    input_timeout: float
    mm_per_pixel: float
    source_detector_mm: float
    diagnostics_period: float


PARAMETERS = (
    Specification(
        "model",
        "light",
        "Model bundle: a shipped one by its name, or the path of a bundle's folder.",
        Change.UNCONFIGURED,
    ),
    Specification(
        "backend",
        "auto",
        "Inference backend; auto takes the best that works here and says which.",
        Change.UNCONFIGURED,
        choices=("auto", "tensorrt", "openvino", "torch"),
    ),
    Specification(
        "threads", 0, "CPU threads of the backend; 0 lets the backend choose.", Change.UNCONFIGURED, 0, 256
    ),
    Specification(
        "device",
        "auto",
        "Device of the backend: cpu, cuda, or auto for a GPU where there is one.",
        Change.UNCONFIGURED,
        choices=("auto", "cpu", "cuda"),
    ),
    Specification(
        "openvino_precision",
        "auto",
        "Arithmetic of the network in OpenVINO on the CPU: auto takes int8 where the model has an 8-bit form (the fastest "
        "on all CPUs tried), else bf16 where the CPU multiplies in it, else f32.",
        Change.UNCONFIGURED,
        choices=("auto", "f32", "bf16", "int8"),
    ),
    Specification(
        "fallback",
        "openvino",
        "What answers on the CPU while a GPU backend cannot; none: such frames fail with the reason.",
        Change.UNCONFIGURED,
        choices=("openvino", "torch", "none"),
    ),
    Specification(
        "centerlines", True, "Compute centrelines and group electrodes into catheters.", Change.UNCONFIGURED
    ),
    Specification(
        "templates",
        "",
        "YAML file of the electrode patterns by which catheters are recognized; empty: the package's own.",
        Change.UNCONFIGURED,
    ),
    Specification(
        "tracking",
        True,
        "Follow catheters from frame to frame: lasting ids and indices, types from many frames, and motion; without it "
        "each frame stands alone and ~/motion is silent. Needs centerlines.",
        Change.ALWAYS,
    ),
    Specification(
        "lost_after",
        0.5,
        "Seconds for which a catheter that is not seen is PREDICTED; then it is LOST. It is forgotten 5 s after it was "
        "last seen.",
        Change.ALWAYS,
        0.0,
        5.0,
    ),
    Specification(
        "reference_type",
        "coronary_sinus",
        "Type of the stationary catheter whose motion is published on ~/motion.",
        Change.UNCONFIGURED,
    ),
    Specification(
        "motion_transform",
        "off",
        "Publish the reference catheter's motion as geometry_msgs/TransformStamped on ~/motion_transform: in metres (needs "
        "the size of a pixel), or with a translation in pixels for overlays drawn in the image.",
        Change.ALWAYS,
        choices=("off", "pixels", "metres"),
    ),
    Specification(
        "input_transport",
        "raw",
        "raw: sensor_msgs/Image on ~/image; compressed: "
        "sensor_msgs/CompressedImage (JPEG, PNG) on ~/image/compressed.",
        Change.UNCONFIGURED,
        choices=("raw", "compressed"),
    ),
    Specification(
        "input_reliability",
        "best_effort",
        "Reliability asked of the image's publisher; best_effort also receives from reliable publishers.",
        Change.START,
        choices=("best_effort", "reliable"),
    ),
    Specification(
        "use_camera_info",
        False,
        "Subscribe ~/camera_info, check that it fits the images, and take the "
        "markers' scale from it (needs source_detector_mm).",
        Change.UNCONFIGURED,
    ),
    Specification(
        "electrode_threshold",
        0.0,
        "Smallest score of a reported electrode, 0..1; 0 takes the model's own.",
        Change.ALWAYS,
        0.0,
        1.0,
    ),
    Specification(
        "mask_threshold",
        0.0,
        "Smallest probability of a catheter pixel in the mask, 0..1; 0 takes the model's own.",
        Change.ALWAYS,
        0.0,
        1.0,
    ),
    Specification(
        "max_age",
        0.5,
        "Oldest frame that is answered, in seconds between its stamp and its arrival; "
        "stamps as far in the future are refused too; 0 answers frames of any age.",
        Change.ALWAYS,
        0.0,
        3600.0,
    ),
    Specification(
        "deadline",
        0.1,
        "Seconds from a frame's arrival to its electrodes being published, beyond which "
        "its status says DEADLINE_MISSED; 0 states none.",
        Change.ALWAYS,
        0.0,
        60.0,
    ),
    Specification(
        "input_timeout",
        1.0,
        "Seconds without any frame after which the status says NO_INPUT.",
        Change.ALWAYS,
        0.05,
        3600.0,
    ),
    Specification(
        "mm_per_pixel",
        0.0,
        "Size of an image pixel in mm at the plane the markers are to lie in; "
        "0: unknown, markers in pixels unless use_camera_info supplies it.",
        Change.ALWAYS,
        0.0,
        100.0,
    ),
    Specification(
        "source_detector_mm",
        0.0,
        "Distance from X-ray source to detector in mm, which turns the camera "
        "info's focal length in pixels into mm per pixel at the detector; 0: unknown.",
        Change.ALWAYS,
        0.0,
        10000.0,
    ),
    Specification(
        "diagnostics_period", 1.0, "Seconds between two messages on /diagnostics.", Change.START, 0.05, 60.0
    ),
)
BY_NAME = {specification.name: specification for specification in PARAMETERS}


def declare(node: Node) -> None:
    """Declare every parameter; raises rclpy's ``InvalidParameterValueException`` for a bad value."""
    for specification in PARAMETERS:
        node.declare_parameter(specification.name, specification.default, descriptor(specification))


def descriptor(specification: Specification) -> ParameterDescriptor:
    """The ROS descriptor of one parameter."""
    message = ParameterDescriptor(description=specification.description)
    message.read_only = specification.change is Change.START
    constraints = [f"one of {', '.join(specification.choices)}"] if specification.choices else []
    message.additional_constraints = "; ".join([*constraints, f"changeable {specification.change.value}"])
    if specification.low is not None and specification.high is not None:
        if isinstance(specification.default, float):
            bounds = FloatingPointRange(
                from_value=float(specification.low), to_value=float(specification.high)
            )
            message.floating_point_range = [bounds]
        else:
            message.integer_range = [
                IntegerRange(from_value=int(specification.low), to_value=int(specification.high))
            ]
    return message


def refusal(parameter: Parameter, unconfigured: bool) -> str | None:
    """Why ``parameter`` may not be set now, or None if it may. Ranges were checked by rclpy before."""
    specification = BY_NAME.get(parameter.name)
    if specification is None:
        return None
    if specification.choices and parameter.value not in specification.choices:
        return f"{parameter.name} must be one of {', '.join(specification.choices)}, not '{parameter.value}'"
    if isinstance(parameter.value, float) and not math.isfinite(parameter.value):
        return f"{parameter.name} must be a finite number, not {parameter.value}"
    if specification.change is Change.UNCONFIGURED and not unconfigured:
        return f"{parameter.name} takes effect when the node is configured: deactivate and clean it up first"
    return None


def read(node: Node) -> Settings:
    """The parameters' present values."""
    return Settings(**{field.name: node.get_parameter(field.name).value for field in fields(Settings)})
