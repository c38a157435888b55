"""What a notebook lets you play with. Python computes every number and picture; the browser only draws and listens."""

from genlib.widgets.beta_schedule import BetaScheduleExplorer

__all__ = ["BetaScheduleExplorer"]
