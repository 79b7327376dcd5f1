"""Ranges that run backwards or make no sense are refused."""

from __future__ import annotations

from typing import Any

import pytest

from segwheel.domain.synthesis.recipe import SeismicRecipe
from segwheel.errors import InputError


def test_a_range_that_runs_backwards_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"^noise: expected a lower, then an upper bound, found 0\.5 and 0\.1$"):
        SeismicRecipe(noise=(0.5, 0.1))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frequency": (0.0, 0.0)}, "frequency: expected from 0.001 to 0.5, found 0"),
        ({"frequency": (0.1, 0.9)}, "frequency: expected from 0.001 to 0.5, found 0.1 to 0.9"),
        ({"layer_thickness": (0.0, 4.0)}, "layer_thickness: expected from 1 to inf, found 0 to 4"),
        ({"faults": (300, 300)}, "faults: expected from 0 to 255, found 300"),
        ({"unconformities": (-1, 0)}, "unconformities: expected from 0 to 255, found -1 to 0"),
        ({"listric_share": 5.0}, "listric_share: expected from 0 to 1, found 5"),
        ({"noise": (-1.0, 0.0)}, "noise: expected from 0 to inf, found -1 to 0"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_by_name(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        SeismicRecipe(**change)
    assert str(caught.value) == sentence
