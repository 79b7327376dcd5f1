from __future__ import annotations

import pytest
import torch
from torch import nn

from segwheel.errors import InputError
from segwheel.learning.multitask import MultitaskNetwork, attributes, unweighted

ALL = ("rgt", "dhr", "fsem", "fdip", "fstrike")


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("refine", "count"), [(False, 14_481_061), (True, 14_492_009)])
def test_full_width_has_the_published_number_of_parameters(refine: bool, count: int) -> None:
    with torch.device("meta"):
        assert parameters(MultitaskNetwork(3, refine=refine)) == count


@pytest.mark.parametrize("size", [(16, 16), (20, 33), (16, 16, 16), (20, 17, 33)])
@pytest.mark.parametrize("refine", [False, True])
def test_every_attribute_has_the_size_of_the_input(size: tuple[int, ...], refine: bool) -> None:
    torch.manual_seed(0)
    network = MultitaskNetwork(len(size), refine=refine, width=0.125)
    with torch.no_grad():
        found = network(torch.randn(2, len(network.inputs), *size))
    assert tuple(found) == ALL[: len(size) + 2] == network.attributes
    assert all(y.shape == (2, 1, *size) and bool(y.isfinite().all()) for y in found.values())
    assert all(float(found[name].min()) >= 0 and float(found[name].max()) <= 1 for name in found if name != "dhr")


@pytest.mark.parametrize(
    ("tasks", "names"),
    [(("rgt",), ("rgt",)), (("fault", "rgt"), ("rgt", "fsem", "fdip", "fstrike")), (("dhr",), ("dhr",))],
)
def test_a_task_switched_off_is_absent(tasks: tuple[str, ...], names: tuple[str, ...]) -> None:
    network = MultitaskNetwork(3, width=0.125, tasks=tasks)
    with torch.no_grad():
        found = network(torch.zeros(1, 1, 16, 16, 16))
    assert tuple(found) == names
    present = {name.split(".")[0] for name in network.state_dict() if "decoder" in name}
    heads = {"subdecoder_fault_semantic", "subdecoder_fault_dip", "subdecoder_fault_strike"}
    assert present == {f"decoder_{task}" for task in tasks} | (heads if "fault" in tasks else set())


def test_a_section_has_no_strike_and_refines_from_four_attributes() -> None:
    with torch.device("meta"):
        network = MultitaskNetwork(2, refine=True)
    assert network.inputs == ("rgt", "dhr", "fsem", "fdip")
    assert "input4.0.c.0.weight" in network.state_dict()
    assert "input5.0.c.0.weight" not in network.state_dict()
    assert not any("strike" in name for name in network.state_dict())


def test_stems_come_first_and_in_the_order_of_the_attributes() -> None:
    torch.manual_seed(0)
    network = MultitaskNetwork(2, refine=True, width=0.25, tasks=("dhr",)).eval()
    x = torch.randn(1, 4, 16, 16)
    stems = [network.get_submodule(f"input{i + 1}")(x[:, i : i + 1]) for i in range(4)]
    seen: list[torch.Tensor] = []
    with torch.no_grad():
        expected = network.encoder1(torch.cat(stems, 1))
        network.encoder1.register_forward_hook(lambda _module, _inputs, y: seen.append(y))
        network(x)
    assert torch.allclose(seen[0], expected)


def test_dip_and_strike_are_weighted_with_the_fault_probability() -> None:
    torch.manual_seed(0)
    network = MultitaskNetwork(3, width=0.125, tasks=("fault",))
    kept: dict[str, torch.Tensor] = {}
    network.get_submodule("subdecoder_fault_dip").register_forward_hook(lambda _module, _inputs, y: kept.update(dip=y))
    with torch.no_grad():
        found = network(torch.randn(1, 1, 16, 16, 16))
    assert torch.allclose(found["fdip"], kept["dip"] * found["fsem"])
    assert torch.allclose(unweighted(found, "fdip"), kept["dip"])


def test_the_semantic_head_has_no_norm() -> None:
    network = MultitaskNetwork(3, width=0.125)
    norms = {
        name: sum(
            isinstance(module, nn.InstanceNorm3d)
            for module in network.get_submodule(f"subdecoder_fault_{name}").modules()
        )
        for name in ("semantic", "dip", "strike")
    }
    assert norms == {"semantic": 0, "dip": 4, "strike": 4}


@pytest.mark.parametrize("shape", [(1, 2, 16, 16, 16), (1, 1, 16, 15, 16)])
def test_an_input_of_another_make_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected 1 channel"):
        MultitaskNetwork(3, width=0.125)(torch.zeros(shape))


@pytest.mark.parametrize("tasks", [(), ("faults",)])
def test_unknown_tasks_are_refused(tasks: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="rgt, dhr, fault"):
        attributes(3, tasks)
