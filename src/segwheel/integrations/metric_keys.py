"""Names of metrics and parameters as MLflow stores them.

MLflow accepts slashes, letters, digits, underscores, full stops, dashes, spaces and colons, at most 250 characters,
and no name that would be another path when normalised. Everything else in a name, such as an odd character of an
image's file name, is written as `:` and two hexadecimal digits per UTF-8 byte, as in a URL with another sign. No two
names share a key: the colon itself is escaped too, and a name that is too long ends in `::` and its digest.
"""

from __future__ import annotations

import hashlib
import re

LONGEST = 250  # characters of a key in MLflow
_UNSAFE = re.compile(
    r"[^/\w.\- ]"  # a character that MLflow refuses, or our own escape sign
    r"|\A/|(?<=/)/|/\Z"  # a slash beside an empty part
    r"|(?:(?<=/)|\A)\.{1,2}(?=/|\Z)"  # a part that is `.` or `..`
)
_ESCAPED = re.compile(r"(?::[0-9a-f]{2})+")
_CUT = "::"  # never made by escaping


def metric_key(name: str) -> str:
    """The key under which MLflow keeps `name` (not empty). Ordinary names are their own key; no two names share one."""
    key = _UNSAFE.sub(_escape, name)
    if len(key) <= LONGEST:
        return key
    digest = hashlib.md5(name.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    # The last part says what was measured, so it stays readable.
    head, _, last = key.rpartition("/")
    ending = f"{_CUT}{digest}/{last}" if head and len(last) < LONGEST // 4 else f"{_CUT}{digest}"
    return key[: LONGEST - len(ending)] + ending


def metric_name(key: str) -> str:
    """The name that `metric_key` made `key` from; of a name that was too long, the key itself."""
    return key if _CUT in key else _ESCAPED.sub(_unescape, key)


def _escape(match: re.Match[str]) -> str:
    return "".join(f":{byte:02x}" for byte in match.group().encode("utf-8", "surrogatepass"))


def _unescape(match: re.Match[str]) -> str:
    return bytes.fromhex(match.group().replace(":", "")).decode("utf-8", "surrogatepass")
