"""The report of one iteration: one HTML page that holds everything it shows and asks nothing of any network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO
from math import isfinite
from pathlib import Path

from PIL import Image

from segwheel.domain.scores import less_is_better
from segwheel.errors import FormatError, MissingError
from segwheel.formats.files import write_text

Row = Mapping[str, str]

PICTURE, THUMBNAIL = 1200, 480  # longest sides, pixels
QUEUE_SHOWN = 24  # pictures of the queue; more would make the page slow

# Nothing but what the page itself holds may be loaded, whatever a name in a table looks like.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_NONE = '<p class="none">none</p>'
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --strong: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --strong: #56b4e9; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.tiles, .grid { display: grid; gap: 1rem; }
.tiles { grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); }
.tile { background: var(--soft); border-radius: .5rem; padding: .6rem .9rem; }
.tile b { display: block; font-size: 1.5rem; color: var(--strong); font-variant-numeric: tabular-nums; }
.grid { grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); }
.small { grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); }
figure { margin: 0; } img { max-width: 100%; border: 1px solid var(--line); border-radius: .3rem; }
figcaption { font-size: .9rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
.number { text-align: right; } .none { opacity: .7; }
"""


def write_report(
    output: Path,
    *,
    title: str,
    metrics: Mapping[str, float],
    per_image: list[Row],
    pictures: list[Path],
    queue: list[Row],
) -> None:
    """Write the page to `output`, atomically; the same arguments give the same bytes.

    `metrics` are the iteration's own numbers, `per_image` the rows of its table, `pictures` curves and overlays whose
    file names become their captions. `queue` has the columns of review_queue.csv; a picture_path that is not empty
    is relative to the working directory.

    Raises MissingError and FormatError for a picture that is not there or cannot be read.
    """
    parts = [
        f"<h1>{escape(title)}</h1>",
        _section("Metrics", _tiles(metrics)),
        _section("Pictures", _grid([_figure(path, PICTURE, _caption(path)) for path in pictures])),
        _section("Images", _table(per_image)),
        _section(f"Review queue ({len(queue)})", _queue(queue)),
    ]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    )
    body = "\n".join(parts)
    write_text(output, f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n')


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>\n{content or _NONE}</section>"


def _tiles(metrics: Mapping[str, float]) -> str:
    tiles = (f'<div class="tile">{_heading(name)}<b>{_number(value)}</b></div>' for name, value in metrics.items())
    return _wrapped("tiles", tiles)


def _grid(figures: Iterable[str], kind: str = "grid") -> str:
    return _wrapped(kind, figures)


def _wrapped(kind: str, items: Iterable[str]) -> str:
    content = "\n".join(items)
    return f'<div class="{kind}">{content}</div>' if content else ""


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    columns = list(dict.fromkeys(name for row in rows for name in row if not name.endswith("_path")))
    numeric = {name for name in columns if all(_is_number(row.get(name, "")) for row in rows)}
    kind = {name: ' class="number"' if name in numeric else "" for name in columns}
    head = "".join(f"<th{kind[name]}>{_heading(name)}</th>" for name in columns)
    lines = [
        "<tr>" + "".join(f"<td{kind[name]}>{_cell(row.get(name, ''), name in numeric)}</td>" for name in columns)
        for row in rows
    ]
    return f'<div class="scroll"><table><tr>{head}</tr>\n' + "\n".join(lines) + "</table></div>"


def _heading(name: str) -> str:
    """The name of a column or a number; an arrow down says that less of it is better."""
    arrow = ' <span title="less is better">&darr;</span>' if less_is_better(name) else ""
    return escape(name) + arrow


def _cell(text: str, numeric: bool) -> str:
    return _number(float(text)) if numeric and text else escape(text)


def _is_number(text: str) -> bool:
    """Whether a cell is a number or empty."""
    try:
        float(text or "0")
    except ValueError:
        return False
    return True


def _number(value: float) -> str:
    """Four significant digits, whole numbers in full."""
    if not isfinite(value):
        return "&ndash;"
    return f"{value:.0f}" if value == round(value) else f"{value:.4g}"


def _queue(rows: Sequence[Row]) -> str:
    """The first rows with their pictures, and all rows as a table when there are more."""
    figures = [_queue_figure(row) for row in rows[:QUEUE_SHOWN]]
    rest = _table(rows) if len(rows) > QUEUE_SHOWN else ""
    return _grid(figures, "grid small") + rest


def _queue_figure(row: Row) -> str:
    cut = f" {row['axis']} {row['index']}" if row.get("axis") else ""
    score = row.get("score", "")
    words = (
        f"<b>{escape(row.get('rank', ''))} &middot; {escape(row['basename'] + cut)}</b><br>"
        f"{_cell(score, _is_number(score))} {escape(row.get('reason', ''))}"
    )
    picture = row.get("picture_path", "")
    return _figure(Path(picture), THUMBNAIL, words) if picture else f"<figure><figcaption>{words}</figcaption></figure>"


def _caption(path: Path) -> str:
    return escape(path.stem.replace("_", " "))


def _figure(path: Path, side: int, caption: str) -> str:
    """A picture of at most `side` pixels along each side; `caption` is HTML."""
    source = f'<img src="{_data_uri(path, side)}" alt="{_caption(path)}">'
    return f"<figure>{source}<figcaption>{caption}</figcaption></figure>"


def _data_uri(path: Path, side: int) -> str:
    """The picture as text; larger ones are reduced first. Raises MissingError and FormatError."""
    if not path.is_file():
        raise MissingError(path, what="picture")
    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise FormatError(path, expected="a picture such as PNG", found=str(error)) from error
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    data = BytesIO()
    small.save(data, format="PNG")
    return "data:image/png;base64," + b64encode(data.getvalue()).decode("ascii")
