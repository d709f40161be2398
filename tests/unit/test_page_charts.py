"""The colours of signs and of classes, as eyes see them, and what charts show of predictions and versions."""

import itertools

import numpy as np
import pandas as pd
import pytest

from streamlit_app.charts import SIGN_COLOURS
from streamlit_app.colours import CLASS_COLOURS, OTHER_COLOUR, class_scale
from streamlit_app.service import Json
from streamlit_app.time_charts import class_counts, classes_over_time, latencies
from streamlit_app.version_charts import scored_versions

LIGHT, DARK = "#ffffff", "#171614"  # Streamlit's pages
# Machado, Oliveira and Fernandes (2009): what eyes without one kind of cones see, of linear RGB
EYES = {
    "all cones": np.eye(3),
    "no red": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "no green": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "no blue": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}


def linear(color: str) -> np.ndarray:
    parts = np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    dark, light = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ linear(color)) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Where a colour lies in CIELAB: how light it is, between green and red, and between blue and yellow."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb.clip(0, 1)
    x, y, z = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def tint(rgb: np.ndarray) -> np.ndarray:
    """The same, without how light it is."""
    return lab(rgb)[1:]


def apart(one: str, other: str, eyes: str) -> float:
    return float(np.linalg.norm(tint(EYES[eyes] @ linear(one)) - tint(EYES[eyes] @ linear(other))))


@pytest.mark.parametrize("page", [LIGHT, DARK])
@pytest.mark.parametrize("sign", SIGN_COLOURS)
def test_each_stands_out_from_a_light_page_and_from_a_dark_one(sign: str, page: str) -> None:
    assert contrast(SIGN_COLOURS[sign], page) >= 3


@pytest.mark.parametrize("eyes", EYES)
def test_they_differ_in_hue_for_all_eyes(eyes: str) -> None:
    for one, other in itertools.combinations(SIGN_COLOURS.values(), 2):
        assert apart(one, other, eyes) > 60


def test_two_blues_would_not() -> None:
    assert apart("#0068c9", "#83c9ff", "all cones") < 60


@pytest.mark.parametrize("page", [LIGHT, DARK])
@pytest.mark.parametrize("colour", [*CLASS_COLOURS, OTHER_COLOUR])
def test_each_class_stands_out_from_a_light_page_and_from_a_dark_one(colour: str, page: str) -> None:
    assert contrast(colour, page) >= 3


@pytest.mark.parametrize("eyes", EYES)
def test_any_two_classes_differ_for_all_eyes_and_the_first_of_them_strongly(eyes: str) -> None:
    for place, colour in enumerate(CLASS_COLOURS):
        for other in CLASS_COLOURS[:place]:
            distance = np.linalg.norm(lab(EYES[eyes] @ linear(colour)) - lab(EYES[eyes] @ linear(other)))
            assert distance > (25 if place < 4 else 12), (colour, other)


def test_a_class_has_its_colour_by_its_place_in_the_contract_whatever_else_is_shown() -> None:
    scale = class_scale(["Low", "Medium", "High"], ["Burnt"]).to_dict()
    assert scale == {"domain": ["Low", "Medium", "High", "Burnt"], "range": [*CLASS_COLOURS[:3], OTHER_COLOUR]}
    many = class_scale([str(number) for number in range(20)]).to_dict()["range"]
    assert many[:8] == many[8:16] == list(CLASS_COLOURS)


def times(*seconds: float) -> "pd.Series[pd.Timestamp]":
    return pd.Series(pd.Timestamp("2026-11-29 12:00", tz="UTC") + pd.to_timedelta(seconds, unit="s"))


def test_predictions_are_counted_by_class_and_span_of_time() -> None:
    counts = class_counts(times(0, 0.2, 0.4, 59), pd.Series(["High", "Low", "Low", "Old"]))

    assert counts[["class", "predictions"]].to_numpy().tolist() == [["High", 1], ["Low", 2], ["Old", 1]]
    assert counts["share"].tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert set(counts["end"] - counts["start"]) == {pd.Timedelta(seconds=2)}
    chart = classes_over_time(counts, ["Low", "High"], share=False).to_dict()
    assert chart["encoding"]["color"]["scale"]["domain"] == ["Low", "High", "Old"]
    [rows] = chart["datasets"].values()
    assert [(row["class"], row["bottom"], row["top"]) for row in rows] == [("Low", 0, 2), ("High", 2, 3), ("Old", 0, 1)]


def test_a_single_prediction_is_a_chart_too() -> None:
    assert len(class_counts(times(1), pd.Series(["Low"]))) == 1


def test_only_messages_of_the_stream_have_a_latency() -> None:
    scored = times(1, 1, 1, 40)
    enqueued = times(0.9, 0.8, 0.5, 0).where(pd.Series([True, True, True, False]))

    found = latencies(enqueued, scored)

    assert found.set_index("quantile")["milliseconds"].to_dict() == pytest.approx({"p50": 200, "p95": 470}, abs=0.01)
    assert latencies(scored.where(pd.Series([False] * 4)), scored).empty


def test_versions_without_a_score_are_not_in_the_chart_and_the_others_say_which_serves() -> None:
    def version(number: str, score: float | None, *aliases: str) -> Json:
        standing = {"score": score, "low": 0.1, "high": 0.9}
        return {"version": number, "family": "knn", "aliases": list(aliases), "standing": standing}

    unscored: Json = {"version": "4", "family": "knn", "aliases": [], "standing": None}
    found = scored_versions([unscored, version("3", None), version("2", 0.5), version("1", 0.6, "champion", "knn")])

    assert found[["version", "state"]].to_numpy().tolist() == [["2: knn", "no alias"], ["1: knn (champion, knn)", "has an alias"]]
    assert scored_versions([unscored]).empty
