"""Taking in a flywheel of volumes: converted, labelled slice by slice where people did, measured and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from segwheel.domain import index, quality
from segwheel.domain.corrections import Correction, read_corrections
from segwheel.domain.index import Entry, File
from segwheel.domain.manifest import path_within, relative
from segwheel.domain.quality import Finding, ValidationResult
from segwheel.domain.splits import POOL, TEST, TRAIN, UNUSED, VAL
from segwheel.domain.synthesis.volumes import write_generated
from segwheel.domain.volume_conversion import ANGLES, LABEL, convert_image, convert_label
from segwheel.domain.volume_files import OnGrid, RawReading
from segwheel.domain.volume_quality import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    check_angle,
    measure_image,
    measure_label,
    without_faults,
)
from segwheel.domain.volume_slices import LabelledSlice, disagreements, find_slice, write_labels
from segwheel.errors import FormatError, ManifestError, MissingError
from segwheel.formats import volume
from segwheel.formats.files import content_md5, remove, replacing
from segwheel.formats.raw_cube import ATTRIBUTES
from segwheel.formats.tiff import read_mask
from segwheel.formats.volume import Volume
from segwheel.params.volumes import GenerateVolumesParams
from segwheel.progress import NamedProgress, no_progress

_PATHS = tuple(f"{name}_path" for name in ("image", *ATTRIBUTES))
VOLUME_COLUMNS = (
    "basename", *_PATHS, "group", "split", "corrected", "corrected_slices", *IMAGE_COLUMNS, *LABEL_COLUMNS,
)  # fmt: skip
IMAGE, CORRECTED = "image", "corrected"  # corrected: fault labels with what people said laid over them


@dataclass
class _Sample:
    """One sample being taken in. `labels` are all that exist, hidden ones too."""

    entry: Entry
    home: Path  # of its volumes
    source: Path  # its raw file
    image: Volume
    labels: dict[str, Volume]
    columns: dict[str, object]
    findings: list[Finding]


@dataclass(frozen=True)
class _Folders:
    """Where things lie. `made` is the folder of samples while it is being made, `samples` what it will be."""

    raw: Path | None  # None for generated samples
    corrections: Path
    made: Path
    samples: Path


def ingest_volumes(
    index_path: Path,
    corrections_path: Path,
    samples_dir: Path,
    generate: GenerateVolumesParams | None,
    progress: NamedProgress = no_progress,
) -> ValidationResult:
    """Make `samples_dir`: `<name>/image.zarr` and `<name>/<attribute>.zarr` of each sample, and an index of them.

    Samples are generated, or converted from the raw files beside `index_path`. The attributes of pool and unused
    samples are there too, so that an annotator can be simulated, but no row names them. Corrected slices are laid
    over a sample's fault labels in `<name>/corrected.zarr`; a sample that has some trains, unless it is a test.
    `progress` is told what is converted, and how much of how much.

    A sample with errors leaves nothing behind. Raises MissingError when raw files or corrections are not on disk,
    ManifestError when a table cannot be used.
    """
    entries = index.read_index(index_path)
    if generate is None and not entries:
        raise ManifestError(index_path, expected="samples", found="no row", hint="`segwheel import` fills it")
    raw = index_path.parent if generate is None else None
    rows, findings, taken = [], [], []
    with replacing(samples_dir) as made:
        made.mkdir()
        folders = _Folders(raw, corrections_path.parent, made, samples_dir)
        if generate is not None:
            entries = write_generated(made, generate)
        _require_raw(entries, folders)
        corrections = _by_sample(corrections_path, entries)
        for entry in entries:
            try:
                sample = _opened(entry, folders) if raw is None else _converted(entry, raw, made, progress)
                rows.append(_row(sample, corrections.get(entry.basename, []), folders))
                findings += sample.findings
                taken.append(_relocated(sample, made))
            except (FormatError, ManifestError, MissingError) as problem:
                findings.append(quality.error(entry.basename, problem, problem.path))
                remove(made / entry.basename)
        index.write_index(made / "index.csv", taken)
    return ValidationResult(rows, findings + quality.repeated_images(rows), len(entries))


def _require_raw(entries: Iterable[Entry], folders: _Folders) -> None:
    if folders.raw is not None:
        for entry in entries:
            for file in (entry.image, *entry.labels.values()):
                index.on_disk(folders.raw / file.path, folders.raw / "raw.dvc")


def _by_sample(path: Path, entries: Iterable[Entry]) -> dict[str, list[Correction]]:
    """Corrections of each sample, oldest first. Raises ManifestError for a stranger, MissingError without a mask."""
    by_sample: dict[str, list[Correction]] = {entry.basename: [] for entry in entries}
    for one in sorted(read_corrections(path), key=lambda one: (one.iteration, one.corrected_at)):
        if one.basename not in by_sample:
            raise ManifestError(path, expected="corrections of samples of this flywheel", found=one.basename)
        mask = path_within(str(path), path.parent.absolute(), one.mask_path)
        index.on_disk(path.parent / mask.relative_to(path.parent.absolute()), path.parent / "corrections.dvc")
        by_sample[one.basename].append(one)
    return by_sample


def _opened(entry: Entry, folders: _Folders) -> _Sample:
    """A generated sample."""
    labels = {name: volume.open(folders.made / file.path) for name, file in entry.labels.items()}
    image, home = folders.made / entry.image.path, folders.made / entry.basename
    columns: dict[str, object] = {"bad_samples": 0, "image_md5": entry.image.md5}
    return _Sample(entry, home, folders.samples / entry.image.path, volume.open(image), labels, columns, [])


def _converted(entry: Entry, raw: Path, made: Path, progress: NamedProgress) -> _Sample:
    """A sample made of its raw files."""

    def told(path: Path) -> Callable[[int, int], None]:
        return partial(progress, f"converting {path.name}")

    reading = RawReading.parse(f"{raw / 'index.csv'} ({entry.basename})", entry.details)
    home, source = made / entry.basename, raw / entry.image.path
    image = convert_image(source, home / f"{IMAGE}.zarr", reading, told(source))
    _require_content(source, entry.image, image.md5)
    grid, labels = OnGrid(source, image.volume.shape, image.volume.geometry), {}
    for name, file in entry.labels.items():
        path = raw / file.path
        label = convert_label(name, path, home / f"{name}.zarr", reading, grid, told(path))
        _require_content(path, file, label.md5)
        if name in ANGLES:
            check_angle(path, label.volume)
        labels[name] = label.volume
    columns: dict[str, object] = {"bad_samples": image.bad_samples, "image_md5": image.md5}
    findings = [Finding(entry.basename, "warning", str(source), text) for text in image.oddities(source)]
    return _Sample(entry, home, source, image.volume, labels, columns, findings)


def _require_content(path: Path, file: File, md5: str) -> None:
    if file.md5 and file.md5 != md5:
        raise FormatError(path, expected=f"MD5 {file.md5}", found=md5, hint="`dvc checkout` restores it")


def _row(sample: _Sample, corrections: Sequence[Correction], folders: _Folders) -> dict[str, object]:
    """The sample's row of the manifest, with the labels that may be seen."""
    entry = sample.entry
    visible = {} if entry.split in (POOL, UNUSED) else dict(sample.labels)
    if corrections:
        visible[LABEL] = _corrected(sample, visible.get(LABEL), corrections, folders.corrections)
    split = TRAIN if corrections and entry.split != TEST else entry.split
    if split in (TRAIN, VAL, TEST) and not visible:
        raise FormatError(sample.source, expected=f"labels, its split is {split}", found="none")
    columns = sample.columns | measure_image(sample.image)
    if LABEL in visible:
        columns |= measure_label(sample.image, visible[LABEL])
        if not columns["labelled_voxels"]:
            raise FormatError(sample.source, expected="labels of live voxels", found="none")
        if not corrections:
            sample.findings += without_faults(entry.basename, sample.source, columns)
    paths = {name: one.path for name, one in {IMAGE: sample.image, **visible}.items()}
    return {
        "basename": entry.basename,
        **{f"{name}_path": relative(folders.samples / path.relative_to(folders.made)) for name, path in paths.items()},
        "group": entry.group or entry.basename,
        "split": split,
        "corrected": max((one.iteration for one in corrections), default=None),
        "corrected_slices": len(corrections) or None,
        **columns,
    }


def _corrected(sample: _Sample, base: Volume | None, corrections: Sequence[Correction], folder: Path) -> Volume:
    slices = [_slice(one, sample.image, folder) for one in corrections]
    for older, newer, count in disagreements(slices):
        message = f"{newer.name}: {count} voxels differ from {older.name}, which it crosses; the later one counts"
        sample.findings.append(Finding(sample.entry.basename, "warning", newer.name, message))
    path = sample.home / f"{CORRECTED}.zarr"
    write_labels(path, sample.image, base, slices)
    return volume.open(path)


def _slice(one: Correction, image: Volume, folder: Path) -> LabelledSlice:
    path = folder / one.mask_path
    place = find_slice(OnGrid(path, image.shape, image.geometry), one.axis, one.index)
    _require_content(path, File(one.mask_path, one.mask_md5), content_md5(path))
    label = read_mask(path)
    if label.shape != place.shape:
        expected = f"a mask of {place.shape}, as {one.axis or 'the section'} {one.index or ''}".rstrip()
        raise FormatError(path, expected=expected, found=str(label.shape))
    return LabelledSlice(str(path), place, label)


def _relocated(sample: _Sample, made: Path) -> Entry:
    """The entry of the volumes that were made, with the content of what they were made of."""
    entry = sample.entry
    image = File(sample.image.path.relative_to(made).as_posix(), entry.image.md5)
    labels = {
        name: File(one.path.relative_to(made).as_posix(), entry.labels[name].md5) for name, one in sample.labels.items()
    }
    return replace(entry, image=image, labels=labels)
