"""The commands: `segwheel VERB`, and the same functions under the names of the method's own scripts."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import Any

import typer

from segwheel.cli.compare import compare
from segwheel.cli.convert import convert, export
from segwheel.cli.correct import correct
from segwheel.cli.experiments import run_cv, sanity_check, train_config
from segwheel.cli.import_checkpoint import import_checkpoint
from segwheel.cli.import_data import import_data
from segwheel.cli.intake import make_splits, validate_dataset
from segwheel.cli.labels import app as labels
from segwheel.cli.predict_full import predict_full
from segwheel.cli.predict_volume import predict_volume
from segwheel.cli.quantify import extract_metrics, quantify_objects
from segwheel.cli.refine import refine
from segwheel.cli.report import report
from segwheel.cli.review import review_predictions
from segwheel.cli.setup import setup
from segwheel.cli.show import show
from segwheel.cli.synth_cells import synth_cells
from segwheel.cli.synth_seismic import synth_seismic
from segwheel.cli.wheel import evaluate, ingest, patches, predict, quantify, select, split, train
from segwheel.errors import SegwheelError

FLYWHEEL, STAGES, ALONE = "Turn the wheel", "Stages of dvc.yaml", "Single steps, without a repository"
VOLUMES = "Seismic volumes"

app = typer.Typer(
    name="segwheel", no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"max_content_width": 120}
)
synth = typer.Typer(no_args_is_help=True, help="Generate samples with known truth.")

PANELS: dict[str, list[Callable[..., None]]] = {
    FLYWHEEL: [correct, compare, report, setup],
    STAGES: [ingest, split, patches, train, evaluate, predict, quantify, select],
    ALONE: [
        *(validate_dataset, make_splits, predict_full, quantify_objects, extract_metrics),
        *(run_cv, sanity_check, review_predictions, train_config),
    ],
    VOLUMES: [convert, export, refine, show],
}
for panel, verbs in PANELS.items():
    for verb in verbs:
        app.command(verb.__name__, rich_help_panel=panel)(verb)
app.command("import", rich_help_panel=FLYWHEEL)(import_data)
app.command("predict-volume", rich_help_panel=VOLUMES)(predict_volume)
app.command("import-checkpoint", rich_help_panel=VOLUMES)(import_checkpoint)
synth.command("cells")(synth_cells)
synth.command("seismic")(synth_seismic)
app.add_typer(synth, name="synth", rich_help_panel=FLYWHEEL)
app.add_typer(labels, name="labels", rich_help_panel=FLYWHEEL)


# What the place that a user named can be: full, forbidden, or no folder.
USERS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.EACCES, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
)


def guarded(call: Callable[[], Any]) -> None:
    """Run a command; what a user can cause ends as one line on standard error and exit code 1."""
    try:
        call()
    except SegwheelError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in USERS:
            raise
        _fail(f"{error.filename or 'writing'}: {error.strerror}")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None


def _fail(message: str) -> None:
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    raise SystemExit(1)


def main() -> None:
    """`segwheel`."""
    guarded(app)


def script(verb: Callable[..., None]) -> Callable[[], None]:
    """One verb as a program of its own."""

    def run() -> None:
        alone = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        alone.command()(verb)
        guarded(alone)

    return run


run_validate_dataset = script(validate_dataset)
run_make_splits = script(make_splits)
run_train = script(train_config)
run_predict_full = script(predict_full)
run_quantify_objects = script(quantify_objects)
run_extract_metrics = script(extract_metrics)
run_run_cv = script(run_cv)
run_sanity_check = script(sanity_check)
run_review_predictions = script(review_predictions)
