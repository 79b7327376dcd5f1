"""Predictions out and corrections back, on a real server."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from label_studio_faults import Faulty, die, in_child, killed_after, outcome
from label_studio_wheel import FAULT, FIRST, IMAGES, TARGET, VOLUMES, RealServer, Wheel, accept, blobs, submit
from PIL import Image

from segwheel.axes import Region
from segwheel.domain.corrections import Correction, write_corrections
from segwheel.domain.folders import Pair
from segwheel.domain.index import entry, write_index
from segwheel.domain.manifest import read_manifest
from segwheel.errors import FormatError, MissingError
from segwheel.formats.tiff import read_mask, write_mask
from segwheel.integrations import dvc
from segwheel.integrations.label_studio import labels, pull, server, tasks
from segwheel.integrations.label_studio.client import Client
from segwheel.integrations.label_studio.journal import Journal
from segwheel.integrations.label_studio.project import UNSURE
from segwheel.params.images import IngestParams
from segwheel.stages.ingest import ingest

pytestmark = pytest.mark.xdist_group("label_studio_pull")


SHAPE = (33, 47)  # no multiple of eight, and no square
ACCEPTED = {
    "random": np.random.default_rng(0).random(SHAPE) > 0.5,
    "empty": np.zeros(SHAPE, dtype=np.bool_),
    "full": np.ones(SHAPE, dtype=np.bool_),
    "one row": np.ones((1, 301), dtype=np.bool_),
    "Zürich ⟂ größe": blobs(1),
}
ALPHA = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


@pytest.fixture(scope="module")
def returned(real_server: RealServer) -> Wheel:
    """A flywheel whose images were accepted, edited, painted with soft edges and with `unsure`, or not looked at."""
    wheel = Wheel(real_server.root, "returned", real_server.credentials)
    for name, mask in ACCEPTED.items():
        wheel.add_image(name, mask)
    for name in ("edited", "unsure", "soft", "unseen"):
        wheel.add_image(name, blobs(1, SHAPE))
    done = wheel.push()
    assert (done.tasks_sent, done.predictions_sent) == (9, 0)
    with wheel.credentials.client() as client:
        tasks = wheel.tasks(client)
        for name in ACCEPTED:
            accept(client, tasks[name])
        submit(client, tasks["edited"], blobs(3, SHAPE))
        painted = labels.region(blobs(2, SHAPE), TARGET, "painted")
        submit(client, tasks["unsure"], [*painted, *labels.region(blobs(5, SHAPE), UNSURE, "unsure")])
        submit(client, tasks["soft"], [_soft_region()])
    pulled = wheel.pull()
    assert pulled.revisions == 8
    assert not pulled.made.problems
    return wheel


def _soft_region() -> dict[str, Any]:
    """A region with every alpha, as literal values."""
    bits = f"{ALPHA.size * 4:032b}{7:05b}" + "".join(f"{width - 1:04b}" for width in (3, 4, 8, 16))
    for value in ALPHA.ravel():
        bits += f"0{0:02b}{3:03b}" + f"{value:08b}" * 4
    bits += "0" * (-len(bits) % 8)
    (region,) = labels.region(blobs(1, SHAPE), TARGET, "soft")
    region["value"]["rle"] = list(int(bits, 2).to_bytes(len(bits) // 8, "big"))
    return dict(region)


@pytest.mark.parametrize("name", ACCEPTED)
def test_masks_come_back_bit_exact(returned: Wheel, name: str) -> None:
    assert np.array_equal(returned.mask(name), ACCEPTED[name].astype(np.uint8))
    row = returned.correction(name)
    assert (row.outcome, row.pixels_changed, row.model_version, row.iteration) == ("accepted", 0, FIRST, 1)
    assert row.lead_time_s == 12.5


def test_what_nobody_looked_at_stays_unlabelled(returned: Wheel) -> None:
    assert {row.basename for row in returned.corrections()} == {*ACCEPTED, "edited", "unsure", "soft"}
    assert not (returned.places.corrections / "unseen_mask.tif").exists()


def test_what_was_changed_is_counted(returned: Wheel) -> None:
    row = returned.correction("edited")
    assert (row.outcome, row.pixels_changed) == ("edited", int((blobs(1, SHAPE) ^ blobs(3, SHAPE)).sum()))


def test_unsure_is_unlabelled(returned: Wheel) -> None:
    assert np.array_equal(returned.mask("unsure"), np.where(blobs(5, SHAPE), 255, blobs(2, SHAPE)))


def test_soft_edges_are_cut_at_half(returned: Wheel) -> None:
    assert np.array_equal(returned.mask("soft"), (ALPHA >= 128).astype(np.uint8))


def test_the_journal_says_what_happened(returned: Wheel) -> None:
    (key,) = [record.key for record in Journal(returned.places.journal).records() if record.data["title"] == "edited"]
    (path,) = (returned.places.journal / key).glob("annotation-*.json")
    content = json.loads(path.read_text())
    assert content["model_version"] == FIRST
    assert content["annotator"] == server.USER
    assert content["changed"]["outcome"] == "edited"
    assert content["lead_time"] == 12.5


def one(wheel: Wheel, client: Client) -> dict[str, object]:
    """A pushed flywheel of one image, and its task."""
    wheel.add_image("one", blobs(1))
    wheel.push()
    return wheel.tasks(client)["one"]


def test_every_revision_is_kept_and_the_last_counts(wheel: Wheel, client: Client) -> None:
    task = one(wheel, client)
    annotation = submit(client, task, blobs(2))
    wheel.pull()
    for seed in (3, 4):
        client.patch(f"/api/annotations/{annotation}/", {"result": labels.region(blobs(seed), TARGET, "again")})
        assert wheel.pull().revisions == 1
        assert np.array_equal(wheel.mask("one"), blobs(seed).astype(np.uint8))
    (record,) = Journal(wheel.places.journal).records()
    kept = sorted(record.revisions, key=lambda revision: revision.time)
    shape = blobs(1).shape
    for revision, seed in zip(kept, (2, 3, 4), strict=True):
        assert np.array_equal(labels.label_of(revision.result, shape, TARGET, ""), blobs(seed).astype(np.uint8))


def test_a_deleted_annotation_takes_its_label_along_and_stays_in_the_journal(wheel: Wheel, client: Client) -> None:
    task = one(wheel, client)
    first = submit(client, task, blobs(2))
    second = submit(client, task, blobs(3))
    wheel.pull()
    client.delete(f"/api/annotations/{second}/")
    assert wheel.pull().deleted == 1
    assert np.array_equal(wheel.mask("one"), blobs(2).astype(np.uint8))  # what the other annotation says
    client.delete(f"/api/annotations/{first}/")
    pulled = wheel.pull()
    assert [row.basename for row in pulled.made.removed] == ["one"]
    assert wheel.corrections() == []
    assert not (wheel.places.corrections / "one_mask.tif").exists()
    (record,) = Journal(wheel.places.journal).records()
    assert len(record.revisions) == 2


def test_a_skipped_task_is_not_labelled(wheel: Wheel, client: Client) -> None:
    task = one(wheel, client)
    annotation = submit(client, task, blobs(2), was_cancelled=True)
    assert wheel.pull().revisions == 1
    assert wheel.corrections() == []
    client.patch(f"/api/annotations/{annotation}/", {"was_cancelled": False})
    wheel.pull()
    assert np.array_equal(wheel.mask("one"), blobs(2).astype(np.uint8))
    client.patch(f"/api/annotations/{annotation}/", {"was_cancelled": True})
    wheel.pull()
    assert wheel.corrections() == []


def test_two_annotators(wheel: Wheel, client: Client) -> None:
    task = one(wheel, client)
    people = [_another_user(client, f"{wheel.name}-{number}@example.com") for number in range(2)]
    masks = [blobs(seed) for seed in (2, 3, 4)]
    for mask, user in zip(masks, (None, *people), strict=True):
        submit(client, task, mask, user=user)
    pulled = wheel.pull()
    assert np.array_equal(wheel.mask("one"), masks[-1].astype(np.uint8))
    assert wheel.correction("one").annotator == f"{wheel.name}-1@example.com"
    pairs = [(masks[i], masks[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    dice = np.mean([2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in pairs])
    assert pulled.made.agreement == {"one": pytest.approx(dice)}
    wheel.pull(rule="majority")
    assert np.array_equal(wheel.mask("one"), (np.sum(masks, axis=0) >= 2).astype(np.uint8))
    assert len(wheel.correction("one").annotator.split()) == 3
    tie = labels.majority([mask.astype(np.uint8) for mask in masks[:2]])
    assert np.array_equal(tie, np.where(masks[0] == masks[1], masks[0], 255))


def _another_user(client: Client, email: str) -> int:
    return int(client.post("/api/users/", {"email": email, "username": email, "password": "Pass-w0rd-of-a-test"})["id"])


def test_annotations_that_cannot_be_used_are_named_and_the_others_come(wheel: Wheel, client: Client) -> None:
    names = ["bomb", "cut short", "wrong size", "wrong label", "no brush", "good"]
    for name in names:
        wheel.add_image(name, blobs(1))
    wheel.push()
    there = wheel.tasks(client)
    whole = labels.region(blobs(2), TARGET, "r")[0]
    value, rle = whole["value"], whole["value"]["rle"]
    bad = {
        "bomb": {**whole, "value": {**value, "rle": [127, 255, 255, 255, *rle[4:]]}},
        "cut short": {**whole, "value": {**value, "rle": rle[: len(rle) // 2]}},
        "wrong size": labels.region(np.ones((5, 5), dtype=np.bool_), TARGET, "r")[0],
        "wrong label": {**whole, "value": {**value, "brushlabels": ["cat"]}},
        "no brush": {"id": "x", "type": "choices", "from_name": "c", "to_name": "image", "value": {"choices": ["a"]}},
    }
    annotations = {name: submit(client, there[name], [region]) for name, region in bad.items()}
    submit(client, there["good"], blobs(2))
    pulled = wheel.pull()
    assert pulled.made.problems.keys() == bad.keys()
    assert "12288 values" in pulled.made.problems["bomb"]
    assert "25 values" not in pulled.made.problems["wrong size"]
    assert "5 x 5" in pulled.made.problems["wrong size"]
    assert [row.basename for row in wheel.corrections()] == ["good"]
    assert pulled.revisions == 6  # in the journal all the same
    assert wheel.pull().made.problems.keys() == bad.keys()  # said until it is put right
    client.delete(f"/api/annotations/{annotations['bomb']}/")
    submit(client, there["bomb"], blobs(3))
    assert "bomb" not in wheel.pull().made.problems
    assert np.array_equal(wheel.mask("bomb"), blobs(3).astype(np.uint8))


def test_nothing_new_changes_nothing_and_asks_little(wheel: Wheel, client: Client) -> None:
    submit(client, one(wheel, client), blobs(2))
    tracked: list[Sequence[Path]] = []
    with wheel.credentials.client() as connected:
        pull.pull(wheel.places, connected, IMAGES, track=tracked.append)
        assert tracked == [[wheel.places.journal, wheel.places.corrections]]
        files = {path: path.stat().st_mtime_ns for path in wheel.places.data.rglob("*") if path.is_file()}
        before = connected.requests
        pulled = pull.pull(wheel.places, connected, IMAGES, track=tracked.append)
        assert connected.requests == before + 3  # project, number of annotations, what changed
    assert (pulled.revisions, pulled.deleted, len(tracked)) == (0, 0, 1)
    wheel.places.state.unlink()  # its own notes only save work
    wheel.places.plan.unlink()
    assert wheel.pull().revisions == 0
    assert {path: path.stat().st_mtime_ns for path in wheel.places.data.rglob("*") if path.is_file()} == files


def test_killed_anywhere_a_later_pull_completes(wheel: Wheel, client: Client) -> None:
    for number in range(2):
        wheel.add_image(f"image {number}", blobs(number))
    wheel.push()
    for number, task in enumerate(wheel.tasks(client).values()):
        submit(client, task, blobs(10 + number))
    # Each request (project, count, changed tasks, results, users, what is there), then each file that is put in place.
    for at in range(2, 8):
        faulty = Faulty(die, at, after=bool(at % 2))
        transport = Client(wheel.credentials.url, wheel.credentials.token, transport=faulty)
        assert outcome(in_child(partial(wheel.pull, client=transport))) == -9
    for path in (wheel.places.state, wheel.places.table, *wheel.places.corrections.glob("*")):
        path.unlink(missing_ok=True)
    next(wheel.places.journal.glob("*/annotation-*.json")).unlink()  # as if it had not come yet
    deaths = 0
    while (code := outcome(in_child(lambda: _pull_and_die_at_a_file(wheel)))) == -9:
        deaths += 1  # each gets one file further: the annotation, two masks, the table, the notes
    assert (code, deaths) == (0, 5)
    for number in range(2):
        assert np.array_equal(wheel.mask(f"image {number}"), blobs(10 + number).astype(np.uint8))
    assert len(wheel.corrections()) == 2
    assert len(list(wheel.places.journal.glob("*/annotation-*.json"))) == 2


def test_killed_at_any_moment_a_later_pull_completes(wheel: Wheel, client: Client, repository: Path) -> None:
    """With real DVC: its `add` outlives the pull that started it, as its session is its own."""
    for number in range(6):
        wheel.add_image(f"image {number}", blobs(number))
    wheel.push()
    for number, task in enumerate(wheel.tasks(client).values()):
        submit(client, task, blobs(10 + number))
    data = wheel.moved(repository)
    for seconds in (*np.random.default_rng().uniform(0.05, 1.5, 3), 60.0):
        code = killed_after(lambda: data.pull(track=True), float(seconds))
    assert code == 0
    for number in range(6):
        assert np.array_equal(data.mask(f"image {number}"), blobs(10 + number).astype(np.uint8))
    assert len(list(data.places.journal.glob("*/annotation-*.json"))) == 6
    assert dvc.output_hash(repository, data.places.corrections.relative_to(repository)) is not None
    dvc.require_complete(repository, data.places.journal)


def _pull_and_die_at_a_file(wheel: Wheel) -> None:
    """Pull; die when the first file was put in its place."""
    replace = os.replace

    def deadly(source: Path, target: Path) -> None:
        replace(source, target)
        os.kill(os.getpid(), signal.SIGKILL)

    os.replace = deadly  # type: ignore[assignment]
    wheel.pull()


def test_an_edit_while_pages_are_read_is_not_lost(
    wheel: Wheel, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "_PAGE", 1)
    monkeypatch.setattr(pull, "_OVERLAP", timedelta(0))
    for name in ("first", "last"):
        wheel.add_image(name, blobs(1))
    wheel.push()
    there = wheel.tasks(client)
    ids = {name: submit(client, there[name], blobs(2)) for name in ("first", "last")}
    time.sleep(1.0)  # the server tells its time in whole seconds

    def edit(_: httpx.Request) -> None:
        for name, seed in (("first", 7), ("last", 8)):
            client.patch(f"/api/annotations/{ids[name]}/", {"result": labels.region(blobs(seed), TARGET, "again")})

    faulty = Faulty(edit, picks=lambda request: request.url.params.get("page") == "2")
    wheel.pull(client=Client(wheel.credentials.url, wheel.credentials.token, transport=faulty))
    assert np.array_equal(wheel.mask("first"), blobs(2).astype(np.uint8))  # as it was when its page was read
    wheel.pull()
    assert np.array_equal(wheel.mask("first"), blobs(7).astype(np.uint8))


def test_a_journal_that_was_set_back_is_filled_again(wheel: Wheel, client: Client) -> None:
    submit(client, one(wheel, client), blobs(2))
    wheel.pull()
    (path,) = wheel.places.journal.glob("*/annotation-*.json")
    path.unlink()  # as when an earlier commit is checked out
    wheel.places.table.unlink()
    assert wheel.pull().revisions == 1
    assert np.array_equal(wheel.mask("one"), blobs(2).astype(np.uint8))
    wheel.places.table.unlink()
    wheel.pull()
    assert wheel.correction("one").outcome == "edited"


def test_where_files_of_dvc_are_missing_nothing_is_forgotten(wheel: Wheel, client: Client) -> None:
    submit(client, one(wheel, client), blobs(2))
    wheel.pull()
    pointer = wheel.places.journal.with_name("annotations.dvc")
    pointer.write_text("outs:\n- md5: 0123.dir\n  nfiles: 9\n  path: annotations\n")
    for action in (wheel.pull, wheel.push):
        with pytest.raises(MissingError, match=r"all of its 9 files \(3 are here\); `dvc pull .*annotations\.dvc`"):
            action()
    pointer.unlink()
    rows = wheel.corrections()
    other = replace(rows[0], basename="other", mask_path="corrections/other_mask.tif", corrected_at="2999-01-01T00:00Z")
    write_corrections(wheel.places.table, [*rows, other])
    with pytest.raises(MissingError, match=r"other_mask\.tif: no such corrected mask; `dvc pull"):
        wheel.pull()


def test_pulls_at_once_agree(wheel: Wheel, client: Client) -> None:
    submit(client, one(wheel, client), blobs(2))
    children = [in_child(wheel.pull) for _ in range(3)]
    assert [outcome(child) for child in children] == [0, 0, 0]
    assert np.array_equal(wheel.mask("one"), blobs(2).astype(np.uint8))
    assert len(list(wheel.places.journal.glob("*/annotation-*.json"))) == 1


def test_a_later_correction_that_came_another_way_stays(wheel: Wheel, client: Client) -> None:
    task = one(wheel, client)
    submit(client, task, blobs(2))
    other = Correction(
        "one", "", None, "corrections/one_mask.tif", "0" * 32, "me", "2999-01-01T00:00:00+00:00", None, "edited", "",
        None, 1,
    )  # fmt: skip
    write_corrections(wheel.places.table, [other])
    write_mask(wheel.places.data / other.mask_path, blobs(3).astype(np.uint8))
    wheel.pull()
    assert wheel.corrections() == [other]
    assert np.array_equal(wheel.mask("one"), blobs(3).astype(np.uint8))


def cubes(wheel: Wheel) -> Wheel:
    """The same wheel for volumes."""
    return replace(wheel, settings=VOLUMES)


def test_slices_become_sparse_labels(wheel: Wheel, client: Client) -> None:
    seismic, shape = cubes(wheel), (20, 28, 24)  # depth, inline, crossline
    image = np.random.default_rng(0).normal(size=shape)
    image[:, 27] = np.nan  # a dead inline
    probability = np.random.default_rng(1).random(shape)
    predicted = (probability >= VOLUMES.threshold) & np.isfinite(image)
    seismic.add_volume("cube", image, np.where(np.isfinite(image), probability, np.nan))
    for axis, index in (("inline", 5), ("crossline", 7), ("depth", 0)):
        seismic.add_slice("cube", axis, index)
    seismic.push()
    there = seismic.tasks(client)
    assert there.keys() == {"cube inline 5", "cube crossline 7", "cube depth 0"}
    shown = there["cube inline 5"]["data"]
    assert (shown["before_title"], shown["after_title"]) == ("inline 3", "inline 7")
    assert there["cube depth 0"]["data"]["before_title"] == "depth 0"  # there is nothing above
    assert len({shown["image"], shown["before"], shown["after"]}) == 3
    accept(client, there["cube inline 5"])
    accept(client, there["cube depth 0"])
    edited = ~predicted[:, :, 7]
    submit(client, there["cube crossline 7"], edited, target=FAULT)
    pulled = seismic.pull()
    assert not pulled.made.problems
    names = [(row.axis, row.index, row.outcome) for row in seismic.corrections()]
    assert names == [("crossline", 7, "edited"), ("depth", 0, "accepted"), ("inline", 5, "accepted")]
    assert np.array_equal(seismic.mask("cube_crossline_7"), edited.astype(np.uint8))
    inline = predicted[:, 5].copy()
    inline[:, 7] = edited[:, 5]  # the crossing line: the later one has its say
    assert np.array_equal(seismic.mask("cube_inline_5"), inline)
    disagreed = {"cube: inline 5 and crossline 7": 20, "cube: depth 0 and crossline 7": 28}
    assert pulled.made.crossings == disagreed


def test_a_section_is_one_task(wheel: Wheel, client: Client) -> None:
    seismic, probability = cubes(wheel), np.random.default_rng(1).random((31, 43))
    seismic.add_volume("line", np.random.default_rng(0).normal(size=(31, 43)), probability)
    seismic.add_slice("line", "", "")
    seismic.push()
    accept(client, seismic.tasks(client)["line"])
    seismic.pull()
    assert np.array_equal(seismic.mask("line"), probability.astype(np.float32) >= np.float32(VOLUMES.threshold))


def test_the_display_window_is_that_of_the_slice(wheel: Wheel, client: Client) -> None:
    image = np.broadcast_to(np.arange(12, dtype=np.float32)[:, None], (6, 12, 9)).copy()
    image[:, :, 0], image[:, :, 1] = np.nan, image[:, :, 1] * 1000
    seismic = cubes(wheel)
    seismic.add_volume("cube", image, np.zeros(image.shape))
    seismic.add_slice("cube", "crossline", 4)
    seismic.push()
    (task,) = seismic.tasks(client).values()
    low, high = task["data"]["window"]
    assert 0 <= low < 1
    assert 10 < high <= 11
    picture = Image.open(io.BytesIO(seismic.picture(client, task["data"]["image"])))
    assert (picture.mode, picture.size) == ("L", (12, 6))
    assert picture.getextrema() == (0, 255)


def test_an_image_too_large_for_the_page_is_cut_and_joined(
    wheel: Wheel, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "MAX_PIXELS", 40 * 40)
    predicted = blobs(1, (50, 75))
    wheel.add_image("large", predicted)
    assert wheel.push().queued == 4
    there = wheel.tasks(client)
    corner = next(name for name in there if name.endswith("part 25,37"))
    accept(client, there[corner])
    wheel.pull()
    expected = np.full((50, 75), 255, dtype=np.uint8)
    expected[25:, 37:] = predicted[25:, 37:]
    assert np.array_equal(wheel.mask("large"), expected)
    for name in there.keys() - {corner}:
        accept(client, there[name])
    wheel.pull()
    assert np.array_equal(wheel.mask("large"), predicted.astype(np.uint8))
    assert wheel.correction("large").lead_time_s == 4 * 12.5


def test_parts_cover_a_plane_once() -> None:
    for shape in ((1, 1), (100, 3), (8192, 8192), (9000, 20000)):
        covered = 0
        found = tasks.parts(shape, 2**26)
        for part in found:
            assert part.size < 2**26
            assert part.intersection(Region.whole(shape)) == part
            covered += part.size
        assert covered == shape[0] * shape[1]
        assert all(a.intersection(b).size == 0 for i, a in enumerate(found) for b in found[:i])


def test_a_queue_is_read_with_its_volumes(wheel: Wheel) -> None:
    wheel.add_volume("cube", np.zeros((4, 6, 5)), np.zeros((4, 6, 5)))
    wheel.add_slice("cube", "inline", 9)
    (row,) = tasks.read_queue(wheel.places.queue, wheel.root)
    with pytest.raises(FormatError, match="inline 0 to 5, found index 9"):
        list(tasks.make_tasks(wheel.name, row, wheel.places.pictures))


def test_what_came_back_is_trained_on(wheel: Wheel, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(wheel.root)
    wheel.add_image("one", blobs(1))
    wheel.add_image("two", blobs(2))
    wheel.push()
    submit(client, wheel.tasks(client)["one"], blobs(3))
    wheel.pull()
    folder = wheel.places.data
    pairs = [Pair(name, folder / "raw" / f"{name}.tif", group=name, split="pool") for name in ("one", "two")]
    write_index(folder / "index.csv", [entry(pair, folder) for pair in pairs])
    manifest = folder / "manifest" / "all.csv"
    tables = (folder / "index.csv", wheel.places.table, folder / "samples", manifest, manifest.with_name("qc.csv"))
    ingest(*tables, IngestParams(generate=None))
    samples = {sample.basename: sample for sample in read_manifest(manifest)}
    assert (samples["one"].split, samples["two"].split) == ("train", "pool")
    assert np.array_equal(read_mask(samples["one"].targets["mask"]), blobs(3).astype(np.uint8))
    assert "mask" not in samples["two"].targets
