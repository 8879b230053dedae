"""Starts the perception node, configures and activates it, and on request replays a bag to it."""

import os
from pathlib import Path
from posixpath import dirname, join

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.events import matches_action
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

SHARE = Path(get_package_share_directory("cath_perception"))
PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"
ARGUMENTS = (
    DeclareLaunchArgument("image_topic", default_value="/fluoroscopy/image_raw", description="X-ray images."),
    DeclareLaunchArgument(
        "camera_info_topic",
        default_value="",
        description="Camera info; empty: camera_info beside the images.",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value=str(SHARE / "config" / "perception.yaml"),
        description="Parameters of the node.",
    ),
    DeclareLaunchArgument(
        "model", default_value="", description="Model's name or bundle folder; empty: as in params_file."
    ),
    DeclareLaunchArgument(
        "backend",
        default_value="",
        choices=["", "auto", "tensorrt", "openvino", "torch"],
        description="Inference backend; empty: as in params_file.",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node."),
    DeclareLaunchArgument(
        "autostart",
        default_value="true",
        choices=["true", "false", "True", "False"],
        description="Configure and activate the node.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="",
        choices=["", "true", "false", "True", "False"],
        description="Time from /clock; empty: true with a bag, else false.",
    ),
    DeclareLaunchArgument("bag", default_value="", description="Bag to replay once the node is active."),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="Least severe log messages shown.",
    ),
)


def perception_node(value: dict[str, str]) -> LifecycleNode:
    """The node with parameters and remappings as given; ``value`` holds the launch arguments."""
    given = {name: value[name] for name in ("model", "backend") if value[name]}
    sim_time = value["use_sim_time"] or str(bool(value["bag"]))
    image = value["image_topic"]
    return LifecycleNode(
        package="cath_perception",
        executable="perception_node",
        name="perception",
        namespace=value["namespace"],
        parameters=[value["params_file"], given, {"use_sim_time": sim_time.lower() == "true"}],
        remappings=[
            ("~/image", image),
            ("~/image/compressed", f"{image}/compressed"),
            ("~/camera_info", value["camera_info_topic"] or join(dirname(image), "camera_info")),
        ],
        ros_arguments=["--log-level", value["log_level"]],
        output="screen",
        sigterm_timeout="20",  # a model that is being compiled cannot be interrupted at once
    )


def change(node: LifecycleNode, transition: int) -> EmitEvent:
    """Asks ``node`` for a transition, and waits for it as long as it takes."""
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))


def on_transition(
    node: LifecycleNode, start: str, goal: str, *entities: LaunchDescriptionEntity
) -> RegisterEventHandler:
    """Does ``entities`` the first time that ``node`` goes from ``start`` to ``goal``."""
    return RegisterEventHandler(
        OnStateTransition(
            target_lifecycle_node=node,
            start_state=start,
            goal_state=goal,
            entities=list(entities),
            handle_once=True,
        )
    )


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node and what follows from its state. Handlers come first, so that no transition is missed."""
    value = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    for name in ("params_file", "bag"):
        if value[name] and not Path(value[name]).exists():
            raise FileNotFoundError(f"{name}: there is no {value[name]}")
    node = perception_node(value)
    entities: list[LaunchDescriptionEntity] = []
    if PROFILE not in os.environ:
        entities.append(SetEnvironmentVariable(PROFILE, str(SHARE / "config" / "fastdds.xml")))
    if value["bag"]:
        source = PythonLaunchDescriptionSource(str(SHARE / "launch" / "replay.launch.py"))
        images = join("/", value["namespace"], value["image_topic"])
        given = {"bag": value["bag"], "image_topic": images}
        replay = IncludeLaunchDescription(source, launch_arguments=given.items())
        entities.append(on_transition(node, "activating", "active", replay))
    if value["autostart"].lower() == "true":
        failed = LogInfo(
            msg="not configured, for the reason above; mend it, then configure and activate the node"
        )
        entities.append(
            on_transition(node, "configuring", "inactive", change(node, Transition.TRANSITION_ACTIVATE))
        )
        entities.append(on_transition(node, "configuring", "unconfigured", failed))
        return [*entities, node, change(node, Transition.TRANSITION_CONFIGURE)]
    return [*entities, node]


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the node."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
