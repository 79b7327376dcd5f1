"""Checkpoints: reading them without running what they contain, and the model that they describe."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segwheel.domain.intensity import Normalization
from segwheel.errors import CheckpointError, MissingError, ParamsError
from segwheel.formats.files import replacing
from segwheel.formats.space import writing
from segwheel.learning.networks import build_network
from segwheel.params.images import ModelParams
from segwheel.params.yaml_file import parse

# What a model needs to predict; the rest of a checkpoint is there to resume the training.
DESCRIPTION = ("model", "targets", "normalization", "pixel_size_um", "prediction_threshold")
# What of a checkpoint a published model keeps, as far as it is there: the description of either kind of network.
LASTING = (
    *("model_state_dict", "epoch", "best_val_dice", "best_val_loss", "history", *DESCRIPTION),
    *("network", "tile", "image_std", "centred"),
)


@dataclass(frozen=True)
class Model:
    """A trained network with what is needed to apply it. `network` is in evaluation mode."""

    network: nn.Module
    targets: tuple[str, ...]
    normalization: Normalization
    pixel_size_um: float | None  # the training resolution
    threshold: float
    version: str  # a short digest of the weights


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The dict of a checkpoint, tensors on the CPU. Only plain tensors and numbers are accepted; nothing is run.

    Raises MissingError, and CheckpointError for damaged files and files that contain anything else.
    """
    if not path.is_file():
        raise MissingError(path, what="checkpoint")
    try:
        with warnings.catch_warnings(action="ignore"):  # about how the file was pickled, before it is refused
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError, KeyError) as error:
        # Not what torch says: it advises to load the file all the same.
        found = "objects of other kinds" if isinstance(error, pickle.UnpicklingError) else "a damaged file"
        raise CheckpointError(path, expected="a checkpoint of plain tensors and numbers", found=found) from error
    if not isinstance(content, dict) or not isinstance(content.get("model_state_dict"), dict):
        found = f"keys {', '.join(map(str, content))[:120]}" if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(path, expected="a dict with model_state_dict", found=found)
    return content


def load_model(path: Path) -> Model:
    """The model of a checkpoint. Raises as `read_checkpoint` does, and CheckpointError when weights do not fit."""
    content = read_checkpoint(path)
    missing = [name for name in DESCRIPTION if name not in content]
    if missing:
        raise CheckpointError(path, expected=f"a checkpoint with {', '.join(DESCRIPTION)}", found=f"no {missing[0]}")
    try:
        params = parse(ModelParams, content["model"], path, "model")
    except ParamsError as error:
        raise CheckpointError(path, expected="a description of the network", found=str(error)) from error
    targets = tuple(content["targets"])
    if len(targets) != params.classes:
        raise CheckpointError(path, expected=f"{params.classes} targets, as model.classes", found=f"{len(targets)}")
    try:
        normalization = Normalization(**content["normalization"])
    except TypeError as error:
        raise CheckpointError(path, expected="a normalization of mean and std", found=str(error)) from error
    network = build_network(params, pretrained=False)
    load_weights(network, content["model_state_dict"], path)
    return Model(
        network.eval(),
        targets,
        normalization,
        content["pixel_size_um"],
        content["prediction_threshold"],
        weights_version(content["model_state_dict"]),
    )


def load_weights(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load weights that must fit one to one. Raises CheckpointError with the first name that does not."""
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise CheckpointError(
                path,
                expected=f"the weights of {type(network).__name__} with {name} {expected.get(name, 'absent')}",
                found=f"{found.get(name, 'none')}",
                hint="is this the checkpoint of another architecture?",
            )
    network.load_state_dict(state)


def weights_version(state: dict[str, Tensor]) -> str:
    """A short digest of weights: the same for the same values under the same names."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def publish(source: Path, target: Path) -> None:
    """Write the lasting part of a checkpoint: weights and description, without the state of the optimiser."""
    content = read_checkpoint(source)
    save({name: content[name] for name in LASTING if name in content}, target)


def save(content: dict[str, Any], path: Path) -> None:
    """Write a checkpoint atomically. Raises SegwheelError when there is no room for it."""
    buffer = io.BytesIO()  # to a file, torch hides why it failed
    torch.save(content, buffer)
    with writing(path), replacing(path) as beside:
        beside.write_bytes(buffer.getbuffer())
