"""Figures: what they show, that nothing is cut off, and that they leave no trace."""

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cortexmg import drawing, plots
from cortexmg.spike_trains import checked_trains


def trains(n, k, stop=1000.0, seed=0):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0.0, stop, k))
    return checked_trains(rng.integers(0, n, k), times, n=n, start=0.0, stop=stop)


def network(e=800, i=200, stop=1000.0):
    return {"E": trains(e, 5 * e, stop), "I": trains(i, 10 * i, stop, seed=1)}


MG = [0.0, 0.01, 0.1, 0.3, 1.0, 3.0]
RATES = {"E": np.linspace(20, 2, 6), "I": np.linspace(30, 5, 6)}
CHI = {"chi": np.linspace(0.9, 0.1, 6)}


def all_figures():
    f = np.arange(100.0)
    return {
        "raster": plots.raster(network()),
        "traces": plots.traces(np.arange(50.0), np.zeros((50, 2)) - 65.0, ["E", "I"]),
        "spectrum": plots.spectrum_plot(f, {"E": 1 / (1 + f), "I": 2 / (1 + f)}),
        "against": plots.against(MG, RATES, "[Mg] (mM)", "Rate (Hz)"),
        "ladder": plots.ladder([network()] * 6, MG, {"Rate (Hz)": RATES, "Synchrony": CHI}),
    }


@pytest.fixture(scope="module")
def figures():
    return all_figures()


@pytest.mark.parametrize("name", ["raster", "traces", "spectrum", "against", "ladder"])
def test_nothing_is_cut_off(figures, name):
    figure = figures[name]
    figure.draw_without_rendering()
    seen = figure.get_tightbbox()  # inches
    width, height = figure.get_size_inches()
    assert seen.x0 >= 0 and seen.y0 >= 0 and seen.x1 <= width and seen.y1 <= height
    assert width == pytest.approx((180 if name == "ladder" else 85) / 25.4)


@pytest.mark.parametrize("name", ["raster", "traces", "spectrum", "against", "ladder"])
def test_text_has_the_size_of_print(figures, name):
    figure = figures[name]
    figure.draw_without_rendering()
    texts = [t for t in figure.findobj(mpl.text.Text) if t.get_text() and t.get_visible()]
    assert {t.get_fontsize() for t in texts} <= {7.0, 8.0, 10.0}


def test_series_differ_without_colour():
    looks = drawing.SERIES
    for key in ("linestyle", "marker"):
        assert len({look[key] for look in looks}) == len(looks)
    grey = [np.dot(mpl.colors.to_rgb(look["color"]), [0.3, 0.59, 0.11]) for look in looks]
    assert all(abs(a - b) > 0.2 for a, b in zip(grey, grey[1:], strict=False))


def test_no_setting_changes_and_pyplot_is_not_used(tmp_path, in_a_fresh_process):
    before = dict(mpl.rcParams)
    figure = plots.against(MG, RATES, "x (mM)", "y (Hz)")
    plots.save(figure, tmp_path / "figure.pdf")
    assert dict(mpl.rcParams) == before
    assert b"CIDFontType2" in (tmp_path / "figure.pdf").read_bytes()
    code = (
        "import sys, cortexmg.plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "cortexmg.plots.against([1.0], {'E': [2.0]}, 'x', 'y')\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    in_a_fresh_process(code)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 500))
@settings(max_examples=15, deadline=None)
def test_raster_shows_every_population_in_proportion(e, i, cells):
    figure = plots.raster({"E": trains(e, 10), "I": trains(i, 10, seed=1)}, cells=cells)
    top = figure.axes[0].get_ylim()[1]
    share = min(1.0, cells / max(e, i))
    assert top == max(1, round(e * share)) + max(1, round(i * share))
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["E", "I"]


def test_raster_draws_the_spikes_of_the_cells_it_shows():
    t = checked_trains([0, 1, 2, 3], [10.0, 20.0, 30.0, 40.0], n=4, start=0.0, stop=50.0)
    (marks,) = plots.raster({"E": t}, cells=4).axes[0].lines
    assert marks.get_xdata().tolist() == [10, 20, 30, 40]
    assert marks.get_ydata().tolist() == [0.5, 1.5, 2.5, 3.5]
    (marks,) = plots.raster({"E": t}, cells=2).axes[0].lines
    assert marks.get_xdata().tolist() == [10, 30] and marks.get_ydata().tolist() == [0.5, 1.5]


def test_raster_shows_the_rates_in_hertz():
    t = trains(100, 2000)
    (line,) = plots.raster({"E": t}, bin=100.0).axes[1].lines
    assert line.get_ydata().mean() == pytest.approx(20.0)
    assert line.get_xdata() == pytest.approx(50.0 + 100.0 * np.arange(10))


def test_long_recordings_are_in_seconds():
    figure = plots.raster({"E": trains(3, 30, stop=9000.0)})
    assert figure.axes[1].get_xlabel() == "Time (s)" and figure.axes[1].get_xlim() == (0.0, 9.0)


def test_no_spikes_can_be_drawn(tmp_path):
    quiet = checked_trains([], [], n=5, start=0.0, stop=100.0)
    plots.save(plots.raster({"E": quiet}), tmp_path / "quiet.png")
    assert (tmp_path / "quiet.png").stat().st_size > 0


def test_zero_has_a_place_on_a_logarithmic_axis():
    axes = plots.against(MG, RATES, "[Mg] (mM)", "Rate (Hz)").axes[0]
    labels = [t.get_text() for t in axes.get_xticklabels()]
    x = axes.lines[0].get_xdata()
    assert labels == ["0", "0.01", "0.1", "1"] and axes.get_xscale() == "log"
    assert x[0] == axes.get_xticks()[0] and np.all(np.diff(x) > 0)
    assert x[1:].tolist() == MG[1:]


@pytest.mark.parametrize(
    "values, labels",
    [
        ([0.5, 1.0, 1.2], ["0.5", "1", "1.2"]),
        (np.linspace(0.5, 5, 10), ["0.5", "1", "2", "5"]),
        ([0.0, 2.0, 3.0], ["0", "2", "3"]),
        ([1.0], ["1"]),
    ],
)
def test_short_axes_have_ticks(values, labels):
    axes = plots.against(values, {"E": np.ones(len(values))}, "x", "y").axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == labels


def test_repeats_are_drawn_as_mean_and_standard_deviation():
    y = np.array([[1.0, 3.0], [2.0, 2.0]])
    axes = plots.against([1.0, 2.0], {"E": y}, "x", "y").axes[0]
    assert axes.containers[0].lines[0].get_ydata().tolist() == [2.0, 2.0]
    (bars,) = axes.containers[0].lines[2]
    heights = [segment[1, 1] - segment[0, 1] for segment in bars.get_segments()]
    assert heights == pytest.approx([2 * np.sqrt(2), 0.0])


def test_ladder_shows_the_window_of_each_run_from_zero():
    runs = [network(10, 5) for _ in MG]
    figure = plots.ladder(runs, MG, {"Rate (Hz)": RATES}, window=(600.0, 1000.0))
    rasters, panel = figure.axes[:6], figure.axes[6]
    assert [a.get_title() for a in rasters] == [f"{x:g} mM" for x in MG]
    assert all(a.get_xlim() == (0.0, 400.0) for a in rasters)
    expected = runs[0]["E"].between(600.0, 1000.0).times - 600.0
    assert np.allclose(rasters[0].lines[0].get_xdata(), expected)
    assert [panel.get_xlabel(), panel.get_ylabel()] == ["[Mg²⁺]ₒ (mM)", "Rate (Hz)"]
    assert [rasters[0].get_title("left"), panel.get_title("left")] == ["A", "B"]


def test_a_heat_map_scales_each_statistic_and_marks_what_is_unclear_or_undefined():
    values = np.array([[0.5, -0.25, np.nan], [8.0, 2.0, -9.0]])
    errors = np.array([[0.1, 0.01, np.nan], [1.0, np.nan, 6.0]])
    names = ["environment/ions/mg/outside", "b", "c"]
    for turned in (False, True):  # of two statistics, or two parameters
        across = names[:2] if turned else names
        given = (values[:, :2], errors[:, :2]) if turned else (values, errors)
        axes = plots.heat_map(*given, ["rate", "voltage"], across, "label").axes[0]
        (image,) = axes.images
        shares, alpha = image.get_array(), image.get_alpha()
        if turned:
            np.testing.assert_allclose(shares, [[1.0, -0.5], [1.0, 0.25]])
            np.testing.assert_array_equal(alpha, [[1, 1], [1, 0.25]])
            continue
        np.testing.assert_allclose(shares.filled(9.0).T, [[1.0, -0.5, 9.0], [1.0, 0.25, -1.0]])
        np.testing.assert_array_equal(alpha.T, [[1, 1, 1], [1, 0.25, 0.25]])
        texts = {t.get_position()[::-1]: t for t in axes.texts}
        assert [texts[q, p].get_text() for p in (0, 1) for q in (0, 1, 2)] == [
            "0.5", "-0.25", "-", "8", "2", "-9"]  # fmt: skip
        assert texts[2, 1].get_color() == "k"  # white would not be seen on what is pale
        grey, pale = (image.to_rgba(shares)[at] for at in ((2, 0), (1, 1)))
        assert grey[0] == grey[1] == grey[2] == pytest.approx(0.8) and pale[0] > pale[2]
        assert [t.get_text() for t in axes.get_yticklabels()] == names


@pytest.mark.parametrize("m", [1, 5, 7])
def test_ladders_of_any_length(m):
    series = {"E": list(range(m))}
    figure = plots.ladder([network(10, 5)] * m, range(1, m + 1), {"Rate (Hz)": series})
    assert sum(a.get_visible() for a in figure.axes) == m + 1


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: plots.traces(np.zeros(3), np.zeros((3, 2)), ["E"]), "v must be"),
        (lambda: plots.against([1.0, 2.0], {"E": np.zeros(3)}, "x", "y"), "'E' must have one row"),
        (lambda: plots.against([-1.0, 2.0], {"E": np.zeros(2)}, "x", "y"), "use log=False"),
        (lambda: plots.spectrum_plot(np.arange(3.0), [1.0] * 4), "must have one row"),
        (lambda: plots.ladder([network()], [1.0, 2.0], {"y": CHI}), "1 rasters, 2 values"),
        (lambda: plots.ladder([network()], [1.0], {}), "0 panels"),
        (lambda: plots.raster(network(), cells=0), "cells must be"),
        (lambda: plots.raster(network(), width=-1.0), "width must be positive and finite [(]mm[)]"),
    ],
)
def test_what_is_wrong_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_populations_are_given_by_name():
    with pytest.raises(TypeError, match="needs spike trains by population"):
        plots.raster({})
