from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer

import pytest

from segwheel.errors import FormatError, MissingError, ServiceError
from segwheel.formats.files import content_md5
from segwheel.integrations import dvc


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def pipeline(root: Path, command: str) -> None:
    (root / "dvc.yaml").write_text(f"stages:\n  copy:\n    cmd: {command}\n    deps: [in.txt]\n    outs: [out.txt]\n")
    (root / "in.txt").write_text("input\n")


def test_what_is_added_has_its_hash(repository: Path) -> None:
    image = repository / "data" / "Zelle ü 1.tif"
    image.parent.mkdir()
    image.write_bytes(b"pixels")
    assert dvc.output_hash(repository, image) is None
    assert dvc.add(repository, image) == content_md5(image)
    assert dvc.output_hash(repository, Path("data/Zelle ü 1.tif")) == content_md5(image)
    assert dvc.output_hash(repository, Path("data")) is None


def test_adding_waits_for_another_command(repository: Path) -> None:
    (repository / "image").write_bytes(b"pixels")
    lock = repository / ".dvc" / "tmp" / "lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        Timer(2.0, fcntl.flock, (handle, fcntl.LOCK_UN)).start()
        assert dvc.add(repository, Path("image")) == content_md5(repository / "image")


def test_a_folder_that_lacks_files_is_not_complete(repository: Path) -> None:
    folder = repository / "folder"
    dvc.require_complete(repository, folder)
    folder.mkdir()
    for name in ("one", "two"):
        (folder / name).write_text(name)
    dvc.add(repository, folder)
    (folder / "three").write_text("new")
    dvc.require_complete(repository, folder)
    for name in ("one", "three"):
        (folder / name).unlink()
    with pytest.raises(MissingError, match=r"all of its 2 files \(1 are here\); `dvc pull folder\.dvc` brings them"):
        dvc.require_complete(repository, folder)


def test_the_pipeline_runs_and_its_outputs_have_their_hashes(repository: Path) -> None:
    pipeline(repository, "cp in.txt out.txt")
    dvc.repro(repository, ["copy"])
    assert (repository / "out.txt").read_text() == "input\n"
    assert dvc.output_hash(repository, Path("out.txt")) == content_md5(repository / "in.txt")
    assert dvc.output_hash(repository, Path("in.txt")) is None


def test_a_stage_that_fails_is_a_service_error(repository: Path) -> None:
    pipeline(repository, "exit 3")
    with pytest.raises(ServiceError, match="`dvc repro` ended with code"):
        dvc.repro(repository)


def test_refusals_are_one_line(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="lost"):
        dvc.add(repository, Path("lost"))
    (tmp_path / "elsewhere").write_text("x")
    with pytest.raises(ServiceError, match="outside of the repository"):
        dvc.add(repository, tmp_path / "elsewhere")
    (repository / "tracked.txt").write_text("by git")
    git(repository, "add", "tracked.txt")
    with pytest.raises(ServiceError, match=r"^DVC: `dvc add` ended with code \d+: .*tracked") as caught:
        dvc.add(repository, Path("tracked.txt"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["outs: [", "- a list\n", ""])
def test_a_broken_lock_file_is_named(repository: Path, text: str) -> None:
    (repository / "dvc.lock").write_text(text)
    with pytest.raises(FormatError, match=r"dvc\.lock: expected YAML"):
        dvc.output_hash(repository, Path("out.txt"))


def test_a_commit_holds_the_paths_that_are_named_and_nothing_else(repository: Path) -> None:
    for name in ("a é.txt", "b.txt"):
        (repository / name).write_text(name)
    git(repository, "add", "b.txt")
    made = dvc.commit(repository, [Path("a é.txt")], "Iteration 2")
    assert made == git(repository, "rev-parse", "HEAD")
    assert git(repository, "-c", "core.quotepath=off", "show", "--format=%s", "--name-only") == "Iteration 2\n\na é.txt"
    assert dvc.git_state(repository) == (made, True)
    assert dvc.commit(repository, [repository / "a é.txt"], "Again") is None
    dvc.commit(repository, [Path("b.txt")], "The other")
    state = dvc.git_state(repository)
    assert state is not None
    assert state[1] is False


def test_git_says_why_not(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceError, match=r"^git: `git add` failed: .*lost"):
        dvc.commit(repository, [Path("lost")], "Nothing")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert dvc.git_state(tmp_path) is None


def test_an_interrupt_ends_the_stage_too(repository: Path) -> None:
    pipeline(repository, f"{sys.executable} stage.py")
    (repository / "stage.py").write_text(
        "import os, time\nfrom pathlib import Path\nPath('pid').write_text(str(os.getpid()))\ntime.sleep(100)\n"
    )
    script = "from pathlib import Path\nfrom segwheel.integrations import dvc\ndvc.repro(Path())\n"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=repository, env=env, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        until(lambda: (repository / "pid").exists() and (repository / "pid").read_text())
        stage = int((repository / "pid").read_text())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    until(lambda: not Path(f"/proc/{stage}").exists() or "Z" in Path(f"/proc/{stage}/stat").read_text().split()[2])
    assert process.returncode != 0
    assert not (repository / "out.txt").exists()


def until(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
