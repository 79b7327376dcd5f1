from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from segwheel.axes import Region
from segwheel.errors import CheckpointError, InputError, MissingError
from segwheel.formats import volume
from segwheel.learning.multitask import MultitaskNetwork
from segwheel.learning.multitask_checkpoint import load_multitask
from segwheel.learning.reference_weights import import_reference, load_reference
from segwheel.learning.volume_prediction import predict_image

# What the reference calls its tensors, spelled out from its description and not taken from our network.
BLOCKS = {
    "R1": ("conv0", "conv1", "conv2", "conv3", "convd", "up3", "up2", "up1", "up0"),
    "R2": ("conv0", "conv1", "conv2", "convd", "up2", "up1", "up0"),
    "R3": ("conv0", "conv1", "conv2", "conv3", "convd", "up3", "up2", "up1", "up0"),
}


def reference_names(refine: bool, heads: tuple[str, ...], tasks: tuple[str, ...]) -> set[str]:
    layers = [f"input{i}.{j}.c.0" for i in range(1, len(heads) + 3) for j in (0, 1)] if refine else []
    blocks = {"encoder1": "R1", "encoder2": "R2", "encoder3": "R3"}
    blocks |= {f"decoder_{task}.decoder{level}": f"R{level}" for task in tasks for level in (1, 2)}
    layers += [f"{name}.{layer}.c.0" for name, kind in blocks.items() for layer in BLOCKS[kind]]
    layers += [f"decoder_{task}.out.{i}" for task in tasks for i in range(3)]
    if "fault" in tasks:
        for head in heads:
            layers += [f"subdecoder_fault_{head}.conv.{i}.c.0" for i in range(4)] + [f"subdecoder_fault_{head}.out.0"]
    return {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def saved(path: Path, state: dict[str, Tensor], **more: object) -> Path:
    torch.save({"state_dict": state, "epoch": 3, "pytorch-lightning_version": "2.0", **more}, path)
    return path


def network(**options: object) -> MultitaskNetwork:
    torch.manual_seed(0)
    return MultitaskNetwork(options.pop("ndim", 2), width=0.25, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize(("ndim", "heads"), [(2, ("semantic", "dip")), (3, ("semantic", "dip", "strike"))])
@pytest.mark.parametrize("tasks", [("rgt", "dhr", "fault"), ("dhr",), ("rgt", "fault")])
def test_names_are_those_of_the_reference(
    refine: bool, ndim: int, heads: tuple[str, ...], tasks: tuple[str, ...]
) -> None:
    with torch.device("meta"):
        state = MultitaskNetwork(ndim, refine=refine, tasks=tasks).state_dict()
    assert set(state) == reference_names(refine, heads, tasks)


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("tasks", [("rgt", "dhr", "fault"), ("fault",)])
def test_an_imported_network_computes_what_the_saved_one_did(
    tmp_path: Path, refine: bool, ndim: int, tasks: tuple[str, ...]
) -> None:
    ours = network(ndim=ndim, refine=refine, tasks=tasks)
    x = torch.randn(1, len(ours.inputs), *(18,) * ndim)
    theirs, found = load_reference(saved(tmp_path / "x.ckpt", ours.state_dict()))
    assert (found.ndim, found.refine, found.width, found.tasks) == (ndim, refine, 0.25, tasks)
    with torch.no_grad():
        before, after = ours(x), theirs(x)
    assert all(torch.equal(before[name], after[name]) for name in ours.attributes)


def test_the_order_of_names_does_not_matter(tmp_path: Path) -> None:
    state = network().state_dict()
    loaded, _ = load_reference(saved(tmp_path / "x.ckpt", dict(reversed(state.items()))))
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in state.items())


def test_a_missing_name_is_told(tmp_path: Path) -> None:
    state = network().state_dict()
    del state["decoder_rgt.decoder1.up0.c.0.bias"]
    with pytest.raises(CheckpointError, match=r"found missing decoder_rgt\.decoder1\.up0\.c\.0\.bias$"):
        load_reference(saved(tmp_path / "x.ckpt", state))


def test_a_name_left_over_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"left over optimiser\.state$"):
        load_reference(saved(tmp_path / "x.ckpt", network().state_dict() | {"optimiser.state": torch.zeros(1)}))


def test_a_shape_of_another_width_is_told(tmp_path: Path) -> None:
    state = network().state_dict()
    state["encoder2.conv0.c.0.weight"] = torch.zeros(9, 4, 3, 3)
    with pytest.raises(CheckpointError, match=r"shape encoder2\.conv0\.c\.0\.weight \(9, 4, 3, 3\) for \(8, 4, 3, 3\)"):
        load_reference(saved(tmp_path / "x.ckpt", state))


def test_many_differences_stay_one_short_line(tmp_path: Path) -> None:
    state = {name: value for name, value in network().state_dict().items() if "decoder1" not in name}
    with pytest.raises(CheckpointError, match=r"and \d+ more$") as caught:
        load_reference(saved(tmp_path / "x.ckpt", state))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("state", [{"layer.weight": torch.zeros(2)}, {"encoder1.conv0.c.0.weight": torch.zeros(16)}])
def test_another_network_is_refused(tmp_path: Path, state: dict[str, Tensor]) -> None:
    with pytest.raises(CheckpointError, match=r"encoder1\.conv0\.c\.0\.weight with two or three axes"):
        load_reference(saved(tmp_path / "x.ckpt", state))


def test_a_checkpoint_without_decoders_is_refused(tmp_path: Path) -> None:
    state = {name: value for name, value in network().state_dict().items() if name.startswith("encoder")}
    with pytest.raises(CheckpointError, match="a decoder of rgt, dhr or fault"):
        load_reference(saved(tmp_path / "x.ckpt", state))


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.ckpt", network().state_dict(), hyper_parameters=Namespace(lr=1))
    with pytest.raises(CheckpointError, match="objects that are not weights"):
        load_reference(path)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 half a zip"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.ckpt: expected a Lightning checkpoint"):
        load_reference(path)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.ckpt", network().state_dict())
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(CheckpointError, match="damaged"):
        load_reference(path)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {}}, {"state_dict": {"a": 1}}, {"epoch": 3}])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match="no state_dict of tensors"):
        load_reference(tmp_path / "x.ckpt")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such checkpoint"):
        load_reference(tmp_path / "x.ckpt")


def test_the_verb_writes_what_the_network_is_and_its_weights(tmp_path: Path) -> None:
    import typer

    from segwheel.cli.import_checkpoint import import_checkpoint

    app = typer.Typer()
    app.command()(import_checkpoint)
    ours = network(tasks=("dhr",))
    source, output = saved(tmp_path / "x.ckpt", ours.state_dict()), tmp_path / "models" / "model.pth"
    result = CliRunner().invoke(app, [str(source), str(output)])
    assert result.exit_code == 0
    assert "a published 2D network of width 0.25 that takes an image and predicts dhr" in result.output
    model = load_multitask(output, refine=False, ndim=2)
    assert (model.tile, model.attributes) == ((256, 256), ("dhr",))
    assert model.image_std == pytest.approx(100 / 256)  # the L2 norm of a section is 100
    assert all(torch.equal(model.network.state_dict()[name], value) for name, value in ours.state_dict().items())


def test_the_tile_can_be_given(tmp_path: Path) -> None:
    source = saved(tmp_path / "x.ckpt", network().state_dict())
    import_reference(source, tmp_path / "model.pth", (64, 100))
    assert load_multitask(tmp_path / "model.pth").tile == (64, 100)
    with pytest.raises(InputError, match="expected 2 lengths"):
        import_reference(source, tmp_path / "model.pth", (64, 64, 64))


@pytest.mark.parametrize(("tile", "norm"), [((24, 24, 24), 1000), ((64, 48), 100)])
def test_a_published_image_reaches_the_network_as_it_is(tmp_path: Path, tile: tuple[int, ...], norm: float) -> None:
    """Also one whose mean is not zero; one of another scale is brought to the L2 norm of the published images."""
    ours = network(ndim=len(tile))
    import_reference(saved(tmp_path / "x.ckpt", ours.state_dict()), tmp_path / "model.pth", tile)
    image = np.random.default_rng(0).normal(0.2, 1, tile).astype(np.float32)
    image *= np.float32(norm / np.linalg.norm(image))
    with torch.no_grad():
        wanted = ours.eval()(torch.from_numpy(image)[None, None])
    for scale in (1, 40):
        volume.write_array(tmp_path / f"{scale}.zarr", np.float32(scale) * image)
        source = volume.open(tmp_path / f"{scale}.zarr")
        found = predict_image(load_multitask(tmp_path / "model.pth"), source, tmp_path / f"found{scale}")
        for name in ("dhr", "fsem"):
            values = volume.open(found[name]).read(Region.whole(tile)) / (scale if name == "dhr" else 1)
            np.testing.assert_allclose(values, wanted[name][0, 0].numpy(), atol=2e-5, rtol=1e-4)


def test_nothing_is_written_when_the_import_fails(tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(b"")
    with pytest.raises(CheckpointError):
        import_reference(tmp_path / "x.ckpt", tmp_path / "model.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["x.ckpt"]
