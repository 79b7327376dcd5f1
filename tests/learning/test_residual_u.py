from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from segwheel.learning.residual_u import R1, R2, R3, ConvUnit, ResidualU, UShape, doubled, resized

CONV = {2: functional.conv2d, 3: functional.conv3d}
POOL = {2: functional.max_pool2d, 3: functional.max_pool3d}


def literal_unit(state: dict[str, Tensor], name: str, x: Tensor, dilation: int = 1) -> Tensor:
    y = CONV[x.ndim - 2](x, state[f"{name}.c.0.weight"], state[f"{name}.c.0.bias"], padding=dilation, dilation=dilation)
    axes = tuple(range(2, y.ndim))
    y = (y - y.mean(axes, keepdim=True)) / torch.sqrt(y.var(axes, unbiased=False, keepdim=True) + 1e-5)
    return y.clamp_min(0)


def literal_double(x: Tensor, size: torch.Size) -> Tensor:
    """Half-pixel linear interpolation by 2 written as weights (1/4, 3/4), edges repeated, then even zero padding."""
    for axis in range(2, x.ndim):
        n = x.shape[axis]
        before = torch.cat([x.narrow(axis, 0, 1), x.narrow(axis, 0, n - 1)], axis)
        after = torch.cat([x.narrow(axis, 1, n - 1), x.narrow(axis, n - 1, 1)], axis)
        x = torch.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], axis + 1).flatten(axis, axis + 1)
    out = torch.zeros(*x.shape[:2], *size)
    where = [slice((a - b) // 2, (a - b) // 2 + b) for a, b in zip(size, x.shape[2:], strict=True)]
    out[(slice(None), slice(None), *where)] = x
    return out


def literal_r1(state: dict[str, Tensor], x: Tensor) -> Tensor:
    pool = POOL[x.ndim - 2]
    c0 = literal_unit(state, "conv0", x)
    c1 = literal_unit(state, "conv1", c0)
    c2 = literal_unit(state, "conv2", pool(c1, 2))
    c3 = literal_unit(state, "conv3", pool(c2, 2))
    d = literal_unit(state, "convd", pool(c3, 2), dilation=2)
    u3 = literal_unit(state, "up3", torch.cat([literal_double(d, c3.shape[2:]), c3], 1))
    u2 = literal_unit(state, "up2", torch.cat([literal_double(u3, c2.shape[2:]), c2], 1))
    u1 = literal_unit(state, "up1", torch.cat([literal_double(u2, c1.shape[2:]), c1], 1))
    return literal_unit(state, "up0", u1) + c0


def literal_r3(state: dict[str, Tensor], x: Tensor) -> Tensor:
    c0 = literal_unit(state, "conv0", x)
    c1 = literal_unit(state, "conv1", c0)
    c2 = literal_unit(state, "conv2", c1, dilation=2)
    c3 = literal_unit(state, "conv3", c2, dilation=4)
    d = literal_unit(state, "convd", c3, dilation=8)
    u3 = literal_unit(state, "up3", torch.cat([d, c3], 1), dilation=4)
    u2 = literal_unit(state, "up2", torch.cat([u3, c2], 1), dilation=2)
    u1 = literal_unit(state, "up1", torch.cat([u2, c1], 1))
    return literal_unit(state, "up0", u1) + c0


@pytest.mark.parametrize("size", [(32, 32), (37, 50), (16, 16, 16), (20, 17, 33)])
def test_a_pooled_block_equals_its_literal_computation(size: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    block, x = ResidualU(len(size), R1, 2, 3), torch.randn(1, 2, *size)
    assert torch.allclose(block(x), literal_r1(block.state_dict(), x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(19, 24), (9, 10, 11)])
def test_the_block_without_pooling_equals_its_literal_computation(size: tuple[int, ...]) -> None:
    torch.manual_seed(2)
    block, x = ResidualU(len(size), R3, 2, 3), torch.randn(2, 2, *size)
    assert torch.allclose(block(x), literal_r3(block.state_dict(), x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        (R1, {"conv0": (5, 4), "conv1": (4, 4), "conv2": (4, 8), "conv3": (8, 16), "convd": (16, 64),
              "up3": (80, 16), "up2": (24, 8), "up1": (12, 4), "up0": (4, 4)}),
        (R2, {"conv0": (5, 4), "conv1": (4, 4), "conv2": (4, 8), "convd": (8, 32),
              "up2": (40, 8), "up1": (12, 4), "up0": (4, 4)}),
        (R3, {"conv0": (5, 4), "conv1": (4, 4), "conv2": (4, 8), "conv3": (8, 8), "convd": (8, 16),
              "up3": (24, 8), "up2": (16, 8), "up1": (12, 4), "up0": (4, 4)}),
    ],
)  # fmt: skip
def test_channels_of_every_layer(shape: UShape, channels: dict[str, tuple[int, int]]) -> None:
    block = ResidualU(3, shape, 5, 4)
    weights = {name: value.shape for name, value in block.state_dict().items() if name.endswith("weight")}
    found = {name.split(".")[0]: (shape[1], shape[0]) for name, shape in weights.items()}
    assert found == channels


def test_doubling_pads_the_odd_element_at_the_far_end() -> None:
    y = doubled(torch.ones(1, 1, 2, 2), (7, 4), "bilinear")
    assert np.array_equal(y[0, 0].sum(1).numpy(), [0, 4, 4, 4, 4, 0, 0])


def test_resizing_keeps_the_corners() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    y = resized(x, (7, 9), "bilinear")
    assert y[0, 0, ::6, ::8].flatten().tolist() == [0, 3, 8, 11]
    assert torch.allclose(y[0, 0, 3, 4], torch.tensor(5.5))


def test_a_unit_without_norm_keeps_the_scale_of_its_input() -> None:
    torch.manual_seed(3)
    x = torch.randn(1, 1, 8, 8)
    plain, normed = ConvUnit(2, 1, 4, norm=False), ConvUnit(2, 1, 4)
    for unit in (plain, normed):
        torch.nn.init.zeros_(unit.get_parameter("c.0.bias"))
    assert torch.allclose(plain(10 * x), 10 * plain(x))
    assert torch.allclose(normed(10 * x), normed(x), rtol=1e-3, atol=1e-3)
