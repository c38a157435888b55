"""What every figure has: the house style, panels put side by side, and alt text."""

import base64
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Annotated, Any, Literal, get_type_hints

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text
from PIL import Image

from gencourse.plots.arrays import Place, few, words
from gencourse.plots.notation import typeset
from genlib.arguments import check, checked

# Okabe & Ito's colours, told apart by every kind of colour vision; each has a line style of its own besides.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINE_STYLES = ("-", "--", "-.", ":", (0, (6, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)))
DIVERGING = LinearSegmentedColormap.from_list("blue-orange", [PALETTE[0], "#FFFFFF", PALETTE[1]])
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 14,
    "axes.titlesize": 15,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "lines.linewidth": 2.4,
    "legend.frameon": False,
    "legend.fontsize": 13,
    "figure.facecolor": "white",
    "mathtext.default": "regular",  # symbols in the letters of the words around them, bold in a title
    "figure.constrained_layout.use": True,
}
WIDTH = 11.0  # inches on the page, at 80 px each: fits a notebook in a window of 1280
PIXELS_PER_INCH = 80
SHARPNESS = 1.6  # pixels in the file for each on the page
# Colours in the file: of lines, points and words; of pictures and heat maps, in grey and otherwise.
COLOURS, GREYS, SHADES = 64, 64, 256

Aspect = Annotated[float, "[0.05, 50]"]  # how wide a panel is for a height of 1
Columns = Annotated[int, "[1, 1000]"]
Ends = tuple[Place | None, Place | None]
Scale = Literal["linear", "log", "symlog"]
SETTINGS: dict[str, Any] = {  # of the axes, beside what a panel draws
    **dict.fromkeys(("xlabel", "ylabel", "title"), str),
    **dict.fromkeys(("xlim", "ylim"), Ends),
    **dict.fromkeys(("xscale", "yscale"), Scale),
    **dict.fromkeys(("xticks", "yticks"), Sequence[Place]),
    "aspect": Literal["equal", "auto"],
}
MOST = 36  # panels: more take minutes


@dataclass(frozen=True)
class Panel:
    """One set of axes: what draws it, how wide it is for a height of 1, and whether it has many shades.

    Attributes:
        settings: xlabel, ylabel, title; xlim, ylim, a pair of ends, None for where the data end; xscale, yscale;
            xticks, yticks; aspect, "equal" or "auto". What is None is left as it is.
    """

    draw: Callable[[Axes], Any]
    aspect: Aspect = 1.5
    axis: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    shades: bool = False

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(Panel, include_extras=True).items():
            taken = check(name, getattr(self, name), dict if name == "settings" else hint)
            object.__setattr__(self, name, taken)  # a number as Python's own
        object.__setattr__(self, "settings", {name: _setting(name, value) for name, value in self.settings.items()})


def _setting(name: str, value: Any) -> Any:
    if name not in SETTINGS:
        raise ValueError(f"{name}: expected one of the axes' settings {', '.join(SETTINGS)}, got another")
    value = check(name, value, SETTINGS[name] | None)
    if isinstance(value, str):
        words(name, value)
    elif value is not None:
        few(name, value)
    return value


class Figure:
    """A finished picture: shown by a notebook as an image with alt text, kept on disk by `save`.

    Attributes:
        alt: what there is to see, in a sentence.
        width, height: of the picture as a page shows it, in CSS pixels.
        text: the height of the smallest letters' font at that width, in CSS pixels; None where nothing is written.
        png: the picture's bytes.
    """

    @checked
    def __init__(self, canvas: Canvas, alt: str, *, shades: bool = False) -> None:
        self.alt = _sentence(alt)
        for text in canvas.findobj(Text):
            text.set_text(typeset(text.get_text()))
        self.width, self.height = (round(inches * PIXELS_PER_INCH) for inches in canvas.get_size_inches())
        self.png = _png(canvas, shades)
        sizes = [float(text.get_fontsize()) for text in _texts(canvas)]  # in points: 72 to the inch
        self.text = round(min(sizes) * PIXELS_PER_INCH / 72, 1) if sizes else None

    def __repr__(self) -> str:
        return f"figure: {self.alt}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        # HTML, since JupyterLab and nbconvert both drop the alt text of a bare image/png.
        source = base64.b64encode(self.png).decode()
        # A deck scales the picture: data-text says how small its letters then are.
        size = f'width="{self.width}"' + (f' data-text="{self.text:g}"' if self.text else "")
        html = f'<img src="data:image/png;base64,{source}" {size} alt="{escape(self.alt)}">'
        return {"text/html": html, "text/plain": repr(self)}

    @checked
    def save(self, path: str | os.PathLike) -> None:
        """Write the picture as a PNG file.

        Raises:
            ValueError: where there can be no such file.
        """
        try:
            with open(path, "wb") as file:
                file.write(self.png)
        except (ValueError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise ValueError(f"path: expected a file in a folder that is there, got {path!r} ({error})") from None


def figure(*panels: Panel, alt: str, columns: Columns | None = None, title: str | None = None) -> Figure:
    """Put panels side by side, `columns` to a row, in one figure.

    Args:
        panels: what `lines`, `areas`, `histogram`, `points`, `arrows`, `heatmap` and `pictures` return.
        alt: what there is to see, in a sentence; it stands in for the picture in a screen reader and in plain text.
        columns: panels in a row; all of them in one, if left out. A column is as wide as its widest panel.
        title: of the whole figure, above its panels.
    Raises:
        ValueError: without a panel, for more than 36, and where numbers lie too far apart to be drawn.
    """
    check("panels", panels, Sequence[Panel])
    alt = _sentence(check("alt", alt, str))
    columns, title = check("columns", columns, Columns | None), check("title", title, str | None)
    if not 1 <= len(panels) <= MOST:
        raise ValueError(f"panels: expected at least one, and at most {MOST}, got {len(panels)}")
    columns = min(columns or len(panels), len(panels))
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    widths = [max(panel.aspect for panel in panels[i::columns]) for i in range(columns)]
    row_height = min(4.2, WIDTH / sum(widths))
    width = min(WIDTH, row_height * sum(widths) + 0.6)
    with rc_context(STYLE):
        canvas = Canvas(figsize=(width, row_height * len(rows) + (0.4 if title else 0)))
        if title:
            canvas.suptitle(words("title", title), x=0.01, ha="left", fontweight="bold")
        axes = canvas.subplots(len(rows), columns, squeeze=False, width_ratios=widths)
        try:
            for ax, panel in zip(axes.flat, panels, strict=False):
                panel.draw(ax)
                ax.set(**{name: value for name, value in panel.settings.items() if value is not None})
                if not panel.axis:
                    ax.set_axis_off()
            for ax in list(axes.flat)[len(panels) :]:
                ax.set_axis_off()
            return Figure(canvas, alt, shades=any(panel.shades for panel in panels))
        except (ArithmeticError, ValueError, RuntimeError) as error:  # matplotlib's own, of places too far apart
            raise ValueError(f"panels: expected numbers that one picture can show, got {error}") from error


def _sentence(alt: str) -> str:
    if not alt.strip():
        raise ValueError("alt: expected a sentence for those who do not see the figure, got nothing")
    return " ".join(alt.split())


def _texts(artist: Artist) -> Iterator[Text]:
    """What is written in a picture that has been drawn: all texts that one sees."""
    if not artist.get_visible():
        return
    if isinstance(artist, Text) and artist.get_text().strip():
        yield artist
    hidden = isinstance(artist, Axes) and not artist.axison
    for part in artist.get_children():
        if not (hidden and isinstance(part, Axis)):
            yield from _texts(part)


def _png(canvas: Canvas, shades: bool) -> bytes:
    """Sharp on the page and on a projector, in the colours that stand for all others best: a notebook keeps many."""
    raw, small = io.BytesIO(), io.BytesIO()
    canvas.savefig(raw, format="png", dpi=SHARPNESS * PIXELS_PER_INCH, metadata={"Software": None})
    picture = Image.open(raw).convert("RGB")
    red, green, blue = picture.split()
    grey = red.tobytes() == green.tobytes() == blue.tobytes()
    if shades and not grey:  # rare colours count as much as frequent ones
        few = picture.quantize(SHADES, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    else:
        few = picture.quantize(GREYS if shades else COLOURS, dither=Image.Dither.NONE)
    few.save(small, format="png", optimize=True)
    return small.getvalue()
