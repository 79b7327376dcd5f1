"""Building 2D segmentation networks by name."""

from __future__ import annotations

import logging
from urllib.error import URLError

import segmentation_models_pytorch as smp
import torch
from torch import nn

from segwheel.errors import InputError, ServiceError
from segwheel.params.images import ModelParams

# What it has to say when it cannot download is in our own error.
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def build_network(params: ModelParams, *, pretrained: bool = True) -> nn.Module:
    """The network of `params`: (batch, 1, y, x) to (batch, classes, y, x) logits.

    With `pretrained` false the encoder's weights stay random whatever the parameters say: they are about to be
    loaded from a checkpoint. Raises InputError for an unknown name, ServiceError when pretrained weights cannot
    be downloaded.
    """
    weights = params.encoder_weights if pretrained else None
    try:
        network: nn.Module = smp.create_model(
            params.architecture,
            encoder_name=params.encoder,
            encoder_weights=weights,
            in_channels=params.in_channels,
            classes=params.classes,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"model.architecture {params.architecture}, model.encoder {params.encoder}, model.encoder_weights "
            f"{weights}: {' '.join(str(error).split())}"
        ) from error
    except (URLError, OSError, RuntimeError) as error:
        raise ServiceError(
            "download of pretrained weights",
            f"model.encoder_weights: {weights} of {params.encoder} is not to be had ({type(error).__name__})",
            hint="set model.encoder_weights: null to begin from random weights, or connect to the internet once",
        ) from error
    return network


def depends_on_tile(network: nn.Module) -> bool:
    """Whether an output element depends on how large the tile around it is: some norms measure the whole tile."""
    norms = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm, nn.AdaptiveAvgPool2d)
    return any(isinstance(module, norms) for module in network.modules())


def best_device() -> torch.device:
    """CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")
