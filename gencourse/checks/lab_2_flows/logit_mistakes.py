"""What goes wrong in a logit: every mistake that has a hint of its own."""

import math

import torch
from torch import Tensor

from gencourse.checks.lab_2_flows.logit import LOGIT, Pair, logit


def _p(x: Tensor, alpha: float) -> Tensor:
    return alpha + (1 - 2 * alpha) * x


def _sum(each: Tensor) -> Tensor:
    return each.flatten(1).sum(1)


def _log_slope(p: Tensor) -> Tensor:
    """log dz/dp of each pixel."""
    return -(p * (1 - p)).log()


@LOGIT.mistake("log_det is not a number: a logarithm is taken of something below 0. Is any slope dz/dx below 0?")
def not_a_number(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], torch.full_like(x.flatten(1)[:, 0], math.nan)


@LOGIT.mistake("The slope of the squeeze is missing in log_det: x becomes p first, and that shrinks every pixel.")
def no_squeeze(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], _sum(_log_slope(_p(x, alpha)))


@LOGIT.mistake("log(1 − 2 alpha) counts once for a whole picture. Every one of its pixels is squeezed.")
def squeezed_once(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], _sum(_log_slope(_p(x, alpha))) + math.log(1 - 2 * alpha)


@LOGIT.mistake("The squeeze counts with the wrong sign: it shrinks, and log_det counts that as less.")
def squeeze_subtracted(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], _sum(_log_slope(_p(x, alpha)) - math.log(1 - 2 * alpha))


@LOGIT.mistake("log_det has the logarithm of p (1 − p): that is the sigmoid's slope, the map from z to p.")
def slope_of_the_sigmoid(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], _sum(math.log(1 - 2 * alpha) - _log_slope(_p(x, alpha)))


@LOGIT.mistake("log_det has the wrong sign: this is that of the way back, from z to x.")
def log_det_negative(x: Tensor, alpha: float) -> Pair:
    z, log_det = logit(x, alpha)
    return z, -log_det


@LOGIT.mistake("The slope is taken at x, as if nothing had been squeezed. The logit is asked at p.")
def slope_at_x(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], _sum(math.log(1 - 2 * alpha) + _log_slope(x))


@LOGIT.mistake("The sigmoid's slope is taken where the logit's belongs: sigmoid′(p) is asked about p, as if it were z.")
def sigmoid_at_p(x: Tensor, alpha: float) -> Pair:
    s = torch.sigmoid(_p(x, alpha))
    return logit(x, alpha)[0], _sum(math.log(1 - 2 * alpha) + _log_slope(s))


@LOGIT.mistake("Half of the slope is missing: z = log p − log(1 − p), and both logarithms change with p.")
def half_of_the_slope(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], _sum(math.log(1 - 2 * alpha) - _p(x, alpha).log())


@LOGIT.mistake("log p − log(1 − p) is z. In log_det the two logarithms have the same sign: p times (1 − p).")
def z_for_log_det(x: Tensor, alpha: float) -> Pair:
    p = _p(x, alpha)
    return logit(x, alpha)[0], _sum(math.log(1 - 2 * alpha) - p.log() + (1 - p).log())


@LOGIT.mistake("log_det is an average over the pixels. Volumes multiply, so the logarithms add up.")
def mean_not_sum(x: Tensor, alpha: float) -> Pair:
    z, log_det = logit(x, alpha)
    return z, log_det / x[0].numel()


@LOGIT.mistake("log_det is summed over the batch, too. Each picture has its own.")
def summed_over_the_batch(x: Tensor, alpha: float) -> Pair:
    z, log_det = logit(x, alpha)
    return z, log_det.sum()


@LOGIT.mistake("log_det is given for each pixel. All pixels of a picture make one volume: (B,).")
def per_pixel(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], math.log(1 - 2 * alpha) + _log_slope(_p(x, alpha))


@LOGIT.mistake(
    "log_det adds up axis 1 alone. A picture has three axes; how do you add up all but the first, however many?"
)
def axes_left(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], per_pixel(x, alpha)[1].sum(1)


@LOGIT.mistake("This is the determinant itself, or a product of slopes; its logarithm was asked for.")
def det_not_log(x: Tensor, alpha: float) -> Pair:
    z, log_det = logit(x, alpha)
    return z, log_det.exp()


@LOGIT.mistake("The slopes themselves are added up. It is their product that counts, and its logarithm.")
def sum_of_slopes(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], _sum(per_pixel(x, alpha)[1].exp())


@LOGIT.mistake("x is not squeezed: 0 and 1 are sent to infinity. Where does alpha come in?")
def no_alpha(x: Tensor, alpha: float) -> Pair:
    return x.log() - (1 - x).log(), _sum(_log_slope(x))


@LOGIT.mistake("alpha + (1 − alpha) x reaches 1, and its logit is infinite: room is left at one end only.")
def one_end(x: Tensor, alpha: float) -> Pair:
    p = alpha + (1 - alpha) * x
    return p.log() - (1 - p).log(), _sum(_log_slope(p) + math.log(1 - alpha))


@LOGIT.mistake("(1 − 2 alpha) x begins at 0, whose logit is infinite: room is left at one end only.")
def not_moved(x: Tensor, alpha: float) -> Pair:
    p = (1 - 2 * alpha) * x
    return p.log() - (1 - p).log(), _sum(_log_slope(p) + math.log(1 - 2 * alpha))


@LOGIT.mistake("This is a sigmoid: it goes from the line to the interval. Here x is in the interval already.")
def sigmoid(x: Tensor, alpha: float) -> Pair:
    return torch.sigmoid(_p(x, alpha)), torch.full_like(x.flatten(1)[:, 0], math.nan)


@LOGIT.mistake("The sign of z is turned: log(1 − p) − log p. Bright pixels are to have a large z.")
def z_negative(x: Tensor, alpha: float) -> Pair:
    z, log_det = logit(x, alpha)
    return -z, log_det


@LOGIT.mistake("z is log p alone. A logit has two logarithms: it goes to −∞ at 0, and to +∞ at 1.")
def log_alone(x: Tensor, alpha: float) -> Pair:
    p = _p(x, alpha)
    return p.log(), torch.full_like(p.flatten(1)[:, 0], math.nan)


@LOGIT.mistake("These are the odds, p/(1 − p), without their logarithm: z is to run over the whole line.")
def odds(x: Tensor, alpha: float) -> Pair:
    p = _p(x, alpha)
    return p / (1 - p), torch.full_like(p.flatten(1)[:, 0], math.nan)


@LOGIT.mistake("The pixels are cut off at alpha and 1 − alpha, instead of being squeezed: many x become one z.")
def clamped(x: Tensor, alpha: float) -> Pair:
    p = x.clamp(alpha, 1 - alpha)
    return p.log() - (1 - p).log(), torch.full_like(p.flatten(1)[:, 0], math.nan)


@LOGIT.mistake("z is p alone: x is squeezed, and the logit has not been taken.")
def squeezed_only(x: Tensor, alpha: float) -> Pair:
    return _p(x, alpha), torch.full_like(x.flatten(1)[:, 0], math.nan)


@LOGIT.mistake("The logit comes first, and the squeeze after it: at 0 and 1 it is too late then.")
def squeezed_after(x: Tensor, alpha: float) -> Pair:
    return alpha + (1 - 2 * alpha) * (x.log() - (1 - x).log()), torch.full_like(x.flatten(1)[:, 0], math.nan)


@LOGIT.mistake("p stands above in the slope here, 1 − p below. The slope is (1 − 2α)/(p (1 − p)).")
def p_above(x: Tensor, alpha: float) -> Pair:
    p = _p(x, alpha)
    return logit(x, alpha)[0], _sum(math.log(1 - 2 * alpha) + p.log() - (1 - p).log())


@LOGIT.mistake("log(1 + p) where log(1 − p) belongs: log1p takes −p.")
def log1p(x: Tensor, alpha: float) -> Pair:
    p = _p(x, alpha)
    return p.log() - torch.log1p(p), torch.full_like(p.flatten(1)[:, 0], math.nan)


@LOGIT.mistake("log_det is 0. Does the logit stretch nothing?")
def no_log_det(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], x.new_zeros(len(x))


@LOGIT.mistake("The logarithm of |z| is taken for that of the slope. z is where a pixel goes, not how fast.")
def log_of_z(x: Tensor, alpha: float) -> Pair:
    z = logit(x, alpha)[0]
    return z, _sum(math.log(1 - 2 * alpha) + z.abs().log())


@LOGIT.mistake("Half of log(p (1 − p)) is missing, or a root is too much: the slope is 1/(p (1 − p)).")
def half_the_log(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], _sum(math.log(1 - 2 * alpha) + 0.5 * _log_slope(_p(x, alpha)))


@LOGIT.mistake("The bracket is misplaced: alpha is to be added after the multiplication, and not before.")
def brackets(x: Tensor, alpha: float) -> Pair:
    p = (alpha + 1 - 2 * alpha) * x
    return p.log() - (1 - p).log(), torch.full_like(p.flatten(1)[:, 0], math.nan)


@LOGIT.mistake("The slopes, 1/p + 1/(1 − p), are added up without their logarithm.")
def slopes_before_logs(x: Tensor, alpha: float) -> Pair:
    p = _p(x, alpha)
    return logit(x, alpha)[0], _sum(math.log(1 - 2 * alpha) + 1 / p + 1 / (1 - p))


@LOGIT.mistake("log(1 − alpha) where log(1 − 2 alpha) belongs: room is left at both ends.")
def one_alpha(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], _sum(_log_slope(_p(x, alpha)) + math.log(1 - alpha))


@LOGIT.mistake("1 − 2 alpha comes into log_det without its logarithm.")
def factor_without_log(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], _sum(_log_slope(_p(x, alpha)) + 1 - 2 * alpha)


@LOGIT.mistake("Only the squeeze counts in log_det. The logit stretches, too.")
def squeeze_alone(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], _sum(math.log(1 - 2 * alpha) + 0 * x)


@LOGIT.mistake("1/(1 − p) alone: z = log p − log(1 − p), and both logarithms change with p.")
def other_half(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], _sum(math.log(1 - 2 * alpha) - (1 - _p(x, alpha)).log())


@LOGIT.mistake("z is made with logarithms of base 2. The logit has natural ones.")
def in_bits(x: Tensor, alpha: float) -> Pair:
    z, log_det = logit(x, alpha)
    return z / math.log(2), torch.full_like(log_det, math.nan)


@LOGIT.mistake("z is artanh(2p − 1): half of the logit.")
def in_tanh(x: Tensor, alpha: float) -> Pair:
    z, log_det = logit(x, alpha)
    return z / 2, torch.full_like(log_det, math.nan)


@LOGIT.mistake("The slopes are added up before the logarithm. It is their product whose logarithm we want.")
def added_before_log(x: Tensor, alpha: float) -> Pair:
    return logit(x, alpha)[0], per_pixel(x, alpha)[1].flatten(1).logsumexp(1)


@LOGIT.mistake("The two parts of the slope are subtracted, 1/p − 1/(1 − p). Does −log(1 − p) rise or fall with p?")
def slopes_subtracted(x: Tensor, alpha: float) -> Pair:
    p = _p(x, alpha)
    return logit(x, alpha)[0], _sum((1 / p - 1 / (1 - p)).abs().log() + math.log(1 - 2 * alpha))


@LOGIT.mistake("log p and log(1 − p) are added in z: that is the logarithm of p (1 − p), and not of p/(1 − p).")
def log_of_the_product(x: Tensor, alpha: float) -> Pair:
    p = _p(x, alpha)
    return p.log() + (1 - p).log(), torch.full_like(p.flatten(1)[:, 0], math.nan)
