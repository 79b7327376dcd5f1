"""Scores of a batch are those of the domain, on what is labelled."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from segwheel.domain.faults import mean_normal_error, signal_to_noise, tolerant_iou
from segwheel.domain.rgt import rgt_scores
from segwheel.learning.losses import BY_DICE, BY_LOSS, ratio
from segwheel.learning.multitask import attributes
from segwheel.learning.multitask_losses import MultitaskLoss
from segwheel.learning.multitask_objective import MultitaskObjective


def batch(ndim: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random outputs and labels of two samples; half of each label is unlabelled."""
    generator = torch.Generator().manual_seed(0)
    shape = (2, *(9, 8, 7)[:ndim])

    def random() -> Tensor:
        return torch.rand(shape, generator=generator)

    fsem = random()
    outputs = {"rgt": random(), "dhr": random() - 0.5, "fsem": fsem}
    labels = {"rgt": random(), "dhr": random() - 0.5, "fsem": (random() > 0.8).to(torch.uint8)}
    for name in ("fdip", "fstrike")[: ndim - 1]:
        outputs[name], labels[name] = random() * fsem, random() * (labels["fsem"] == 1)
    for name in labels:
        labels[name][:, :, :4] = 255 if name == "fsem" else torch.nan
    return outputs, labels


def scores(ndim: int, outputs: dict[str, Tensor], labels: dict[str, Tensor]) -> dict[str, float]:
    objective = MultitaskObjective(MultitaskLoss(), attributes(ndim), 0.5)
    return {name: ratio(name, sums) for name, sums in objective.scores(outputs, labels).items()}


@pytest.mark.parametrize("ndim", [2, 3])
def test_scores_are_those_of_the_domain(ndim: int) -> None:
    outputs, labels = batch(ndim)
    found = scores(ndim, outputs, labels)
    p, t = ({name: values.numpy() for name, values in one.items()} for one in (outputs, labels))
    live, faults = t["fsem"] != 255, t["fsem"] == 1
    both = ((p["fsem"] > 0.5) & faults).sum()
    assert found["dice"] == pytest.approx(2 * both / (((p["fsem"] > 0.5) & live).sum() + faults.sum()))
    each = [tolerant_iou(p["fsem"][i] > 0.5, faults[i], 2, live[i]) for i in range(2)]
    assert found["tolerant_iou"] == pytest.approx(np.mean(each))
    raw = {name: 180 * p[name] / p["fsem"] for name in ("fdip", "fstrike")[: ndim - 1]}
    strikes = (raw["fstrike"], 180 * t["fstrike"]) if ndim == 3 else (None, None)
    error = mean_normal_error(raw["fdip"], strikes[0], 180 * t["fdip"], strikes[1], faults)
    assert found["normal_error"] == pytest.approx(error, rel=1e-3)
    known = ~np.isnan(t["rgt"])
    rgt = [rgt_scores(p["rgt"][i], t["rgt"][i], known[i]) for i in range(2)]
    assert found["rgt_mae"] == pytest.approx(np.mean([one.mae for one in rgt]), rel=1e-4)
    assert found["rgt_decreasing"] == pytest.approx(np.mean([one.decreasing for one in rgt]))
    snr = [signal_to_noise(p["dhr"][i], t["dhr"][i], known[i]) for i in range(2)]
    assert found["dhr_snr"] == pytest.approx(np.mean(snr), rel=1e-4)


def test_what_nobody_labelled_has_no_score() -> None:
    outputs, labels = batch(3)
    for name in labels:
        labels[name][:] = 255 if name == "fsem" else torch.nan
    found = scores(3, outputs, labels)
    assert found.pop("dice") == 1
    assert all(np.isnan(value) for value in found.values())


def test_perfect_predictions_have_perfect_scores() -> None:
    outputs, labels = batch(3)
    outputs = {name: torch.where(values == 255, 0, values).float() for name, values in labels.items()}
    found = scores(3, {name: values.nan_to_num() for name, values in outputs.items()}, labels)
    assert (found["dice"], found["tolerant_iou"], found["rgt_mae"]) == (1, 1, 0)
    assert found["normal_error"] < 0.1
    assert found["dhr_snr"] > 100


def test_a_batch_of_targets_gives_the_terms_of_the_loss() -> None:
    outputs, labels = batch(3)
    objective = MultitaskObjective(MultitaskLoss(angle="line"), attributes(3), 0.5)
    terms = objective.losses(outputs, labels)
    assert terms.keys() == {"rgt", "dhr", "fsem", "orientation"}
    assert all(torch.isfinite(term) for term in terms.values())


def test_the_best_model_is_chosen_by_the_loss_where_there_are_no_faults() -> None:
    loss = MultitaskLoss()
    assert MultitaskObjective(loss, ("rgt", "dhr"), 0.5).selection == BY_LOSS
    assert MultitaskObjective(loss, attributes(2), 0.5).selection == BY_DICE
    assert (BY_LOSS.better(2.0, float("nan")), BY_LOSS.better(2.0, 1.0), BY_DICE.better(0.2, 0.3)) == (2.0, 1.0, 0.3)
