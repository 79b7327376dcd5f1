"""Each task and prediction once, whatever happens, on a real server."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from threading import Timer

import httpx
import numpy as np
import pytest
from label_studio_faults import Faulty, die, in_child, is_import, killed_after, outcome
from label_studio_wheel import FIRST, RealServer, Wheel, accept, blobs, submit

from segwheel.errors import FormatError, ManifestError, MissingError, ServiceError
from segwheel.formats.tiff import write_mask
from segwheel.integrations.label_studio import push
from segwheel.integrations.label_studio.client import Client
from segwheel.integrations.label_studio.plan import read_plan
from segwheel.integrations.label_studio.status import status

pytestmark = pytest.mark.xdist_group("label_studio")
SECOND = "iteration-002-bbbbbbbb"


@pytest.fixture
def seven(wheel: Wheel, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """Seven images in batches of two."""
    monkeypatch.setattr(push, "BATCH", 2)
    for number in range(7):
        wheel.add_image(f"image {number}", blobs(number))
    return wheel


def assert_everything_once(wheel: Wheel, client: Client, version: str = FIRST) -> None:
    tasks = wheel.tasks(client)
    assert tasks.keys() == {row["basename"] for row in wheel.rows}
    for name, task in tasks.items():
        assert [one["model_version"] for one in task["predictions"]].count(version) == 1, name
    plan = read_plan(wheel.places.plan)
    assert plan is not None
    assert set(plan.tasks.values()) == {"confirmed"}


def connected(wheel: Wheel, transport: httpx.BaseTransport) -> Client:
    return Client(wheel.credentials.url, wheel.credentials.token, transport=transport)


def test_pushing_again_sends_nothing(seven: Wheel, client: Client) -> None:
    assert seven.push().tasks_sent == 7
    again = seven.push()
    assert (again.tasks_sent, again.predictions_sent, again.removed) == (0, 0, 0)
    assert_everything_once(seven, client)


def test_killed_at_every_request(seven: Wheel, client: Client) -> None:
    # Each push dies one request later than the one before, in turn before it is sent and after it was answered.
    codes = []
    for at in range(2, 40):
        faulty = Faulty(die, at, after=bool(at % 2))
        codes.append(outcome(in_child(partial(seven.push, client=connected(seven, faulty)))))
        if codes[-1] == 0:
            break
    assert codes[-1] == 0
    assert len(codes) > 5
    assert set(codes[:-1]) == {-9}
    assert_everything_once(seven, client)


def test_killed_at_any_moment(seven: Wheel, client: Client) -> None:
    random = np.random.default_rng()
    for _ in range(5):
        killed_after(seven.push, float(random.uniform(0.05, 0.8)))
    seven.push()
    assert_everything_once(seven, client)


def test_two_pushes_at_once(seven: Wheel, client: Client) -> None:
    children = [in_child(seven.push), in_child(seven.push)]
    assert [outcome(child) for child in children] == [0, 0]
    assert_everything_once(seven, client)


def test_what_was_sent_twice_is_taken_back(seven: Wheel, client: Client) -> None:
    def send_before(request: httpx.Request) -> None:
        client.post(request.url.path, json.loads(request.content))

    done = seven.push(client=connected(seven, Faulty(send_before, 2, picks=is_import)))
    assert done.removed == 2
    assert_everything_once(seven, client)


def test_predictions_that_were_sent_twice_are_taken_back(wheel: Wheel, client: Client) -> None:
    wheel.add_image("one", blobs(1))
    wheel.push()
    found = client.get("/api/projects/", title=f"segwheel: {wheel.name}")["results"][0]
    (task,) = wheel.tasks(client).values()
    again = {"task": task["id"], "model_version": FIRST, "result": task["predictions"][0]["result"]}
    client.post(f"/api/projects/{found['id']}/import/predictions", [again, again])
    assert wheel.push().removed == 2
    assert_everything_once(wheel, client)


def test_the_access_token_runs_out_in_mid_push(seven: Wheel, client: Client) -> None:
    def spoil(request: httpx.Request) -> None:
        request.headers["Authorization"] = "Bearer run.out.long-ago"

    faulty = Faulty(spoil, 2, picks=is_import)
    assert seven.push(client=connected(seven, faulty)).tasks_sent == 7
    assert_everything_once(seven, client)


def test_the_server_dies_in_mid_push(seven: Wheel, client: Client, real_server: RealServer) -> None:
    faulty = Faulty(lambda _: Timer(0.03, real_server.kill).start(), 2, picks=is_import)
    with pytest.raises(ServiceError, match="cannot be reached") as caught:
        seven.push(client=connected(seven, faulty))
    assert real_server.credentials.token not in str(caught.value)
    with pytest.raises(ServiceError, match="cannot be reached"):
        seven.pull()
    assert not seven.places.table.exists()
    assert not seven.places.corrections.exists()
    real_server.start()
    seven.push()
    assert_everything_once(seven, client)


def test_a_newer_model_adds_its_predictions_and_is_shown(seven: Wheel, client: Client) -> None:
    seven.push()
    before = seven.tasks(client)
    submit(client, before["image 0"], blobs(50))
    for number in range(7):
        seven.predict_again(f"image {number}", blobs(100 + number))
    left_out = seven.rows.pop()  # no longer in the queue, still on the server: gets the new prediction too
    seven.write_queue()
    done = seven.push(SECOND)
    seven.rows.append(left_out)
    assert (done.tasks_sent, done.predictions_sent) == (0, 7)
    assert_everything_once(seven, client, SECOND)
    after = seven.tasks(client)
    assert {name: task["id"] for name, task in after.items()} == {name: task["id"] for name, task in before.items()}
    assert len(after["image 0"]["annotations"]) == 1
    project = client.get("/api/projects/", title=f"segwheel: {seven.name}")["results"][0]
    assert client.get(f"/api/projects/{project['id']}/")["model_version"] == SECOND
    accept(client, after["image 1"])
    seven.pull()
    row = seven.correction("image 1")
    assert (row.model_version, row.iteration, row.pixels_changed) == (SECOND, 2, 0)
    assert np.array_equal(seven.mask("image 1"), blobs(101).astype(np.uint8))
    assert seven.correction("image 0").model_version == FIRST


def test_a_deleted_project_is_made_again(wheel: Wheel, client: Client) -> None:
    wheel.add_image("one", blobs(1))
    wheel.add_image("two", blobs(2))
    wheel.push()
    submit(client, wheel.tasks(client)["one"], blobs(3))
    wheel.pull()
    found = client.get("/api/projects/", title=f"segwheel: {wheel.name}")["results"][0]
    client.delete(f"/api/projects/{found['id']}/")
    table = wheel.places.table.read_bytes()
    with pytest.raises(ServiceError, match="no project"):
        wheel.pull()
    assert wheel.push().tasks_sent == 2
    wheel.pull()
    assert wheel.places.table.read_bytes() == table  # what a person did outlives the project
    assert np.array_equal(wheel.mask("one"), blobs(3).astype(np.uint8))


def test_a_server_elsewhere_gets_the_pictures_uploaded(wheel: Wheel, client: Client) -> None:
    elsewhere = replace(wheel, credentials=replace(wheel.credentials, pid=None))
    for number in range(2):
        elsewhere.add_image(f"image {number}", blobs(number))
    assert elsewhere.push().tasks_sent == 2
    requests = elsewhere.credentials.client()
    assert elsewhere.push(client=requests).tasks_sent == 0
    assert requests.requests < 10  # none of them an upload
    for task in elsewhere.tasks(client).values():
        assert task["data"]["image"].startswith("/data/upload/")
        accept(client, task)
    elsewhere.pull()
    assert np.array_equal(elsewhere.mask("image 1"), blobs(1).astype(np.uint8))


def test_status_counts_what_is_where(seven: Wheel, client: Client) -> None:
    seven.push()
    tasks = seven.tasks(client)
    submit(client, tasks["image 0"], blobs(1))
    seven.pull()
    submit(client, tasks["image 1"], blobs(1))
    submit(client, tasks["image 2"], [], was_cancelled=True)
    client.post(f"/api/tasks/{tasks['image 3']['id']}/drafts", {"result": [], "lead_time": 1.0})
    now = status(seven.places, client)
    assert (now.queued, now.unconfirmed) == (7, 0)
    assert (now.untouched, now.in_progress, now.returned, now.skipped) == (3, 1, 2, 1)
    assert (now.pulled, now.unpulled) == (1, 2)
    assert sum(now.annotators.values()) == 2


def test_nothing_is_sent_of_a_queue_that_cannot_be_used(wheel: Wheel, client: Client) -> None:
    with pytest.raises(MissingError, match="review queue"):
        wheel.push()
    wheel.add_image("same", blobs(1))
    wheel.add_image("same", blobs(2), folder="other")
    with pytest.raises(ManifestError, match=r"same twice .*raw/same.tif and .*other/same.tif"):
        wheel.push()
    wheel.rows.pop()
    wheel.write_queue()
    write_mask(wheel.places.data / "predictions" / "same_pred_mask.tif", np.zeros((3, 3), dtype=np.uint8))
    with pytest.raises(FormatError, match=r"48 x 64 pixels as .* found 3 x 3"):
        wheel.push()
    wheel.rows[0]["image_path"] = "../../etc/passwd"
    wheel.write_queue()
    with pytest.raises(ManifestError, match="paths of this repository"):
        wheel.push()
    assert client.get("/api/projects/", title=f"segwheel: {wheel.name}")["results"] == []
