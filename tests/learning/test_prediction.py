from __future__ import annotations

import numpy as np

from segwheel.learning.inference import DEFAULTS
from segwheel.learning.prediction import clean_mask


def test_a_diagonal_is_one_component_or_many() -> None:
    diagonal = np.eye(9, dtype=np.bool_)
    cleaned = {
        neighbours: clean_mask(diagonal, DEFAULTS.model_copy(update={"min_object_area": 5, "connectivity": neighbours}))
        for neighbours in (4, 8)
    }
    assert cleaned[8].sum() == 9
    assert not cleaned[4].any()
