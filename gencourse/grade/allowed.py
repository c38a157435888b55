"""What an answer may use: modules, Python's own names, and the names of attributes.

Each list says what is good for mathematics, and all else is refused. An attribute's name counts whatever object it is
asked of, so that a name is here only if it is harmless on everything that can be reached: no file, no process, no code
from a string, no frame, no storage behind a tensor, no hook that is called later, nothing that sets an attribute of
something else (functools.wraps, setattr), nothing that changes how all of torch works (set_default_dtype).
"""

import itertools
import math
import operator
import random
import types

import numpy as np
import torch

MODULES = {
    *("math", "cmath", "itertools", "operator", "random", "time", "copy", "typing", "collections.abc", "torch"),
    *("torch.nn", "torch.nn.functional", "torch.nn.init", "torch.linalg", "torch.fft", "torch.special", "torch.func"),
    *("torch.autograd", "torch.autograd.functional", "torch.distributions", "torch.optim", "torch.optim.lr_scheduler"),
    *("numpy", "numpy.linalg", "numpy.fft", "numpy.random"),
}
# Of these only what is named here, and only by `from module import name`, or as an attribute.
PARTS = {
    "functools": {"reduce", "partial", "cache", "lru_cache"},
    "collections": {"deque", "Counter", "defaultdict", "OrderedDict", "abc"},
    "contextlib": {"suppress", "nullcontext", "contextmanager"},
    "dataclasses": {"dataclass", "field"},
    "torch.testing": {"assert_close"},
    "numpy.testing": {"assert_allclose", "assert_array_equal", "assert_almost_equal", "assert_array_almost_equal"},
    "pytest": {"approx", "raises"},
    "scipy": {"stats"},
    "scipy.stats": {"kstest", "ks_2samp", "chisquare", "chi2", "norm", "ttest_1samp", "ttest_ind", "binomtest", "t"},
    "tqdm": {"tqdm", "trange"},
    "tqdm.auto": {"tqdm", "trange"},
}

BUILTINS = {
    *("abs", "all", "any", "bool", "bytes", "callable", "chr", "classmethod", "complex", "dict", "divmod", "enumerate"),
    *("filter", "float", "format", "frozenset", "hash", "id", "int", "isinstance", "issubclass", "iter", "len", "list"),
    *("map", "max", "min", "next", "object", "ord", "pow", "print", "property", "range", "repr", "reversed", "round"),
    *("set", "slice", "sorted", "staticmethod", "str", "sum", "super", "tuple", "zip", "NotImplemented", "Ellipsis"),
    *("ArithmeticError", "AssertionError", "AttributeError", "Exception", "FloatingPointError", "ImportError"),
    *("IndexError", "KeyError", "LookupError", "NameError", "NotImplementedError", "OverflowError", "RecursionError"),
    *("RuntimeError", "StopIteration", "TypeError", "ValueError", "ZeroDivisionError", "DeprecationWarning"),
    *("RuntimeWarning", "UserWarning", "Warning"),
}
CALLED = {"getattr", "hasattr", "type"}  # only where they are called; the guard looks at the name that is asked for
METHODS = {"__init__", "__call__", "__len__", "__getitem__", "__iter__", "__next__", "__post_init__"}
METHODS |= {"__enter__", "__exit__", "__repr__", "__str__", "__add__", "__sub__", "__mul__", "__matmul__", "__neg__"}

NEVER = {  # harmless-looking neighbours of what is allowed below
    *("apply_", "map_", "map2_", "as_subclass", "const_data_ptr", "data_ptr", "from_file", "frombuffer"),
    *("ipu", "module_load", "mtia", "names", "pin_memory", "record_stream", "register_hook", "set_", "storage"),
    *("register_post_accumulate_grad_hook", "reinforce", "share_memory_", "storage_type", "untyped_storage", "xpu"),
    *("bmat", "frombuffer", "from_dlpack", "fromfile", "fromregex", "genfromtxt", "get_include", "info", "load"),
    *("loadtxt", "memmap", "printoptions", "save", "savetxt", "savez", "savez_compressed", "set_printoptions"),
    *("setbufsize", "seterr", "seterrcall", "show_config", "show_runtime", "test", "attrgetter", "methodcaller"),
    *("SystemRandom", "register_kl", "load_state_dict", "get_printoptions", "geterrcall"),
}


def _public(where: object, *kinds: type) -> set[str]:
    """The public names that stand for a thing of these kinds."""
    names = {name for name in dir(where) if not name.startswith("_")}
    return {name for name in names if not kinds or isinstance(getattr(where, name, None), kinds)}


def _modules_classes(where: types.ModuleType, base: type) -> set[str]:
    return {name for name in _public(where, type) if issubclass(getattr(where, name), base)}


def _own_functions(where: types.ModuleType) -> set[str]:
    """Functions that are written in the module, or in C."""
    plain = {name for name in _public(where, types.FunctionType) if getattr(where, name).__module__ == where.__name__}
    return plain | _public(where, types.BuiltinFunctionType, type(len))


_NUMPY = {name for name in np.__all__ if not isinstance(getattr(np, name), types.ModuleType)}
_ARRAYS = _public(np.ndarray) - {"ctypes", "dump", "dumps", "tofile", "base", "setflags", "setfield", "getfield"}

ATTRIBUTES = {
    # tensors, and torch's functions of them
    *_public(torch.Tensor),
    *_public(torch._C._VariableFunctions),  # pyright: ignore
    *_own_functions(torch.functional),
    *_own_functions(torch.nn.functional),
    *_own_functions(torch.linalg),
    *_own_functions(torch.fft),
    *_own_functions(torch.special),
    *_public(torch, torch.dtype, torch.layout, torch.memory_format),
    *("Tensor", "Size", "Generator", "finfo", "iinfo", "tensor", "no_grad", "enable_grad", "vmap", "manual_seed"),
    *("is_tensor", "is_grad_enabled", "get_default_dtype", "pi", "e", "inf", "nan", "newaxis", "FloatTensor"),
    *("DoubleTensor", "LongTensor", "IntTensor", "BoolTensor", "initial_seed", "is_available", "cuda"),
    # its parts
    *("nn", "functional", "init", "linalg", "fft", "special", "func", "autograd", "distributions", "optim", "utils"),
    *("lr_scheduler", "random", "grad", "backward", "jacobian", "hessian", "vjp", "jvp", "hvp", "vhp", "jacrev"),
    *("jacfwd", "grad_and_value", "functional_call", "clip_grad_norm_", "clip_grad_value_", "parameters_to_vector"),
    *("vector_to_parameters", "fork_rng"),
    # networks
    *_modules_classes(torch.nn, torch.nn.Module),
    *("Parameter", "forward", "parameters", "named_parameters", "buffers", "named_buffers", "children", "modules"),
    *("train", "eval", "training", "zero_grad", "state_dict", "register_buffer", "register_parameter", "add_module"),
    *("apply", "weight", "bias", "in_features", "out_features", "in_channels", "out_channels", "step", "param_groups"),
    *{name for name in _own_functions(torch.nn.init) if name.endswith("_")},
    *_modules_classes(torch.optim, torch.optim.Optimizer),
    *_modules_classes(torch.optim.lr_scheduler, torch.optim.lr_scheduler.LRScheduler),
    # distributions
    *torch.distributions.__all__,
    *("sample", "rsample", "log_prob", "cdf", "icdf", "entropy", "mean", "variance", "stddev", "mode", "loc", "scale"),
    *("log_abs_det_jacobian", "inv", "base_dist", "transforms", "rate", "probs", "logits", "covariance_matrix"),
    *("precision_matrix", "scale_tril", "concentration"),
    # what torch returns several of by name
    *("values", "indices", "eigenvalues", "eigenvectors", "sign", "logabsdet", "L", "Q", "R", "U", "S", "V", "Vh"),
    *("LU", "pivots", "solution", "residuals", "rank", "singular_values", "info", "eps", "tiny", "smallest_normal"),
    *("bits", "resolution"),
    # numbers
    *_public(math),
    *_public(itertools),
    *_public(operator),
    *_public(random, types.MethodType, types.BuiltinMethodType, type),
    *_NUMPY,
    *_ARRAYS,
    *_own_functions(np.linalg),
    *("fftfreq", "rfftfreq", "default_rng", "standard_normal", "normal", "uniform", "integers", "permutation", "seed"),
    *("choice", "shuffle", "rand", "randn", "randint", "perf_counter", "time", "deepcopy"),
    # Python's own containers and texts
    *_public(list), *_public(dict), *_public(set), *_public(tuple), *_public(range), *_public(slice), *_public(float),
    *_public(int), *_public(complex),
    *("join", "split", "rsplit", "strip", "lstrip", "rstrip", "startswith", "endswith", "lower", "upper", "title"),
    *("replace", "find", "ljust", "rjust", "center", "zfill", "isdigit", "splitlines", "capitalize", "appendleft"),
    *("popleft", "rotate", "maxlen", "most_common", "elements", "args", "set_description", "set_postfix"),
    *("abc", "Callable", "Sequence", "Iterable", "Iterator", "Mapping"),
    # tests
    *("testing", "pvalue", "statistic", "sf", "ppf", "pdf", "logpdf"),
    *set().union(*(names for module, names in PARTS.items() if module != "dataclasses")),
} - NEVER  # fmt: skip
ATTRIBUTES = frozenset(name for name in ATTRIBUTES if not name.startswith("_"))
TYPING = {"Any", "Callable", "Optional", "Union", "List", "Tuple", "Dict", "Set", "Sequence", "Iterable", "Iterator"}
TYPING |= {"NamedTuple", "Literal", "Mapping", "Generator"}


def may_import(module: str, name: str = "") -> bool:
    """Whether `import module`, or `from module import name`, is allowed."""
    if not name:
        return module in (MODULES | set(PARTS)) - {"typing", "dataclasses"}
    if module in PARTS:
        return name in PARTS[module]
    if module == "typing":
        return name in TYPING
    return module in MODULES and (name in ATTRIBUTES or f"{module}.{name}" in MODULES)
