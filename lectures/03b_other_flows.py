# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Normalizing flows: other flows
#
# *A coupling is one layer with an inverse and a cheap determinant: which others are there, and what do pictures ask for?*
#
# **You will learn**
#
# - how planar, autoregressive, spline and continuous flows find their inverse and their determinant, and what each of them gives up;
# - what a flow of pictures needs besides couplings: channels that mix, and several scales;
# - what each of these is worth on real drawings in colour, in bits per dimension, and what a small flow of pictures cannot do.
#
# **It takes** 25 minutes.
# **You need** the first part, [Normalizing flows](03_normalizing_flows.ipynb), of which this is the second: sections and equations are numbered on, and those up to section 11 and up to (11) stand there.

# %% jupyter={"source_hidden": true} tags=["remove-cell"]
# Where the course is missing, as on Colab, this installs it: the copy that the notebook lies in, or else this version.
from importlib.util import find_spec
from pathlib import Path

if not find_spec("gencourse"):
    course = "..[notebooks]" if Path("../gencourse").is_dir() else "genlib-course[notebooks]==0.1.0"
    get_ipython().run_line_magic("pip", f"install --quiet {course}")

# %%
import io
import math
import time

import torch
from gencourse import checks, plots
from gencourse.runs import run_file
from PIL import Image
from safetensors.torch import load_file

from genlib import data, flows, train

torch.manual_seed(0)  # of networks whose weights no generator is given for
torch.set_default_dtype(torch.float64)  # identities are shown in double precision
Normal = torch.distributions.Normal


def seed(n):
    """A new source of random numbers, so that a cell that is run again draws the same ones."""
    return torch.Generator().manual_seed(n)


def jacobian(f, x):
    """∂z/∂xᵀ of each example by autograd, (B, D, D), for f from (B, ...) to (B, ...)."""
    each = [torch.autograd.functional.jacobian(lambda v: f(v[None])[0], point) for point in x]
    return torch.stack(each).reshape(len(x), x[0].numel(), x[0].numel())


def randomise(module, n, std=0.3):
    """Random weights: a fresh coupling is the identity, on which every claim would hold."""
    generator = seed(n)
    for p in module.parameters():
        p.data += std * torch.randn(p.shape, generator=generator)
    return module


# %% [markdown]
# ## 12. Other flows
#
# A flow needs two things of each layer: an inverse, and a cheap determinant.
# The affine coupling is one answer.
# This section takes four others, and each is built in a few lines and checked.
# Planar flows give up a formula for the inverse, autoregressive ones a quick inverse, and continuous ones the determinant itself; splines give up nothing but simplicity, and replace the affine map inside a coupling by a more flexible one.
# Of planar, autoregressive and spline layers the log-determinant is compared with autograd, and the inverse by going there and back; of the continuous flow, whose inverse runs time backwards ([Continuous time](05_continuous_time.ipynb), section 6), the trace.
#
# ### Planar flows: identity plus rank one
#
# The simplest nonlinear map with a Jacobian of the form $I + uv^\top$ pushes every point along one direction $u$, by an amount that depends on the point's position along another direction $w$:
#
# $$z = x + u\,\tanh(w^\top x + b), \qquad J = I + h\,u w^\top, \qquad \log|\det J| = \log\left|1 + h\,w^\top u\right|, \tag{12}$$
#
# where $h = 1 - \tanh^2(w^\top x + b)$ is the derivative of $\tanh$, and the determinant is the lemma of section 4.
#
# When is it invertible?
# Multiply by $w^\top$, and write $a = w^\top x$: then $w^\top z = a + w^\top u \tanh(a + b)$, an equation for the single number $a$.
# Its right side has the derivative $1 + h\,w^\top u$ with $0 < h \le 1$, which is positive for all $a$ if $w^\top u > -1$; it then rises from $-\infty$ to $\infty$, so there is exactly one $a$, and $x = z - u \tanh(a + b)$.
# If $w^\top u < -1$, the derivative is negative around $a = -b$ and positive far away, so some values are taken three times, and the map is no bijection.
#
# The inverse has no formula, only this equation in one unknown; bisection solves it.
# And a planar layer bends space along a single direction, so in many dimensions it takes very many of them.
# They are at home where Rezende and Mohamed (2015) introduced them, in the posterior of a VAE with few latent dimensions, where a sample of a simple base is turned into a code of the posterior and no inverse is asked for.


# %%
def planar(x, u, w, b):
    """(12): z, log_det."""
    along = torch.tanh(x @ w + b)
    return x + along[:, None] * u, (1 + (1 - along**2) * (w @ u)).abs().log()


def planar_inverse(z, u, w, b):
    """Bisection for a = wᵀx, whose distance from wᵀz is at most |wᵀu|."""
    low, high = z @ w - (w @ u).abs(), z @ w + (w @ u).abs()
    for _ in range(60):
        a = (low + high) / 2
        too_low = a + (w @ u) * torch.tanh(a + b) < z @ w
        low, high = torch.where(too_low, a, low), torch.where(too_low, high, a)
    return z - torch.tanh(a + b)[:, None] * u


# %%
u_6, w_6 = torch.randn(2, 6, generator=seed(1))
x_6 = torch.randn(50, 6, generator=seed(2))
u_6 = u_6 + (-0.9 - w_6 @ u_6) * w_6 / (w_6 @ w_6)  # now wᵀu = −0.9, near the edge of what is invertible
z_planar, log_det_planar = planar(x_6, u_6, w_6, 0.3)
J_planar = jacobian(lambda x: planar(x, u_6, w_6, 0.3)[0], x_6)
checks.identity("planar: log-det (12)", log_det_planar, torch.linalg.slogdet(J_planar).logabsdet, tol=1e-9)
checks.identity("planar: there and back", planar_inverse(z_planar, u_6, w_6, 0.3), x_6, tol=1e-9)
bent = torch.linspace(-4, 4, 801) - 3 * torch.tanh(torch.linspace(-4, 4, 801))  # wᵀu = −3, b = 0
checks.identity(
    "wᵀu = −3: 0.5 is reached three times", ((bent[1:] > 0.5) != (bent[:-1] > 0.5)).sum(), 3, tol=1e-12
)

# %% [markdown]
# ### Autoregressive flows: a full triangle
#
# The Jacobian of a coupling is triangular in a thrifty way: one half of the coordinates gives, the other takes.
# An *autoregressive* layer uses the whole triangle, and lets each coordinate depend on all that come before it, $x_{<i} = (x_1, \dots, x_{i-1})$:
#
# $$z_i = \exp(s_i(x_{<i}))\,x_i + t_i(x_{<i}), \qquad \log|\det J| = \sum_{i=1}^{D} s_i(x_{<i}). \tag{13}$$
#
# Since $z_i$ depends on $x_1, \dots, x_i$ only, $J$ is lower triangular, with $\exp(s_i)$ on its diagonal.
# In terms of densities, one such layer on $N(0, I)$ is the chain rule $p(x) = \prod_i p(x_i \mid x_{<i})$ with Gaussian conditionals, of mean $-t_i e^{-s_i}$ and standard deviation $e^{-s_i}$.
#
# All the $s_i$ and $t_i$ come from a single network in one pass, if its weights are masked.
# Give each hidden feature a number $m$ between 1 and $D - 1$, let it read only those inputs and features whose number is at most $m$, and let outputs $s_i, t_i$ read only features whose number is below $i$: by induction, a feature with number $m$ depends on $x_1, \dots, x_m$ alone, and the outputs $i$ on $x_{<i}$ alone (Germain et al. 2015, MADE).
#
# Now look at the two directions.
# From $x$ to $z$, everything on the right of (13) is known, so one pass of the network gives all of $z$ and the density.
# From $z$ to $x$, $x_1$ has to be found before $s_2$ can be computed, $x_2$ before $s_3$, and so on: $D$ passes, one after the other.
# This is the *masked autoregressive flow*, MAF (Papamakarios et al. 2017): fast densities, slow samples.
# Exchange $x$ and $z$ in (13), so that $s_i$ and $t_i$ read $z_{<i}$, and the two directions change their roles.
# This is the *inverse autoregressive flow*, IAF (Kingma et al. 2016): fast samples, whose density is known on the way, but $D$ passes for the density of a point that comes from elsewhere, such as a training picture.
# A coupling is the special case in which only two groups take turns.
# Its triangle is smaller, and in return either direction takes one pass.


# %%
class Masked(torch.nn.Module):
    """(13): s and t of x_{<i} from one network with masked weights; counts its passes."""

    def __init__(self, dim, width, n):
        super().__init__()
        inputs, hidden = torch.arange(1, dim + 1), torch.arange(width) % (dim - 1) + 1
        self.masks = hidden[:, None] >= inputs, (inputs[:, None] > hidden).repeat(2, 1)
        self.first, self.last = torch.nn.Linear(dim, width), torch.nn.Linear(width, 2 * dim)
        randomise(self, n), setattr(self, "passes", 0)

    def s_and_t(self, x):
        self.passes += 1
        features = torch.tanh(x @ (self.first.weight * self.masks[0]).T + self.first.bias)
        return (features @ (self.last.weight * self.masks[1]).T + self.last.bias).chunk(2, dim=1)


# %%
def autoregressive(net, x):
    s, t = net.s_and_t(x)
    return s.exp() * x + t, s.sum(1)


def autoregressive_inverse(net, z):
    x = torch.zeros_like(z)
    for i in range(z.shape[1]):  # x_1, ..., x_i are right after pass i
        s, t = net.s_and_t(x)
        x = x.index_copy(1, torch.tensor([i]), ((z - t) * (-s).exp())[:, [i]])
    return x


# %%
net = Masked(dim=6, width=40, n=1).requires_grad_(False)
z_auto, log_det_auto = autoregressive(net, x_6)
forward_passes, net.passes = net.passes, 0
x_6_back = autoregressive_inverse(net, z_auto)
print(f"passes of the network: {forward_passes} from x to z, {net.passes} from z to x")
J_auto = jacobian(lambda x: autoregressive(net, x)[0], x_6)
checks.identity("autoregressive: log-det (13)", log_det_auto, torch.linalg.slogdet(J_auto).logabsdet, tol=1e-9)
checks.identity("autoregressive: lower triangular", J_auto.triu(1), torch.zeros_like(J_auto), tol=1e-12)
checks.identity("autoregressive: all of the triangle", (J_auto[0].abs() > 1e-12).sum(), 6 * 7 / 2, tol=1e-12)
checks.identity("autoregressive: there and back", x_6_back, x_6, tol=1e-9)

# %% [markdown]
# ### Splines: more than a scale and a shift
#
# Couplings and autoregressive layers do one thing to a single coordinate, given the others: they scale and shift it.
# So a single layer makes of a Gaussian coordinate another Gaussian one, and only composition bends it.
# Any other monotone function of one variable would do in its place, if its slope and its inverse are cheap; the determinant is then the product of the slopes.
#
# *Rational-quadratic splines* are such functions (Gregory and Delbourgo 1982; as layers of flows, Durkan et al. 2019).
# Take knots $(x_k, y_k)$ that rise in both coordinates, and a slope $d_k > 0$ at each of them.
# In the bin from $x_k$ to $x_{k+1}$ let $\xi = (x - x_k)/(x_{k+1} - x_k)$ run from 0 to 1, let $\Delta_k = y_{k+1} - y_k$, and let $\sigma_k$ be the mean slope $\Delta_k/(x_{k+1} - x_k)$.
# Then
#
# $$z = y_k + \Delta_k\,\frac{\sigma_k \xi^2 + d_k\,\xi(1 - \xi)}{\sigma_k + c_k\,\xi(1 - \xi)}, \qquad c_k = d_k + d_{k+1} - 2\sigma_k, \tag{14}$$
#
# $$\frac{dz}{dx} = \sigma_k^2\,\frac{d_{k+1}\xi^2 + 2\sigma_k\,\xi(1 - \xi) + d_k(1 - \xi)^2}{\bigl[\sigma_k + c_k\,\xi(1 - \xi)\bigr]^2}. \tag{15}$$
#
# At $\xi = 0$ and $\xi = 1$, (14) gives $y_k$ and $y_{k+1}$, and (15) gives $d_k$ and $d_{k+1}$, so the pieces join with a continuous slope.
# The second derivative may jump at a knot: the density of $x$, in which the slope is a factor, is continuous there and has a kink.
# Outside the knots the map goes on as a straight line with the slope of the last knot, and so it is a bijection of the whole line.
# (The code below leaves these lines out; in the example all but $3 \cdot 10^{-7}$ of the mass lies between the knots.)
# The slope is positive everywhere, because its numerator is a sum of positive terms, and the denominator has no zero: $\sigma_k + c_k \xi(1-\xi) = \sigma_k(1 - 2\xi(1-\xi)) + (d_k + d_{k+1})\,\xi(1-\xi)$, where $\xi(1-\xi) \le \frac14$.
# For (15), write $\eta = 1 - \xi$, $N$ and $M$ for numerator and denominator of (14); then $dz/dx = \sigma_k (N'M - NM')/M^2$ with $N' = 2\sigma_k\xi + d_k(1 - 2\xi)$ and $M' = c_k(1 - 2\xi)$.
# In $N'M - NM'$ the terms with $d_k c_k$ cancel, and what is left is $\sigma_k\bigl[2\sigma_k\xi + d_k(1 - 2\xi) + c_k\xi^2(2\eta + 2\xi - 1)\bigr]$; since $2\eta + 2\xi - 1 = 1$, collecting $d_{k+1}$, $\sigma_k$ and $d_k$ gives (15).
#
# The inverse is a formula as well.
# With $r = z - y_k$, (14) says that $r\,[\sigma_k + c_k\xi(1-\xi)] = \Delta_k[\sigma_k\xi^2 + d_k\xi(1-\xi)]$, which is the quadratic equation
#
# $$A\xi^2 + B\xi + C = 0, \quad A = \Delta_k(\sigma_k - d_k) + r c_k, \quad B = \Delta_k d_k - r c_k, \quad C = -r\sigma_k, \qquad \xi = \frac{-2C}{B + \sqrt{B^2 - 4AC}}. \tag{16}$$
#
# Of its two solutions this is the one in $[0, 1]$, in the form that stays exact where $A$ is near 0.


# %%
def in_bin(value, ends, X, Y, d):
    """Of each value, counted among the knots' `ends` (X or Y), the numbers of its bin."""
    k = (torch.searchsorted(ends, value, right=True) - 1).clamp(0, len(X) - 2)
    sigma = Y.diff()[k] / X.diff()[k]
    return X[k], X.diff()[k], Y[k], Y.diff()[k], d[k], d[k + 1], sigma, d[k] + d[k + 1] - 2 * sigma


def spline(x, X, Y, d):
    """(14) and the logarithm of (15)."""
    x_k, width, y_k, delta, d_k, d_next, sigma, c = in_bin(x, X, X, Y, d)
    xi = (x - x_k) / width
    below = sigma + c * xi * (1 - xi)
    slope = sigma**2 * (d_next * xi**2 + 2 * sigma * xi * (1 - xi) + d_k * (1 - xi) ** 2) / below**2
    return y_k + delta * (sigma * xi**2 + d_k * xi * (1 - xi)) / below, slope.log()


def spline_inverse(z, X, Y, d):
    """(16)."""
    x_k, width, y_k, delta, d_k, _, sigma, c = in_bin(z, Y, X, Y, d)
    r = z - y_k
    A, B, C = delta * (sigma - d_k) + r * c, delta * d_k - r * c, -r * sigma
    return x_k + width * -2 * C / (B + (B**2 - 4 * A * C).sqrt())


# %%
X, Y = torch.rand(2, 9, generator=seed(3)).cumsum(1)
d = 0.2 + 3 * torch.rand(9, generator=seed(4))
x_in = (X[0] + (X[-1] - X[0]) * torch.rand(500, generator=seed(5))).requires_grad_()
z_in, log_slope = spline(x_in, X, Y, d)
(slope,) = torch.autograd.grad(z_in.sum(), x_in)
checks.identity("spline: the slope (15)", log_slope, slope.log(), tol=1e-9)
checks.identity("spline: there and back (16)", spline_inverse(z_in, X, Y, d), x_in, tol=1e-9)
beside = torch.stack(
    [spline(X[1:-1] + side, X, Y, d)[1].exp() for side in (-1e-9, 1e-9)]
)  # left and right of each knot
checks.identity("spline: one slope at each knot (15)", beside, d[1:-1].expand(2, 7), tol=1e-6)

# %% [markdown]
# What is gained shows on a density with two humps, $\frac12 N(-1, 0.3^2) + \frac12 N(1, 0.3^2)$.
# The best affine map of one coordinate gives the Gaussian of the same mean and variance, whatever the training.
# A single spline comes much closer, and here it needs no training either: the exact map is known, $z = \Phi^{-1}(F(x))$ with the distribution functions $F$ of $x$ and $\Phi$ of $N(0, 1)$, so we put the knots on it and give them its slopes.
# In a coupling, a network would read $x_1$ and output the knots and slopes for each coordinate of $x_2$.

# %%
humps = data.GaussianMixture([[-1.0], [1.0]], [[[0.09]], [[0.09]]])
x_h = torch.linspace(-2.5, 2.5, 20_001)
log_p_h = humps.log_prob(x_h[:, None])


def lacks(log_q):
    return torch.trapezoid(log_p_h.exp() * (log_p_h - log_q), x_h)


def spline_density(n_bins):
    X = torch.linspace(-2.5, 2.5, n_bins + 1)
    Y = Normal(0.0, 1.0).icdf((Normal(-1.0, 0.3).cdf(X) + Normal(1.0, 0.3).cdf(X)) / 2)
    d = (humps.log_prob(X[:, None]) - Normal(0.0, 1.0).log_prob(Y)).exp()
    z, log_slope = spline(x_h, X, Y, d)
    return Normal(0.0, 1.0).log_prob(z) + log_slope


affine = Normal(0.0, math.sqrt(1.09)).log_prob(x_h)
print(f"above the entropy: affine {lacks(affine):.3f} nats", end="")
print("".join(f", spline of {n} bins {lacks(spline_density(n)):.4f}" for n in (4, 8, 16)))
print(f"mass outside the knots: {Normal(-1.0, 0.3).cdf(x_h[0]) + Normal(1.0, 0.3).cdf(x_h[0]):.0e}")

# %%
shown = {"truth": log_p_h.exp(), "affine": affine.exp(), "spline, 8 bins": spline_density(8).exp()}
plots.figure(
    plots.lines(x_h, shown, xlabel="x", ylabel="density", aspect=2.2),
    alt="A density with two humps, a Gaussian over both that misses the hollow, and a spline's density that follows the truth closely.",
)

# %% [markdown]
# ### Very many small steps, and a trace
#
# One more answer gives up the cheap determinant itself.
# If a layer moves every point by a small step, $z = x + \epsilon\,v(x)$, its Jacobian is $I + \epsilon A$ with $A = \partial v/\partial x^\top$, and $\log\det(I + \epsilon A) = \epsilon \operatorname{tr} A + O(\epsilon^2)$.
# In the limit of infinitely many such steps only the trace is left, and $v$ may be any network; [Continuous time](05_continuous_time.ipynb) turns a diffusion model into a flow in this way.
#
# An exact trace takes $D$ backward passes, one for each diagonal entry.
# *Hutchinson's estimate* takes one.
# Draw a random vector $r$ with independent entries $\pm 1$, so that $E[rr^\top] = I$; then
#
# $$E[r^\top A\,r] = E[\operatorname{tr}(A\,rr^\top)] = \operatorname{tr}(A\,E[rr^\top]) = \operatorname{tr} A, \qquad \operatorname{Var}(r^\top A\,r) = \tfrac12 \sum_{i \ne j} (A_{ij} + A_{ji})^2. \tag{17}$$
#
# The product $r^\top A$ is one backward pass through $v$.
# The estimate has no bias, but it does have a variance, which comes from the entries off the diagonal: since $r_i^2 = 1$, $r^\top A\,r = \operatorname{tr} A + \sum_{i<j}(A_{ij} + A_{ji})\,r_i r_j$, and the products $r_i r_j$ of different pairs have mean 0 and variance 1 and are uncorrelated.

# %%
net_64 = randomise(
    torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64)), n=2, std=0.05
)


def v(x):
    """A random network, and a pull towards 0, so that the trace is far from 0."""
    return net_64(x) - x


# %%
x_64 = torch.randn(1, 64, generator=seed(6))
A = jacobian(v, x_64)[0]
r = 2.0 * torch.randint(2, (4000, 64), generator=seed(7)) - 1
_, pull_back = torch.func.vjp(lambda x: v(x[None])[0], x_64[0])
estimates = (torch.vmap(lambda one: pull_back(one)[0])(r) * r).sum(1)
off = A + A.T - torch.diag(2 * A.diagonal())
checks.at_most(
    "Hutchinson: no bias (17)", (estimates.mean() - A.trace()).abs(), 4 * estimates.std() / math.sqrt(4000)
)
checks.identity("Hutchinson: variance (17)", estimates.var() / (off**2).sum() * 2, 1.0, tol=0.1)
epsilon = 1e-4
log_det_step = torch.linalg.slogdet(torch.eye(64) + epsilon * A).logabsdet
checks.identity("a small step: the trace is left", log_det_step / epsilon, A.trace(), tol=1e-2)

# %% [markdown]
# ## 13. Larger pictures: mixing channels, several scales
#
# Two further layers of the library have not been used on our small digits; flows of larger pictures use one of them or both, and section 14 trains one.
#
# ### 1×1 convolutions
#
# Between two couplings, the halves change their roles.
# With this exchange, section 7 needed three couplings until everything depended on everything.
# An exchange of halves is a permutation of the channels, and a permutation is one invertible matrix among many.
# So let the mixing be learned as well: between two couplings put an invertible matrix $W$, which acts on the channels of every pixel alike.
# This is a convolution with a kernel of one pixel (Kingma and Dhariwal 2018, Glow).
#
# Its Jacobian is block-diagonal, with the same block $W$ for each of the $n$ pixels, so by section 4
#
# $$\log|\det J| = n\,\log|\det W|, \qquad W = P\,L\,(U + \operatorname{diag}(\pm e^{\ell})), \qquad \log|\det W| = \sum_i \ell_i. \tag{18}$$
#
# The second formula keeps $W$ invertible whatever its entries: $P$ is a fixed permutation, $L$ is lower triangular with ones on its diagonal, $U$ is strictly upper triangular, and the signs are fixed.
# So $|\det P| = |\det L| = 1$, the third factor is triangular, and a determinant of $C^3$ operations becomes a sum of $C$ numbers; the inverse is two triangular systems.
#
# The first cell checks (18), and the second shows what the layer is for.
# A rotation by itself makes every output depend on every input, but in the same way at every point, because it is linear.
# So we count the entries of the Jacobian that *change* from one point to another.
# Two couplings that exchange halves change 30 of 36, and a third one is needed for the rest.
# With a rotation in between, *two* couplings change all of them, without any exchange of halves, while with a rotation before both, half of the outputs stay linear.

# %%
conv = randomise(flows.InvertibleConv(3, seed=1), n=3, std=0.2)
colours = torch.randn(4, 3, 2, 5, generator=seed(8))
J_conv = jacobian(lambda x: conv(x)[0], colours)
checks.identity("1×1: log-det (18)", conv(colours)[1], torch.linalg.slogdet(J_conv).logabsdet, tol=1e-9)
checks.identity(
    "1×1: n log |det W|", conv(colours)[1], (10 * conv.weight().det().abs().log()).expand(4), tol=1e-9
)
checks.identity("1×1: there and back", conv.inverse(conv(colours)[0])[0], colours, tol=1e-9)

# %%
two_points = torch.randn(2, 6, generator=seed(0))
same_half = [randomise(flows.AffineCoupling(flows.masks.halves(6)), n=k, std=0.5) for k in (4, 5)]
in_turn = [randomise(flows.AffineCoupling(flows.masks.halves(6, swap=k == 5)), n=k, std=0.5) for k in (4, 5, 6)]
rotation, chains = flows.InvertibleConv(6), {"two couplings that keep the same half": same_half}
chains["two that exchange halves"], chains["three that exchange halves"] = in_turn[:2], in_turn
chains["two that keep the same half, a rotation before both"] = [rotation, *same_half]
chains["two that keep the same half, a rotation between"] = [same_half[0], rotation, same_half[1]]
for name, chain in chains.items():
    here, there = jacobian(lambda x, chain=chain: flows.Compose(chain)(x)[0], two_points)
    changing = ((here - there).abs() > 1e-12).sum()
    print(f"{name:51} {changing:2} of 36 entries change")
checks.identity("with a rotation between, all entries change", changing, 36, tol=1e-12)

# %% [markdown]
# ### Several scales
#
# A picture of $3 \times 32 \times 32$ has 3072 numbers, and a flow cannot throw one of them away.
# An image classifier halves the resolution again and again, and becomes cheaper and sees farther; how can a bijection do the same?
#
# Two layers do it together.
# A *squeeze* turns each square of $2 \times 2$ pixels into one pixel with four times the channels: it only moves numbers, so it is a permutation, and its log-determinant is 0.
# Afterwards a convolution of $3 \times 3$ reaches over $6 \times 6$ of the old pixels, and channels can be coupled with channels.
# Then half of the channels are *factored out*: they are finished, and are part of $z$ as they are, while the other half goes on through further layers.
# With $x = (x_1, x_2)$ and an inner flow $f_1$ for the half that goes on,
#
# $$z = (f_1(x_1),\, x_2), \qquad J = \begin{pmatrix} J_1 & 0 \\ 0 & I \end{pmatrix}, \qquad \log|\det J| = \log|\det J_1|, \tag{19}$$
#
# and as the base density is a product over coordinates, the finished half contributes its own factor of $N(0, I)$ at once.
# Nothing is lost: $z$ has as many numbers as $x$.
# But they are cheaper: with $n$ scales, the layers of scale $k$ handle $D/2^{k-1}$ numbers, together $D(1 + \frac12 + \frac14 + \dots) < 2D$ instead of $nD$ (Dinh et al. 2017, section 3.6).
# The numbers that go on longest are also the ones that reach over the largest part of the picture.


# %%
large = flows.RealNVP.for_images((3, 32, 32), n_scales=4, width=1, n_blocks=1)
sizes_of = {layer.mask.numel() for layer in large.modules() if isinstance(layer, flows.AffineCoupling)}
print(f"numbers in a coupling: {sorted(sizes_of, reverse=True)}, together {sum(sizes_of)} instead of {4 * 3072}")

# %%
image_flow = randomise(
    flows.RealNVP.for_images((1, 4, 4), n_scales=2, width=8, n_blocks=1, levels=17), n=6, std=0.1
)
y_16 = torch.rand(5, 1, 4, 4, generator=seed(9))
z_16, log_det_16 = image_flow(y_16)
J_16 = jacobian(lambda y: image_flow(y)[0], y_16)
checks.identity("two scales: log-det (19)", log_det_16, torch.linalg.slogdet(J_16).logabsdet, tol=1e-8)
checks.identity("two scales: there and back", image_flow.inverse(z_16)[0], y_16, tol=1e-8)
squares = torch.randn(2, 3, 4, 4, generator=seed(10))
corners = [squares[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
checks.identity("squeeze: the corners", flows.Squeeze()(squares)[0], torch.cat(corners, dim=1), tol=1e-12)
squeezed = jacobian(lambda x: flows.Squeeze()(x)[0].reshape(x.shape), squares)
checks.identity(
    "squeeze: log-det 0", flows.Squeeze()(squares)[1], torch.linalg.slogdet(squeezed).logabsdet, tol=1e-12
)

# %% [markdown]
# ## 14. A flow of drawings in colour
#
# Random tensors have shown that these layers are correct; what they are good for has to be seen on pictures.
# We take emoji in colour (OpenMoji, HfG Schwäbisch Gmünd, CC BY-SA 4.0): 1500 to train on and 144 held out, each of $3 \times 32 \times 32$ numbers on 256 levels.
# The flow is a RealNVP of three scales.
# At each of the first two stand three couplings with checkerboard masks, a squeeze, and three couplings of channels, after which half of the numbers are factored out; at the last, of $8 \times 8$ pixels, stand four more couplings.
# Before each of the 16 couplings there is a 1×1 convolution.
# The flow was trained on the 1500 drawings and their mirror images, for a few minutes on one core.


# %%
def drawings(split):
    """The drawings' levels, (N, 3, 32, 32)."""
    return ((data.emoji(split).y + 1) * 127.5).round().long()


drawn, held_out = drawings("train"), drawings("test")
colour_flow = flows.RealNVP.for_images((3, 32, 32), n_scales=3, width=8, n_blocks=1, one_by_one=True).float()
train.load(colour_flow, run_file("emoji_flow.safetensors"))
steps = train.History.load(run_file("emoji_flow.json")).step[-1]
n_weights = sum(p.numel() for p in colour_flow.parameters())
print(f"{len(drawn)} drawings and {len(held_out)} held out; {n_weights:,} parameters, {steps} steps of 16")

# %%
x_drawn = flows.dequantize(held_out, 256, seed(11), dtype=torch.float32)
with torch.no_grad():
    z_drawn, _ = colour_flow(x_drawn)
    x_drawn_back, _ = colour_flow.inverse(z_drawn)
checks.identity("144 drawings: there and back", x_drawn_back, x_drawn, tol=1e-4)  # float32

# %% [markdown]
# ### What a squeeze makes of a drawing
#
# A squeeze makes four small pictures of a large one, one of the top left corners of all squares of $2 \times 2$ pixels, one of the top right corners, and so on.
# Each of them shows the whole drawing, and they differ only where something changes within two pixels, at the outlines.
# A coupling of channels, which sees two of them while it changes the other two, is therefore told much about what it has to scale and shift.

# %%
small = flows.Squeeze()(held_out[6::12] / 255)[0].unflatten(1, (4, 3))  # (12, corner, colour, 16, 16)
plots.image_rows(
    drawn=held_out[6::12] / 255,
    **{"top left": small[:, 0], "bottom right": small[:, 3], "difference": 0.5 + (small[:, 0] - small[:, 3]) / 2},
    span=(0, 1),
    alt="Twelve drawings; below them two of the four small pictures that a squeeze makes of each, which look alike; and the difference of these two, grey but for the outlines.",
)

# %%
numbers = flows.Squeeze()(drawn.double())[0].movedim(1, 0).flatten(1)  # (12, all squares of all drawings)
related = torch.corrcoef(numbers)
colours = {"red and green": (0, 1), "green and blue": (1, 2), "red and blue": (0, 2)}
for name, (i, j) in colours.items():
    print(f"correlation of {name + ', in one pixel':31} {related[i, j]:.2f}")
print(f"correlation of {'red, in two pixels side by side':31} {related[0, 3]:.2f}")

# %% [markdown]
# ### Why mix the channels?
#
# Of the numbers around a number, the other colours of the same pixel are its closest relatives, closer than the same colour in the pixel beside it.
# The couplings of RealNVP cannot use this directly.
# A checkerboard keeps or changes all three colours of a pixel together, and so does the split of the channels after a squeeze, whose first half are the two upper corners of each square, with all their colours.
# In each coupling, then, red is scaled and shifted by what the networks read in *other* pixels, and never by green or blue of its own pixel.
# A 1×1 convolution before the coupling makes every channel a mixture of the colours.
# The cell counts, over 16 pixels, by how many of the other two colours of its pixel each output is moved.

# %%
board = flows.masks.checkerboard((3, 4, 4))
in_colour = randomise(flows.AffineCoupling(board, flows.ConvNet(3, 6, 8, 1)), n=7)
a_picture = torch.randn(1, 3, 4, 4, generator=seed(12))
other = {}
for name, layers in {"alone": [in_colour], "after a 1×1": [flows.InvertibleConv(3), in_colour]}.items():
    J = jacobian(lambda x, layers=layers: flows.Compose(layers)(x)[0], a_picture).view(3, 16, 3, 16)
    within = J.diagonal(dim1=1, dim2=3)  # (3, 3, pixel)
    other[name] = (within.abs() > 1e-12).sum() - (within.diagonal().abs() > 1e-12).sum()
checks.identity("a coupling alone: no colour moves another of its pixel", other["alone"], 0, tol=1e-12)
checks.identity("after a 1×1 convolution: each moves both", other["after a 1×1"], 16 * 6, tol=1e-12)

# %% [markdown]
# To see what that is worth, we change this one thing, and train three flows from the same weights of the networks, on the same pictures in the same order, with three seeds each: one without 1×1 convolutions, one whose 1×1 convolutions stay the random rotations that they start as, and one in which they are learned.

# %%
runs = load_file(run_file("emoji_flow_seeds.safetensors"))  # bits/dim: (what mixes, seed, drawing)
mixing = ("1×1, learned", "1×1, random", "no 1×1")
bits_of = dict(zip(mixing, runs["held_out"].double(), strict=True))
plots.table(
    ["seed 0", "seed 1", "seed 2"],
    [plots.Row(name, bits.mean(1).tolist(), ".3f") for name, bits in bits_of.items()],
    caption="Bits per dimension of the 144 held-out drawings.",
)

# %%
learned = bits_of["1×1, learned"]
for name in mixing[1:]:
    more = (bits_of[name] - learned).mean(0)  # of each drawing, the mean of three seeds
    print(f"{name:22} {more.mean():.3f} bits more than learned, ± {more.std() / 12:.3f} over the drawings")

# %% [markdown]
# Without the convolutions a number costs 0.6 bits more than with learned ones, in each of the three seeds.
# Random rotations that nothing has adapted to the drawings make up for nearly half of it: so mixing helps as such, and learning how to mix as much again.
#
# ### What factoring out saves
#
# The cell builds the same couplings once more, but lets all 3072 numbers go on through all three scales, and takes the time of a pass forwards and back with 16 drawings.


# %%
def coupled(masks, width):
    sizes = [flows.AffineCoupling.sizes(mask) for mask in masks]
    nets = [flows.ConvNet(n_in, 2 * n_out, width, n_blocks=1) for n_in, n_out in sizes]
    return [flows.AffineCoupling(mask, net) for mask, net in zip(masks, nets, strict=True)]


def all_go_on(shape, width, n_scales):
    """The couplings of `RealNVP.for_images`, with nothing factored out."""
    (C, H, W), board = shape, flows.masks.checkerboard(shape)
    if n_scales == 1:
        return coupled([board, ~board, board, ~board], width)
    squeezed = (4 * C, H // 2, W // 2)
    half = flows.masks.channel(squeezed)
    here = [*coupled([board, ~board, board], width), flows.Squeeze(), *coupled([half, ~half, half], 2 * width)]
    return [*here, *all_go_on(squeezed, 2 * width, n_scales - 1), flows.Inverse(flows.Squeeze())]


# %% tags=["nbval-ignore-output"]
shape = (3, 32, 32)
halving = flows.RealNVP.for_images(shape, n_scales=3, width=8, n_blocks=1)
keeping = flows.Flow([flows.Logit(), *all_go_on(shape, width=8, n_scales=3)], shape, levels=256)
took, batch_16 = {"half is factored out": [], "all go on": []}, x_drawn[:16]
pairs = dict(zip(took, (halving, keeping), strict=True))
for name, flow in list(pairs.items()) * 6:  # in turn
    flow.to(torch.float32, memory_format=torch.channels_last)
    start = time.process_time()
    flow.log_prob(batch_16).mean().backward()
    took[name].append(1000 * (time.process_time() - start))
for name, flow in pairs.items():
    parameters = sum(p.numel() for p in flow.parameters())
    print(f"{name:20} {parameters:,} parameters, {min(took[name]):.0f} ms")

# %% [markdown]
# The saving is smaller than the count of numbers suggests, because inside a network a convolution works between its own features and costs the same in both flows; only the first and the last layer of each are cheaper.
#
# ### Which part of z holds what
#
# What is factored out first, half of all numbers, is finished after six couplings; a quarter goes through twelve, and the last quarter through all 16.
# In $z$ each has its places, the half on a checkerboard of pixels, and each quarter on every second square of the rest.
# The cell looks for them where the trained flow is on its way.

# %%
row, column = torch.arange(32)[:, None], torch.arange(32)
finest = (row + column) % 2 == 1
middle = ~finest & ((row // 2 + column // 2) % 2 == 1)
parts = {"finest": finest, "middle": middle, "coarsest": ~finest & ~middle}
*first, factor_out, _ = colour_flow.layers
*second, _, _ = factor_out.inner
unsqueeze = flows.Squeeze().inverse
with torch.no_grad():
    after_first, _ = flows.Compose(first)(x_drawn)
    after_second, _ = flows.Compose(second)(after_first[:, factor_out.mask])
finished = unsqueeze(after_first)[0][..., finest], unsqueeze(after_second)[0][..., middle[::2, ::2]]
in_z = z_drawn[..., finest], flows.Squeeze()(z_drawn)[0][:, factor_out.mask][..., middle[::2, ::2]]
checks.identity("the finest half: in z as it left the first scale (19)", finished[0], in_z[0], tol=1e-6)
checks.identity("the middle quarter: as it left the second (19)", finished[1], in_z[1], tol=1e-6)

# %% [markdown]
# Now take the codes of the held-out drawings, draw one of the three parts anew from $N(0, I)$, keep the other two, and go back.

# %%
fresh = torch.randn(z_drawn.shape, generator=seed(13), dtype=torch.float32)
with torch.no_grad():
    renewed = {
        name: flows.quantize(colour_flow.inverse(torch.where(place, fresh, z_drawn))[0], 256)
        for name, place in parts.items()
    }
plots.image_rows(
    drawn=held_out[6::12] / 255,
    **{f"new: {name}": pictures[6::12] / 255 for name, pictures in renewed.items()},
    span=(0, 1),
    alt="Twelve held-out drawings. With a new finest half they are the same drawings, roughened; with a new middle quarter too; with a new coarsest quarter other shapes in other places, and none is recognised.",
)

# %% tags=["nbval-ignore-output"]
rows = {"in the mean of 8 × 8 pixels": [], "around that mean": []}
for pictures in renewed.values():
    moved = (pictures - held_out) / 255
    means = torch.nn.functional.avg_pool2d(moved, 8)
    around = moved - means.repeat_interleave(8, 2).repeat_interleave(8, 3)
    for values, part in zip(rows.values(), (means, around), strict=True):
        values.append(part.square().mean().sqrt().item())
plots.table(
    list(parts), [plots.Row(name, values, ".3f") for name, values in rows.items()],
    caption="How far all 144 drawings move when one part of z is drawn anew: root mean square, white is 1 and black 0.",
)  # fmt: skip

# %% [markdown]
# With another finest half, which is half of $z$, almost every drawing can still be recognised, though its colours are blotched and its lines broken in places.
# With another coarsest quarter nothing of it is left, and something else stands in its place, although the three quarters that were kept had come from the drawing.
# So the two do not lie side by side, as layers of a picture would: what the finer numbers mean, the couplings decide by looking at the coarser ones.

# %% [markdown]
# ### How short is the code?
#
# We put other codes of the same 144 drawings beside the flow's.
# *Uniform* gives each level the same probability, and *levels* the frequency that it has in the training pictures.
# The *Gaussian* has their mean and covariance, shrunk towards its diagonal by the share that suits the held-out drawings best of five that we tried.
# *PNG* and lossless *WebP* are lengths of files, header included, from programs that have seen no other drawing.

# %% tags=["nbval-ignore-output"]
trained_on = torch.cat([drawn, drawn.flip(3)])
frequency = torch.bincount(trained_on.flatten(), minlength=256) / trained_on.numel()
noisy = 256 * flows.dequantize(trained_on, 256, seed(14)).flatten(1)
C = torch.cov(noisy.T)
gaussian = torch.distributions.MultivariateNormal(noisy.mean(0), 0.97 * C + 0.03 * torch.diag(C.diagonal()))
log_p_gaussian = gaussian.log_prob(256 * flows.dequantize(held_out, 256, seed(15)).flatten(1))
lengths = {"uniform": torch.full((144,), 8.0), "levels": -frequency[held_out].log2().flatten(1).mean(1)}
lengths |= {"Gaussian": -log_p_gaussian / (3072 * math.log(2))}


# %%
def file_bits(picture, kind, **settings):
    """How long the file of one picture is, in bits per number."""
    file = io.BytesIO()
    Image.fromarray(picture.byte().movedim(0, 2).numpy()).save(file, kind, **settings)
    return 8 * len(file.getvalue()) / picture.numel()


# %% tags=["nbval-ignore-output"]
lengths["PNG"] = torch.tensor([file_bits(picture, "PNG", optimize=True) for picture in held_out])
lengths["WebP"] = torch.tensor(
    [file_bits(picture, "WEBP", lossless=True, quality=100, method=6) for picture in held_out]
)
lengths["flow, seed 0"] = colour_flow.bits_per_dim(held_out, generator=seed(0))
for name, bits in lengths.items():
    print(f"{name:13} {bits.mean():5.2f} ± {bits.std() / 12:.2f} bits per dimension")
print(f"white: {(held_out == 255).all(1).double().mean():.2f} of all pixels")
print("flow, three seeds: " + ", ".join(f"{bits:.2f}" for bits in bits_of[mixing[0]].mean(1)))

# %% [markdown]
# The flow's code is a bit per dimension shorter than PNG's, and a quarter of a bit longer than that of lossless WebP.
# Three seeds differ by less than the standard error over the drawings.
#
# <details><summary><b>Question.</b> The Gaussian knows how any two pixels are related. Why does it need more bits than the bare frequencies?</summary>
#
# Because many pixels are exactly white, and it cannot be sure of any.
# Given all the others, a Gaussian's variance of a pixel is a number that does not depend on their values: its uncertainty in the middle of the ground is that along the outlines.
# The frequencies give white its share wherever it stands.
# </details>
#
# <details><summary><b>Question.</b> Should emoji be stored with this flow?</summary>
#
# Not with this one.
# WebP's files are shorter, and they need no 204,039 weights beside them, which whoever reads our code must have as well.
# Nor is a code length a file: a program would have to turn the density into bits, and compute the same floating-point numbers where they are read.
# What the comparison says is how much the flow knows about drawings that it has never seen.
# </details>
#
# ### What does not work
#
# Fifteen hundred drawings are few, and a flow could learn them by heart.
# In 2000 steps, in which each drawing and its mirror image is seen about ten times, it does not: the curves are no farther apart at the end than at the start.

# %%
print(f"held out {bits_of[mixing[0]].mean():.3f}, all training drawings {runs['train'][0].mean():.3f}")
plots.figure(
    plots.lines(
        runs["step"],
        {"150 training drawings": runs["train.curve"][0].mean(0), "held out": runs["held_out.curve"][0].mean(0)},
        xlabel="step", ylabel="bits per dimension", aspect=2.2,
    ),
    alt="Bits per dimension against the step, the mean of three seeds: both curves fall steeply at first, then ever more slowly, and lie close together to the end.",
)  # fmt: skip

# %%
tempered = {
    f"temperature {tau}": flows.quantize(colour_flow.sample(12, temperature=tau, generator=seed(16)), 256) / 255
    for tau in (1.0, 0.7)
}
plots.image_rows(
    drawn=held_out[6::12] / 255, **tempered, span=(0, 1),
    alt="Twelve held-out drawings, and twelve samples of the flow at each of two temperatures: patches of colour within black lines on white, which depict nothing; at the lower temperature they are greyer and smaller.",
)  # fmt: skip

# %% [markdown]
# The samples have what a drawing has from near: a white ground, patches of one colour, black lines along them.
# But they depict nothing.
# A lower temperature, which cleaned the digits of section 10, takes their colour away instead.
# The likelihood hardly punishes this, for it is a mean over *real* drawings (section 11).

# %% [markdown]
# ## Where to read on
#
# - Rezende and Mohamed 2015, *Variational Inference with Normalizing Flows*: planar flows, from base to data.
# - Kingma et al. 2016, *Improving Variational Inference with Inverse Autoregressive Flow*; Papamakarios, Pavlakou and Murray 2017, *Masked Autoregressive Flow for Density Estimation*.
# - Durkan, Bekasov, Murray and Papamakarios 2019, *Neural Spline Flows*.
# - Grathwohl et al. 2019, *FFJORD*: continuous flows, with Hutchinson's trace.
# - Kingma and Dhariwal 2018, *Glow*: actnorm, 1×1 convolutions, temperature.
# - Papamakarios et al. 2021, *Normalizing Flows for Probabilistic Modeling and Inference*: a survey.
#
# Now build it yourself: the lab `my_labs/lab_2_flows.ipynb`.
# A flow pays for its exact likelihood: each of its layers must have an inverse and a cheap determinant.
# In a coupling flow, therefore, a network sits inside a layer; in a continuous flow it may be any network, but each density takes a whole path of steps and a trace at every one of them.
# What can be done if the map itself may be any network, and a bound of the likelihood is enough?
# The next lecture asks that: [Diffusion models](04_diffusion_models.ipynb).
