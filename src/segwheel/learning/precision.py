"""Which numbers a network computes in: bfloat16 or float16 where the hardware multiplies them faster than float32."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from segwheel.params.sections import Precision

DTYPES = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
# What a processor says that multiplies bfloat16; others emulate it, slower than float32.
CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16")


def resolved(precision: Precision, network: nn.Module) -> Literal["32", "16-mixed", "bf16-mixed"]:
    """What `precision` means for `network` on this machine: mixed for `auto` where the hardware gains from it.

    Not for volumes on a processor: now and then, with the same numbers, bfloat16 gave NaN there (torch 2.15).
    """
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    if any(isinstance(module, nn.Conv3d) for module in network.modules()):
        return "32"
    processor = torch.cpu.get_capabilities()
    return "bf16-mixed" if any(processor.get(name) for name in CPU_BFLOAT16) else "32"


def autocast(precision: Precision, network: nn.Module, device: torch.device) -> torch.autocast:
    """The context in which `network` on `device` computes in `precision`; its weights stay float32."""
    name = resolved(precision, network)
    return torch.autocast(device.type, DTYPES.get(name, torch.bfloat16), enabled=name in DTYPES)
