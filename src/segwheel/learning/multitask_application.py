"""Applying multi-task networks: to raw cubes, again and again to what they found, and to samples of known truth.

Raw results are called `<name>.<attribute>`: headerless little-endian float32, depth fastest. Everything streams: raw
cubes are taken over as volumes into a folder beside the results, predicted there, and written as raw cubes when all is
done. A stopped run finds the folder and goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from segwheel.domain.intensity import Normalization, measure_volume
from segwheel.domain.volume_conversion import convert_image, sounding
from segwheel.domain.volume_files import Raw, RawReading, open_raw
from segwheel.errors import CheckpointError, FormatError, SegwheelError
from segwheel.formats import raw_cube, volume
from segwheel.formats.files import remove
from segwheel.formats.volume import Volume
from segwheel.learning.multitask_checkpoint import MultitaskModel, multitask_predictor
from segwheel.learning.volume_inference import VolumeTiling, predict_volume
from segwheel.progress import NamedProgress

Volumes = dict[str, Volume]


def predicted(
    model: MultitaskModel, inputs: Mapping[str, Volume], folder: Path, tiling: VolumeTiling, progress: NamedProgress
) -> Volumes:
    """Every attribute of `inputs` (the image, or the attributes that a refinement takes) as a volume in `folder`.

    Raises FormatError for an input that is missing or of another number of axes, and what `predict_volume` does.
    """
    missing = [name for name in model.inputs if name not in inputs]
    if missing:
        raise FormatError(folder, expected=f"{', '.join(model.inputs)} to go on from", found=f"no {missing[0]}")
    chosen = [inputs[name] for name in model.inputs]
    if len(chosen[0].shape) != model.ndim:
        found = " x ".join(map(str, chosen[0].shape))
        raise FormatError(chosen[0].path, expected=f"{model.ndim} axes, as the model was trained on", found=found)
    predictor = multitask_predictor(model, _scale(model, inputs))
    return _opened(predict_volume(predictor, chosen, folder, tiling, progress))


def _scale(model: MultitaskModel, inputs: Mapping[str, Volume]) -> Normalization:
    return measure_volume(inputs["dhr" if model.refine else "image"])


def _opened(paths: Mapping[str, Path]) -> Volumes:
    return {name: volume.open(path) for name, path in paths.items()}


def require_tasks(model: MultitaskModel, path: Path, tasks: Sequence[str]) -> None:
    """Raise CheckpointError unless the model of checkpoint `path` has these tasks."""
    missing = [task for task in tasks if task not in model.kind.tasks]
    if missing:
        found = f"one of {', '.join(model.kind.tasks)}"
        raise CheckpointError(path, expected=f"a model of {', '.join(missing)}", found=found)


def raw_inputs(model: MultitaskModel, source: Path) -> dict[str, Path]:
    """The files that a model takes: `source` itself, or `source.rgt` and so on for a refinement."""
    return {name: source.with_name(f"{source.name}.{name}") if model.refine else source for name in model.inputs}


def taken_over(files: Mapping[str, Path], shape: Sequence[int] | None, folder: Path) -> Volumes:
    """Raw files as volumes in `folder`; traces that are zero throughout in all of them are dead.

    `shape` is that of raw cubes, which say nothing about it. Raises MissingError and FormatError before anything is
    written.
    """
    reading = RawReading(shape=tuple(shape) if shape else None)
    if raw_cube.IMAGE in files:
        source = files[raw_cube.IMAGE]
        converted = convert_image(source, folder / f"{raw_cube.IMAGE}.zarr", reading)
        for line in converted.oddities(source):
            logging.getLogger(__name__).warning(line)
        return {raw_cube.IMAGE: converted.volume}
    opened = {name: open_raw(path, reading) for name, path in files.items()}
    return {name: _copied(raw, list(opened.values()), folder / f"{name}.zarr") for name, raw in opened.items()}


def _copied(raw: Raw, together: Sequence[Raw], target: Path) -> Volume:
    with volume.create(target, raw.shape, geometry=raw.geometry, slab_axis=1) as writer:
        for region in writer.shards():
            writer.write(region, raw.read(region), raw.live(region) & sounding(together, region))
    return volume.open(target)


@contextmanager
def work_beside(output: Path) -> Iterator[Path]:
    """A folder beside `output` for what is in the making: kept when a run is stopped, and removed after its end and
    after an error that a person can mend."""
    folder = output.with_name(f".{output.name}.making")
    try:
        yield folder
    except SegwheelError:
        remove(folder)
        raise
    remove(folder)


def apply_to_raw(
    model: MultitaskModel,
    source: Path,
    output: Path,
    shape: Sequence[int] | None,
    names: Sequence[str],
    tiling: VolumeTiling,
    progress: NamedProgress,
) -> list[Path]:
    """Predict an image, or refine raw attributes, and write the attributes `names` as raw cubes; gives the paths."""
    with work_beside(output) as folder:
        inputs = taken_over(raw_inputs(model, source), shape, folder / "inputs")
        found = predicted(model, inputs, folder / "found", tiling, progress)
        return raw_cube.write_each(output, {name: found[name] for name in names})


def refine_repeatedly(
    models: tuple[MultitaskModel, MultitaskModel],
    image: Volume,
    folder: Path,
    tilings: tuple[VolumeTiling, VolumeTiling],
    iterations: int,
    progress: NamedProgress,
) -> Iterator[tuple[int, Volumes]]:
    """Predict an image and refine that `iterations` times: the attributes after each, from 0 on, in `folder/iter<i>`.

    `models` are the one that takes the image and the one that refines, each with its tiling. Attributes that the
    refinement does not predict stay as they are.
    """
    found = predicted(models[0], {"image": image}, folder / "iter0", tilings[0], progress)
    yield 0, found
    for i in range(1, iterations + 1):
        found = found | predicted(models[1], found, folder / f"iter{i}", tilings[1], progress)
        yield i, found
