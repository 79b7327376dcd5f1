"""Checkpoints of the multi-task networks: what they say about themselves, and the model that they describe.

Beside the weights a checkpoint holds, as plain data,

    network               {design: light or published, refine, ndim, width, tasks}
    tile                  shape of the training samples, depth first; volumes are predicted in tiles of this shape
    image_std             standard deviation that the network expects of an image
    centred               whether it expects a mean of zero; if not, image_std is the root of the mean square. Older
                          checkpoints, which do not say so, are of networks that do
    prediction_threshold  fault probability from which on a voxel is a fault
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import PositiveFloat
from torch import Tensor

from segwheel.domain.intensity import Normalization
from segwheel.errors import CheckpointError, MissingError, ParamsError
from segwheel.learning.checkpoint import load_weights, read_checkpoint, save, weights_version
from segwheel.learning.light_multitask import LightMultitaskNetwork
from segwheel.learning.multitask import MultitaskNetwork, attributes
from segwheel.learning.volume_inference import Predictor, network_predictor
from segwheel.params.sections import Section
from segwheel.params.volumes import Shape, Task
from segwheel.params.yaml_file import parse

MultitaskNet = LightMultitaskNetwork | MultitaskNetwork
DESIGNS: dict[str, type[LightMultitaskNetwork] | type[MultitaskNetwork]] = {
    "light": LightMultitaskNetwork,
    "published": MultitaskNetwork,
}
WEIGHTS = Path(__file__).parent / "weights"  # that ship with segwheel
KEYS = ("network", "tile", "image_std", "prediction_threshold", "centred")


class NetworkKind(Section):
    """What a multi-task network is, whatever its weights."""

    design: Literal["light", "published"]
    refine: bool
    ndim: Literal[2, 3]
    width: PositiveFloat
    tasks: tuple[Task, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """What goes in, in the order of its channels."""
        return attributes(self.ndim) if self.refine else ("image",)

    @property
    def attributes(self) -> tuple[str, ...]:
        """What comes out."""
        return attributes(self.ndim, self.tasks)

    def build(self) -> MultitaskNet:
        """The network with random weights."""
        return DESIGNS[self.design](self.ndim, refine=self.refine, width=self.width, tasks=self.tasks)

    def text(self) -> str:
        """Such as "a light 3D network of width 1 that takes an image and predicts rgt, dhr, fault"."""
        takes = "attributes to refine" if self.refine else "an image"
        width = f"{self.ndim}D network of width {self.width:g}"
        return f"a {self.design} {width} that takes {takes} and predicts {', '.join(self.tasks)}"


class MultitaskDescription(Section):
    """What a checkpoint says about its network."""

    network: NetworkKind
    tile: Shape
    image_std: PositiveFloat
    prediction_threshold: float
    centred: bool


@dataclass(frozen=True)
class MultitaskModel:
    """A trained multi-task network with what is needed to apply it. `network` is in evaluation mode."""

    network: MultitaskNet
    kind: NetworkKind
    tile: tuple[int, ...]
    image_std: float
    threshold: float
    version: str  # a short digest of the weights
    centred: bool = True  # whether images are brought to a mean of zero; if not, image_std is the root mean square

    @property
    def attributes(self) -> tuple[str, ...]:
        return self.kind.attributes

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.kind.inputs

    @property
    def ndim(self) -> int:
        return self.kind.ndim

    @property
    def refine(self) -> bool:
        return self.kind.refine


def describe(
    kind: NetworkKind, tile: Sequence[int], image_std: float, threshold: float, *, centred: bool = True
) -> dict[str, Any]:
    """The description that goes into a checkpoint."""
    values = (kind.model_dump(mode="json"), list(tile), image_std, threshold, centred)
    return dict(zip(KEYS, values, strict=True))


def is_multitask(path: Path) -> bool:
    """Whether a checkpoint is that of a multi-task network. Raises as `read_checkpoint` does."""
    return "network" in read_checkpoint(path)


def load_multitask(path: Path, *, refine: bool | None = None, ndim: int | None = None) -> MultitaskModel:
    """The model of a checkpoint. With `refine` or `ndim` it must be of this kind.

    Raises as `read_checkpoint` does, and CheckpointError for another kind of network or weights that do not fit.
    """
    content = read_checkpoint(path)
    description = _description(content, path)
    kind = description.network
    if refine not in (None, kind.refine) or ndim not in (None, kind.ndim):
        wanted = NetworkKind(
            **{**kind.model_dump(), "refine": kind.refine if refine is None else refine, "ndim": ndim or kind.ndim}
        )
        other = f"main{kind.ndim}_{'refine' if kind.refine else 'infer'}.py"
        hint = f"this checkpoint is one of {other}"
        raise CheckpointError(path, expected=wanted.text(), found=kind.text(), hint=hint)
    network = kind.build()
    load_weights(network, content["model_state_dict"], path)
    return MultitaskModel(
        network.eval(),
        kind,
        description.tile,
        description.image_std,
        description.prediction_threshold,
        weights_version(content["model_state_dict"]),
        description.centred,
    )


def _description(content: Mapping[str, Any], path: Path) -> MultitaskDescription:
    content = {"centred": True, **content}  # what older checkpoints do not say
    missing = [name for name in KEYS if name not in content]
    if missing:
        expected = f"a checkpoint of a multi-task network, with {', '.join(KEYS)}"
        hint = "segwheel import-checkpoint takes over those of the reference implementation"
        raise CheckpointError(path, expected=expected, found=f"no {missing[0]}", hint=hint)
    try:
        return parse(MultitaskDescription, {name: content[name] for name in KEYS}, path)
    except ParamsError as error:
        raise CheckpointError(path, expected="a description of a multi-task network", found=error.found) from error


def find_model(name: str) -> Path:
    """The file of a model that ships with segwheel under `name`, or else the one at that path.

    Raises MissingError when there is neither.
    """
    shipped = WEIGHTS / f"{name}.pth"
    path = shipped if shipped.is_file() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in WEIGHTS.glob("*.pth"))) or "none"
        raise MissingError(name, what="model file", hint=f"weights that ship with segwheel: {known}")
    return path


def load_initial(network: MultitaskNet, kind: NetworkKind, name: str) -> None:
    """Begin with the weights of `find_model`. Raises as it does, and CheckpointError for those of another network."""
    path = find_model(name)
    content = read_checkpoint(path)
    found = _description(content, path).network
    if found != kind:
        raise CheckpointError(path, expected=kind.text(), found=found.text())
    load_weights(network, content["model_state_dict"], path)


def write_model(path: Path, state: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write weights and what they are, atomically."""
    save({"model_state_dict": dict(state), **description}, path)


def multitask_predictor(model: MultitaskModel, scale: Normalization) -> Predictor:
    """The predictor of volumes whose image (for a refinement: whose DHR) has this mean and standard deviation.

    DHR comes back on the scale of the input. A refinement sees RGT as it was trained to, 0 to 1 in each tile.
    """
    shift, spread = (scale.mean, scale.std) if model.centred else (0.0, hypot(scale.mean, scale.std))
    unit = Normalization(shift, spread / model.image_std)
    normalizations = {"image": unit, "dhr": Normalization(0.0, unit.std)}
    plain = network_predictor(model.network, [normalizations.get(n, Normalization(0.0, 1.0)) for n in model.inputs])

    def apply(tiles: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        if "rgt" in model.inputs:
            tiles = _stretched(tiles, model.inputs.index("rgt"))
        found = dict(plain.apply(tiles))
        if "dhr" in found:
            found["dhr"] = found["dhr"] * np.float32(unit.std)
        return found

    return Predictor(apply, plain.attributes, plain.normalizations, plain.version)


def _stretched(tiles: npt.NDArray[np.float32], channel: int) -> npt.NDArray[np.float32]:
    """Tiles (batch, inputs, *tile) with `channel` at 0..1 in each, over what is not dead: zero in all channels."""
    tiles = tiles.copy()
    for tile in tiles:
        live = (tile != 0).any(axis=0)
        values = tile[channel][live]
        low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
        if high > low:
            tile[channel][live] = (values - low) / (high - low)
    return tiles
