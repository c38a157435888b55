"""What a notebook lets you play with. Python computes every number and picture; the browser only draws and listens."""

from gencourse.widgets.beta_schedule import BetaScheduleExplorer
from gencourse.widgets.coupling_mask import CouplingMaskExplorer
from gencourse.widgets.flow_warp import FlowWarpExplorer
from gencourse.widgets.learned_loss import LearnedLossExplorer
from gencourse.widgets.live_digits import DigitSampler
from gencourse.widgets.live_flow import FlowBothWays
from gencourse.widgets.live_map import MapPainter
from gencourse.widgets.live_outline import OutlinePainter
from gencourse.widgets.prediction import Prediction
from gencourse.widgets.strip import LambdaExplorer
from gencourse.widgets.ways_back import WaysBack

__all__ = [
    "BetaScheduleExplorer",
    "CouplingMaskExplorer",
    "DigitSampler",
    "FlowBothWays",
    "FlowWarpExplorer",
    "LambdaExplorer",
    "LearnedLossExplorer",
    "MapPainter",
    "OutlinePainter",
    "Prediction",
    "WaysBack",
]
