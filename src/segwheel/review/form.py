"""The guided set-up in the terminal: ask, show the command, start it on a yes. Writes no file."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.prompt import Confirm
from rich.text import Text

import segwheel
from segwheel.errors import MissingError, SegwheelError
from segwheel.review.questions import MENU, TASKS, Question, Task, options

BACK = "<"
_BANNER = (
    "segwheel: guided set-up of a training\n\n"
    f"Enter takes the value in brackets, {BACK} goes back to the question before, Ctrl-C leaves.\n"
    "Nothing is written or started before the last question."
)


def fill_in(console: Console) -> list[str] | None:
    """Ask for everything that a training needs; the command to run, or None when the person says no.

    KeyboardInterrupt and EOFError (the end of the input) come through.
    """
    console.print(Panel(Text(_BANNER), border_style="cyan", expand=False))
    task = TASKS[int(ask(console, [MENU])[MENU.name]) - 1]
    command = [*_program(task), *options(task.questions, ask(console, task.questions))]
    console.print("\nThis is the command:\n", style="bold")
    console.print(shlex.join(command), soft_wrap=True, markup=False, highlight=False)
    console.print()
    return command if Confirm.ask("Start it now?", console=console, default=False) else None


def ask(console: Console, questions: Iterable[Question]) -> dict[str, str]:
    """Ask one question after the other, each until its answer is valid; the answers by name."""
    questions = list(questions)
    answers: dict[str, str] = {}
    while len(answers) < len(questions):
        question = questions[len(answers)]
        default = question.default(answers)
        console.print()
        console.print(Padding(Text(question.text), (0, 0, 0, 2), expand=False))
        given = console.input(Text.assemble((question.name, "bold cyan"), f" [{default}]: " if default else ": "))
        text = given.strip() or default
        if text == BACK:
            if answers:
                answers.popitem()
            continue
        try:
            answers[question.name] = question.check(text, answers) if text else _nothing(question)
        except (SegwheelError, OSError) as error:
            console.print(Padding(Text(str(error), style="red"), (0, 0, 0, 2), expand=False))
    return answers


def _nothing(question: Question) -> str:
    raise SegwheelError(f"{question.name} needs an answer")


def _program(task: Task) -> tuple[str, ...]:
    """The first words of the command, with the script as it is found from the working directory."""
    if len(task.command) == 1:
        return task.command
    checkout = Path(segwheel.__file__).parents[2]  # scripts lie beside the package
    return task.command[0], os.path.relpath(checkout / task.command[1])


def start(command: list[str]) -> None:
    """Become the command: its output, its Ctrl-C and its exit code are those of this process from here on.

    Raises MissingError when the program is not where this one is installed.
    """
    program, *arguments = command
    if program == "python":
        words = [sys.executable, *arguments]
        _check_there(Path(arguments[0]))
    else:
        words = [str(Path(sys.executable).with_name(program)), *arguments]
        _check_there(Path(words[0]))
    sys.stdout.flush()
    os.execv(words[0], words)


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise MissingError(path, what="program", hint="run it from a checkout with its environment")
