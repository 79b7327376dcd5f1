from __future__ import annotations

import json
import math
import os
import signal
import time
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.entities import Run

from segwheel.errors import FormatError, MissingError
from segwheel.formats.files import content_md5
from segwheel.integrations import dvc
from segwheel.integrations.metric_keys import metric_key
from segwheel.integrations.mlflow_client import connect
from segwheel.integrations.mlflow_tracker import open_run, read_record, start_run
from segwheel.tracking import Run as Recorder

URI = "sqlite:///mlflow.db"


def stored(root: Path, run_id: str) -> Run:
    return connect(URI, root).get_run(run_id)


def record(root: Path) -> Path:
    return root / "models" / "cells" / "run.json"


def test_stages_record_to_one_run(mlflow_root: Path) -> None:
    with start_run(URI, "cells", 2, record(mlflow_root), root=mlflow_root) as train:
        stage: Recorder = train
        stage.params({"train": {"epochs": 3, "loss": {"dice_weight": 0.5}}, "encoder": None})
        for epoch in (1, 2, 3):
            stage.metrics({"train_loss": 1 / epoch, "val_loss": math.nan if epoch == 2 else 0.1}, step=epoch)
        assert stored(mlflow_root, train.run_id).info.status == "RUNNING"
    with open_run(URI, "cells", 2, record(mlflow_root), root=mlflow_root) as evaluate:
        evaluate.metrics({"test_dice": 0.9})
        evaluate.tags({"note": "by hand"})
    assert evaluate.run_id == train.run_id
    run = stored(mlflow_root, train.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "iteration 2"
    assert run.data.params == {"train.epochs": "3", "train.loss.dice_weight": "0.5", "encoder": "None"}
    assert run.data.metrics == {"train_loss": pytest.approx(1 / 3), "val_loss": 0.1, "test_dice": 0.9}
    assert run.data.tags["note"] == "by hand"
    assert (run.data.tags["segwheel.flywheel"], run.data.tags["segwheel.iteration"]) == ("cells", "2")
    curve = connect(URI, mlflow_root).get_metric_history(train.run_id, "val_loss")
    assert [point.step for point in curve] == [1, 3]


def test_a_new_training_is_a_new_run(mlflow_root: Path) -> None:
    ids = []
    for _ in range(2):
        with start_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root) as run:
            ids.append(run.run_id)
    assert ids[0] != ids[1]
    assert json.loads(record(mlflow_root).read_text()) == {"flywheel": "cells", "iteration": 1, "run_id": ids[1]}


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (OSError, "FAILED")])
def test_a_run_says_how_it_ended_and_keeps_what_it_had(
    mlflow_root: Path, error: type[BaseException], status: str
) -> None:
    def train() -> None:
        with start_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root) as run:
            for epoch in (1, 2):
                run.metrics({"train_loss": 1.0}, step=epoch)
            raise error

    with pytest.raises(error):
        train()
    run_id = read_record(record(mlflow_root)).run_id
    assert stored(mlflow_root, run_id).info.status == status
    assert len(connect(URI, mlflow_root).get_metric_history(run_id, "train_loss")) == 2


def test_a_killed_process_leaves_a_run_that_is_not_finished(mlflow_root: Path) -> None:
    child = os.fork()  # a new interpreter would import MLflow again, which takes longer than all of these tests
    if child == 0:
        with start_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root) as run:
            run.metrics({"train_loss": 0.5}, step=1)
            os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    run_id = read_record(record(mlflow_root)).run_id
    assert stored(mlflow_root, run_id).info.status == "RUNNING"
    assert stored(mlflow_root, run_id).data.metrics == {"train_loss": 0.5}


def test_a_clone_without_the_run_makes_one_for_all_its_stages(mlflow_root: Path) -> None:
    path = record(mlflow_root)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"flywheel": "cells", "iteration": 3, "run_id": "0" * 32}))
    before = path.read_bytes()
    ids = set()
    for _ in range(2):
        with open_run(URI, "cells", 9, path, root=mlflow_root) as run:
            ids.add(run.run_id)
    assert len(ids) == 1
    assert stored(mlflow_root, ids.pop()).data.tags["segwheel.iteration"] == "3"
    assert path.read_bytes() == before


def test_a_run_that_was_deleted_is_made_again(mlflow_root: Path) -> None:
    with start_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root) as run:
        pass
    connect(URI, mlflow_root).delete_run(run.run_id)
    with open_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root) as again:
        again.metrics({"test_dice": 0.5})
    assert again.run_id != run.run_id


@pytest.mark.parametrize(
    "text", ["", "[]", '{"flywheel": "cells"}', '{"flywheel": "x", "iteration": 1, "run_id": "a"}']
)
def test_a_record_of_something_else_is_refused(mlflow_root: Path, text: str) -> None:
    record(mlflow_root).parent.mkdir(parents=True)
    record(mlflow_root).write_text(text)
    with (
        pytest.raises(FormatError, match=r"run\.json: expected"),
        open_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root),
    ):
        pass


def test_a_parameter_that_changed_later_is_a_tag(mlflow_root: Path) -> None:
    with start_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root) as run:
        run.params({"predict": {"threshold": 0.5, "tile_size": 256}})
    with open_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root) as run:
        run.params({"predict": {"threshold": 0.4, "tile_size": 256}})
    data = stored(mlflow_root, run.run_id).data
    assert data.params == {"predict.threshold": "0.5", "predict.tile_size": "256"}
    assert {name: value for name, value in data.tags.items() if "changed" in name} == {
        "segwheel.changed.predict.threshold": "0.4"
    }


def test_hard_names_many_names_and_long_values(mlflow_root: Path) -> None:
    names = [
        "image/Präparat 7 (b)/dice",
        "image/a//b/dice",
        "image/:/dice",
        "image/細胞#1/dice",
        f"image/{'x' * 300}/dice",
    ]
    values = {name: index / 10 for index, name in enumerate(names)}
    many = {f"image/n{index}/iou": 0.5 for index in range(1200)}
    with start_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root) as run:
        run.metrics({**values, **many})
        run.params({f"p{index}": index for index in range(150)} | {"long": "y" * 7000})
    data = stored(mlflow_root, run.run_id).data
    assert {metric_key(name): value for name, value in values.items()}.items() <= data.metrics.items()
    assert len(data.metrics) == len(values) + len(many)
    assert len(data.params) == 151


def test_secrets_are_left_out(mlflow_root: Path) -> None:
    with start_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root) as run:
        run.params({"label_studio": {"url": "http://127.0.0.1", "token": "s3cr3t"}, "API_KEY": "s3cr3t"})
        run.tags({"password": "s3cr3t"})
    assert stored(mlflow_root, run.run_id).data.params == {"label_studio.url": "http://127.0.0.1"}
    assert b"s3cr3t" not in (mlflow_root / "mlflow.db").read_bytes()


def test_artifacts_lie_beside_the_database(mlflow_root: Path, tmp_path: Path) -> None:
    picture = tmp_path / "overlay ü.png"
    picture.write_bytes(b"picture")
    with start_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root) as run:
        run.artifact(picture, "pictures")
        run.artifact(picture)
        with pytest.raises(MissingError, match="nothing"):
            run.artifact(tmp_path / "nothing.png")
    kept = mlflow_root / "mlartifacts" / "cells" / run.run_id / "artifacts"
    assert sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*.png")) == [
        "overlay ü.png",
        "pictures/overlay ü.png",
    ]


def test_children_are_nested_and_no_iterations(mlflow_root: Path) -> None:
    with start_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root) as run:
        for fold in range(2):
            with run.child(f"fold {fold}") as child:
                child.metrics({"test_dice": 0.5 + fold / 10})
        with pytest.raises(OSError, match="disk"), run.child("fold 2"):
            raise OSError("disk")
    client: MlflowClient = connect(URI, mlflow_root)
    children = client.search_runs(
        [stored(mlflow_root, run.run_id).info.experiment_id], f"tags.mlflow.parentRunId = '{run.run_id}'"
    )
    assert {child.info.run_name: child.info.status for child in children} == {
        "fold 0": "FINISHED",
        "fold 1": "FINISHED",
        "fold 2": "FAILED",
    }
    assert not any(name.startswith("segwheel.") for child in children for name in child.data.tags)


def test_inputs_are_pinned_to_the_hash_that_dvc_has(mlflow_root: Path, repository: Path) -> None:
    (mlflow_root / "mlflow.db").rename(repository / "mlflow.db")
    images = repository / "data" / "images"
    images.mkdir(parents=True)
    (images / "b ö.tif").write_bytes(b"two")
    (images / "a.tif").write_bytes(b"one")
    (repository / "splits.csv").write_text("basename,split\n")
    with start_run(URI, "cells", 1, record(repository), root=repository) as run:
        run.dataset("by content", Path("data/images"), "training")
        expected = dvc.add(repository, Path("data/images"))
        run.dataset("images", images, "training")
        run.dataset("splits", Path("splits.csv"), "split")
        with pytest.raises(MissingError, match=r"nowhere.*input `lost`"):
            run.dataset("lost", Path("nowhere"), "training")
    inputs = stored(repository, run.run_id).inputs
    assert inputs is not None
    found = {entry.dataset.name: entry for entry in inputs.dataset_inputs}
    assert expected.endswith(".dir")
    assert found["images"].dataset.digest == found["by content"].dataset.digest == expected
    assert found["splits"].dataset.digest == content_md5(repository / "splits.csv")
    source = mlflow.data.get_source(found["images"].dataset)
    assert isinstance(source, HTTPDatasetSource)
    assert source.url == "dvc://data/images"
    assert [(tag.key, tag.value) for tag in found["splits"].tags] == [("mlflow.data.context", "split")]


def test_the_commit_is_tagged_and_whether_files_differ_from_it(mlflow_root: Path, repository: Path) -> None:
    (mlflow_root / "mlflow.db").rename(repository / "mlflow.db")
    tags = []
    for text in ("one\n", "two\n"):
        (repository / ".dvcignore").write_text(text)
        if text == "one\n":
            commit = dvc.commit(repository, [Path(".dvcignore")], "Ignore")
        with start_run(URI, "cells", 1, record(repository), root=repository) as run:
            tags.append(stored(repository, run.run_id).data.tags)
    assert [entry["mlflow.source.git.commit"] for entry in tags] == [commit, commit]
    assert [entry["segwheel.git_dirty"] for entry in tags] == ["false", "true"]


def test_quick_steps_are_written_together(mlflow_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    write = MlflowClient.log_batch

    def counted(self: MlflowClient, run_id: str, **values: object) -> None:
        sizes.append(len(values.get("metrics", ())))  # type: ignore[arg-type]
        write(self, run_id, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    with start_run(URI, "cells", 1, record(mlflow_root), root=mlflow_root) as run:
        for epoch in range(1, 101):
            run.metrics({"train_loss": 0.1, "val_loss": 0.2}, step=epoch)
    assert sizes == [2, 198]
