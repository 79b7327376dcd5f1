"""Every value in the section of a flywheel of images changes something: what is drawn, trained, predicted or counted.

One probe for each part of the section gives a fingerprint of what follows from it. A changed value must give another
one, and no value may be forgotten here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from torch import nn

from segwheel.domain.intensity import Normalization
from segwheel.domain.manifest import Sample, write_manifest
from segwheel.domain.patch_cutting import cut_patches
from segwheel.domain.quantification import object_settings, quantify_folder
from segwheel.domain.scores import extremes
from segwheel.domain.splits import Candidate, divide
from segwheel.domain.synthesis.cells import cell_images
from segwheel.errors import SegwheelError
from segwheel.formats.patch_store import PatchStore, open_patches, write_patches
from segwheel.formats.tiff import write_float, write_image, write_mask
from segwheel.learning import networks, training
from segwheel.learning.checkpoint import Model
from segwheel.learning.dataset import PatchDataset
from segwheel.learning.prediction import predict_sample
from segwheel.params.images import ImageFlywheelParams
from segwheel.params.yaml_file import read_yaml
from segwheel.stages.select import select

ROOT = Path(__file__).parents[1]
BASE: dict[str, Any] = {  # on top of params.yaml: small, and everything that can be switched off is on
    "ingest.generate": {"count": 2, "size": 64, "seed": 0},
    "patches.patch_size": 32,
    "patches.patches_per_image": 6,
    "patches.validation_patches_per_image": 2,
    "train.augmentation": {
        **{"flips": False, "rot90": False, "rotation": 0, "scale": [1, 1], "brightness": 0, "contrast": 0},
        **{"gamma": 0, "noise": 0, "blur": 0},
    },
    "train.training.average_decay": 0.5,
    "train.training.precision": "32",
    "train.early_stopping.enabled": True,
    "train.lr_scheduler.name": "reduce_on_plateau",
    "predict.tile_size": 32,
    "predict.precision": "32",
    "predict.merge": 1,
    "predict.fill_holes": 0,
    "predict.test_time_augmentation": "none",
    "quantify.min_object_area": 20,
    "quantify.separation": {"method": "distance", "smoothing": 0.5, "depth": 0.1},
    "select.count": 2,
}
CHANGED: dict[str, Any] = {
    "targets": ["mask", "border"],
    "ingest.generate.count": 3,
    "ingest.generate.size": 80,
    "ingest.generate.seed": 1,
    "split.seed": 43,
    "split.train_ratio": 0.5,
    "split.val_ratio": 0.3,
    "split.test_ratio": 0.1,
    "patches.patch_size": 48,
    "patches.patches_per_image": 7,
    "patches.validation_patches_per_image": 3,
    "patches.positive_ratio": 0.1,
    "patches.negative_threshold": 0.3,
    "patches.max_jitter": 0.4,
    "patches.pixel_size_um": 2.0,
    "patches.seed": 1,
    "train.augmentation.flips": True,
    "train.augmentation.rot90": True,
    "train.augmentation.rotation": 20,
    "train.augmentation.scale": [1.5, 2],
    "train.augmentation.brightness": 0.3,
    "train.augmentation.contrast": 0.3,
    "train.augmentation.gamma": 0.3,
    "train.augmentation.noise": 0.3,
    "train.augmentation.blur": 2,
    "train.model.architecture": "fpn",
    "train.model.encoder": "resnet34",
    "train.model.encoder_weights": "imagenet",
    "train.model.classes": 3,
    "train.training.epochs": 3,
    "train.training.batch_size": 2,
    "train.training.learning_rate": 0.1,
    "train.training.weight_decay": 0.1,
    "train.training.average_decay": 0.9,
    "train.training.num_workers": 1,
    "train.training.seed": 1,
    "train.training.precision": "bf16-mixed",
    "train.training.devices": 2,
    "train.loss.bce_weight": 2,
    "train.loss.dice_weight": 2,
    "train.loss.auxiliary_weight": 2,
    "train.early_stopping.enabled": False,
    "train.early_stopping.patience": 11,
    "train.early_stopping.min_delta": 0.1,
    "train.lr_scheduler.name": "none",
    "train.lr_scheduler.factor": 0.9,
    "train.lr_scheduler.patience": 6,
    "train.lr_scheduler.min_lr": 0.1,
    "train.checkpointing.every_n_epochs": 21,
    "train.tensorboard.enabled": False,
    "train.tensorboard.pictures_every_n_epochs": 5,
    "train.tensorboard.pictures": 5,
    "train.validation.every_n_epochs": 5,
    "train.validation.prediction_threshold": 0.9,
    "evaluate.pictures": 1,
    "predict.tile_size": 64,
    "predict.overlap": 0.5,
    "predict.window": "flat",
    "predict.test_time_augmentation": "flips",
    "predict.batch_size": 3,
    "predict.precision": "bf16-mixed",
    "predict.merge": 2,
    "predict.threshold": 0.52,
    "predict.min_object_area": 400,
    "predict.fill_holes": 400,
    "predict.connectivity": 4,
    "quantify.objects": "background",
    "quantify.min_object_area": 200,
    "quantify.fill_holes": 100,
    "quantify.connectivity": 4,
    "quantify.iou_threshold": 0.9,
    "quantify.separation.method": "distance_output",
    "quantify.separation.smoothing": 6.0,
    "quantify.separation.depth": 0.9,
    "select.method": "foreground_random",
    "select.count": 3,
    "select.seed": 1,
}
ONE_VALUE = {"kind", "train.model.in_channels"}  # anything else is refused
LABELLING = {"labels.annotators", "labels.rule"}  # see tests/integrations/label_studio
PARTS = ("targets", "ingest", "split", "patches", "train.augmentation", "train.model", "train", "evaluate")
PARTS += ("predict", "quantify", "select")


def flywheel(**changes: Any) -> ImageFlywheelParams:
    """The shipped flywheel of images with some dotted values changed, whether or not they fit together."""
    values = YAML(typ="safe").load(ROOT / "params.yaml")["microscopy"]
    for dotted, value in (BASE | changes).items():
        *path, name = dotted.split(".")
        section = values
        for part in path:
            section = section[part]
        section[name] = deepcopy(value)
    targets, classes = values["targets"], values["train"]["model"]["classes"]
    values["targets"] = ["mask", "distance", "border"][:classes] if classes != len(targets) else targets
    return ImageFlywheelParams.model_validate(values)


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def digest(*arrays: Any) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labelled images of known scale, and their manifest."""
    folder = tmp_path_factory.mktemp("effects")
    rows = []
    for name, one in zip("ab", cell_images(2, 96, 5), strict=True):
        write_image(folder / f"{name}.tif", one.pixels)
        write_mask(folder / f"{name}_mask.tif", (one.labels > 0).astype(np.uint8))
        rows.append({"basename": name, "image_path": f"{name}.tif", "mask_path": f"{name}_mask.tif"})
    write_manifest(folder / "all.csv", [row | {"pixel_size_um": 1} for row in rows])
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    """Four stored patches of 48 pixels with a mask and a distance."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(4, 48, 48)).astype(np.float32)
    labels = {"mask": (image > 0).astype(np.uint8), "distance": rng.random((4, 48, 48), np.float32)}
    attributes = {"patch_size": 32, "pixel_size_um": None, "normalization": {"mean": 0.0, "std": 1.0}}
    path = tmp_path_factory.mktemp("store") / "train.zarr"
    write_patches(
        path, ((image[i], {name: label[i] for name, label in labels.items()}) for i in range(4)), 4, attributes
    )
    return open_patches(path)


class Probes:
    """What follows from a part of the section, as something that can be compared."""

    def __init__(self, folder: Path, store: PatchStore, scratch: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.store, self.scratch, self.patch = folder, store, scratch, patch

    def ingest(self, params: ImageFlywheelParams) -> object:
        recipe = params.ingest.generate
        assert recipe is not None
        return [digest(one.pixels) for one in cell_images(recipe.count, recipe.size, recipe.seed)]

    def split(self, params: ImageFlywheelParams) -> object:
        candidates = [Candidate(f"s{i}", f"s{i}", i / 20, "") for i in range(20)]
        try:
            return divide(candidates, params.split).split
        except SegwheelError as error:
            return str(error)

    def patches(self, params: ImageFlywheelParams) -> object:
        out = self.scratch / "patches"
        cut_patches(self.folder / "all.csv", self.folder / "all.csv", self.folder, out, params.targets, params.patches)
        return [
            digest(patch.image[:], *(patch.targets[name][:] for name in sorted(patch.targets)))
            for patch in (open_patches(out / f"{split}.zarr") for split in ("train", "val"))
        ]

    targets = patches

    def train_augmentation(self, params: ImageFlywheelParams) -> object:
        patches = PatchDataset(self.store, params.train.augmentation, 0)
        return digest(*(patches[epoch, 0]["image"] for epoch in range(3)))

    def train_model(self, params: ImageFlywheelParams) -> object:
        asked: list[object] = []
        self.patch.setattr(networks.smp, "create_model", lambda *names, **options: asked.append((names, options)))
        networks.build_network(params.train.model)
        return asked

    def train(self, params: ImageFlywheelParams) -> object:
        """A run up to where the trainer would begin, with everything that it was given."""
        self.patch.setattr(training, "build_network", lambda model: nn.Conv2d(1, model.classes, 3, padding=1))
        self.patch.setattr(lightning, "Trainer", Recorder)
        training.train_network(self.store, None, params.train, self.scratch, progress=False)
        run = Recorder.latest
        return [*run.settings(), *run.optimisation(), *run.judgement(), *run.loading()]

    def evaluate(self, params: ImageFlywheelParams) -> object:
        return extremes([{"basename": str(i), "dice": i / 4} for i in range(4)], params.evaluate.pictures)

    def predict(self, params: ImageFlywheelParams) -> object:
        network = Seen()
        model = Model(network.eval(), ("mask", "distance"), Normalization(100, 50), None, 0.5, "")
        found = predict_sample(model, Sample("a", self.folder / "a.tif", {}, "a"), params.predict)
        return network.shapes, digest(*found.maps.values()), digest(found.mask)

    def quantify(self, params: ImageFlywheelParams) -> object:
        mask, out = pieces(), self.scratch / "objects"
        write_mask(self.scratch / "a_pred_mask.tif", mask)
        write_float(self.scratch / "a_pred_dist.tif", np.ones(mask.shape, np.float32))
        write_mask(self.scratch / "a_mask.tif", np.roll(mask, 2, axis=1))
        write_manifest(self.scratch / "all.csv", [{"basename": "a", "image_path": "a.tif", "mask_path": "a_mask.tif"}])
        quantify = params.quantify
        found = quantify_folder(
            self.scratch,
            self.scratch / "all.csv",
            out,
            settings=object_settings(quantify),
            iou_threshold=quantify.iou_threshold,
            data_root=self.scratch,
        )
        return found.objects["area"].tolist(), found.evaluation["tp"].tolist()

    def select(self, params: ImageFlywheelParams) -> object:
        rng = np.random.default_rng(0)
        for name in "abcd":
            write_image(self.scratch / f"{name}.tif", np.zeros((16, 16), np.uint8))
            write_float(self.scratch / f"{name}_pred_prob.tif", rng.random((16, 16), np.float32))
            write_mask(self.scratch / f"{name}_pred_mask.tif", np.ones((16, 16), np.uint8))
        rows = [{"basename": name, "image_path": str(self.scratch / f"{name}.tif")} for name in "abcd"]
        write_manifest(self.scratch / "pool.csv", rows)
        self.patch.chdir(self.scratch)
        select(Path("pool.csv"), Path(), Path("queue"), params.predict.threshold, params.select)
        return Path("queue/review_queue.csv").read_text()


class Recorder:
    """Stands where Lightning's trainer stands, and trains nothing."""

    latest: Recorder

    def __init__(self, **given: Any) -> None:
        self.given, self.interrupted, self.is_global_zero = given, False, False
        self.check_val_every_n_epoch = given["check_val_every_n_epoch"]
        Recorder.latest = self

    def fit(self, segmenter: Any, datamodule: Any, **_: object) -> None:
        self.segmenter, self.data = segmenter, datamodule

    def settings(self) -> list[object]:
        """How long, with what precision, on what, stopped, shown and kept when."""
        plain = ("max_epochs", "precision", "devices", "check_val_every_n_epoch")
        callbacks = [
            (type(one).__name__, {name: value for name, value in vars(one).items() if isinstance(value, int | float)})
            for one in self.given["callbacks"]
        ]
        decays = [one._kwargs["avg_fn"] for one in self.given["callbacks"] if hasattr(one, "_kwargs")]
        averaged = [float(average(torch.ones(1), torch.zeros(1), 1)) for average in decays if average]
        return [[self.given[name] for name in plain], callbacks, averaged, bool(self.given["logger"])]

    def optimisation(self) -> list[object]:
        self.segmenter._trainer = self
        made = self.segmenter.configure_optimizers()
        optimizer = made["optimizer"] if isinstance(made, dict) else made
        scheduler = made["lr_scheduler"]["scheduler"].state_dict() if isinstance(made, dict) else None
        group = optimizer.param_groups[0]
        return [group["lr"], group["weight_decay"], scheduler, digest(*(p.detach() for p in group["params"]))]

    def judgement(self) -> list[object]:
        """Losses and scores of outputs that are made up."""
        outputs = {"mask": torch.linspace(-1, 3, 64).view(1, 8, 8), "distance": torch.zeros(1, 8, 8)}
        labels = {"mask": torch.ones(1, 8, 8, dtype=torch.uint8), "distance": torch.ones(1, 8, 8)}
        objective = self.segmenter.objective
        return [objective.losses(outputs, labels), objective.scores(outputs, labels)]

    def loading(self) -> list[object]:
        self.data.trainer = None
        loader = self.data.train_dataloader()
        return [loader.batch_size, loader.num_workers, list(loader.sampler)]


class Seen(nn.Module):
    """A small network that notes what shapes it is given."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.shapes = nn.Conv2d(1, 2, 5, padding=2), set[tuple[int, ...]]()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.shapes.add(tuple(images.shape))
        result: torch.Tensor = self.layer(images)
        return result


def pieces() -> np.ndarray:
    """Two discs that touch, two squares with a common corner, a ring, and a small square."""
    y, x = np.mgrid[:80, :80]
    discs = (np.hypot(y - 20, x - 20) < 13) | (np.hypot(y - 20, x - 42) < 13)
    ring = (np.hypot(y - 60, x - 20) < 10) & (np.hypot(y - 60, x - 20) >= 4)
    squares = ((abs(y - 52) < 6) & (abs(x - 52) < 6)) | ((abs(y - 63) < 6) & (abs(x - 63) < 6))
    small = (abs(y - 10) < 4) & (abs(x - 70) < 4)
    return (discs | ring | squares | small).astype(np.uint8)


def test_no_value_is_forgotten() -> None:
    assert CHANGED.keys() | ONE_VALUE | LABELLING == set(leaves(read_yaml(ROOT / "params.yaml")["microscopy"]))


@pytest.mark.parametrize("key", CHANGED)
def test_a_changed_value_has_an_effect(
    key: str, folder: Path, store: PatchStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = max((part for part in PARTS if key == part or key.startswith(part + ".")), key=len)
    others = {"select.method": "foreground_random"} if key == "select.seed" else {}

    def follows(name: str, **changes: Any) -> object:
        (tmp_path / name).mkdir()
        with monkeypatch.context() as patch:
            probe: Callable[[ImageFlywheelParams], object]
            probe = getattr(Probes(folder, store, tmp_path / name, patch), part.replace(".", "_"))
            return str(probe(flywheel(**changes)))

    before, again = follows("before", **others), follows("again", **others)
    assert before == again, "the probe itself varies"
    assert follows("after", **others, **{key: CHANGED[key]}) != before
