"""Automatic precision follows the hardware; a chosen one does not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from segwheel.learning.precision import autocast, resolved

SECTIONS, VOLUMES = nn.Sequential(nn.Conv2d(1, 1, 3)), nn.Sequential(nn.Conv3d(1, 1, 3))


def on_processor(patch: pytest.MonkeyPatch, **capabilities: bool) -> None:
    patch.setattr(torch.cuda, "is_available", lambda: False)
    patch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16"])
def test_a_processor_that_multiplies_bfloat16_gets_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    on_processor(monkeypatch, avx2=True, **{name: True})
    assert resolved("auto", SECTIONS) == "bf16-mixed"
    assert resolved("auto", VOLUMES) == "32"


def test_any_other_processor_keeps_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    on_processor(monkeypatch, avx2=True, avx512_bf16=False)
    assert resolved("auto", SECTIONS) == "32"
    assert resolved("bf16-mixed", SECTIONS) == "bf16-mixed"


@pytest.mark.parametrize("bfloat16", [True, False])
def test_a_gpu_gets_the_better_half_that_it_has(monkeypatch: pytest.MonkeyPatch, bfloat16: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)
    assert resolved("auto", SECTIONS) == ("bf16-mixed" if bfloat16 else "16-mixed")


def test_networks_compute_in_what_was_asked_for() -> None:
    layer, ones, processor = nn.Linear(2, 1), torch.ones(1, 2), torch.device("cpu")
    with autocast("bf16-mixed", layer, processor):
        assert layer(ones).dtype == torch.bfloat16
    with autocast("32", layer, processor):
        assert layer(ones).dtype == torch.float32
