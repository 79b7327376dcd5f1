"""Weights trained by the reference implementation of Gao (2024), for `mti` and `mtr`.

A Lightning checkpoint of that network holds, under `state_dict`, the very names that `MultitaskNetwork` uses. What the
checkpoint is of (two or three axes, image or attributes in, which tasks, how wide) is read from its names and shapes; a
network is then built, and every name must be consumed exactly once.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from segwheel.domain.synthesis.seismic import IMAGE_NORM
from segwheel.errors import CheckpointError, InputError, MissingError
from segwheel.learning.multitask import TASKS
from segwheel.learning.multitask_checkpoint import MultitaskNet, NetworkKind, describe, write_model

FIRST = "encoder1.conv0.c.0.weight"
LISTED = 4  # names that an error message shows before it only counts


TILES = {2: (256, 256), 3: (128, 128, 128)}  # what the published networks were trained on
THRESHOLD = 0.5


def read_state(path: Path) -> dict[str, Tensor]:
    """The `state_dict` of a Lightning checkpoint, or a bare one; only tensors and plain values are unpickled.

    Raises MissingError, and CheckpointError for a file that is damaged, unsafe or holds no state dict.
    """
    if not path.is_file():
        raise MissingError(path, what="checkpoint")
    expected = "a Lightning checkpoint of the multi-task network"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        hint = "save it again with its state_dict only"
        raise CheckpointError(
            path, expected=expected, found="objects that are not weights, or no checkpoint", hint=hint
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise CheckpointError(path, expected=expected, found="a damaged file") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(path, expected=expected, found="no state_dict of tensors")
    return state


def recognised(state: Mapping[str, Tensor], path: Path) -> NetworkKind:
    """Read from names and shapes what a state dict is of. Raises CheckpointError when it is of something else."""
    first = state.get(FIRST)
    if first is None or first.ndim - 2 not in (2, 3):
        expected = f"{FIRST} with two or three axes"
        raise CheckpointError(
            path, expected=expected, found=_summary(list(state)) if first is None else str(tuple(first.shape))
        )
    tasks = tuple(task for task in TASKS if any(name.startswith(f"decoder_{task}.") for name in state))
    if not tasks:
        raise CheckpointError(path, expected="a decoder of rgt, dhr or fault", found=_summary(list(state)))
    refine = any(name.startswith("input1.") for name in state)
    return NetworkKind.model_validate(
        {"design": "published", "refine": refine, "ndim": first.ndim - 2, "width": first.shape[0] / 16, "tasks": tasks}
    )


def load_reference(path: Path) -> tuple[MultitaskNet, NetworkKind]:
    """The network of a reference checkpoint with its weights, in evaluation mode, and what it is.

    Raises CheckpointError naming what is missing, left over or of another shape.
    """
    state = read_state(path)
    reference = recognised(state, path)
    with torch.device("meta"):
        network = reference.build()
    _check(state, network, reference, path)
    network.load_state_dict({name: value.float() for name, value in state.items()}, strict=True, assign=True)
    return network.requires_grad_(True).eval(), reference


def _check(state: Mapping[str, Tensor], network: MultitaskNet, reference: NetworkKind, path: Path) -> None:
    ours = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    missing, left = [name for name in ours if name not in state], [name for name in state if name not in ours]
    shapes = [
        f"{name} {tuple(state[name].shape)} for {shape}"
        for name, shape in ours.items()
        if name in state and state[name].shape != shape
    ]
    problems = [
        f"{text} {_summary(names)}"
        for text, names in (("missing", missing), ("left over", left), ("shape", shapes))
        if names
    ]
    if problems:
        what = f"the {len(ours)} tensors of {reference.text()}"
        raise CheckpointError(path, expected=what, found="; ".join(problems))


def _summary(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def import_reference(source: Path, output: Path, tile: Sequence[int] | None = None) -> NetworkKind:
    """Write the model of a reference checkpoint to `output`; `tile` is the shape of what it was trained on.

    Raises InputError for a tile of another number of axes, and what `load_reference` does.
    """
    network, reference = load_reference(source)
    shape = tuple(tile or TILES[reference.ndim])
    if len(shape) != reference.ndim:
        raise InputError(f"--tile: expected {reference.ndim} lengths for {reference.text()}, found {len(shape)}")
    image_std = IMAGE_NORM[reference.ndim] / prod(shape) ** 0.5
    write_model(output, network.state_dict(), describe(reference, shape, image_std, THRESHOLD, centred=False))
    return reference
