"""Predicting volumes that don't fit into memory: tiles through a network, slabs of blended attributes to disk.

The volume is walked along its longest axis. A tile goes through the network once, its attributes go to files beside
the outputs, and a slab is blended block by block from the files of the tiles that reach into it. In memory are a batch
of tiles, or one shard of each output; never the volume, and nothing that grows with it but a few hundred voxels of each
overlap. Files of DHR and faults are removed when their slab is written.

RGT is blended last: the scale and offset of a tile are known only when its neighbours near and far are. Its tiles stay
on disk until then (4 bytes a voxel, times what overlaps) instead of being predicted a second time, since a network
takes some hundred times longer to compute a tile than a disk takes to give it back.

A killed run continues with the batches of tiles and the shards that it finished, and ends with the same bytes: a batch
always holds the same tiles, and a voxel's tiles are always added up in the same order. A key made of the inputs, the
network and the parameters keeps a run from continuing another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segwheel.axes import Region
from segwheel.domain.intensity import Normalization
from segwheel.domain.rgt import Alignment
from segwheel.domain.slabs import Slab, blocks, longest_axis, slabs
from segwheel.domain.tiling import Grid, Tile
from segwheel.errors import InputError
from segwheel.formats import volume as volumes
from segwheel.formats.files import content_md5, remove, write_json
from segwheel.formats.space import writing
from segwheel.formats.volume import Volume, Writer, require_same_grid
from segwheel.learning.checkpoint import weights_version
from segwheel.learning.multitask import SMALLEST_AXIS
from segwheel.learning.networks import best_device
from segwheel.learning.tile_scratch import Batch, TileScratch
from segwheel.learning.volume_blending import aligned, blend_fields, blend_rgt
from segwheel.progress import NamedProgress, no_progress

FloatArray = npt.NDArray[np.float32]

BLOCK_ELEMENTS = 2**18  # blended at a time: 64 x 64 x 64
MADE_BY = "prediction"  # attribute of a finished output: the key of the run


@dataclass(frozen=True)
class Predictor:
    """A network as a function of arrays.

    `apply` takes (batch, inputs, *tile), normalised and 0 where dead, and gives each of `attributes` as
    (batch, *tile): rgt, dhr, fsem, and fdip and fstrike as angle / 180 times fsem. `normalizations` has one per input.
    `version` changes with the weights.
    """

    apply: Callable[[FloatArray], Mapping[str, FloatArray]]
    attributes: tuple[str, ...]
    normalizations: tuple[Normalization, ...]
    version: str


@dataclass(frozen=True)
class VolumeTiling:
    """How a volume is cut: `tile` and `overlap` in elements per axis, `window` one of `domain.tiling.WINDOWS`.

    Tiles should have the size of the training patches, since instance norm makes what a network says depend on it.
    """

    tile: tuple[int, ...]
    overlap: tuple[int, ...]
    window: str
    batch_size: int


def network_predictor(network: nn.Module, normalizations: Sequence[Normalization]) -> Predictor:
    """The predictor of `mti`, `mtr` or their light counterpart, on the best device, in evaluation mode."""
    device = best_device()
    version = weights_version(network.state_dict())
    network = network.to(device).eval()

    def apply(tiles: FloatArray) -> dict[str, FloatArray]:
        inside = (slice(None), 0, *(slice(0, n) for n in tiles.shape[2:]))
        with torch.inference_mode():
            found = network(torch.from_numpy(_wide_enough(tiles)).to(device))
        return {name: values[inside].float().cpu().numpy() for name, values in found.items()}

    return Predictor(apply, tuple(network.attributes), tuple(normalizations), version)  # type: ignore[arg-type]


def _wide_enough(tiles: FloatArray) -> FloatArray:
    """Tiles continued with their far borders where they are narrower than a network takes them."""
    missing = [(0, max(0, SMALLEST_AXIS - n)) for n in tiles.shape[2:]]
    return np.pad(tiles, [(0, 0), (0, 0), *missing], mode="edge") if any(after for _, after in missing) else tiles


def predict_volume(
    predictor: Predictor,
    inputs: Sequence[Volume],
    output_dir: Path,
    tiling: VolumeTiling,
    progress: NamedProgress = no_progress,
) -> dict[str, Path]:
    """Write every attribute of a volume to `output_dir/<attribute>.zarr`; gives their paths.

    `inputs` are the image, or the attributes that a refinement takes, on the same grid. A voxel that is dead in any of
    them is dead in the outputs (read back as zero). RGT covers 0..1 over the live voxels. What the same inputs, network
    and tiling already made stays as it is. Raises FormatError for inputs of different grids and InputError for a
    network that gives something else than numbers.
    """
    for other in inputs[1:]:
        require_same_grid(inputs[0], other)
    key = run_key(predictor, inputs, tiling)
    paths = {name: output_dir / f"{name}.zarr" for name in predictor.attributes}
    if missing := _missing(paths, key):
        _Run(predictor, tuple(inputs), tiling, output_dir / f".tiles.{key}", progress, missing).write(paths, key)
    for leftover in output_dir.glob(".tiles.*"):
        remove(leftover)
    return paths


def run_key(predictor: Predictor, inputs: Sequence[Volume], tiling: VolumeTiling) -> str:
    """Letters and digits that change with the content of the inputs, the weights and the parameters."""
    grid = Grid.over(inputs[0].shape, tiling.tile, tiling.overlap)
    made_of = {
        "inputs": [_content(volume.path) for volume in inputs],
        "model": [predictor.version, *predictor.attributes],
        "params": [asdict(tiling), *(asdict(each) for each in predictor.normalizations)],
        "tiles": [axis.starts for axis in grid.axes],
    }
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]


def _content(folder: Path) -> str:
    """A digest of the names and the bytes of all files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listing = [(path.relative_to(folder).as_posix(), content_md5(path)) for path in files]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def _missing(paths: Mapping[str, Path], key: str) -> tuple[str, ...]:
    """The attributes to write. All but RGT are blended together: where one of them is missing, all are written."""
    missing = {name for name, path in paths.items() if not _made(path, key)}
    fields = {name for name in paths if name != "rgt"}
    wanted = missing | fields if missing & fields else missing
    return tuple(name for name in paths if name in wanted)


def _made(path: Path, key: str) -> bool:
    return path.exists() and volumes.open(path).attributes.get(MADE_BY) == key


class _Run:
    """One prediction: its tiles on disk and what is to be written."""

    def __init__(
        self,
        predictor: Predictor,
        inputs: tuple[Volume, ...],
        tiling: VolumeTiling,
        folder: Path,
        progress: NamedProgress,
        wanted: Sequence[str],
    ) -> None:
        self.predictor, self.inputs, self.progress = predictor, inputs, progress
        self.shape = inputs[0].shape
        self.axis = longest_axis(self.shape)
        grid = Grid.over(self.shape, tiling.tile, tiling.overlap)
        self.scratch = TileScratch(folder, grid, self.axis, tiling.batch_size, tiling.window)
        self.fields = tuple(name for name in wanted if name != "rgt")
        self.kinds = {"fields": self.fields} if self.fields else {}
        self.kinds |= {"rgt": ("rgt",)} if "rgt" in wanted else {}
        self.seen: set[int] = set()  # batches that were counted

    def write(self, paths: Mapping[str, Path], key: str) -> None:
        """Write what is wanted; the outputs appear when all of them are complete."""
        for other in self.scratch.folder.parent.glob(".tiles.*"):
            if other != self.scratch.folder:
                remove(other)
        with ExitStack() as stack:
            stack.enter_context(writing(self.scratch.folder.parent))
            writers = {
                name: stack.enter_context(
                    volumes.create(
                        paths[name],
                        self.shape,
                        geometry=self.inputs[0].geometry,
                        attributes={MADE_BY: key},
                        slab_axis=self.axis,
                        resume_key=key,
                    )
                )
                for names in self.kinds.values()
                for name in names
            }
            self._walk(writers)
            if "rgt" in writers:
                self._write_rgt(writers["rgt"])

    def _walk(self, writers: Mapping[str, Writer]) -> None:
        """Predict all tiles and write all attributes but RGT, slab after slab."""
        writer = next(iter(writers.values()))  # all of them have the same shards
        tiling = self.scratch.grid.axes[self.axis]
        for slab in slabs(self.shape[self.axis], writer.shard[self.axis]):
            shards = [shard for shard in writer.shards() if shard.start[self.axis] == slab.start]
            unfinished = [s for s in shards if not all(writers[name].finished(s) for name in self.fields)]
            self._predict(slab, {"rgt", "fields"} if unfinished else {"rgt"})
            for shard in unfinished:
                self._write_fields(writers, shard)
            for batch in self._batches(slab.spent(tiling)):
                self.scratch.forget("fields", batch)

    def _batches(self, layers: range) -> Iterator[Batch]:
        return (batch for batch in self.scratch.batches if batch.layer in layers)

    def _predict(self, slab: Slab, needed: set[str]) -> None:
        """Have the tiles that reach into a slab on disk: the `needed` ones of `kinds`."""
        for batch in self._batches(slab.layers(self.scratch.grid.axes[self.axis])):
            absent = [kind for kind in self.kinds if kind in needed and not self.scratch.has(kind, batch)]
            if absent:
                found = self._tiles(batch)
                for kind in absent:
                    self.scratch.save(kind, batch, np.stack([found[name] for name in self.kinds[kind]], axis=1))
            self.seen.add(batch.number)
            done = sum(len(self.scratch.batches[number].tiles) for number in self.seen)
            self.progress("predict", done, len(self.scratch.grid))

    def _tiles(self, batch: Batch) -> dict[str, FloatArray]:
        """Every attribute (tiles, *tile) of a batch, NaN where dead. Tiles without a live voxel aren't predicted."""
        read = [self._input(tile) for tile in batch.tiles]
        alive = [i for i, (_, live) in enumerate(read) if live.any()]
        found = {name: np.full((len(read), *read[0][1].shape), np.nan, np.float32) for name in self._names()}
        if alive:
            outputs = self.predictor.apply(np.stack([read[i][0] for i in alive]))
            for name, values in found.items():
                for i, predicted in zip(alive, outputs[name], strict=True):
                    values[i] = np.where(read[i][1], self._finite(name, predicted), np.float32(np.nan))
        return found

    def _names(self) -> Iterator[str]:
        return (name for names in self.kinds.values() for name in names)

    def _finite(self, name: str, values: FloatArray) -> FloatArray:
        if not np.isfinite(values).all():
            raise InputError(f"{name} of network {self.predictor.version}: expected numbers, found NaN or infinity")
        return values

    def _input(self, tile: Tile) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Normalised inputs (inputs, *tile), 0 where dead, and where all of them are live."""
        channels, lives = zip(*(volume.read_with_live(tile.read) for volume in self.inputs), strict=True)
        live = np.logical_and.reduce(lives)
        pairs = zip(self.predictor.normalizations, channels, strict=True)
        return np.stack([np.where(live, norm.apply(each), np.float32(0)) for norm, each in pairs]), live

    def _write_fields(self, writers: Mapping[str, Writer], shard: Region) -> None:
        blended = {name: np.empty(shard.shape, np.float32) for name in self.fields}
        for block in blocks(shard, BLOCK_ELEMENTS):
            pieces = list(self.scratch.pieces("fields", block))
            for name, values in blend_fields(pieces, self.fields, block.shape).items():
                blended[name][block.relative_to(shard).slices] = values
        for name, values in blended.items():
            writers[name].write(shard, values)

    def _write_rgt(self, writer: Writer) -> None:
        alignment, low, high = self._common_scale(writer)
        shards = list(writer.shards())
        for done, shard in enumerate(shards, start=1):
            if not writer.finished(shard):
                values = self._rgt(alignment, shard)
                writer.write(shard, (values - np.float32(low)) / np.float32(high - low or 1))
            self.progress("rgt", done, len(shards))

    def _rgt(self, alignment: Alignment, shard: Region) -> FloatArray:
        values = np.empty(shard.shape, np.float32)
        for block in blocks(shard, BLOCK_ELEMENTS):
            values[block.relative_to(shard).slices] = blend_rgt(self.scratch, alignment, block)
        return values

    def _common_scale(self, writer: Writer) -> tuple[Alignment, float, float]:
        """How the tiles fit together, and the least and greatest live value of the whole volume when they do."""
        path = self.scratch.folder / "rgt.json"
        if not path.exists():
            alignment, low, high = aligned(self.scratch), inf, -inf
            for shard in writer.shards():
                values = self._rgt(alignment, shard)
                live = values[np.isfinite(values)]
                low, high = min(low, float(live.min(initial=inf))), max(high, float(live.max(initial=-inf)))
            low, high = (low, high) if low <= high else (0.0, 0.0)  # nothing is live
            write_json(path, [alignment.scales.tolist(), alignment.offsets.tolist(), low, high])
        scales, offsets, low, high = _parsed(path)
        return Alignment(np.array(scales), np.array(offsets)), low, high


def _parsed(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
