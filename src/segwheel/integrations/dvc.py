"""DVC and git: data under version, the pipeline, and one commit per iteration.

Actions go through the `dvc` and `git` commands; hashes are read from the files that DVC leaves in the repository.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from segwheel.errors import FormatError, MissingError, ServiceError

_BUSY = ("acquire lock", "is busy")  # what DVC says of another command
_PATIENCE = 20  # seconds that adding waits for another dvc command
_GRACE = 10  # seconds between interrupting a command and killing it


def add(root: Path, path: Path) -> str:
    """Put a file or folder of the repository at `root` under DVC; returns its hash.

    Raises MissingError when there is no `path` and ServiceError when DVC refuses.
    """
    if not (root / path).exists():
        raise MissingError(path, what="file or folder to put under DVC")
    target = _relative(root, path)
    _add(root, target)
    hash_ = output_hash(root, path)
    if hash_ is None:
        raise ServiceError("DVC", f"`dvc add {target}` left no hash in {target}.dvc")
    return hash_


def _add(root: Path, target: str) -> None:
    """`dvc add`, waiting a while for another command: DVC itself gives up at once."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return _dvc(root, ["add", target], show=False)
        except ServiceError as error:
            if not any(words in str(error) for words in _BUSY) or time.monotonic() > end:
                raise
        time.sleep(0.5)


def repro(root: Path, targets: Sequence[str] = ()) -> None:
    """Run the pipeline, or `targets` (stages, as `train@cells`) and what they need. DVC's output goes to the terminal.

    Raises ServiceError when a stage fails; interrupting it ends the stage that runs.
    """
    _dvc(root, ["repro", *targets], show=True)


def commit(root: Path, paths: Iterable[Path], message: str) -> str | None:
    """Commit `paths` and nothing else; returns the id of the commit, None when nothing differed.

    Raises ServiceError when git refuses.
    """
    names = [_relative(root, path) for path in paths]
    _git(root, "add", "--", *names)
    if not _git(root, "status", "--porcelain", "--", *names):
        return None
    _git(root, "commit", "--quiet", "-m", message, "--", *names)
    return _git(root, "rev-parse", "HEAD")


def git_state(root: Path) -> tuple[str, bool] | None:
    """The commit that is checked out and whether tracked files differ from it; None outside git or before a commit."""
    try:
        return _git(root, "rev-parse", "--verify", "HEAD"), bool(_git(root, "status", "--porcelain", "-uno"))
    except ServiceError:
        return None


def output_hash(root: Path, path: Path) -> str | None:
    """The MD5 that DVC keeps for `path` (a folder's ends in `.dir`), None when `path` is not under DVC.

    Read from `<path>.dvc`, else from dvc.lock; a file inside a folder under DVC has no hash of its own there.
    """
    target = _relative(root, path)
    pointer = root / f"{target}.dvc"
    outputs = _read_yaml(pointer).get("outs", []) if pointer.is_file() else _locked_outputs(root)
    name = Path(target).name if pointer.is_file() else target
    return next((out["md5"] for out in outputs if out.get("path") == name and "md5" in out), None)


def require_complete(root: Path, path: Path) -> None:
    """Raise MissingError when a folder has fewer files on disk than when it was put under DVC.

    To put it under DVC again would make it forget the others. A folder that is not under DVC is complete.
    """
    target = _relative(root, path)
    pointer = root / f"{target}.dvc"
    outputs = _read_yaml(pointer).get("outs", []) if pointer.is_file() else []
    known = sum(int(out.get("nfiles", 0)) for out in outputs)
    found = sum(1 for file in (root / path).rglob("*") if file.is_file())
    if found < known:
        what = f"folder with all of its {known} files ({found} are here)"
        raise MissingError(target, what=what, hint=f"`dvc pull {target}.dvc` brings them")


def _locked_outputs(root: Path) -> list[dict[str, Any]]:
    lock = root / "dvc.lock"
    stages = _read_yaml(lock).get("stages", {}) if lock.is_file() else {}
    return [out for stage in stages.values() for out in stage.get("outs", [])]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = YAML(typ="safe").load(path)
    except (YAMLError, UnicodeDecodeError) as error:
        raise FormatError(path, expected="YAML that DVC wrote", found=" ".join(str(error).split())[:200]) from error
    if not isinstance(content, dict):
        raise FormatError(path, expected="YAML that DVC wrote", found=type(content).__name__)
    return content


def _relative(root: Path, path: Path) -> str:
    """`path` as DVC and git write it: relative to `root`, forward slashes. Links are kept."""
    absolute, base = Path(os.path.abspath(root / path)), Path(os.path.abspath(root))  # noqa: PTH100
    if not absolute.is_relative_to(base):
        raise ServiceError("DVC", f"{path} is outside of the repository {root}")
    return absolute.relative_to(base).as_posix()


def _dvc(root: Path, arguments: Sequence[str], *, show: bool) -> None:
    """Run one dvc command in a session of its own; its stages end with it, however this block is left."""
    pipe = None if show else subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
    )
    try:
        _, problem = process.communicate()
    finally:
        _end_group(process)
    if process.returncode:
        said = " ".join((problem or "").split()).removeprefix("ERROR: ")
        hint = "another dvc command is running in this repository" if "lock" in said else ""
        raise ServiceError(
            "DVC",
            f"`dvc {arguments[0]}` ended with code {process.returncode}" + (f": {said}" if said else ""),
            hint=hint,
        )


def _end_group(process: subprocess.Popen[str]) -> None:
    """End `process`, if it still runs, and all that it started: interrupted first, as by Ctrl-C, then killed."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    with suppress(ProcessLookupError):  # a stage may outlive dvc; the group is there as long as one member is
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise ServiceError("git", "the command is not installed") from error
    except subprocess.CalledProcessError as error:
        said = " ".join((error.stderr or error.stdout).split())[:300]
        hint = "git config user.name and user.email" if "tell me who you are" in said else ""
        raise ServiceError("git", f"`git {arguments[0]}` failed: {said}", hint=hint) from error
    return done.stdout.strip()
