"""The lifecycle node ``perception``: X-ray frames in, electrodes, catheters, masks and their status out."""

import gc
import signal
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks, UnsupportedEventTypeError
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from cath_perception import parameters
from cath_perception.diagnostics import Engine, Speaker, State
from cath_perception.errors import CathError
from cath_perception.handler import Frame, FrameHandler, unfilled_status
from cath_perception.intake import Counters
from cath_perception.outputs import Outputs
from cath_perception.perceptor import Perceptor
from cath_perception.recognition import Recognizer
from cath_perception.sequence import SequencePerceptor

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
RELIABILITY = {"reliable": ReliabilityPolicy.RELIABLE, "best_effort": ReliabilityPolicy.BEST_EFFORT}
WARM_UP_SIZE = 512


class PerceptionNode(LifecycleNode):
    """Answers the newest frame, states how old and trustworthy the answer is, and survives bad ones.

    configure loads model and backend and makes publishers and subscriptions, activate begins answering. All
    callbacks run in one thread: use a SingleThreadedExecutor.
    """

    def __init__(self) -> None:
        super().__init__("perception")
        self._perceptor: Perceptor | None = None
        self._outputs: Outputs | None = None
        self._handler: FrameHandler | None = None
        self._inputs: list[Subscription] = []
        self._state = "unconfigured"
        self.add_on_set_parameters_callback(self._check_parameters)
        parameters.declare(self)
        self._settings = parameters.read(self)
        self._speaker = Speaker(self)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # notices silence though simulated time stands still
        self.create_timer(self._settings.diagnostics_period, self._publish_diagnostics, clock=steady)
        self.create_service(Trigger, "~/set_reference", self._set_reference)
        self._watchdog = self.create_timer(self._settings.input_timeout, self._on_silence, clock=steady)
        self.add_post_set_parameters_callback(self._apply_parameters)

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the model, make publishers and subscriptions; says why where that fails."""
        self._settings = parameters.read(self)
        try:
            self._open()
        except Exception as error:
            self._release()
            self._speaker.failure = f"cannot configure: {type(error).__name__}: {error}"
            self._say(State.ERROR, self._speaker.failure)
            self._publish_diagnostics()
            return FAILURE
        self._speaker.failure, self._state = "", "inactive"
        self._say(State.INACTIVE, "configured")
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to answer frames, with all counters at zero."""
        if self._handler is not None:
            self._handler.restart()
        self._watchdog.reset()
        self._state = "active"
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop answering; model and subscriptions stay."""
        self._state = "inactive"
        self._say(State.INACTIVE, "deactivated")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release model, publishers and subscriptions; another model may be chosen then."""
        self._release()
        self._say(State.INACTIVE, "cleaned up")
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything, from whatever state."""
        self._release()
        self._state = "finalized"
        self._say(State.INACTIVE, "shut down")
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a transition that raised: release everything, so that the node can be configured again."""
        self._release()
        self._say(State.ERROR, f"a transition from {state.label} failed unexpectedly; configure again")
        return SUCCESS

    def close(self) -> None:
        """Release everything and destroy the node."""
        self._release()
        self.destroy_node()

    def _open(self) -> None:
        settings = self._settings
        self.get_logger().info(f"loading model '{settings.model}', backend '{settings.backend}'")
        self._perceptor = Perceptor.open(
            settings.model,
            settings.backend,
            threads=settings.threads,
            device=settings.device,
            openvino_precision=settings.openvino_precision,
            fallback=settings.fallback,
            want_centerlines=settings.centerlines,
            recognizer=Recognizer.load(settings.templates or None),
        )
        self._perceptor(np.zeros((WARM_UP_SIZE, WARM_UP_SIZE), np.uint8))  # what is made lazily is made now
        self._outputs = Outputs(self)
        sequence = SequencePerceptor(self._perceptor, settings.reference_type)
        self._handler = FrameHandler(sequence, self._outputs, self.get_clock(), settings)
        self._subscribe()
        gc.collect()
        gc.freeze()  # what was loaded stays: collections during frames need not visit it
        for reason in self._perceptor.backend.passed_over:
            self.get_logger().info(f"backend passed over: {reason}")
        self.get_logger().info(f"model '{self._perceptor.bundle.name}' on {self._engine}")

    def _subscribe(self) -> None:
        raw = self._settings.input_transport == "raw"
        kind, topic = (Image, "~/image") if raw else (CompressedImage, "~/image/compressed")
        qos = QoSProfile(depth=1, reliability=RELIABILITY[self._settings.input_reliability])
        subscribe = partial(
            self.create_subscription,
            kind,
            topic,
            self._on_frame,
            qos,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        try:
            image = subscribe(event_callbacks=SubscriptionEventCallbacks(message_lost=self._on_lost))
        except UnsupportedEventTypeError:  # not every middleware tells what it lost
            image = subscribe()
        self._inputs.append(image)
        if self._settings.use_camera_info:
            self._inputs.append(
                self.create_subscription(CameraInfo, "~/camera_info", self._on_camera_info, qos)
            )

    def _release(self) -> None:
        self._state = "unconfigured"
        while self._inputs:
            self.destroy_subscription(self._inputs.pop())
        if self._outputs is not None:
            self._outputs.close()
        if self._perceptor is not None:
            self._perceptor.close()
            gc.unfreeze()
        self._outputs = self._perceptor = self._handler = None

    # Parameters

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        unconfigured = self._state == "unconfigured"
        reasons = [reason for change in changes if (reason := parameters.refusal(change, unconfigured))]
        return SetParametersResult(successful=not reasons, reason="; ".join(reasons))

    def _apply_parameters(self, changes: list[Parameter]) -> None:
        if not any(change.name in parameters.BY_NAME for change in changes):
            return
        self._settings = settings = parameters.read(self)
        self._watchdog.timer_period_ns = round(settings.input_timeout * 1e9)
        self._watchdog.reset()  # else the period that is running ends as it began
        if self._handler is not None:
            self._handler.apply(settings)

    # Input

    def _on_frame(self, message: Frame, info: Mapping[str, Any]) -> None:
        handler = self._handler
        if self._state != "active" or handler is None:
            return
        self._watchdog.reset()
        self._speaker.status(handler.handle(message, info), self._engine)
        if note := handler.take_note():
            self._speaker.log(note)

    def _on_camera_info(self, message: CameraInfo) -> None:
        if self._handler is not None:
            self._handler.camera_info = message

    def _set_reference(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Answer ``~/set_reference``: motion is measured from the newest frame on."""
        handler = self._handler if self._state == "active" else None
        response.success = handler is not None and handler.set_reference()
        kind = self._settings.reference_type
        if response.success:
            response.message = f"motion is measured from the newest frame's {kind} catheter"
        elif handler is None:
            response.message = f"the node is {self._state}: activate it first"
        else:
            response.message = (
                f"no {kind} catheter is known and seen in the newest frame: the reference stays"
            )
        return response

    def _on_lost(self, event: QoSMessageLostInfo) -> None:
        if self._handler is not None and self._state == "active" and not self._handler.gaps.exact:
            self._handler.counters.dropped += event.total_count_change

    def _on_silence(self) -> None:
        if self._state == "active":
            topic = self._inputs[0].topic_name
            publishers = self.count_publishers(topic)
            self._say(
                State.NO_INPUT,
                f"no frame on {topic} for {self._settings.input_timeout:g} s, "
                f"{publishers} publisher(s) there",
            )

    # What the node says

    @property
    def _engine(self) -> Engine:
        if self._perceptor is None:
            return Engine(self._settings.model, self._settings.backend)
        return Engine.of(self._perceptor)

    def _say(self, state: State, message: str) -> None:
        """A status that belongs to no frame: stamped now, with no frame's times."""
        status = unfilled_status(Header(stamp=self.get_clock().now().to_msg()))
        status.state, status.message = int(state), message
        self._speaker.status(status, self._engine)

    def _publish_diagnostics(self) -> None:
        if self._perceptor is not None:
            self._perceptor.backend.tend()
        counters = self._handler.counters if self._handler else Counters()
        self._speaker.diagnostics(self._state, counters, self._engine)


def _start_ros(args: list[str] | None) -> None:
    """Raises CathError with the reason, as where a remapping's name is none or a parameter file is no YAML."""
    try:
        rclpy.init(args=args)
    except Exception as error:
        raise CathError(f"ROS does not take the arguments: {error}") from error


def main(args: list[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM: exit code 0; 2 with the reason on stderr where arguments or a parameter are refused."""
    node = None
    try:
        _start_ros(args)
        node = PerceptionNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (CathError, InvalidParameterValueException, InvalidParameterTypeException) as error:
        print(f"perception: {error}", file=sys.stderr)
        return 2
    except Exception:
        if rclpy.ok():  # else a signal shut ROS down in the middle of a call, which then failed
            raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C does not cut the clean end short
        if node is not None:
            node.close()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
