"""What is said about wrong arguments: each message names the argument and what came."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor, nn

from genlib.arguments import Count, Dropout, Label, LabelOrNone, Positive, Seed, Share, Sizes, check, checked

X, T = torch.randn(4, 2), torch.ones(4, dtype=torch.int64)


class Chain:
    T = 10

    @checked
    def q_sample(
        self,
        x_0: Float[Tensor, "B *S"],
        t: Annotated[Int64[Tensor, " B"], "[1, {self.T}]"],
        eps: Annotated[Float[Tensor, "B *S"], "finite"],
    ) -> Tensor:
        return x_0


class Net(nn.Module):
    shape = (2, 3)

    def __init__(self, n_classes: int | None = None, n_condition: int | None = None) -> None:
        super().__init__()
        self.n_classes, self.n_condition = n_classes, n_condition
        self.dense = nn.Linear(3, 3)

    @checked
    def forward(self, x: Float[Tensor, "B {self.shape}"], label: Label = None) -> Tensor:
        return self.dense(x)

    @checked
    def guided(self, x: Float[Tensor, "B {self.shape}"], label: LabelOrNone = None) -> Any:
        return label

    @checked
    def sample(self, n: Count, label: Label = None) -> Any:
        return label

    @checked
    def judge(self, label: Label | None, x: Float[Tensor, "B {self.shape}"]) -> Any:
        return label


@checked
def setting(
    count: Count = 1,
    seed: Seed = 0,
    share: Share = 0.5,
    dropout: Dropout = 0.0,
    positive: Positive = 1.0,
    number: Annotated[float, "[-1e15, 1e15]"] = 0.0,
    name: Literal["eps", "v"] = "eps",
    flag: bool = False,
    steps: int | Sequence[Count] | None = None,
    betas: tuple[Dropout, Dropout] = (0.5, 0.9),
    generator: torch.Generator | None = None,
    f: Callable[[int], int] = int,
    anything: Any = None,
) -> dict[str, Any]:
    return dict(locals())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("count", value)
            for value in (0, 1.0, "1", True, None, 10**9, [1], math.nan, torch.ones(2, dtype=torch.int64))
        ),
        *(("seed", value) for value in (-1, 2**63, 0.5)),
        *(("share", value) for value in (-1e-9, 1.0000001, "0.5", True, None, math.nan, 1j, 10**400)),
        *(("dropout", value) for value in (1, 1.0, -0.1)),
        *(("positive", value) for value in (0, -1, math.inf, 10**400)),
        *(("number", value) for value in (math.inf, math.nan, "x", "1.5", b"1.5", bytearray(b"1"), memoryview(b"1"))),
        *(("number", value) for value in (np.array("1.5"), np.complex128(1), torch.tensor(1 + 0j), np.True_, float)),
        *(("name", value) for value in ("epss", 3, None, ["eps"])),
        *(("flag", value) for value in (1, "False", None, 0.0)),
        *(("steps", value) for value in ("x", [0], [1, "2"], 2.5, {1: 2}, b"ab", bytearray(b"ab"), memoryview(b"ab"))),
        *(("steps", value) for value in (range(1, 10**7), range(1, 10**30), torch.ones(2, device="meta").long())),
        *(("betas", value) for value in ((0.1,), (0.1, 1.0), 0.5, None)),
        *(("generator", value) for value in (0, torch.Generator)),
        *(("f", value) for value in (None, 3)),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: expected .*, got .") as caught:
        setting(**{name: value})
    assert len(str(caught.value)) < 250


def test_numbers_arrive_as_pythons_own_and_sequences_as_tuples() -> None:
    got = setting(
        np.int64(3),  # type: ignore
        share=np.float32(0.5),  # type: ignore
        positive=torch.tensor(2.0),  # type: ignore
        steps=np.array([1, 2]),  # type: ignore
        betas=[0, 0.5],  # type: ignore
    )
    assert [type(got[name]) for name in ("count", "share", "positive")] == [int, float, float]
    assert (got["count"], got["share"], got["positive"]) == (3, 0.5, 2.0)
    assert got["steps"] == (1, 2)
    assert [type(step) for step in got["steps"]] == [int, int]
    assert got["betas"] == (0.0, 0.5)
    assert setting(steps=range(1, 3))["steps"] == (1, 2)
    assert setting(anything=setting)["anything"] is setting
    assert check("number", 10**400, int) == 10**400
    assert setting(dropout=0, share=1)["share"] == 1


def test_looking_at_values_asks_for_no_gradient(recwarn: pytest.WarningsRecorder) -> None:
    Chain().q_sample(X, T, X.clone().requires_grad_())
    assert check("x", X.sigmoid().requires_grad_(), Annotated[Float[Tensor, "..."], "[0, 1]"]).requires_grad
    with pytest.raises(ValueError, match="eps"):
        Chain().q_sample(X, T, X[:, :1].clone().requires_grad_())
    assert not recwarn.list


def test_a_near_miss_is_pointed_out() -> None:
    with pytest.raises(ValueError, match=r"got 'epss'\. Did you mean 'eps'\?"):
        setting(name="epss")  # type: ignore[arg-type]


def test_a_near_miss_is_pointed_out_where_names_have_dots() -> None:
    with pytest.raises(ValueError, match=r"Did you mean 'two modes'\?"):
        check("data", "two mode", Literal["two modes", "one mode"])
    with pytest.raises(ValueError, match=r"Did you mean 'flows.affine'\?"):
        check("name", "flows.afine", Literal["flows.affine", "gan.pair"])


@pytest.mark.parametrize("hint", [Literal["a", "b"], str, Count, Float[Tensor, "B *S"], Sizes])
@pytest.mark.parametrize(
    "value",
    [
        np.array(["a", "b"]),
        torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]),
        torch.empty(2, dtype=torch.bits8),
    ],
    ids=["array", "nested", "bits"],
)
def test_what_cannot_be_shown_or_compared_is_refused_by_name(hint: Any, value: object) -> None:
    with pytest.raises(ValueError, match=r"^name: expected "):
        check("name", value, hint)


def test_what_python_refuses_it_says_itself() -> None:
    for call in (lambda: setting(1, count=2), lambda: setting(nonsense=1), lambda: Chain().q_sample(X, T)):  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="argument"):
            call()


@pytest.mark.parametrize(
    ("changed", "came"),
    [
        ({"t": T[:3]}, r"t: .*\(4,\).*got int64 of shape \(3,\)"),
        ({"t": 0 * T}, r"t: .*1, 10.*got int64 of shape \(4,\) with values 0..0"),
        ({"t": 10 * T + 1}, r"t: .*values 21..21|t: .*values 11..11"),
        ({"t": T.int()}, r"t: .*got int32"),
        ({"t": [1, 1, 1, 1]}, r"t: .*got \[1, 1, 1, 1\]"),
        ({"eps": X[:, :1]}, r"eps: .*\(4, 2\).*got float32 of shape \(4, 1\)"),
        ({"eps": X * math.nan}, r"eps: .*finite.*NaN"),
        ({"x_0": X.int()}, r"x_0: .*got int32"),
        ({"x_0": X.to_sparse()}, r"x_0: .*got .*sparse"),
        ({"x_0": X.to(torch.float8_e4m3fn)}, r"x_0: .*float8"),
        ({"eps": X.to("meta")}, r"eps: .*on meta"),
        ({"x_0": X.to(torch.complex64)}, r"x_0: .*complex64"),
        ({"x_0": torch.tensor(1.0)}, r"x_0: .*shape \(\)"),
        ({"x_0": None}, r"x_0: .*got None"),
    ],
)
def test_a_tensor_of_another_kind_is_refused(changed: dict, came: str) -> None:
    Chain().q_sample(**{"x_0": X, "t": T, "eps": X})
    with pytest.raises(ValueError, match=came):
        Chain().q_sample(**{"x_0": X, "t": T, "eps": X, **changed})


def test_a_sum_that_overflows_is_no_infinity() -> None:
    big = torch.full((4, 2), 3e38)
    assert Chain().q_sample(big, T, big) is big


def test_a_module_wants_the_dtype_and_the_place_of_its_weights() -> None:
    x = torch.randn(4, 2, 3)
    assert Net()(x).shape == x.shape
    for wrong in (x.double(), x.half(), x.to("meta"), x[:, :1], x[0]):
        with pytest.raises(ValueError, match=r"^x: expected a float tensor of shape \(.*, 2, 3\), float32 on cpu"):
            Net()(wrong)
    with torch.autocast("cpu"):
        Net()(x.bfloat16())
    assert Net().to("meta")(x.to("meta")).is_meta


LABEL = torch.tensor([0, 2, 1, 0])


@pytest.mark.parametrize(
    "label", [None, LABEL[:3], LABEL + 1, LABEL - 1, LABEL.int(), LABEL[:, None], [0, 2, 1, 0], 1, X]
)
def test_labels_are_those_that_the_model_knows(label: Any) -> None:
    x = torch.randn(4, 2, 3)
    with pytest.raises(ValueError, match=r"^label: expected classes 0\.\.2"):
        Net(n_classes=3)(x, label)
    if label is not None:
        with pytest.raises(ValueError, match=r"^label: expected None"):
            Net()(x, label)


def test_a_label_left_out_is_none() -> None:
    x = torch.randn(4, 2, 3)
    assert Net()(x).shape == x.shape
    for net in (Net(n_classes=3), Net(n_condition=5)):
        with pytest.raises(ValueError, match=r"^label: expected .*, got None"):
            net(x)
        with pytest.raises(ValueError, match=r"^label: expected .*, got None"):
            net.sample(4)
        assert net.guided(x) is None


def test_a_condition_may_be_a_vector() -> None:
    x, c = torch.randn(4, 2, 3), torch.randn(4, 5)
    Net(n_condition=5)(x, c)
    for wrong in (None, c[:3], c[:, :4], LABEL, c * math.nan):
        with pytest.raises(ValueError, match=r"^label: expected a float tensor of shape \(4, 5\)"):
            Net(n_condition=5)(x, wrong)


def test_where_none_is_allowed_minus_one_and_nan_stand_for_it() -> None:
    x = torch.randn(4, 2, 3)
    assert Net(n_classes=3).guided(x) is None
    assert Net(n_classes=3).guided(x, LABEL - 1).min() == -1
    assert Net(n_condition=5).guided(x, torch.full((4, 5), math.nan)).shape == (4, 5)
    with pytest.raises(ValueError, match=r"label: .*-2"):
        Net(n_classes=3).guided(x, LABEL - 2)


def test_one_class_stands_for_as_many_as_are_drawn() -> None:
    assert Net(n_classes=3).sample(5, 2).tolist() == [2] * 5
    for wrong in (3, -1, 10**30):
        with pytest.raises(ValueError, match=rf"label: .*0\.\.2.*{wrong}"):
            Net(n_classes=3).sample(5, wrong)


def test_a_label_that_comes_first_says_how_many_there_are() -> None:
    x, net = torch.randn(4, 2, 3), Net(n_classes=3)
    assert net.judge(LABEL, x) is LABEL
    assert net.judge(None, x) is None
    for label, name in ((LABEL[:3], "x"), (LABEL + 1, "label"), (torch.tensor(1), "label")):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            net.judge(label, x)


@pytest.mark.parametrize(
    "wrong", [torch.Tensor.double, torch.Tensor.half, torch.Tensor.to_sparse, lambda c: c.to("meta")]
)
def test_a_condition_is_of_the_dtype_and_where_the_weights_are(wrong: Callable[[Tensor], Tensor]) -> None:
    x, c = torch.randn(4, 2, 3), torch.randn(4, 5)
    with pytest.raises(ValueError, match=r"^label: expected a float tensor of shape \(4, 5\), float32 on cpu"):
        Net(n_condition=5)(x, wrong(c))
    with pytest.raises(ValueError, match=r"^label: expected classes"):
        Net(n_classes=3)(x, LABEL.to("meta"))


@pytest.mark.gpu
def test_a_part_is_looked_at_on_a_gpu_too() -> None:
    hint = Annotated[Float[Tensor, "..."], "[-1, 1]"]
    with pytest.raises(ValueError, match=r"^y: expected .*in \[-1, 1\]"):
        check("y", (2 * torch.ones(3)).cuda(), hint)


def test_it_steps_aside_for_compilers_and_transforms() -> None:
    x, net = torch.randn(4, 2, 3), Net(n_classes=3)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    assert torch.equal(compiled(x, LABEL), net(x, LABEL))
    assert torch.equal(torch.export.export(net, (x, LABEL)).module()(x, LABEL), net(x, LABEL))
    part = torch.compile(lambda x: check("x", x, Float[Tensor, "B 2"]) + 1, fullgraph=True, backend="eager")
    assert torch.equal(part(X), X + 1)
    each = torch.func.vmap(lambda x_0, t: Chain().q_sample(x_0[None], t[None], x_0[None])[0])
    assert torch.equal(each(X, T), X)
    with pytest.raises(ValueError, match="t: "):  # shapes are still seen
        torch.func.vmap(lambda x_0: Chain().q_sample(x_0[None], T, x_0[None])[0])(X)


def test_each_function_is_compiled_by_itself() -> None:
    """torch gives up after some versions of one piece of code, which all checked functions would share."""
    torch._dynamo.reset()
    x = torch.randn(4, 2)
    for i in range(torch._dynamo.config.recompile_limit + 2):

        @checked
        def shifted(x: Float[Tensor, "B D"], i: int = i) -> Tensor:
            return x + i

        assert torch.equal(torch.compile(shifted, fullgraph=True, backend="eager")(x), x + i)


def test_a_part_of_something_is_held_against_an_annotation() -> None:
    assert check("mask", torch.ones(3, dtype=torch.bool), Bool[Tensor, " D"]).all()
    with pytest.raises(ValueError, match=r"^mask: expected a bool tensor of shape \(D,\), got int64"):
        check("mask", T, Bool[Tensor, " D"])
    with pytest.raises(ValueError, match=r"^x: .*in \[0, 16\].*17"):
        check("x", T + 16, Annotated[Int[Tensor, "..."], "[0, 16]"])


class Stack:
    size: Any = ...

    @checked
    def ask(self, x: Float[Tensor, "B C {self.size}"]) -> Tensor:
        return x


def test_a_size_may_be_any_or_several_as_an_attribute_says() -> None:
    stack, x = Stack(), torch.zeros(2, 3, 4, 5)
    assert stack.ask(x).dim() == 4
    assert stack.ask(x[:, :, 0, 0]).dim() == 2
    with pytest.raises(ValueError, match=r"^x: expected a float tensor of shape \(3, C, \.\.\.\), got"):
        stack.ask(x[0, :, 0, 0])
    stack.size = (4, 5)
    stack.ask(x)
    with pytest.raises(ValueError, match=r"^x: expected a float tensor of shape \(2, 3, 4, 5\), got"):
        stack.ask(x[..., :4])
    stack.size = ()
    stack.ask(x[:, :, 0, 0])
    with pytest.raises(ValueError, match=r"^x: expected"):
        stack.ask(x)


@checked
def dealt(x: Annotated[Int[Tensor, "..."], "[0, {levels})"], levels: Count) -> Tensor:
    return x


def test_what_others_refer_to_is_looked_at_first() -> None:
    """Of x and a wrong number of levels, the levels are to be blamed."""
    assert dealt(LABEL, 9).shape == LABEL.shape
    with pytest.raises(ValueError, match=r"^levels: expected"):
        dealt(LABEL, "nine")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^x: expected an int tensor of shape \(\.\.\.,\), in \[0, 1\), got"):
        dealt(LABEL + 1, 1)


def test_any_tensor_may_be_wanted_and_the_shape_of_another_one() -> None:
    @checked
    def f(x: Tensor, y: Float[Tensor, "{x.shape}"] | None = None) -> Tensor:
        return x

    assert f(T) is T
    assert f(X, X) is X
    with pytest.raises(ValueError, match=r"^x: expected a Tensor, got \[1\]"):
        f([1])  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"^y: expected a float tensor of shape \(4, 2\), got float32 of shape \(4, 1\)"
    ):
        f(X, X[:, :1])
