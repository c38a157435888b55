"""Figures: the same bytes each time, alt text always, and nothing drawn through pyplot."""

import io
import re
import sys

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text
from PIL import Image

from gencourse import plots
from gencourse.plots.figures import PIXELS_PER_INCH, WIDTH
from gencourse.plots.notation import to_html, typeset


def example() -> plots.Figure:
    x = torch.linspace(0, 1, 20)
    return plots.figure(
        plots.lines(
            x,
            {"a": x, "b": x**2},
            marks={"here": 0.5},
            notes=[("there", 0.2, 0.1)],
            points={"c": (x, x)},
            band=(x - 1, x + 1),
            title="t",
        ),
        plots.histogram({"samples": torch.randn(100)}, x=x, density={"p": x}),
        plots.points({"cloud": torch.zeros(3, 2), "other": torch.ones(3, 2)}),
        plots.heatmap(torch.eye(3), diverging=True),
        plots.arrows(torch.eye(2), torch.zeros(2, 2), sets={"cloud": torch.ones(3, 2)}),
        plots.pictures(torch.zeros(5, 1, 8, 8), columns=3),
        alt='two curves, "quoted" & a\n   histogram',
        columns=3,
    )


def test_a_figure_carries_its_alt_text() -> None:
    bundle = example()._repr_mimebundle_()
    assert bundle["text/plain"] == 'figure: two curves, "quoted" & a histogram'
    assert 'alt="two curves, &quot;quoted&quot; &amp; a histogram"' in bundle["text/html"]
    assert 'src="data:image/png;base64,iVBOR' in bundle["text/html"]


def written(shown: plots.Figure) -> str | None:
    found = re.search(r' data-text="([^"]*)"', shown._repr_mimebundle_()["text/html"])
    return found and found[1]


def test_a_figure_says_how_small_its_letters_are() -> None:
    """At 80 pixels to the inch, 14 points are 15.6 pixels, 13 are 14.4, 12 are 13.3, and 7 are 7.8."""
    x = torch.linspace(0, 1, 5)
    plain = plots.lines(x, {"a": x})
    assert written(plots.figure(plain, alt="one curve")) == "15.6"
    assert written(plots.figure(plots.lines(x, {"a": x, "b": -x}), alt="with a legend")) == "14.4"
    assert written(plots.figure(plain, plots.lines(x, {"a": x}, notes=[("here", 0.5, 0.5)]), alt="a note")) == "13.3"
    assert written(plots.figure(plain, plots.lines(x, {"a": x}, notes=[(" ", 0.5, 0.5)]), alt="no note")) == "15.6"
    small = plots.Panel(lambda ax: ax.tick_params(labelsize=7))
    assert written(plots.figure(small, alt="small ticks")) == "7.8"
    assert written(plots.figure(plots.Panel(small.draw, axis=False), alt="ticks that are not drawn")) is None
    pictures = plots.pictures(torch.zeros(1, 1, 8, 8), title="titles have 15 points")
    assert written(plots.figure(pictures, alt="a title")) == "16.7"
    assert written(plots.image_rows(x=torch.zeros(1, 1, 8, 8))) == "15.6"
    assert written(plots.image_rows(x=torch.zeros(1, 1, 8, 8), columns=["one"])) == "14.4"


def test_letters_are_as_small_in_the_picture_as_it_says() -> None:
    """Twice the size in points is twice the height of an H in pixels, which data-text promises."""
    heights = {}
    for size in (12, 24):
        panel = plots.Panel(lambda ax, size=size: ax.text(0.5, 0.5, "H", fontsize=size), 1.0, axis=False)
        shown = plots.figure(panel, alt="one letter")
        dark = (pixels(shown).sum(2) < 380).any(1).nonzero()[0]
        heights[float(written(shown) or 0)] = (dark.max() - dark.min() + 1) * shown.width / pixels(shown).shape[1]
    (small, low), (large, high) = sorted(heights.items())
    assert (small, large) == (13.3, 26.7)
    # A capital of DejaVu Sans is 0.73 of the font's size.
    assert low / small == pytest.approx(0.73, abs=0.06)
    assert high / large == pytest.approx(0.73, abs=0.03)


def test_the_same_figure_has_the_same_bytes() -> None:
    torch.manual_seed(0)
    first = example()
    torch.manual_seed(0)
    assert example().png == first.png
    assert "matplotlib.pyplot" not in sys.modules


def test_pictures_in_rows_and_on_disk(tmp_path) -> None:
    rows = plots.image_rows(input=torch.zeros(4, 1, 8, 8), x_t=torch.zeros(4, 3, 8, 8), columns=["1", "2", "3", "4"])
    assert repr(rows) == "figure: rows of pictures: input, x t"
    rows.save(str(tmp_path / "rows.png"))
    assert (tmp_path / "rows.png").read_bytes() == rows.png


@pytest.mark.parametrize(("n", "columns"), [(1, 2), (3, 2), (5, 3), (3, 1), (2, None)])
def test_any_number_of_panels_in_any_number_of_columns(n: int, columns: int | None) -> None:
    panels = [plots.lines([0, 1], {"a": [0, 1]}, aspect=aspect) for aspect in (1.0, 1.0, 4.0, 0.5, 2.0)[:n]]
    shown = plots.figure(*panels, alt="some panels", columns=columns)
    assert 0 < shown.width <= WIDTH * PIXELS_PER_INCH


@pytest.mark.parametrize("columns", [0, -1, 1.5, "2"])
def test_columns_are_a_whole_number(columns: object) -> None:
    with pytest.raises(ValueError, match=r"^columns: expected a whole number"):
        plots.figure(plots.heatmap(torch.eye(2)), alt="one", columns=columns)  # pyright: ignore[reportArgumentType]


def pixels(shown: plots.Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(shown.png)).convert("RGB"), dtype=int)


def test_greys_beside_a_heat_map_stay_grey() -> None:
    """All greys of a photo, and a heat map that takes the palette's colours for itself."""
    grey = torch.linspace(-1, 1, 256).view(1, 1, 16, 16)
    x = torch.linspace(0, 1, 200)
    panels = plots.pictures(grey), plots.heatmap(x[:, None] * x)
    left = pixels(plots.figure(*panels, alt="greys and a heat map"))[:, :300]
    assert int((left.max(2) - left.min(2)).max()) <= 12
    assert len(np.unique(left)) > 40


def test_grey_pictures_keep_64_shades_and_colours_256() -> None:
    """A notebook keeps many of them: 64 greys are told apart by nobody, 64 colours by everybody."""
    grey = torch.linspace(-1, 1, 256).view(1, 1, 16, 16)
    shades = np.unique(pixels(plots.image_rows(greys=grey)))
    assert 48 <= len(shades) <= 64
    assert np.diff(shades).max() <= 10  # of 255
    colours = torch.cat([grey, grey.flip(2), grey.transpose(2, 3)], 1)
    assert len(np.unique(pixels(plots.image_rows(colours=colours)).reshape(-1, 3), axis=0)) > 200


def test_a_rare_colour_is_not_taken_for_a_frequent_one() -> None:
    """A violet heart of a few pixels among many shades of yellow."""
    yellow = torch.tensor([1.0, 0.8, -0.6])[:, None, None] + 0.1 * torch.randn(
        24, 3, 32, 32, generator=torch.Generator().manual_seed(0)
    )
    yellow[3, :, 8:12, 8:12] = torch.tensor([0.1, -0.2, 0.5])[:, None, None]
    shown = pixels(plots.image_rows(some=yellow[:12].clamp(-1, 1), others=yellow[12:].clamp(-1, 1)))
    violet = np.abs(shown - (np.array([0.1, -0.2, 0.5]) + 1) * 127.5).max(2)
    assert violet.min() < 15


def test_each_of_the_seven_curves_has_a_style_of_its_own() -> None:
    assert len(set(plots.LINE_STYLES)) == len(set(plots.PALETTE)) == 7


def test_more_curves_than_plain_line_styles() -> None:
    x = torch.linspace(0, 1, 5)
    many = {str(i): i * x for i in range(8)}
    plots.figure(plots.lines(x, many), plots.histogram({"a": x}, x=x, density=many), alt="eight curves, twice")


@pytest.mark.parametrize("kind", ["lines", "arrows"])
def test_a_legend_below_hides_nothing(kind) -> None:
    x = torch.linspace(0, 1, 5)
    xy = torch.stack([x, x], 1)
    settings: dict = {"legend": "below", "xlabel": "x"}
    panel = (
        plots.lines(x, {"one": x, "two": -x}, **settings)
        if kind == "lines"
        else plots.arrows(xy, xy, sets={"one": xy, "two": -xy}, **settings)
    )
    canvas = Canvas(layout="constrained")
    ax = canvas.subplots()
    panel.draw(ax)
    ax.set(**panel.settings)
    canvas.draw_without_rendering()
    names = ax.get_legend()
    assert names is not None
    assert [text.get_text() for text in names.get_texts()] == ["one", "two"]
    assert 0 < names.get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0 < ax.get_window_extent().y0


@pytest.mark.parametrize(
    ("plain", "formula", "page"),
    [
        ("variance of x_t", "variance of $x_{t}$", "variance of x<sub>t</sub>"),
        ("q(x_{t−1} | x_t, x_0)", "q($x_{t-1}$ | $x_{t}$, $x_{0}$)", None),
        ("L_simple", "$L_{simple}$", "L<sub>simple</sub>"),
        ("p_θ(x_10) < 1", "$p_{θ}$($x_{10}$) < 1", "p<sub>θ</sub>(x<sub>10</sub>) &lt; 1"),
        ("σ² = β\u0303", "σ² = $\\tilde{β}$", "σ² = β\u0303"),
        ("β\u0303_t/β_t", "$\\tilde{β}_{t}$/$β_{t}$", "β\u0303<sub>t</sub>/β<sub>t</sub>"),
        ("log_det, p_value, batch_size 2", "log_det, p_value, batch_size 2", "log_det, p_value, batch_size 2"),
        ("$x_{t-1}$ and y_t", "$x_{t-1}$ and y_t", None),
        ("a x_b_c", "a x_b_c", "a x_b_c"),
    ],
)
def test_symbols_have_their_index_below(plain: str, formula: str, page: str | None) -> None:
    assert typeset(plain) == formula
    assert page is None or to_html(plain) == page
    canvas = Canvas()
    canvas.text(0, 0, plain)
    canvas.add_subplot().set_title(plain)
    plots.Figure(canvas, "texts")
    assert [text.get_text() for text in canvas.findobj(Text) if text.get_text() == formula] == 2 * [formula]


def test_an_accent_does_not_move_the_columns_of_a_table() -> None:
    rows = [plots.Row("x\u0303", [1.0, 2.0]), plots.Row("xx", [1.0, 2.0], best="low")]
    lines = repr(plots.table(["β", "β\u0303"], rows, caption="c")).splitlines()
    assert lines[1].replace("\u0303", "") == f"{'':2}{'β':>12}{'β':>12}"
    assert lines[2] == "x\u0303 " + f"{'1.00 ':>12}{'2.00':>11}"


ROWS = [
    plots.Row("errors"),
    plots.Row("a < b", [0.25, 0.5, 0.1], best="low"),
    plots.Row("hits", [3, None, 9], form=".0f", best="high"),
    plots.Row("alike", [0.501, 0.499, 0.6], form=".1f", best="low"),
    plots.Row("kind", ["exact", "none", "exact"]),
]


def test_a_table_finds_the_best_of_each_row() -> None:
    shown = plots.table(["one", "two", "truth"], ROWS, caption="Two & the truth.", reference=["truth"])
    words = [line.split() for line in repr(shown).splitlines()]
    assert words == [
        ["Two", "&", "the", "truth."],
        ["one", "two", "truth"],
        ["errors"],
        ["a", "<", "b", "0.25*", "0.50", "0.10"],
        ["hits", "3*", "–", "9"],
        ["alike", "0.5*", "0.5*", "0.6"],
        ["kind", "exact", "none", "exact"],
    ]
    html = shown._repr_html_()
    assert html.count("<b>") == 4
    assert "<b>0.25</b>" in html
    assert "Two &amp; the truth." in html
    assert "a &lt; b" in html
    assert 'colspan="4"' in html


def test_a_table_refuses() -> None:
    with pytest.raises(ValueError, match="rows: "):
        plots.table(["one"], [], caption="c")
    with pytest.raises(ValueError, match="caption: "):
        plots.table(["one"], ROWS[:1], caption=" ")
    with pytest.raises(ValueError, match="values: expected 1 of 'a < b'"):
        plots.table(["one"], ROWS, caption="c")
    with pytest.raises(ValueError, match=r"reference: .*'two'"):
        plots.table(["one"], ROWS[:1], caption="c", reference=["two"])


def test_refuses() -> None:
    with pytest.raises(ValueError, match="alt: "):
        plots.figure(plots.heatmap(torch.eye(2)), alt=" ")
    with pytest.raises(ValueError, match="panels: "):
        plots.figure(alt="nothing")
    with pytest.raises(ValueError, match="rows: "):
        plots.image_rows(alt="nothing")
    with pytest.raises(ValueError, match=r"images: expected shape .*got \(0, 1, 8, 8\)"):
        plots.pictures(torch.zeros(0, 1, 8, 8))
