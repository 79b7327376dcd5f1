"""The scores of test samples: what they are called, which way is better, their means, the best and worst samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

Row = Mapping[str, object]  # basename, group, and a number for each score; None where there is nothing to score


@dataclass(frozen=True)
class Score:
    """How people call a score, and whether more of it is better; an error is better when it is less."""

    words: str
    more_is_better: bool = True


IMAGES = {"dice": Score("Dice"), "iou": Score("IoU"), "object_f1": Score("object F1")}
VOLUMES = {
    "fault_dice": Score("fault Dice"),
    "tolerant_iou": Score("tolerant fault IoU"),
    "normal_error": Score("error of fault normals in degrees", more_is_better=False),
    "rgt_mae": Score("RGT error", more_is_better=False),
    "rgt_decreasing": Score("share where RGT decreases", more_is_better=False),
    "dhr_snr": Score("DHR signal to noise in dB"),
    "dhr_correlation": Score("DHR correlation"),
}
KNOWN = IMAGES | VOLUMES


def less_is_better(name: str) -> bool:
    """Whether a score, or the mean of one over a group (`<group>_<score>`), is an error."""
    found = [known for known in KNOWN if name == known or name.endswith(f"_{known}")]
    return bool(found) and not KNOWN[max(found, key=len)].more_is_better


def score_names(rows: Sequence[Row]) -> list[str]:
    """The scores that any of the rows has, in the order of their columns."""
    columns = dict.fromkeys(name for row in rows for name in row if name not in ("basename", "group"))
    return [name for name in columns if any(row.get(name) is not None for row in rows)]


def means(rows: Sequence[Row]) -> dict[str, float]:
    """Mean of each score over all samples and, where there are several groups with several samples, over each group.

    A sample counts where it has the score.
    """
    groups = sorted({str(row["group"]) for row in rows})
    members = {"": rows}
    if 1 < len(groups) < len(rows):
        members |= {f"{group}_": [row for row in rows if row["group"] == group] for group in groups}
    found = {}
    for prefix, chosen in members.items():
        for name in score_names(chosen):
            values = [_value(row, name) for row in chosen if row.get(name) is not None]
            found[f"{prefix}{name}"] = fsum(values) / len(values)
    return found


def extremes(rows: Sequence[Row], count: int) -> list[tuple[str, str]]:
    """Names of the `count` worst and best samples by the first score, each with `worst_1`, `best_1` and so on.

    No sample comes twice.
    """
    first = next(iter(score_names(rows)), "")
    scored = [row for row in rows if row.get(first) is not None]
    sign = -1 if less_is_better(first) else 1
    ordered = sorted(scored, key=lambda row: sign * _value(row, first))
    names = [str(row["basename"]) for row in ordered]
    worst, rest = names[:count], names[count:]
    best = rest[::-1][:count]
    return [(name, f"worst_{i}") for i, name in enumerate(worst, 1)] + [
        (name, f"best_{i}") for i, name in enumerate(best, 1)
    ]


def _value(row: Row, name: str) -> float:
    return float(str(row[name]))
