"""Figures in the course's house style: safe for colour-blind readers, legible from the last row, with alt text.

A figure is made of panels, left to right: `figure(lines(...), histogram(...), alt="what there is to see")`. Panels take
arrays and tensors, and know no model. Matplotlib is used through its object interface alone, so no state is shared and
nothing is drawn twice. Where numbers say more than a figure, there is `table`.
"""

from gencourse.plots.charts import areas, arrows, heatmap, histogram, lines, points
from gencourse.plots.figures import DIVERGING, LINE_STYLES, PALETTE, STYLE, Figure, Panel, figure
from gencourse.plots.images import image_rows, pictures
from gencourse.plots.tables import Row, Table, table

__all__ = [
    "DIVERGING",
    "LINE_STYLES",
    "PALETTE",
    "STYLE",
    "Figure",
    "Panel",
    "Row",
    "Table",
    "areas",
    "arrows",
    "figure",
    "heatmap",
    "histogram",
    "image_rows",
    "lines",
    "pictures",
    "points",
    "table",
]
