"""The options of `main3_infer.py`, `main3_refine.py`, `main2_infer.py` and `main2_refine.py`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

TRAIN, APPLY, CUBES, NETWORK = "Training", "Application", "Data", "Network and optimisation"
EQUAL_EDGES = "from the size of the files, if all edges are equal"


def _option(name: str, panel: str, text: str, default: str | bool = True, **limits: Any) -> Any:
    """An option whose name has underscores, as users of the method know it; `default` is what the help calls it."""
    return typer.Option(f"--{name}", help=text, rich_help_panel=panel, show_default=default, **limits)


@dataclass(frozen=True)
class MultitaskOptions:
    """What can be said to the four programs. Options that are None follow from others."""

    dir_data_train: Annotated[Path | None, _option("dir_data_train", TRAIN, "Folder of the training inputs.")] = None
    dir_target_train: Annotated[Path | None, _option("dir_target_train", TRAIN, "Folder of their targets.")] = None
    dir_data_valid: Annotated[Path | None, _option("dir_data_valid", TRAIN, "Folder of the validation inputs.")] = None
    dir_target_valid: Annotated[Path | None, _option("dir_target_valid", TRAIN, "Folder of their targets.")] = None
    dir_output: Annotated[Path, _option("dir_output", TRAIN, "Folder of checkpoints, curves and checks.")] = Path(
        "checkpoints"
    )
    ntrain: Annotated[int | None, _option("ntrain", TRAIN, "Training samples, from 0 on.", "all", min=1)] = None
    nvalid: Annotated[int | None, _option("nvalid", TRAIN, "Validation samples, from 0 on.", "all", min=1)] = None
    epochs: Annotated[int, _option("epochs", TRAIN, "How often every training sample is seen.", min=1)] = 100
    batch_train: Annotated[int, _option("batch_train", TRAIN, "Training samples in one step.", min=1)] = 1
    batch_valid: Annotated[int, _option("batch_valid", TRAIN, "Validation samples at a time.", min=1)] = 1
    threads: Annotated[int, _option("threads", TRAIN, "Processes that read samples; 0 for none.", min=0)] = 0
    resume: Annotated[Path | None, _option("resume", TRAIN, "Checkpoint of an interrupted training.")] = None
    nodes: Annotated[int, _option("nodes", TRAIN, "Computers that train together.", min=1)] = 1
    gpus_per_node: Annotated[int, _option("gpus_per_node", TRAIN, "Devices in each of them.", min=1)] = 1
    seed: Annotated[int, _option("seed", TRAIN, "The same seed and data give the same run.", min=0)] = 42
    save_every: Annotated[
        int | None, _option("save_every", TRAIN, "Epochs between two epoch=<n>.ckpt.", "a tenth of all", min=1)
    ] = None
    valid_every: Annotated[int, _option("valid_every", TRAIN, "Epochs between two validations.", min=1)] = 1
    check: Annotated[
        Path | None, _option("check", TRAIN, "Score this checkpoint on the validation samples instead of training.")
    ] = None

    input: Annotated[
        Path | None, _option("input", APPLY, "Volume (raw, .sgy, .npy, .zarr) that a trained model is applied to.")
    ] = None
    model: Annotated[Path | None, _option("model", APPLY, "Checkpoint of that model.")] = None
    output: Annotated[Path | None, _option("output", APPLY, "Results are called OUTPUT.rgt, OUTPUT.dhr ...")] = None
    overlap: Annotated[
        float, _option("overlap", APPLY, "Share of a tile that its neighbour shares.", min=0, max=0.9)
    ] = 0.25

    n1: Annotated[int | None, _option("n1", CUBES, "Samples along depth, of whole files.", EQUAL_EDGES, min=1)] = None
    n2: Annotated[int | None, _option("n2", CUBES, "Samples along axis 2.", EQUAL_EDGES, min=1)] = None
    n3: Annotated[int | None, _option("n3", CUBES, "Samples along axis 3.", EQUAL_EDGES, min=1)] = None
    tile1: Annotated[
        int | None,
        _option("tile1", CUBES, "What the network sees at a time, along depth.", "n1; what it was trained on", min=16),
    ] = None
    tile2: Annotated[int | None, _option("tile2", CUBES, "Likewise, along axis 2.", "likewise", min=16)] = None
    tile3: Annotated[int | None, _option("tile3", CUBES, "Likewise, along axis 3.", "likewise", min=16)] = None
    rgt: Annotated[str | None, _option("rgt", CUBES, "Relative geologic time: True or False.", "True")] = None
    dhr: Annotated[str | None, _option("dhr", CUBES, "Denoised, sharper image: True or False.", "True")] = None
    fault: Annotated[str | None, _option("fault", CUBES, "Faults and how they lie: True or False.", "True")] = None

    network: Annotated[
        str | None, _option("network", NETWORK, "published, or light.", "light where there is no GPU, else published")
    ] = None
    width: Annotated[float, _option("width", NETWORK, "Scales the number of channels.", min=0.01)] = 1.0
    initial_weights: Annotated[
        str | None, _option("initial_weights", NETWORK, "Model to begin with: a file, or one that ships.", "random")
    ] = None
    lr: Annotated[float | None, _option("lr", NETWORK, "Learning rate.", "0.5e-4; light 2e-3", min=0.0)] = None
    lr_schedule: Annotated[
        str | None, _option("lr_schedule", NETWORK, "none, one_cycle or reduce_on_plateau.", "none; light one_cycle")
    ] = None
    losses: Annotated[
        str | None,
        _option(
            "losses",
            NETWORK,
            "published, or line: cross-entropy beside Dice, and the normal of a fault, a line, for its angles.",
            "published; light line",
        ),
    ] = None
    rgt_slope: Annotated[
        float, _option("rgt_slope", NETWORK, "Weight in the loss of the error of RGT's first differences.", min=0.0)
    ] = 0.0
    augment: Annotated[
        str | None,
        _option("augment", NETWORK, "Flips, turns, contrast and noise: True or False.", "False; light True"),
    ] = None
    weight_decay: Annotated[float, _option("weight_decay", NETWORK, "Of AdamW.", min=0.0)] = 0.0
    average_decay: Annotated[
        float, _option("average_decay", NETWORK, "Of the moving average of the weights; 0: none.", min=0.0, max=0.9999)
    ] = 0.0
    precision: Annotated[str, _option("precision", NETWORK, "auto, 32, 16-mixed or bf16-mixed.")] = "auto"


def with_options(action: Callable[[MultitaskOptions], None], without: Collection[str]) -> Callable[..., None]:
    """`action` as a function that typer makes a command of: its parameters are the options but those in `without`."""

    def verb(**given: Any) -> None:
        action(MultitaskOptions(**given))

    hints = get_type_hints(MultitaskOptions, include_extras=True)
    kept = {field.name: field for field in fields(MultitaskOptions) if field.name not in without}
    verb.__annotations__ = {name: hints[name] for name in kept}
    verb.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # read by inspect.signature
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[name])
            for name, field in kept.items()
        ]
    )
    verb.__doc__ = action.__doc__
    return verb
