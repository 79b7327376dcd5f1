from __future__ import annotations

import posixpath
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from segwheel.integrations.metric_keys import LONGEST, metric_key, metric_name

names = st.text(min_size=1, max_size=40) | st.text(alphabet="/.:aé 2f", min_size=1, max_size=12)


@pytest.mark.parametrize("name", ["test_dice", "image/well A-1_s02.5/object_f1", "seconds/train", "image/Zelle_ä/dice"])
def test_an_ordinary_name_is_its_own_key(name: str) -> None:
    assert metric_key(name) == name


@given(names)
@example("a//b")
@example("../x")
@example("x/./y/")
@example("/")
@example("a\n")
@example("\ud800")
def test_every_key_is_one_that_mlflow_takes_and_says_its_name(name: str) -> None:
    key = metric_key(name)
    assert re.fullmatch(r"[/\w.\- :]+", key)
    assert posixpath.normpath(key) == key
    assert not key.startswith(("/", "../"))
    assert key not in (".", "..")
    if len(key) < LONGEST:
        assert metric_name(key) == name


@given(names, names)
@example("a:2f", "a/")
@example("é", "e\u0301")
def test_two_names_have_two_keys(one: str, other: str) -> None:
    assert (metric_key(one) == metric_key(other)) == (one == other)


def test_long_names_stay_apart_and_say_what_was_measured() -> None:
    names = [f"image/{'µ#' * 200}{number}/dice" for number in range(3)]
    keys = {metric_key(name) for name in names}
    assert len(keys) == 3
    assert all(len(key) == LONGEST and key.endswith("/dice") for key in keys)
    assert len(metric_key("#" * 300)) == LONGEST
