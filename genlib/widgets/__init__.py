"""What a notebook lets you play with. Python computes every number and picture; the browser only draws and listens."""

from genlib.widgets.beta_schedule import BetaScheduleExplorer
from genlib.widgets.coupling_mask import CouplingMaskExplorer
from genlib.widgets.flow_warp import FlowWarpExplorer
from genlib.widgets.learned_loss import LearnedLossExplorer
from genlib.widgets.strip import LambdaExplorer

__all__ = ["BetaScheduleExplorer", "CouplingMaskExplorer", "FlowWarpExplorer", "LambdaExplorer", "LearnedLossExplorer"]
