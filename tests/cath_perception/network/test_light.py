import pytest
import torch

from cath_perception.network import build

SMALL = {"name": "light", "widths": [8, 8, 16, 16, 16], "decoder": [16, 16, 16], "hidden": 16}


def test_maps_are_at_half_the_images_size():
    network = build(SMALL).eval()
    with torch.no_grad():
        maps = network(torch.rand(2, 1, 64, 96))
    channels = {"centre": 1, "offset": 2, "size": 2, "mask": 1}
    assert {name: tuple(value.shape) for name, value in maps.items()} == {
        name: (2, count, 32, 48) for name, count in channels.items()
    }


@pytest.mark.parametrize("blocks", [1, 2])
def test_refining_blocks_change_nothing_before_they_are_trained(blocks):
    torch.manual_seed(3)
    plain, refined = build(SMALL).eval(), build(SMALL | {"refine": blocks}).eval()
    refined.load_state_dict(refined.state_dict() | plain.state_dict())
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        for name, value in plain(image).items():
            torch.testing.assert_close(refined(image)[name], value, rtol=0, atol=0)
    refined.train()
    refined(image)["centre"].sum().backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in refined.refine[0].second[1].parameters()
    )
