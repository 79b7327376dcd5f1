"""`segwheel labels`: predictions to Label Studio for review, corrected masks back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from segwheel.integrations.label_studio.backend import Model
    from segwheel.integrations.label_studio.pull import Pulled
    from segwheel.params.images import PredictParams
    from segwheel.params.volumes import VolumePredictParams

    # Of a file, axis and index: the foreground's probability (y, x).
    Probability = Callable[[Path, str, int | None], npt.NDArray[np.float32]]

app = typer.Typer(no_args_is_help=True, help="Review predictions and correct them in Label Studio.")
server = typer.Typer(no_args_is_help=True, help="A local Label Studio server for this repository.")
app.add_typer(server, name="server")

Flywheel = Annotated[str, typer.Argument(help="Name of the flywheel in params.yaml.")]
PARAMS = Path("params.yaml")


@server.command()
def start(port: Annotated[int, typer.Option(help="Port on the loopback interface.")] = 8080) -> None:
    """Start the server, wait until it is healthy, and print its address and login."""
    from segwheel.integrations.label_studio import server as local

    root = Path.cwd()
    credentials = local.start(root, port=port, tell=typer.echo)
    typer.echo(f"Label Studio runs at {credentials.url}")
    typer.echo(f"log in as {local.USER}; the password is in {local.credentials_path(root).relative_to(root)}")


@server.command()
def stop() -> None:
    """Stop the server. Projects and annotations stay."""
    from segwheel.integrations.label_studio import server as local

    typer.echo("stopped" if local.stop(Path.cwd()) else "no server was running")


@app.command()
def project(flywheel: Flywheel) -> None:
    """Make the project and its labelling page, or bring the page up to date."""
    from segwheel.integrations.label_studio import project as projects
    from segwheel.integrations.label_studio.paths import Places
    from segwheel.integrations.label_studio.push import context
    from segwheel.integrations.label_studio.server import credentials
    from segwheel.integrations.label_studio.settings import read_settings
    from segwheel.integrations.label_studio.tasks import read_queue

    places, opened = Places(Path.cwd(), flywheel), credentials(Path.cwd())
    settings = read_settings(PARAMS, flywheel)
    rows = read_queue(places.queue, places.root) if places.queue.is_file() else []
    with opened.client() as client:
        made = projects.ensure(
            client, flywheel, settings.target, context=context(settings, rows), annotators=settings.annotators
        )
    typer.echo(f"{projects.title(flywheel)}: {opened.page(made.id)}")


@app.command()
def push(flywheel: Flywheel) -> None:
    """Send the review queue with its predictions. What is there already is not sent again."""
    from segwheel.integrations.label_studio import project as projects
    from segwheel.integrations.label_studio.paths import Places
    from segwheel.integrations.label_studio.push import pictures_for, predictions_version
    from segwheel.integrations.label_studio.push import push as send
    from segwheel.integrations.label_studio.server import credentials
    from segwheel.integrations.label_studio.settings import read_settings

    places, opened = Places(Path.cwd(), flywheel), credentials(Path.cwd())
    settings, version = read_settings(PARAMS, flywheel), predictions_version(places)
    with opened.client() as client:
        done = send(places, client, pictures_for(opened, client, places), settings, version, tell=typer.echo)
        found = projects.require(client, flywheel)
    typer.echo(f"{done.queued} tasks of {version}: {done.tasks_sent} sent, the others were there")
    if done.predictions_sent:
        typer.echo(f"{done.predictions_sent} predictions added to tasks that were there")
    if done.removed:
        typer.echo(f"{done.removed} duplicates removed")
    typer.echo(f"correct them at {opened.page(found.id)}, then: segwheel labels pull {flywheel}")


@app.command()
def pull(
    flywheel: Flywheel,
    commit: Annotated[bool, typer.Option("--commit", help="Make the git commit as well.")] = False,
) -> None:
    """Bring back what was corrected; `dvc repro` then trains on it."""
    from segwheel.errors import PartialError
    from segwheel.integrations import dvc
    from segwheel.integrations.label_studio.paths import Places
    from segwheel.integrations.label_studio.pull import pull as receive
    from segwheel.integrations.label_studio.server import credentials
    from segwheel.integrations.label_studio.settings import read_settings

    root = Path.cwd()
    places, opened, settings = Places(root, flywheel), credentials(root), read_settings(PARAMS, flywheel)

    def track(folders: Sequence[Path]) -> None:
        for folder in folders:
            dvc.add(root, folder.relative_to(root))

    with opened.client() as client:
        pulled = receive(places, client, settings, track=track)
    _report(pulled)
    names = ("corrections.csv", "corrections.dvc", "annotations.dvc", ".gitignore")
    paths = [path for name in names if (path := Path("data") / flywheel / name).exists()]
    message = f"{flywheel}: {len(pulled.made.written) or 'no new'} corrections from Label Studio"
    if commit:
        made = dvc.commit(root, paths, message)
        typer.echo(f"committed {made[:8]}" if made else "nothing to commit")
    elif pulled.made.written or pulled.made.removed:
        typer.echo(f'next: git add {" ".join(map(str, paths))} && git commit -m "{message}" && dvc repro')
    if problems := pulled.made.problems:
        for problem in problems.values():
            typer.echo(problem, err=True)
        typer.echo("put these right or delete them in Label Studio and pull again; all others were taken in", err=True)
        raise PartialError("taking in annotations", problems, pulled.tasks)


def _report(pulled: Pulled) -> None:
    made = pulled.made
    typer.echo(f"{pulled.revisions} new annotations or changes, {pulled.deleted} deleted")
    for row in made.written:
        cut = f" {row.axis} {row.index}" if row.axis else ""
        changed = "" if row.pixels_changed is None else f", {row.pixels_changed} pixels changed"
        typer.echo(f"{row.basename}{cut}: {row.outcome} by {row.annotator}{changed}")
    for row in made.removed:
        typer.echo(f"{row.basename}: no longer corrected")
    for name, dice in made.agreement.items():
        typer.echo(f"{name}: several annotators, mean Dice between them {dice:.3f}")
    for names, count in made.crossings.items():
        typer.echo(f"{names} cross and disagree in {count} voxels; the later one counts")


@app.command()
def status(flywheel: Flywheel) -> None:
    """Say what is queued, being corrected, returned and pulled, and who did it."""
    from rich.console import Console
    from rich.table import Table

    from segwheel.integrations.label_studio.paths import Places
    from segwheel.integrations.label_studio.server import credentials
    from segwheel.integrations.label_studio.status import status as ask

    with credentials(Path.cwd()).client() as client:
        now = ask(Places(Path.cwd(), flywheel), client)
    table = Table(title=f"{flywheel}: corrections", title_justify="left", show_header=False)
    rows = {
        "in the review queue": now.queued,
        "not confirmed by the server": now.unconfirmed,
        "waiting": now.untouched,
        "being corrected": now.in_progress,
        "returned": now.returned,
        "skipped": now.skipped,
        "annotations pulled": now.pulled,
        "annotations not pulled yet": now.unpulled,
    } | {f"returned by {name}": count for name, count in sorted(now.annotators.items())}
    for name, count in rows.items():
        table.add_row(name, str(count))
    Console().print(table)


@app.command()
def serve(
    flywheel: Flywheel,
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback need a secret.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 9090,
    checkpoint: Annotated[
        Path | None, typer.Option(help="The model.", show_default="models/FLYWHEEL/model.pth")
    ] = None,
    secret: Annotated[
        str, typer.Option(envvar="SEGWHEEL_LABELS_SECRET", help="Shared secret, better from the environment.")
    ] = "",
) -> None:
    """Serve the flywheel's model to the labelling page (ML backend protocol): predictions on demand."""
    from segwheel.integrations.label_studio.backend import serve as make

    root = Path.cwd()
    path = checkpoint or root / "models" / flywheel / "model.pth"
    backend = make(root, flywheel, _model(flywheel, path), host=host, port=port, secret=secret)
    typer.echo(f"predictions of {path} at http://{host}:{backend.server_port}; Ctrl-C ends")
    try:
        backend.serve_forever()
    finally:
        backend.server_close()


def _model(flywheel: str, checkpoint: Path) -> Model:
    from segwheel.integrations.label_studio.backend import Model
    from segwheel.integrations.label_studio.settings import read_settings
    from segwheel.params.flywheels import read_flywheel
    from segwheel.params.volumes import VolumeFlywheelParams

    params, target = read_flywheel(PARAMS, flywheel), read_settings(PARAMS, flywheel).target
    if isinstance(params, VolumeFlywheelParams):
        version, probability = _volume_model(checkpoint, params.predict)
    else:
        version, probability = _image_model(checkpoint, params.predict)
    return Model(version, target, lambda *place: probability(*place) >= params.predict.threshold)


def _image_model(checkpoint: Path, params: PredictParams) -> tuple[str, Probability]:
    from segwheel.formats.tiff import read_image
    from segwheel.learning.checkpoint import load_model
    from segwheel.learning.inference import predict_array

    model = load_model(checkpoint)
    return model.version, lambda path, _axis, _index: predict_array(model, read_image(path), params)


def _volume_model(checkpoint: Path, params: VolumePredictParams) -> tuple[str, Probability]:
    from segwheel.formats import volume
    from segwheel.learning.multitask_checkpoint import load_multitask
    from segwheel.learning.slice_inference import predict_slice

    model = load_multitask(checkpoint, refine=False)
    return model.version, lambda path, axis, index: predict_slice(model, volume.open(path), axis, index, params)
