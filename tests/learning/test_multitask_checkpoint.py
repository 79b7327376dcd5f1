from __future__ import annotations

import pytest
import torch

from segwheel.learning.multitask import attributes
from segwheel.learning.multitask_checkpoint import WEIGHTS, find_model, load_multitask

SHIPPED = {"seismic_light": 3, "section_light": 2}


def test_these_weights_ship() -> None:
    assert {path.stem for path in WEIGHTS.glob("*.pth")} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_weights_that_ship_give_every_attribute_of_an_image(name: str) -> None:
    model = load_multitask(find_model(name), refine=False, ndim=SHIPPED[name])
    assert model.attributes == attributes(SHIPPED[name])
    with torch.no_grad():
        found = model.network(torch.randn(1, 1, *(32,) * model.ndim))
    assert all(torch.isfinite(values).all() for values in found.values())
