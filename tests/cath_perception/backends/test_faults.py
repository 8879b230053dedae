import pytest

from cath_perception.backends.faults import device_errors, fault_of
from cath_perception.errors import BackendError, DeviceError, DeviceFault


class OutOfMemoryError(RuntimeError):
    """By its name, as PyTorch's."""


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), DeviceFault.OUT_OF_MEMORY),
        (OutOfMemoryError("allocation failed"), DeviceFault.OUT_OF_MEMORY),
        (RuntimeError("CUDA error: no CUDA-capable device is detected"), DeviceFault.NO_DEVICE),
        (RuntimeError("Found no NVIDIA driver on your system."), DeviceFault.NO_DEVICE),
        (
            RuntimeError("The NVIDIA driver on your system is too old (found version 11040)"),
            DeviceFault.DRIVER,
        ),
        (
            RuntimeError("CUDA error: CUDA driver version is insufficient for CUDA runtime version"),
            DeviceFault.DRIVER,
        ),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), DeviceFault.LOST),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered"), DeviceFault.LOST),
        (RuntimeError("CUDA error: unknown error"), DeviceFault.LOST),
        (RuntimeError("CUDA error: some error of a newer version"), DeviceFault.LOST),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b"), None),
    ],
)
def test_errors_are_the_devices_or_not(error, fault):
    assert fault_of(error) is fault
    with pytest.raises(BackendError) as raised:  # noqa: SIM117
        with device_errors("inference failed"):
            raise error
    assert "inference failed: " in str(raised.value)
    assert getattr(raised.value, "fault", None) is fault


def test_what_is_named_already_keeps_its_name():
    for known in (BackendError("closed"), DeviceError(DeviceFault.DRIVER, "reset")):
        with pytest.raises(BackendError) as raised:  # noqa: SIM117
            with device_errors("inference failed"):
                raise known
        assert raised.value is known
