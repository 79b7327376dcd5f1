from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from segwheel.learning.multitask_losses import MultitaskLoss, dice_loss, line_loss, normals, slope_error, ssim

ATTRIBUTES = ("rgt", "dhr", "fsem", "fdip", "fstrike")
BETTER = MultitaskLoss(fault="dice_bce", angle="line", rgt_slope=1.0)


def prediction(size: tuple[int, ...] = (6, 7, 8), batch: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    names = ATTRIBUTES[: len(size) + 2]
    return {name: torch.rand(batch, 1, *size, generator=generator).requires_grad_() for name in names}


def target(size: tuple[int, ...] = (6, 7, 8), batch: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    names = ATTRIBUTES[: len(size) + 2]
    made = {name: torch.rand(batch, 1, *size, generator=generator) for name in names}
    return made | {"fsem": (made["fsem"] > 0.6).float()}


def values(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: term.item() for name, term in terms.items()}


def gradients(
    loss: MultitaskLoss, found: dict[str, Tensor], wanted: dict[str, Tensor], live: Tensor | None = None
) -> dict[str, Tensor]:
    for y in found.values():
        y.grad = None
    torch.stack(list(loss(found, wanted, live).values())).sum().backward()  # type: ignore[no-untyped-call]
    return {name: y.grad for name, y in found.items() if y.grad is not None}


@pytest.mark.parametrize("size", [(9, 8), (6, 7, 8)])
def test_the_defaults_are_those_of_the_paper(size: tuple[int, ...]) -> None:
    found, wanted = prediction(size), target(size)
    p, t = ({name: y.detach().numpy() for name, y in part.items()} for part in (found, wanted))
    terms = values(MultitaskLoss()(found, wanted))
    everywhere = torch.ones(2, 1, *size, dtype=torch.bool)
    similar = ssim(found["rgt"], wanted["rgt"], everywhere).mean().item()
    overlap = (2 * (p["fsem"] * t["fsem"]).sum() + 1) / (p["fsem"].sum() + t["fsem"].sum() + 1)
    expected = {
        "rgt": 5 * (1 - similar + np.abs(p["rgt"] - t["rgt"]).mean()),
        "dhr": 10 * ((p["dhr"] - t["dhr"]) ** 2).mean(),
        "fsem": 1 - overlap,
    } | {name: 10 * np.abs(p[name] - t[name]).mean() for name in ATTRIBUTES[3 : len(size) + 2]}
    assert terms == pytest.approx(expected, rel=1e-5)


def test_ssim_is_the_standard_one_away_from_the_border() -> None:
    from skimage.metrics import structural_similarity

    generator = np.random.default_rng(0)
    x, y = generator.random((2, 16, 17, 18)).astype(np.float32)
    y = (0.5 * (x + y)).astype(np.float32)
    _, expected = structural_similarity(
        x, y, data_range=1.0, gaussian_weights=True, use_sample_covariance=False, full=True
    )
    found = ssim(
        torch.tensor(x)[None, None], torch.tensor(y)[None, None], torch.ones(1, 1, 16, 17, 18, dtype=torch.bool)
    )
    inside = (slice(5, -5),) * 3
    np.testing.assert_allclose(found[0, 0].numpy()[inside], expected[inside], atol=2e-4)


def test_ssim_of_a_field_with_itself_is_one_whatever_is_known() -> None:
    x = torch.rand(1, 1, 9, 12)
    known = torch.rand(1, 1, 9, 12) > 0.5
    assert torch.allclose(ssim(x, x, known)[known], torch.ones(int(known.sum())))


@pytest.mark.parametrize("loss", [MultitaskLoss(), BETTER])
def test_what_is_unlabelled_changes_nothing(loss: MultitaskLoss) -> None:
    found, wanted = prediction(), target()
    hidden = torch.rand(2, 1, 6, 7, 8, generator=torch.Generator().manual_seed(3)) > 0.5
    for name, y in wanted.items():
        y[hidden] = 255 if name == "fsem" else torch.nan
    before = loss(found, wanted)
    with torch.no_grad():
        for y in found.values():
            y[hidden] = 0.123
    after = loss(found, wanted)
    assert values(after) == pytest.approx(values(before))
    assert all(float(grad[hidden].abs().max()) == 0 for grad in gradients(loss, found, wanted).values())


@pytest.mark.parametrize("loss", [MultitaskLoss(), BETTER])
def test_dead_voxels_are_unlabelled(loss: MultitaskLoss) -> None:
    found, wanted = prediction(), target()
    live = torch.rand(2, 1, 6, 7, 8, generator=torch.Generator().manual_seed(4)) > 0.3
    masked = {name: torch.where(live, y, 255 if name == "fsem" else torch.nan) for name, y in wanted.items()}
    ours = values(loss(found, wanted, live))
    assert ours == pytest.approx(values(loss(found, masked)))
    assert ours != pytest.approx(values(loss(found, wanted)))


@pytest.mark.parametrize("loss", [MultitaskLoss(), BETTER])
@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("size", [(9, 8), (6, 7, 8)])
def test_nothing_labelled_gives_zero_and_zero_gradients(
    loss: MultitaskLoss, absent: bool, size: tuple[int, ...]
) -> None:
    found = prediction(size)
    wanted = (
        {} if absent else {name: torch.full_like(y, 255 if name == "fsem" else torch.nan) for name, y in found.items()}
    )
    assert all(term.item() == 0 for term in loss(found, wanted).values())
    grads = gradients(loss, found, wanted)
    assert set(grads) == set(found)
    assert all(float(grad.abs().max()) == 0 for grad in grads.values())


def test_an_absent_target_leaves_the_others_as_they_are() -> None:
    found, wanted = prediction(), target()
    whole = MultitaskLoss()(found, wanted)
    del wanted["dhr"]
    part = MultitaskLoss()(found, wanted)
    assert part["dhr"].item() == 0
    assert all(torch.equal(part[name], whole[name]) for name in ATTRIBUTES if name != "dhr")


def test_a_mask_may_be_of_bytes() -> None:
    found, wanted = prediction(), target()
    as_bytes = wanted | {"fsem": wanted["fsem"].to(torch.uint8)}
    assert torch.equal(MultitaskLoss()(found, wanted)["fsem"], MultitaskLoss()(found, as_bytes)["fsem"])


def test_dice_of_a_perfect_mask_is_zero_and_of_its_opposite_nearly_one() -> None:
    mask = (torch.rand(1, 1, 20, 20) > 0.5).float()
    known = torch.ones_like(mask, dtype=torch.bool)
    assert float(dice_loss(mask, mask, known)) == pytest.approx(0)
    assert float(dice_loss(1 - mask, mask, known)) > 0.99


def test_normals_are_those_of_the_documented_convention() -> None:
    generator = np.random.default_rng(0)
    dip, strike = generator.uniform(0, 180, (2, 50))
    d, s = np.deg2rad(dip), np.deg2rad(strike)
    in_axes_3_2_1 = np.stack([-np.sin(d) * np.sin(s), np.sin(d) * np.cos(s), -np.cos(d)])
    found = normals(*(torch.tensor(angle / 180).reshape(1, 1, 50, 1, 1) for angle in (dip, strike)))
    np.testing.assert_allclose(found[0, :, :, 0, 0].numpy()[::-1], in_axes_3_2_1, atol=1e-12)


def oriented(dip: float, strike: float, probability: float = 0.8) -> dict[str, Tensor]:
    weighted = {"fsem": probability, "fdip": dip / 180 * probability, "fstrike": strike / 180 * probability}
    return {name: torch.full((1, 1, 2, 2, 2), value) for name, value in weighted.items()}


@pytest.mark.parametrize(
    ("ours", "theirs", "degrees"),
    [((60, 0), (120, 180), 0), ((60, 1), (120, 179), 1.73), ((50, 30), (80, 30), 30), ((90, 0), (90, 90), 90)],
)
def test_orientation_is_compared_as_a_line(
    ours: tuple[float, float], theirs: tuple[float, float], degrees: float
) -> None:
    wanted = oriented(*theirs, probability=1.0)
    known = {name: torch.ones_like(y, dtype=torch.bool) for name, y in wanted.items()}
    found = float(line_loss(oriented(*ours), wanted, known))
    assert found == pytest.approx(np.sin(np.deg2rad(degrees)) ** 2, abs=2e-5)


def test_orientation_is_learned_on_faults_only() -> None:
    found, wanted = prediction(), target()
    grads = gradients(MultitaskLoss(angle="line", fault_weight=0), found, wanted)
    fault = wanted["fsem"] == 1
    assert float(grads["fdip"][~fault].abs().max()) == 0
    assert float(grads["fdip"][fault].abs().min()) > 0


def test_orientation_gradients_are_finite_where_the_network_sees_no_fault() -> None:
    logits = torch.tensor([-200.0, -80.0, -20.0, 0.0, 80.0]).reshape(1, 1, 5, 1, 1).requires_grad_()
    angle = torch.full((1, 1, 5, 1, 1), 0.3, requires_grad=True)
    fsem = torch.sigmoid(logits)
    found = {"fsem": fsem, "fdip": angle * fsem, "fstrike": angle * fsem}
    wanted = {"fsem": torch.ones_like(fsem), "fdip": torch.full_like(fsem, 0.5), "fstrike": torch.full_like(fsem, 0.9)}
    torch.stack(list(BETTER(found, wanted).values())).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert angle.grad is not None
    assert bool(logits.grad.isfinite().all())
    assert bool(angle.grad.isfinite().all())


def test_the_slope_error_ignores_a_constant_and_counts_a_ramp() -> None:
    wanted = torch.rand(1, 1, 8, 5)
    known = torch.ones_like(wanted, dtype=torch.bool)
    assert float(slope_error(wanted + 0.3, wanted, known)) == pytest.approx(0, abs=1e-5)
    ramp = torch.linspace(0, 0.7, 8)[:, None]
    assert float(slope_error(wanted + ramp, wanted, known)) == pytest.approx(0.1 * 8, rel=1e-4)
