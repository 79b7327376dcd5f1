"""`segwheel synth seismic` as a user types it."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from segwheel.cli.synth_seismic import synth_seismic
from segwheel.errors import InputError

app = typer.Typer()
app.command()(synth_seismic)


def run(*arguments: str, output: Path) -> str:
    result = CliRunner().invoke(app, ["--output", str(output), *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(("shape", "files"), [(("24", "16", "20"), 11), (("32", "24"), 9)])
def test_the_shape_is_as_many_numbers_as_there_are_axes(tmp_path: Path, shape: tuple[str, ...], files: int) -> None:
    said = run("--shape", *shape, "--count", "2", "--seed", "5", output=tmp_path / "set")
    assert said == f"{tmp_path / 'set'}: 2 samples of {' x '.join(shape)}\n"
    found = list((tmp_path / "set").rglob("*.bin"))
    assert len(found) == 2 * files
    assert {path.stat().st_size for path in found} == {4 * prod(map(int, shape))}


def test_ranges_reach_the_recipe(tmp_path: Path) -> None:
    run(*["--shape", "24", "16", "--faults", "0", "0", "--recipe", "field", "--no-refinement"], output=tmp_path / "set")
    fsem = (tmp_path / "set" / "target" / "0_fsem.bin").read_bytes()
    assert not any(fsem)
    assert not (tmp_path / "set" / "data" / "0_fsem.bin").exists()


def test_bad_values_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--recipe: expected one of published, field, found nonsense"):
        run(*["--shape", "24", "16", "--recipe", "nonsense"], output=tmp_path / "set")
    with pytest.raises(InputError, match="noise: expected a lower, then an upper bound"):
        run(*["--shape", "24", "16", "--noise", "0.5", "0.1"], output=tmp_path / "set")
    with pytest.raises(InputError, match="found 24 x 3"):
        run(*["--shape", "24", "3"], output=tmp_path / "set")
    assert not (tmp_path / "set").exists()
