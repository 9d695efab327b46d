import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cortexmg.sheet import Sheet

sizes = st.floats(10.0, 5000.0)


@settings(deadline=None, max_examples=50)
@given(width=sizes, height=sizes, n=st.integers(1, 400), periodic=st.booleans())
def test_every_cell_is_nearest_to_its_own_place(width, height, n, periodic):
    sheet = Sheet(width, height, periodic)
    positions = sheet.positions(n)
    assert positions.shape == (n, 2) and positions.dtype == np.float32
    assert np.all((positions > 0) & (positions < [width, height]))
    np.testing.assert_array_equal(sheet.nearest(positions, n), np.arange(n))


def test_lattice_has_the_proportions_of_the_sheet():
    assert Sheet(2000.0, 500.0).lattice(400) == (40, 10)
    assert Sheet(500.0, 2000.0).lattice(400) == (10, 40)
    np.testing.assert_allclose(Sheet(200.0, 100.0).positions(2), [[50, 50], [150, 50]])


def test_distance_is_the_shortest_image():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, [300, 200], (2, 500, 2))
    shifts = [[x, y] for x in (-300, 0, 300) for y in (-200, 0, 200)]
    images = np.stack([np.linalg.norm(a - b + shift, axis=1) for shift in shifts])
    np.testing.assert_allclose(Sheet(300.0, 200.0, True).distance(a, b), images.min(axis=0))
    np.testing.assert_allclose(Sheet(300.0, 200.0).distance(a, b), np.linalg.norm(a - b, axis=1))


def test_nearest_is_brute_force_nearest():
    rng = np.random.default_rng(1)
    points = rng.uniform(0, [300, 200], (500, 2))
    for n in (150, 149):  # the second leaves an empty site
        cell = Sheet(300.0, 200.0).nearest(points, n)
        every = np.linalg.norm(points[:, None] - Sheet(300.0, 200.0).positions(n), axis=2)
        found = cell >= 0
        np.testing.assert_array_equal(cell[found], every.argmin(axis=1)[found])
        assert np.all(found) == (n == 150)


def test_beyond_an_edge_there_is_nothing_or_the_other_side():
    points = np.array([[-5.0, 50.0], [205.0, 50.0], [105.0, -5.0], [105.0, 105.0]])
    np.testing.assert_array_equal(Sheet(200.0, 100.0).nearest(points, 200), [-1] * 4)
    wrapped = points % [200.0, 100.0]
    torus = Sheet(200.0, 100.0, True)
    np.testing.assert_array_equal(torus.nearest(points, 200), torus.nearest(wrapped, 200))
    assert np.all(torus.nearest(points, 200) >= 0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0.0, 100.0), "Sheet.width must be above 0 um, got 0"),
        ((100.0, -1.0), "Sheet.height must be above 0 um, got -1"),
        ((np.nan, 100.0), "Sheet.width must be finite"),
    ],
)
def test_sizes_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        Sheet(*arguments)


def test_other_errors():
    with pytest.raises(TypeError, match="periodic"):
        Sheet(100.0, 100.0, "yes")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="at least 1 cell, got n = 0"):
        Sheet(100.0, 100.0).positions(0)
