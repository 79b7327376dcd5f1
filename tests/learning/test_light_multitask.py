from __future__ import annotations

from math import prod

import pytest
import torch
from torch import Tensor

from segwheel.errors import InputError
from segwheel.learning.light_multitask import LightMultitaskNetwork, angles, from_channels, to_channels
from segwheel.learning.multitask import MultitaskNetwork, unweighted
from segwheel.learning.multitask_losses import MultitaskLoss, normals

ALL = ("rgt", "dhr", "fsem", "fdip", "fstrike")


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("ndim", [2, 3])
def test_it_has_at_most_a_million_parameters(ndim: int, refine: bool) -> None:
    assert sum(p.numel() for p in LightMultitaskNetwork(ndim, refine=refine).parameters()) < 1_000_000


@pytest.mark.parametrize("size", [(16, 16), (37, 50), (16, 16, 16), (20, 17, 33)])
@pytest.mark.parametrize("refine", [False, True])
def test_inputs_and_outputs_are_those_of_the_full_network(size: tuple[int, ...], refine: bool) -> None:
    torch.manual_seed(0)
    ours = LightMultitaskNetwork(len(size), refine=refine, width=0.25).eval()
    with torch.device("meta"):
        full = MultitaskNetwork(len(size), refine=refine, width=0.25)
    assert (ours.inputs, ours.attributes, ours.tasks) == (full.inputs, full.attributes, full.tasks)
    with torch.no_grad():
        found = ours(torch.randn(2, len(ours.inputs), *size))
    assert tuple(found) == ours.attributes
    assert all(y.shape == (2, 1, *size) and bool(y.isfinite().all()) for y in found.values())
    assert all(0 <= y.min().item() <= y.max().item() <= 1 for name, y in found.items() if name != "dhr")


@pytest.mark.parametrize("tasks", [("rgt",), ("dhr",), ("fault",), ("rgt", "fault")])
def test_a_task_switched_off_is_absent(tasks: tuple[str, ...]) -> None:
    network = LightMultitaskNetwork(3, width=0.25, tasks=tasks)
    with torch.no_grad():
        found = network(torch.zeros(1, 1, 16, 16, 16))
    expected = [name for name in ALL if name in tasks or ("fault" in tasks and name.startswith("f"))]
    assert list(found) == expected
    assert any("normal." in name for name in network.state_dict()) is ("fault" in tasks)


@pytest.mark.parametrize("size", [(6, 8), (4, 6, 10)])
def test_space_to_depth_keeps_every_voxel_and_is_undone(size: tuple[int, ...]) -> None:
    x = torch.arange(6.0 * prod(size)).reshape(2, 3, *size)
    folded = to_channels(x)
    assert folded.shape == (2, 3 * 2 ** len(size), *(n // 2 for n in size))
    block = x[0, 1][tuple(slice(0, 2) for _ in size)].flatten()
    count = 2 ** len(size)
    assert torch.equal(folded.flatten(2)[0, count : 2 * count, 0], block)
    assert torch.equal(from_channels(folded), x)


def test_a_new_network_gives_nearly_the_depth_ramp_the_image_and_few_faults() -> None:
    torch.manual_seed(0)
    network, x = LightMultitaskNetwork(3).eval(), torch.randn(1, 1, 32, 20, 32)
    with torch.no_grad():
        found = network(x)
    ramp = torch.linspace(0, 1, 32).reshape(32, 1, 1)
    assert (found["rgt"] - ramp).abs().mean().item() < 0.15
    assert (found["dhr"] - x).abs().mean().item() < 0.2
    assert 0.05 < found["fsem"].mean().item() < 0.25


def test_a_refinement_starts_from_what_it_refines() -> None:
    torch.manual_seed(0)
    network, x = LightMultitaskNetwork(2, refine=True), torch.rand(1, 4, 32, 32)
    with torch.no_grad():
        found = network(x)
    assert (found["rgt"] - x[:, 0:1]).abs().mean().item() < 0.2
    assert (found["dhr"] - x[:, 1:2]).abs().mean().item() < 0.2


@pytest.mark.parametrize("sign", [1, -1])
def test_angles_undo_normals_whatever_the_length_and_the_sign(sign: int) -> None:
    generator = torch.Generator().manual_seed(0)
    dip, strike = 0.05 + 0.9 * torch.rand(2, 1, 1, 30, 1, 1, generator=generator)
    found = angles(sign * 3 * normals(dip, strike))
    assert torch.allclose(found[0], dip, atol=1e-5)
    assert torch.allclose(found[1], strike, atol=1e-5)
    section = dip[..., 0]
    assert torch.allclose(angles(sign * 3 * normals(section))[0], section, atol=1e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_angles_of_special_vectors_have_finite_gradients(ndim: int) -> None:
    vectors = torch.cat([torch.zeros(1, ndim), torch.eye(ndim), -torch.eye(ndim)]).T.reshape(
        1, ndim, -1, *(1,) * (ndim - 1)
    )
    vectors.requires_grad_()
    torch.cat(angles(vectors)).sum().backward()  # type: ignore[no-untyped-call]
    assert vectors.grad is not None
    assert bool(vectors.grad.isfinite().all())


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    network = LightMultitaskNetwork(3, width=0.25)
    for name, parameter in network.named_parameters():
        if name.endswith(".0.norm.weight"):
            torch.nn.init.ones_(parameter)  # zero to begin with, and nothing before it would learn in the first step
    found = network(torch.randn(1, 1, 32, 32, 32))
    target = {
        name: (torch.rand_like(y) > 0.5).float() if name == "fsem" else torch.rand_like(y) for name, y in found.items()
    }
    loss = torch.stack(list(MultitaskLoss(fault="dice_bce", angle="line")(found, target).values())).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)


def test_it_learns_one_cube() -> None:
    torch.manual_seed(0)
    network, image, wanted = LightMultitaskNetwork(3, width=0.25), torch.randn(1, 1, 32, 32, 32), planted()
    loss, optimiser = MultitaskLoss(fault="dice_bce", angle="line"), torch.optim.Adam(network.parameters(), lr=1e-2)
    totals = []
    for _ in range(15):
        found = network(image + 3 * wanted["fsem"])
        total = torch.stack(list(loss(found, wanted).values())).sum()
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        totals.append(total.item())
    assert totals[-1] < 0.7 * totals[0]
    fault = wanted["fsem"] > 0
    assert (unweighted(found, "fdip")[fault] - 1 / 3).abs().mean().item() < 0.1


def planted() -> dict[str, Tensor]:
    """A fault of dip 60 and strike 90 and a ramp."""
    z, _, x = torch.meshgrid(*(torch.arange(32.0),) * 3, indexing="ij")
    distance = -0.5 * (z - 16) - 0.75**0.5 * (x - 16)
    fault = (distance.abs() <= 2).float()
    made = {"rgt": z / 31, "dhr": torch.zeros_like(z), "fsem": fault, "fdip": fault / 3, "fstrike": fault / 2}
    return {name: y[None, None] for name, y in made.items()}


@pytest.mark.parametrize("shape", [(1, 5, 16, 16, 16), (1, 1, 16, 15, 16)])
def test_an_input_of_another_make_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected 1 channel"):
        LightMultitaskNetwork(3, width=0.25)(torch.zeros(shape))
