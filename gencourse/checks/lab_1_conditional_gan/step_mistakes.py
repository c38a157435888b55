"""What goes wrong in one step of a training: every mistake that has a hint of its own."""

from typing import Any

from torch import Tensor
from torch.nn.functional import softplus

from gencourse.checks.lab_1_conditional_gan.step import STEP, Optimizer


def _loss_D(D: Any, x: Tensor, y: Tensor, fake: Tensor) -> Tensor:  # noqa: N802
    return softplus(-D(x, y)).mean() + softplus(D(x, fake)).mean()


def _loss_G(D: Any, x: Tensor, y: Tensor, fake: Tensor, lam: float) -> Tensor:  # noqa: N802
    return softplus(-D(x, fake)).mean() + lam * (y - fake).abs().mean()


def _turn(optimizer: Optimizer, loss: Tensor, empty: bool = True) -> None:
    if empty:
        optimizer.zero_grad()
    loss.backward(retain_graph=True)
    optimizer.step()


@STEP.mistake(
    "G's step holds the gradient of D's loss, too: the fakes in D's loss were still tied to G, and what came back "
    "along that way lay in G's .grad. Cut them off in D's turn."
)
def leak(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    G_optimizer.zero_grad()
    _turn(D_optimizer, _loss_D(D, x, y, fake))
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam), empty=False)


@STEP.mistake(
    "G was judged by D as it was before its step. The order: D's turn to its end, then call D again on the fakes, and "
    "G's turn."
)
def old_D(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    G_optimizer.zero_grad()
    _loss_G(D, x, y, fake, lam).backward()
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    G_optimizer.step()


@STEP.mistake(
    "D's backward has used up a graph that G's backward needs: D's loss had fakes that were not cut, or what D said of "
    "them was kept for G's turn. Whom does G have to ask in its turn? retain_graph would only hide it."
)
def used_up(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _loss_D(D, x, y, fake).backward()
    _loss_G(D, x, y, fake, lam).backward()


@STEP.mistake("G's turn came first, and D saw fakes of the new G. D's turn comes first, on the fakes of both turns.")
def G_first(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    _turn(G_optimizer, _loss_G(D, x, y, G(x, z), lam))
    _turn(D_optimizer, _loss_D(D, x, y, G(x, z).detach()))


@STEP.mistake(
    "D moved with the gradient of G's loss, too, as if it were to be fooled: on its way to G that loss passes through "
    "D, and leaves its trace in D's .grad. Let D take its step before."
)
def accumulated(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    G_optimizer.zero_grad()
    D_optimizer.zero_grad()
    (_loss_D(D, x, y, fake.detach()) + _loss_G(D, x, y, fake, lam)).backward()
    G_optimizer.step()
    D_optimizer.step()


@STEP.mistake("One loss for both: each network moved with the gradients of D's loss and of G's. They are opponents.")
def joint(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    G_optimizer.zero_grad()
    D_optimizer.zero_grad()
    (_loss_D(D, x, y, fake) + _loss_G(D, x, y, fake, lam)).backward()
    G_optimizer.step()
    D_optimizer.step()


@STEP.mistake(
    ".grad was not emptied before this turn's backward: D's and G's steps hold the gradients of an earlier step, too."
)
def stale(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()), empty=False)
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam), empty=False)


@STEP.mistake(
    "D's .grad was not emptied before its backward: gradients of an earlier step, and G's last one, are in it."
)
def stale_D(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()), empty=False)
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("G's .grad was not emptied before its backward: the gradient of an earlier step was added to it.")
def stale_G(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam), empty=False)


@STEP.mistake(
    "Only D has moved. Is G's optimizer called, do slopes come back from G's loss to G (are its fakes uncut), and are "
    "they still there when it steps: where does zero_grad stand?"
)
def only_D(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    _turn(D_optimizer, _loss_D(D, x, y, G(x, z).detach()))


@STEP.mistake("D has not moved, G has. Whose step() is called at the end of D's turn?")
def only_G(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    _turn(G_optimizer, _loss_G(D, x, y, G(x, z), lam))


@STEP.mistake(
    "No weight has moved. Is each optimizer's step() called, after backward(), and with the gradients still there?"
)
def nothing_moves(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    pass


@STEP.mistake(
    "G moved by the distance alone: what D judges in G's turn is cut off from G, or is no fake. Cut the fakes in D's "
    "turn only."
)
def cut(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, lam * (y - fake).abs().mean())


@STEP.mistake(
    "In G's turn D moved as well, towards being fooled. Each optimizer takes one step, at the end of its turn."
)
def D_twice(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    G_optimizer.zero_grad()
    D_optimizer.zero_grad()
    _loss_G(D, x, y, fake, lam).backward()
    G_optimizer.step()
    D_optimizer.step()


@STEP.mistake("Each network is moved by the other's loss: its optimizer steps in the other's turn.")
def exchanged(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    G_optimizer.zero_grad()
    D_optimizer.zero_grad()
    _turn(G_optimizer, _loss_D(D, x, y, fake), empty=False)
    D_optimizer.zero_grad()
    _turn(D_optimizer, _loss_G(D, x, y, fake.detach(), lam))


@STEP.mistake("λ and the distance are missing in G's loss.")
def no_distance(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, softplus(-D(x, fake)).mean())


@STEP.mistake("λ is missing: the distance counts once.")
def no_lam(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(D, x, y, fake, 1.0))


@STEP.mistake("G follows the minimax loss. The non-saturating one is in the objective.")
def minimax(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, -softplus(D(x, fake)).mean() + lam * (y - fake).abs().mean())


@STEP.mistake("G goes down D's loss: it learns to be caught.")
def helps_D(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, softplus(D(x, fake)).mean() + lam * (y - fake).abs().mean())


@STEP.mistake("D never saw a fake: only real pictures are in its loss.")
def real_only(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, softplus(-D(x, y)).mean())
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("Real and fake have changed places in D's loss.")
def swapped(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, softplus(D(x, y)).mean() + softplus(-D(x, fake.detach())).mean())
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("D climbs: the sign of its loss is turned, and an optimizer makes a loss small.")
def uphill(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, -_loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("D's loss is halved. Here its two terms are added.")
def halved(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()) / 2)
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("λ weighs both terms of G's loss. It belongs to the distance.")
def lam_on_both(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, lam * _loss_G(D, x, y, fake, 1.0))


@STEP.mistake("The distance in G's loss is squared. In the objective it is the mean absolute value.")
def squared(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, softplus(-D(x, fake)).mean() + lam * (y - fake).square().mean())


@STEP.mistake("The distance in G's loss is summed over the pixels. It is a mean.")
def summed(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, softplus(-D(x, fake)).mean() + lam * (y - fake).abs().sum())


@STEP.mistake("The distance is subtracted in G's loss: G is paid for going away from the target.")
def subtracted(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(D, x, y, fake, -lam))


@STEP.mistake("D never saw a real picture: only fakes are in its loss.")
def fake_only(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, softplus(D(x, fake.detach())).mean())
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("D's loss is summed over the batch. Each of its terms is an average.")
def summed_D(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    _turn(D_optimizer, y.numel() * _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("λ is on what D says. It belongs to the distance.")
def lam_on_the_other(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, lam * softplus(-D(x, fake)).mean() + (y - fake).abs().mean())


@STEP.mistake("D was called with y first. It sees the condition first: D(x, y).")
def y_first(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    def turned(x, y):
        return D(y, x)

    fake = G(x, z)
    _turn(D_optimizer, _loss_D(turned, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(turned, x, y, fake, lam))


@STEP.mistake("G took two steps. Each network takes one, with one backward before it.")
def G_twice(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    _turn(D_optimizer, _loss_D(D, x, y, G(x, z).detach()))
    for _ in range(2):
        _turn(G_optimizer, _loss_G(D, x, y, G(x, z), lam))


@STEP.mistake("D took two steps before G's turn. Some recipes do so; here each network takes one.")
def two_steps_of_D(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:  # noqa: N802
    fake = G(x, z)
    for _ in range(2):
        _turn(D_optimizer, _loss_D(D, x, y, fake.detach()))
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))


@STEP.mistake("D's loss is the least-squares GAN's. Here it is that of the first exercise.")
def least_squares(G, D, G_optimizer, D_optimizer, x, y, z, lam) -> None:
    fake = G(x, z)
    _turn(D_optimizer, (D(x, y) - 1).square().mean() + D(x, fake.detach()).square().mean())
    _turn(G_optimizer, _loss_G(D, x, y, fake, lam))
