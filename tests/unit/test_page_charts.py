"""The two colours that say for and against, as eyes see them."""

import itertools

import numpy as np
import pytest

from streamlit_app.charts import SIGN_COLOURS

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


def tint(rgb: np.ndarray) -> np.ndarray:
    """Where a colour lies in CIELAB between green and red, and between blue and yellow; not how light it is."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb.clip(0, 1)
    x, y, z = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    return np.array([500 * (x - y), 200 * (y - z)])


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
