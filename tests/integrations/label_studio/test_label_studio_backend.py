"""The ML backend protocol: asked over HTTP, and by Label Studio itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from label_studio_wheel import TARGET, Wheel, blobs

from segwheel.errors import InputError
from segwheel.formats.tiff import read_image
from segwheel.integrations.label_studio import labels
from segwheel.integrations.label_studio.backend import Model, serve
from segwheel.integrations.label_studio.client import Client

pytestmark = pytest.mark.xdist_group("label_studio")


def bright_pixels(path: Path, _axis: str, _index: int | None) -> npt.NDArray[np.bool_]:
    image = read_image(path)
    return image > image.mean()


MODEL = Model("weights-1", TARGET, bright_pixels)


@contextmanager
def serving(root: Path, flywheel: str = "cells", secret: str = "") -> Iterator[str]:
    backend = serve(root, flywheel, MODEL, host="127.0.0.1", port=0, secret=secret)
    thread = Thread(target=backend.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{backend.server_port}"
    backend.shutdown()
    backend.server_close()
    thread.join()


def bright(wheel: Wheel) -> npt.NDArray[np.bool_]:
    """What MODEL finds in the only image of the queue."""
    return MODEL.predict(wheel.root / wheel.rows[0]["image_path"], "", None)


def test_the_protocol(tmp_path: Path) -> None:
    with serving(tmp_path) as url, httpx.Client(base_url=url) as http:
        assert http.get("/health").json()["status"] == "UP"
        assert http.get("/versions").json() == {"versions": ["weights-1"]}
        assert http.post("/setup", json={"project": "1"}).json() == {"model_version": "weights-1"}
        assert http.post("/webhook", json={}).status_code == 200
        assert http.post("/predict", json={"tasks": []}).json() == {"results": [], "model_version": "weights-1"}
        assert http.get("/predict").status_code == 404
        for rubbish in (b"{", b"[]", b'{"tasks": 3}', b"{}"):
            assert http.post("/predict", content=rubbish).status_code == 400


def test_a_task_that_leaves_the_repository_gets_nothing(tmp_path: Path) -> None:
    data = {"flywheel": "cells", "uid": "0", "image_path": "../../etc/passwd", "axis": "", "index": None}
    with serving(tmp_path) as url:
        for change in ({}, {"image_path": "gone.tif"}, {"flywheel": "other"}, {"image_path": None}):
            answer = httpx.post(f"{url}/predict", json={"tasks": [{"id": 1, "data": data | change}]})
            assert answer.json()["results"][0]["result"] == []


def test_others_need_the_secret(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SEGWHEEL_LABELS_SECRET"):
        serve(tmp_path, "cells", MODEL, host="0.0.0.0", port=0)
    with serving(tmp_path, secret="of ours") as url:
        assert httpx.get(f"{url}/health").status_code == 401
        assert httpx.get(f"{url}/health", auth=("any", "wrong")).status_code == 401
        assert httpx.get(f"{url}/health", headers={"Authorization": "Basic %%%"}).status_code == 401
        assert httpx.get(f"{url}/health", auth=("any", "of ours")).status_code == 200


def test_label_studio_asks_it(wheel: Wheel, client: Client) -> None:
    wheel.add_image("one", blobs(1))
    wheel.push()
    (task,) = wheel.tasks(client).values()
    project = client.get(f"/api/tasks/{task['id']}/")["project"]
    with serving(wheel.root, wheel.name, secret="of ours") as url:
        body = {"project": project, "url": url, "title": "live", "auth_method": "BASIC_AUTH"}
        body |= {"basic_auth_user": "segwheel", "basic_auth_pass": "of ours"}
        made = client.post("/api/ml/", body)
        assert made["state"] == "CO"  # connected
        answered = client.post(f"/api/ml/{made['id']}/predict/test", None, random="true")
        assert answered["status"] == 200
        answers = answered["response"]
        result = answers[0] if isinstance(answers, list) else answers["results"][0]
    label = labels.label_of(result["result"], blobs(1).shape, TARGET, "live")
    assert np.array_equal(label, bright(wheel))
