"""The queue begins where a correction teaches most."""

from __future__ import annotations

import numpy as np

from segwheel.domain.acquisition import rank


def disc(sharpness: float, size: int = 64) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The probability map of a disc whose boundary is the wider, the smaller `sharpness` is."""
    y, x = np.mgrid[:size, :size] - size / 2
    return (1 / (1 + np.exp(sharpness * (np.hypot(y, x) - 12)))).astype(np.float32)


def test_an_unsure_boundary_comes_first() -> None:
    ranked = rank("boundary_uncertainty", {"sharp": disc(5), "vague": disc(0.3), "middle": disc(1)}.items(), 0.5, 0)
    assert [one.basename for one in ranked] == ["vague", "middle", "sharp"]
    assert all(0 <= one.score <= 1 for one in ranked)


def test_the_score_does_not_depend_on_the_size_of_the_image() -> None:
    small, large = (rank("boundary_uncertainty", {"a": disc(1, size)}.items(), 0.5, 0)[0].score for size in (64, 256))
    assert abs(small - large) < 1e-6


def test_an_empty_prediction_is_ranked_by_its_highest_uncertainty() -> None:
    empty = np.full((8, 8), 0.1, np.float32)
    ranked = rank("boundary_uncertainty", {"empty": empty}.items(), 0.5, 0)[0]
    assert abs(ranked.score - 0.2) < 1e-6
    assert "nothing was found" in ranked.reason


def test_random_takes_images_with_foreground_first_and_repeats() -> None:
    maps = {"empty": np.zeros((8, 8), np.float32)} | {f"cell {i}": disc(1) for i in range(5)}
    first, again, other = (rank("foreground_random", maps.items(), 0.5, seed) for seed in (0, 0, 1))
    assert first == again
    assert first[-1].basename == other[-1].basename == "empty"
    assert [one.basename for one in first] != [one.basename for one in other]


def test_equal_scores_stand_in_the_order_of_names() -> None:
    maps = {name: disc(1) for name in "cab"}
    assert [one.basename for one in rank("boundary_uncertainty", maps.items(), 0.5, 0)] == ["a", "b", "c"]
