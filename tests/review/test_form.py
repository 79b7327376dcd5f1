"""The guided set-up in a real terminal."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pexpect
import pytest

import segwheel

ROOT = Path(segwheel.__file__).parents[2]
ATTRIBUTES = ("rgt", "dhr", "fsem", "fdip", "fstrike")
STUB = "import sys\nprint('STARTED', sys.argv[1:])\n"
Start = Callable[[], pexpect.spawn]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose training scripts only say that they were started, with data of 2 + 1 cubes of 4 x 4 x 4."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "segwheel").symlink_to(ROOT / "src" / "segwheel")
    shutil.copy(ROOT / "interactive_train.py", tmp_path)
    (tmp_path / "src" / "main3_infer.py").write_text(STUB)
    for name, number in (("train", 2), ("valid", 1)):
        for i in range(number):
            write(tmp_path / "my set" / f"data_{name}" / f"{i}.bin")
            for attribute in ATTRIBUTES:
                write(tmp_path / "my set" / f"target_{name}" / f"{i}_{attribute}.bin")
    return tmp_path


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.zeros(64, dtype="<f4").tofile(path)


@pytest.fixture
def start(checkout: Path) -> Iterator[Start]:
    started: list[pexpect.spawn] = []

    def begin() -> pexpect.spawn:
        env = {**os.environ, "TERM": "xterm", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ""}
        started.append(
            pexpect.spawn(
                sys.executable,
                ["interactive_train.py"],
                cwd=checkout,
                env=env,
                encoding="utf-8",
                timeout=60,
                dimensions=(50, 100),
            )
        )
        return started[-1]

    yield begin
    for terminal in started:
        terminal.close(force=True)


def answer(terminal: pexpect.spawn, name: str, text: str, default: str = ".*") -> str:
    """Wait for the question `name` with its default, answer it; what was written before it."""
    terminal.expect(rf"\x1b\[[0-9;]*m{name}\x1b\[0m( \[{default}\])?: $")
    before: str = terminal.before
    terminal.sendline(text)
    return before


def enter(terminal: pexpect.spawn, *names: str) -> None:
    for name in names:
        answer(terminal, name, "")


def finish(terminal: pexpect.spawn) -> tuple[int | None, str]:
    terminal.expect(pexpect.EOF)
    terminal.close()
    return terminal.exitstatus, terminal.before


def files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def test_defaults_are_detected_and_the_command_that_is_shown_starts(start: Start, checkout: Path) -> None:
    before = files(checkout)
    terminal = start()
    assert "What do you want to train?" in answer(terminal, "task", "2", default="1")
    assert "horizon" in answer(terminal, "rgt", "")
    assert "wavelet" in answer(terminal, "dhr", "maybe")
    assert "expected True or False, found 'maybe'" in answer(terminal, "dhr", "no")
    assert "strike" in answer(terminal, "fault", "")
    answer(terminal, "dir_data_train", "", default="my set/data_train")
    answer(terminal, "dir_target_train", "my set/data_valid", default="my set/target_train")
    assert "0_rgt.bin: no such cube" in answer(terminal, "dir_target_train", "")
    answer(terminal, "dir_data_valid", "", default="my set/data_valid")
    answer(terminal, "dir_target_valid", "", default="my set/target_valid")
    answer(terminal, "dir_output", "<", default="checkpoints")
    enter(terminal, "dir_target_valid", "dir_output")
    answer(terminal, "epochs", "3", default="100")
    answer(terminal, "batch_train", "", default="2")
    answer(terminal, "n1", "5", default="4")
    assert "5 = 5 does not divide" in answer(terminal, "n1", "")
    enter(terminal, "n2", "n3")
    answer(terminal, "ntrain", "3", default="2")
    assert "from 1 to 2" in answer(terminal, "ntrain", "")
    enter(terminal, "nvalid", "batch_valid")
    answer(terminal, "network", "large", default="(light|published)")
    assert "expected published or light" in answer(terminal, "network", "light")
    answer(terminal, "lr", "", default="2e-3")
    enter(terminal, "threads", "resume", "nodes", "gpus_per_node")
    answer(terminal, "seed", "7")
    terminal.expect(r"Start it now\? .*: $")
    shown = next(line for line in terminal.before.splitlines() if line.startswith("python "))
    words = shlex.split(shown)
    assert words[:2] == ["python", "src/main3_infer.py"]
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert options["--dir_data_train"] == "my set/data_train"
    assert (options["--n1"], options["--n2"], options["--n3"]) == ("4", "4", "4")
    assert (options["--epochs"], options["--seed"], options["--lr"]) == ("3", "7", "2e-3")
    assert (options["--rgt"], options["--dhr"], options["--fault"]) == ("True", "False", "True")
    assert "--resume" not in options
    assert files(checkout) == before
    terminal.sendline("y")
    code, out = finish(terminal)
    assert code == 0
    assert f"STARTED {words[2:]}" in out


STEPS = ["task", "rgt", "dhr", "fault"]  # the first questions of a seismic training


@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize("leave", ["\x03", "\x04"], ids=["Ctrl-C", "end of input"])
def test_leaving_anywhere_leaves_no_trace(start: Start, checkout: Path, step: int, leave: str) -> None:
    before = files(checkout)
    terminal = start()
    for name in STEPS[:step]:
        answer(terminal, name, "2" if name == "task" else "")
    terminal.expect(rf"{STEPS[step]}\x1b\[0m.*: $")
    terminal.send(leave)
    code, out = finish(terminal)
    assert code == 130
    assert re.sub(r"[\^CD\b\r]", "", out).strip() == "Nothing was started."
    assert files(checkout) == before


def test_microscopy_asks_for_a_configuration_and_no_means_no(start: Start, checkout: Path) -> None:
    before = files(checkout)
    terminal = start()
    answer(terminal, "task", "9")
    assert "from 1 to 5" in answer(terminal, "task", "1")
    assert "training performance" in answer(terminal, "config", "")
    assert "config needs an answer" in answer(terminal, "config", "nowhere.yaml")
    assert "nowhere.yaml: no such file" in answer(terminal, "config", "interactive_train.py")
    terminal.expect(r"interactive_train.py: expected .*config.*: $")
    terminal.sendintr()
    assert finish(terminal)[0] == 130
    assert files(checkout) == before
