"""What can go wrong, as one tree.

    SegwheelError                 reaches the terminal as one line, exit code 1
    ├── InputError                something that a person gave cannot be used
    │   ├── FormatError           a file is not what it should be: path, expected, found
    │   ├── ManifestError         a table of samples cannot be used
    │   ├── ParamsError           a configuration cannot be used
    │   └── CheckpointError       a checkpoint is damaged, unsafe or of another network
    ├── MissingError              something is not there; says what makes it
    ├── PartialError              some of many failed; the others were done; says how many
    └── ServiceError              another system (DVC, MLflow, Label Studio) refused or cannot be reached

Errors take facts and build their own sentence, so that every message names the file, what was expected and
what was found. `assert` is for what only a bug in segwheel can break.
"""

from __future__ import annotations

from pathlib import Path


class SegwheelError(Exception):
    """Base of every error that a user can cause or meet. `str(error)` is one line."""


class InputError(SegwheelError):
    """Something that a person gave cannot be used."""


class _FileError(InputError):
    """An input error about one file."""

    def __init__(self, path: Path | str, *, expected: str, found: str, hint: str = "") -> None:
        self.path, self.expected, self.found, self.hint = Path(path), expected, found, hint
        super().__init__(f"{path}: expected {expected}, found {found}" + (f"; {hint}" if hint else ""))


class FormatError(_FileError):
    """A data file is not what it should be."""


class ManifestError(_FileError):
    """A manifest cannot be used."""


class ParamsError(_FileError):
    """A configuration or parameter file cannot be used."""


class CheckpointError(_FileError):
    """A checkpoint is damaged, unsafe to load, or belongs to another network."""


class MissingError(SegwheelError):
    """A file or folder is not there."""

    def __init__(self, path: Path | str, *, what: str, hint: str = "") -> None:
        self.path = Path(path)
        super().__init__(f"{path}: no such {what}" + (f"; {hint}" if hint else ""))


class PartialError(SegwheelError):
    """Some of many items failed. The others were processed and their results written."""

    def __init__(self, action: str, failures: dict[str, str], total: int) -> None:
        self.failures = failures
        super().__init__(f"{action}: {len(failures)} of {total} failed ({', '.join(failures)})")


class ServiceError(SegwheelError):
    """Another system refused or cannot be reached."""

    def __init__(self, service: str, problem: str, *, hint: str = "") -> None:
        super().__init__(f"{service}: {problem}" + (f"; {hint}" if hint else ""))
