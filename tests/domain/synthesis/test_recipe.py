"""Ranges that run backwards are refused."""

from __future__ import annotations

import pytest

from segwheel.domain.synthesis.recipe import SeismicRecipe
from segwheel.errors import InputError


def test_a_range_that_runs_backwards_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"^noise: expected a lower, then an upper bound, found 0\.5 and 0\.1$"):
        SeismicRecipe(noise=(0.5, 0.1))
