"""Bringing a folder of images or volumes into the repository as a new flywheel."""

from __future__ import annotations

import copy
import keyword
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from io import StringIO
from operator import getitem
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.util import load_yaml_guess_indent

from segwheel.domain import folders, index
from segwheel.domain.corrections import write_corrections
from segwheel.domain.folders import Pair
from segwheel.domain.quality import Finding, check_sample, repeated_images
from segwheel.domain.splits import POOL, TEST, TRAIN, VAL
from segwheel.errors import InputError, ParamsError
from segwheel.formats.files import content_md5, remove, replacing, write_text
from segwheel.params.yaml_file import read_yaml


@dataclass(frozen=True)
class Kind:
    """A kind of flywheel: the section of params.yaml that it starts from, and where its raw files go."""

    template: str
    samples: str
    labels: str


IMAGES = Kind("new_flywheel", "images", "masks")


@dataclass(frozen=True)
class Plan:
    """What an import would do: the sound pairs, and everything that was found.

    `details` are cells of the index about every sample (None: those of images), and `changes` values that the new
    section has instead of the template's, by dotted name.
    """

    name: str
    pairs: list[Pair]
    findings: list[Finding]
    kind: Kind = IMAGES
    details: Mapping[str, str] | None = None
    changes: Mapping[str, object] = field(default_factory=dict)

    def raise_for_errors(self) -> None:
        """Raise InputError when a file cannot be used: a flywheel is imported whole or not at all."""
        names = {finding.basename for finding in self.findings if finding.status == "error"}
        if names:
            total = len(names | {pair.basename for pair in self.pairs})
            raise InputError(
                f"import {self.name}: {len(names)} of {total} samples cannot be used, nothing was imported; "
                "correct or remove these files and run it again"
            )


def plan_import(root: Path, name: str, folder: Path, splits: Path | None = None) -> Plan:
    """Check the name and every file of `folder`; changes nothing.

    Images without a mask become the pool. Raises InputError for a name that is no identifier, ParamsError for one
    that params.yaml has, and what `find_pairs` and `apply_splits` raise.
    """
    check_name(root, name, IMAGES)
    pairs, findings = folders.find_pairs(folder)
    if splits is not None and not findings:
        pairs = folders.apply_splits(pairs, splits)
    pairs = [pair if pair.split or pair.mask_path else replace(pair, split=POOL) for pair in pairs]
    needed = (pair for pair in pairs if pair.mask_path is None and pair.split in (TRAIN, VAL, TEST))
    findings += [folders.without_mask(folder, pair) for pair in needed]
    rows = []
    for pair in pairs:
        checked = check_sample(pair.basename, pair.image_path, pair.mask_path)
        findings += checked.findings
        if "image_md5" in checked.columns:
            rows.append({"basename": pair.basename, "image_path": str(pair.image_path)} | checked.columns)
    return Plan(name, pairs, findings + repeated_images(rows))


def carry_out(
    root: Path, plan: Plan, dvc_add: Callable[[Path, Path], object], pixel_size_um: float | None = None
) -> list[Path]:
    """Import: copy the files to `data/<name>/raw`, put them under DVC, write the tables, and name the flywheel.

    `dvc_add` takes the repository's root and a path. params.yaml is written last: when anything before it fails or is
    killed, the same import can be run again and copies only what is missing.

    Returns the paths to commit, relative to `root`. Raises InputError when there are problems or other files lie
    in the way; nothing is changed then.
    """
    plan.raise_for_errors()
    home = Path("data") / plan.name
    raw = root / home / "raw"
    copies = [_copied(pair, raw, plan.kind) for pair in plan.pairs]
    _check_raw(raw, copies)
    for source, copied in zip(plan.pairs, copies, strict=True):
        _copy(source.image_path, copied.image_path)
        for target, path in source.labels.items():
            _copy(path, copied.labels[target])
    dvc_add(root, home / "raw")
    sized = [replace(one, pixel_size_um=one.pixel_size_um or pixel_size_um) for one in copies]
    entries = [index.entry(one, root / home, plan.details) for one in sized]
    index.write_index(root / home / "index.csv", entries)
    if not (root / home / "corrections.csv").exists():
        write_corrections(root / home / "corrections.csv", [])
    params = root / "params.yaml"
    write_text(params, _with_flywheel(params, plan))
    made = (home / name for name in ("index.csv", "corrections.csv", "raw.dvc", ".gitignore"))
    return [Path("params.yaml"), *(path for path in made if (root / path).exists())]


def check_name(root: Path, name: str, kind: Kind) -> None:
    """Raise InputError for a name that is no identifier, ParamsError for one that is taken or without a template."""
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        raise InputError(f"flywheel name: expected letters, digits and _, not starting with a digit, found {name!r}")
    path = root / "params.yaml"
    params = read_yaml(path)
    if not isinstance(params, dict) or not isinstance(params.get("flywheels"), list):
        raise ParamsError(path, expected="a list `flywheels`", found="none")
    if name in params or name in params["flywheels"]:
        raise ParamsError(path, expected="a new name", found=f"{name}, which is there already", hint="choose another")
    template = params.get(kind.template)
    if not isinstance(template, dict) or not isinstance(template.get("ingest"), dict):
        raise ParamsError(path, expected=f"a section {kind.template} with a section ingest to start from", found="none")


def _copied(pair: Pair, raw: Path, kind: Kind) -> Pair:
    """The pair as it will lie in `raw`."""
    labels = {target: raw / kind.labels / path.name for target, path in pair.labels.items()}
    return replace(pair, image_path=raw / kind.samples / pair.image_path.name, labels=labels)


def _check_raw(raw: Path, copies: Iterable[Pair]) -> None:
    """What an earlier, interrupted import left there must be part of this one."""
    expected = {path for pair in copies for path in (pair.image_path, *pair.labels.values())}
    for half in raw.rglob(".*.part.*"):  # of a copy that was killed
        remove(half)
    there = {path for path in raw.rglob("*") if path.is_file()}
    other = sorted(path for path in there if not expected & {path, *path.parents})
    if other:
        raise InputError(f"{other[0]}: expected an empty folder {raw} or one from the same import, found another file")


def _copy(source: Path, target: Path) -> None:
    if target.exists() and content_md5(target) == content_md5(source):
        return
    with replacing(target) as beside:
        if source.is_dir():  # a volume
            shutil.copytree(source, beside, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, beside)


def _with_flywheel(path: Path, plan: Plan) -> str:
    """The text of params.yaml with a flywheel more, its comments kept."""
    text = path.read_text(encoding="utf-8")
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000  # no new line breaks
    yaml.Representer = _Representer
    _, indent, offset = load_yaml_guess_indent(text)
    if indent is not None and offset is not None:
        yaml.indent(sequence=indent, offset=offset)
    params = yaml.load(text)
    section = copy.deepcopy(params[plan.kind.template])
    for key, value in {"ingest.generate": None, **plan.changes}.items():
        *parents, last = key.split(".")
        holder = reduce(getitem, parents, section)
        if isinstance(value, list):  # written as it was, on one line
            holder[last][:] = value
        else:
            holder[last] = value
    params["flywheels"].append(plan.name)
    return _dump(yaml, params).rstrip("\n") + "\n\n" + _without_tail(_dump(yaml, {plan.name: section}))


class _Representer(RoundTripRepresenter):
    """Writes null as the word, not as nothing."""

    def represent_null(self, _: None) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_null)


def _dump(yaml: YAML, value: Any) -> str:
    text = StringIO()
    yaml.dump(value, text)
    return text.getvalue()


def _without_tail(text: str) -> str:
    """Without the comments after the last value: they belong to what followed the template."""
    lines: Sequence[str] = text.rstrip("\n").split("\n")
    while not lines[-1].strip() or lines[-1].startswith("#"):
        lines = lines[:-1]
    return "\n".join(lines) + "\n"
