"""From files to the manifest: which samples there are, what they hold, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segwheel.domain import folders, index
from segwheel.domain import manifest as table
from segwheel.domain.corrections import Correction, read_corrections
from segwheel.domain.quality import (
    FINDING_COLUMNS,
    IMAGE_COLUMNS,
    MASK_COLUMNS,
    Finding,
    ValidationResult,
    check_sample,
    error,
    repeated_images,
)
from segwheel.domain.splits import POOL, TEST, TRAIN, UNUSED, VAL
from segwheel.domain.synthesis.cells import cell_images, write_cells
from segwheel.domain.volume_ingest import VOLUME_COLUMNS, ingest_volumes
from segwheel.errors import FormatError, ManifestError
from segwheel.formats.files import replacing
from segwheel.params.images import GenerateParams, IngestParams
from segwheel.params.volumes import VolumeIngestParams
from segwheel.progress import NamedProgress, no_progress

COLUMNS = (*table.COLUMNS, "corrected", *IMAGE_COLUMNS, *MASK_COLUMNS)


@dataclass(frozen=True)
class _Source:
    """The files of one sample, with the content that they should have ("" = whatever it is)."""

    basename: str
    image_path: Path
    mask_path: Path | None
    group: str
    split: str = ""
    pixel_size_um: float | None = None
    corrected: int | None = None  # the iteration that was corrected
    image_md5: str = ""
    mask_md5: str = ""


def validate(input_dir: Path, output_dir: Path) -> ValidationResult:
    """Pair `images/<name>.tif` with `masks/<name>_mask.tif` in `input_dir` and check both.

    Writes `all.csv` (the sound pairs; paths relative to the working directory where they lie in it, else absolute)
    and `qc_summary.csv` (every finding, and a line for each sound sample) to `output_dir`.

    Raises MissingError without `images`, FormatError when it is empty. Samples with errors are left out; call
    `raise_for_errors` on the result to end with their number.
    """
    pairs, findings = folders.find_pairs(input_dir)
    findings += [folders.without_mask(input_dir, pair) for pair in pairs if pair.mask_path is None]
    sources = [_Source(p.basename, p.image_path, p.mask_path, p.basename) for p in pairs if p.mask_path is not None]
    result = _check(sources, findings)
    _write(result, output_dir / "all.csv", output_dir / "qc_summary.csv")
    return result


def ingest(
    index_path: Path,
    corrections_path: Path,
    samples_dir: Path,
    manifest: Path,
    qc: Path,
    params: IngestParams | VolumeIngestParams,
    progress: NamedProgress = no_progress,
) -> ValidationResult:
    """Make the manifest of a flywheel from its index and its corrections.

    An imported flywheel has its raw files beside the index. One that ships without data has an index without rows
    and `params.generate`, and is generated into `samples_dir`. Either way `samples_dir` ends with `index.csv`, the
    samples that this run took in; `manifest` names the files where they lie, relative to the working directory, and
    `qc` has every finding. Volumes are converted into `samples_dir`, see `domain.volume_ingest`.

    A corrected sample is labelled with its corrected mask, or slices, and trains (one of the test set stays there).
    The labels of pool and unused samples are hidden: nothing after this stage can learn from them.

    Raises MissingError when raw files or corrections are not on disk, ManifestError when a table cannot be used.
    """
    if isinstance(params, VolumeIngestParams):
        result = ingest_volumes(index_path, corrections_path, samples_dir, params.generate, progress)
        _write(result, manifest, qc, VOLUME_COLUMNS)
    else:
        result = _ingest_images(index_path, corrections_path, samples_dir, params.generate)
        _write(result, manifest, qc)
    return result


def _ingest_images(
    index_path: Path, corrections_path: Path, samples_dir: Path, generate: GenerateParams | None
) -> ValidationResult:
    entries = index.read_index(index_path)
    if generate is None and not entries:
        raise ManifestError(index_path, expected="samples", found="no row", hint="`segwheel import` fills it")
    with replacing(samples_dir) as folder:
        folder.mkdir()
        if generate is not None:
            write_cells(folder, cell_images(generate.count, generate.size, generate.seed))
            entries = _index_generated(folder)
        index.write_index(folder / "index.csv", entries)
    raw = samples_dir if generate is not None else index_path.parent
    corrections = {one.basename: one for one in read_corrections(corrections_path)}
    _check_corrections(corrections_path, corrections, entries)
    sources = [_source(one, raw, corrections.get(one.basename), corrections_path.parent) for one in entries]
    return _check(sources, [finding for source in sources for finding in _unlabelled(source)])


def _index_generated(folder: Path) -> list[index.Entry]:
    pairs, findings = folders.find_pairs(folder)
    assert not findings, "generated images are sound"
    return [index.entry(pair, folder) for pair in folders.apply_splits(pairs, folder / "splits.csv")]


def _check_corrections(path: Path, corrections: Mapping[str, Correction], entries: Iterable[index.Entry]) -> None:
    unknown = sorted(corrections.keys() - {one.basename for one in entries})
    if unknown:
        raise ManifestError(path, expected="corrections of samples of this flywheel", found=", ".join(unknown))
    for correction in corrections.values():
        if correction.axis:
            found = f"{correction.basename} {correction.axis} {correction.index}"
            raise ManifestError(path, expected="corrections of whole images", found=f"a slice, {found}")


def _source(one: index.Entry, raw: Path, correction: Correction | None, corrected: Path) -> _Source:
    source = _Source(
        basename=one.basename,
        image_path=index.on_disk(raw / one.image.path, raw / "raw.dvc"),
        mask_path=None,
        group=one.group or one.basename,
        split=one.split,
        pixel_size_um=one.pixel_size_um,
        image_md5=one.image.md5,
    )
    if correction is not None:
        mask = table.path_within(str(corrected), corrected.absolute(), correction.mask_path)
        return replace(
            source,
            mask_path=index.on_disk(corrected / mask.relative_to(corrected.absolute()), corrected / "corrections.dvc"),
            mask_md5=correction.mask_md5,
            split=TEST if one.split == TEST else TRAIN,
            corrected=correction.iteration,
        )
    mask_file = one.labels.get(folders.MASK)
    if one.split in (POOL, UNUSED) or mask_file is None:
        return source
    return replace(source, mask_path=index.on_disk(raw / mask_file.path, raw / "raw.dvc"), mask_md5=mask_file.md5)


def _unlabelled(source: _Source) -> list[Finding]:
    """The error about a sample that should train, validate or test and has nothing to do it with."""
    if source.mask_path is not None or source.split not in (TRAIN, VAL, TEST):
        return []
    problem = FormatError(source.image_path, expected=f"a mask, its split is {source.split}", found="none")
    return [error(source.basename, problem, source.image_path)]


def _changed_files(source: _Source, columns: Mapping[str, object]) -> list[Finding]:
    """Errors about files whose content is not the one that the tables name."""
    findings = []
    named = (("image_md5", source.image_path, source.image_md5), ("mask_md5", source.mask_path, source.mask_md5))
    for column, path, md5 in named:
        found = columns.get(column, md5)
        if md5 and path is not None and found != md5:
            problem = FormatError(path, expected=f"MD5 {md5}", found=str(found), hint="`dvc checkout` restores it")
            findings.append(error(source.basename, problem, path))
    return findings


def _check(sources: Iterable[_Source], findings: Iterable[Finding]) -> ValidationResult:
    """Read every file once, one sample in memory at a time."""
    sources, findings = list(sources), list(findings)
    rows = []
    left_out = {finding.basename for finding in findings}
    total = len(left_out | {source.basename for source in sources})
    for source in sources:
        checked = check_sample(
            source.basename, source.image_path, source.mask_path, may_be_empty=source.corrected is not None
        )
        own = [*checked.findings, *_changed_files(source, checked.columns)]
        findings += own
        if source.basename not in left_out and all(finding.status != "error" for finding in own):
            rows.append(_row(source) | checked.columns)
    return ValidationResult(rows, findings + repeated_images(rows), total)


def _row(source: _Source) -> dict[str, object]:
    return {
        "basename": source.basename,
        "image_path": table.relative(source.image_path),
        "mask_path": table.relative(source.mask_path) if source.mask_path else "",
        "group": source.group,
        "split": source.split,
        "pixel_size_um": source.pixel_size_um,
        "corrected": source.corrected,
    }


def _write(result: ValidationResult, manifest: Path, qc: Path, columns: Sequence[str] = COLUMNS) -> None:
    found = {finding.basename for finding in result.findings}
    fine = [{"basename": row["basename"], "status": "ok"} for row in result.rows if row["basename"] not in found]
    table.write_manifest(manifest, result.rows, columns)
    table.write_manifest(qc, [*(finding.row() for finding in result.findings), *fine], FINDING_COLUMNS)
