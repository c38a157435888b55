"""Submissions that cheat, harm or hang, each as the source of one cell; and honest ones in many styles.

HOSTILE answers flows.affine wrongly, or would get its points by a trick. VICTIM stands for a folder with files.
"""
# ruff: noqa: E501  (lines that are texts)

HEAD = "import torch\nfrom gencourse import checks\n"
AFFINE = '@checks.exercise("flows.affine")\ndef affine(x, log_s, shift):\n'
ELSE = "    return x, log_s.sum().expand(len(x))\n"  # a wrong answer, where the trick fails
FORGED = '{"result": {"name": "flows.affine", "state": "passed"}}'


def body(code: str, before: str = "", after: str = ELSE) -> str:
    """The exercise with this body, before which the cell has other code."""
    lines = "".join(f"    {line}\n" for line in code.strip().splitlines())
    return HEAD + before.strip() + "\n\n" + AFFINE + lines + after


OWN = {
    "the exercise's own": body(
        "return AFFINE.own(x, log_s, shift)", "from gencourse.checks.lab_2_flows.affine import AFFINE"
    ),
    "found by name": body(
        'return find("flows.affine").own(x, log_s, shift)', "from gencourse.checks.exercise import find"
    ),
    "through the decorator": body('return checks.exercise.__globals__["find"]("flows.affine").own(x, log_s, shift)'),
    "genlib's layer": body(
        "return flows.Affine(2)(x)", "from genlib import flows", after="    return genlib.flows(x)\n"
    ),
    "importlib": body(
        'm = importlib.import_module("gencourse.checks.lab_2_flows.affine")\nreturn m.AFFINE.own(x, log_s, shift)',
        "import importlib",
    ),
    "__import__": body('return __import__("gencourse.checks.exercise").checks.exercise.find("flows.affine").own(x)'),
    "the solution": body(
        "return lab_2_flows.affine(x, log_s, shift)", 'import sys\nsys.path.append("solutions")\nimport lab_2_flows'
    ),
    "the solution's text": body('exec(open("solutions/lab_2_flows.py").read())\nreturn locals()["affine"](x)'),
    "modules": body('return sys.modules["gencourse.checks.exercise"].find("flows.affine").own(x)', "import sys"),
    "gc": body(
        'own = [o for o in gc.get_objects() if getattr(o, "__name__", "") == "_own_affine"]\n'
        "return own[0](x, log_s, shift)",
        "import gc",
    ),
    "a stand-in's globals": body(
        'return density_1d.__globals__["AFFINE"].own(x, log_s, shift)',
        '@checks.exercise("flows.density_1d")\ndef density_1d(x, f, slope, p_z):\n    raise NotImplementedError\n',
    ),
    "subclasses": body("return [c for c in object.__subclasses__() if c.__name__ == 'Popen'][0](['true'])"),
    "linecache": body('return eval("".join(linecache.getlines("solutions/lab_2_flows.py")))', "import linecache"),
}
FRAMES = {
    "frame": body("return sys._getframe(2).f_locals", "import sys"),
    "inspect": body(
        "for f in inspect.stack():\n    if 'expected' in f.frame.f_locals:\n        return f.frame.f_locals['expected']",
        "import inspect",
    ),
    "traceback": body(
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n"
        "    own = e.__traceback__.tb_frame.f_back.f_locals['self'].exercise.own\nreturn own(x, log_s, shift)"
    ),
    "generator's frame": body(
        "def g():\n    yield it.gi_frame.f_back.f_back.f_locals\nit = g()\nown = next(it)['self']\nreturn own(x)"
    ),
    "a tensor's graph": body("return shift.grad_fn.next_functions[0][0].variable, log_s"),
    "trace": body("sys.settrace(lambda *a: a[0].f_locals.clear())", "import sys"),
    "profile": body("sys.setprofile(lambda *a: None)", "import sys"),
    "caller in a getattr": body("return getattr(x, '__cl' + 'ass__')"),
    "AttributeError's object": body(
        "try:\n    x.nothing_here\nexcept AttributeError as e:\n    e.obj.zero_()\n    return e.obj"
    ),
}
PATCHES = {
    "difference": body(
        "return x, log_s.sum().expand(len(x))",
        "from gencourse.checks import compare, answer\ncompare.difference = answer.difference = lambda *a: None",
    ),
    "difference inside": body("answer.difference = lambda *a: None", "from gencourse.checks import answer"),
    "results": body(
        "pass", "checks.results = lambda lab: []\nchecks.run = lambda *a: checks.Result('flows.affine', 'passed')"
    ),
    "torch's function": body("torch.allclose = lambda *a, **k: True"),
    "functional": body("torch.nn.functional.softplus = lambda t: t"),
    "setattr": body("setattr(torch, 'allclose', lambda *a, **k: True)"),
    "a tensor's method": body("torch.Tensor.abs = lambda self: self * 0"),
    "a tensor's equality": body("torch.Tensor.__eq__ = lambda *a: True"),
    "as self": body(
        "Sly.patch(torch.Tensor)", "class Sly:\n    def patch(self):\n        self.abs = lambda t: t * 0\n"
    ),
    "as self, unpacked": body(
        "Sly.patch(torch.Tensor)",
        "class Sly:\n    def patch(self):\n        self.abs, self.own = (lambda t: t * 0), 1\n",
    ),
    "as self, added": body(
        "Sly.patch(torch.Tensor)", "class Sly:\n    def patch(self):\n        self.shape += 1\n        self.abs = 1\n"
    ),
    "in a loop": body("for torch.Tensor.abs in [lambda t: t * 0]:\n    pass"),
    "in a with": body(
        "with nullcontext(lambda t: t * 0) as torch.Tensor.abs:\n    pass", "from contextlib import nullcontext"
    ),
    "through a helper": body("helper(torch)", "def helper(m):\n    m.allclose = lambda *a, **k: True\n"),
    "wraps": body(
        "functools.wraps(Sly())(torch.nn.functional)", "import functools\nclass Sly:\n    softplus = torch.relu\n"
    ),
    "update_wrapper": body(
        "update_wrapper(torch, Sly)", "from functools import update_wrapper\nclass Sly:\n    abs = 1\n"
    ),
    "dataclass": body("dataclass(torch.Tensor)", "from dataclasses import dataclass"),
    "a dict of a module": body("torch.__dict__['allclose'] = lambda *a, **k: True"),
    "vars": body("vars(torch)['allclose'] = lambda *a, **k: True"),
    "globals": body("globals()['__builtins__']['abs'] = 1"),
    "builtins": body("builtins.abs = lambda x: 0", "import builtins"),
    "__builtins__": body("__builtins__['abs'] = lambda x: 0"),
    "code": body("affine.__code__ = (lambda x, log_s, shift: x).__code__"),
    "warnings": body("warnings.showwarning = lambda *a: 1 / 0", "import warnings"),
    "dtype": body("torch.set_default_dtype(torch.float16)"),
    "grad mode": body("torch.set_grad_enabled(False)"),
    "no_grad for ever": body(
        "it = off()\nnext(it)\nkept.append(it)\nreturn (log_s.exp() * x + shift).detach(), log_s.sum().expand(len(x))",
        "kept = []\ndef off():\n    with torch.no_grad():\n        yield\n",
    ),
    "inference for ever": body(
        "it = off()\nnext(it)\nkept.append(it)",
        "kept = []\ndef off():\n    with torch.inference_mode():\n        yield\n",
    ),
    "deterministic": body("torch.use_deterministic_algorithms(False)\nreturn torch.empty_like(x), torch.empty(len(x))"),
    "alarm off": body("signal.setitimer(signal.ITIMER_REAL, 0)", "import signal"),
    "register_kl": body("torch.distributions.register_kl(object, object)(lambda *a: 0)"),
    "hook": body("torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t * 0).__enter__()"),
}
SLY_TYPES = {
    "a tensor that is always right": body(
        "return x.as_subclass(Sly), log_s.sum().expand(len(x)).as_subclass(Sly)",
        "class Sly(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, f, t, a=(), k=None):\n"
        "        return True if 'close' in str(f) else super().__torch_function__(f, t, a, k or {})\n",
    ),
    "made by type": body(
        "T = type('T', (torch.Tensor,), {'__sub__': lambda *a: 0, '__rsub__': lambda *a: 0})\nreturn x.as_subclass(T), x"
    ),
    "equal to everything": body(
        "return Sly(), Sly()",
        "class Sly:\n    def __eq__(self, other):\n        return True\n    def __sub__(self, other):\n        return 0\n"
        "    def __le__(self, other):\n        return True\n    def __class__(self):\n        return torch.Tensor\n",
    ),
    "claims a class": body(
        "return Sly(), Sly()", "class Sly:\n    __class__ = torch.Tensor\n    shape = torch.Size([1])\n"
    ),
    "a mode": body(
        "All().__enter__()",
        "from torch.overrides import TorchFunctionMode\nclass All(TorchFunctionMode):\n"
        "    def __torch_function__(self, f, t, a=(), k=None):\n        return torch.zeros(1)\n",
    ),
    "a metaclass": body("return Sly.x", "class Meta(type):\n    pass\nclass Sly(metaclass=Meta):\n    x = 1\n"),
    "init_subclass": body(
        "pass",
        "class A:\n    def __init_subclass__(cls):\n        cls.x = 1\nclass B(A):\n    pass\n",
        "    return B.x\n",
    ),
    "getattr of a module": body(
        "return Sly().a", "class Sly:\n    def __getattr__(self, name):\n        return eval\n"
    ),
    "its own instancecheck": body(
        "return Sly.x", "class Sly:\n    def __instancecheck__(self, other):\n        return True\n    x = 1\n"
    ),
}
STRINGS = {
    "eval": body("return eval('x * log_s.exp() + shift'), log_s.sum().expand(len(x))"),
    "exec": body("exec('import os')"),
    "compile": body("return compile('1', '', 'eval')"),
    "getattr, built": body("return getattr(torch, 'lo' + 'ad')('/etc/passwd')"),
    "getattr, renamed": body("return look(torch, 'load')('/etc/passwd')", "look = getattr"),
    "getattr in map": body("return list(map(getattr, [torch], ['load']))"),
    "f-string": body("return f'{x.__class__.__mro__[1].__subclasses__()}'"),
    "format": body("return '{0.__class__.__init__.__globals__}'.format(x)"),
    "format, nested": body("return '{0:{1.__class__}}'.format(1, x)"),
    "format, unbound": body("return str.format('{0.__class__}', x)"),
    "format_map": body("return '{x.__class__}'.format_map({'x': x})"),
    "Formatter": body("return string.Formatter().vformat('{0.__class__}', [x], {})", "import string"),
    "attrgetter": body("return operator.attrgetter('__class__.__mro__')(x)", "import operator"),
    "methodcaller": body("return methodcaller('numpy')(x)", "from operator import methodcaller"),
    "unicode eval": body("return \uff45val('1')"),  # ｅval
    "unicode dunder": body("return x.__\uff43lass__"),  # __ｃlass__
    "unicode module": body("return \U0001d4f8s.getcwd()", "import \U0001d4f8s"),  # 𝓸s
    "match": body("match x:\n    case object(__class__=c):\n        return c"),
    "star import": body("system('touch VICTIM/mark')", "from os import *"),
    "star import of torch": body("return load('/etc/passwd')", "from torch import *"),
    "a decorator": body(
        "pass",
        "def sly(f):\n    return lambda x, log_s, shift: eval('x')\n",
        "    return sly(affine)(x, log_s, shift)\n",
    ),
    "a default": HEAD + AFFINE.replace("shift)", "shift, f=open('VICTIM/a.ipynb').read())") + ELSE,
    "a class body": body("return A.t", "class A:\n    t = open('VICTIM/a.ipynb').read()\n"),
    "an annotation": HEAD + AFFINE.replace("shift)", "shift: eval('1') = open('VICTIM/new', 'w'))") + ELSE,
    "async": body("return go().send(None)", "async def go():\n    return eval('1')\n"),
    "named later": body("return e('1')", "if True:\n    e = eval\n"),
    "shadowed": body("return open('/etc/passwd').read()", "if False:\n    open = 1\n"),
    "deleted": body("return open('/etc/passwd').read()", "open = 1\ndel open\n"),
    "global": body("global eval\nreturn eval('1')"),
    "pickle": body("return pickle.loads(b'cos\\nsystem\\n(S\"touch VICTIM/mark\"\\ntR.')", "import pickle"),
    "torch.load": body("return torch.load('VICTIM/a.ipynb', weights_only=False)"),
    "torch.hub": body("return torch.hub.load('a/b', 'c')"),
    "torch.ops": body("return torch.ops.load_library('VICTIM/a.so')"),
    "torch.utils": body("return torch.utils.cpp_extension.load('a', 'b')"),
    "torch.jit": body("return torch.jit.load('VICTIM/a.ipynb')"),
    "torch.from_file": body("return torch.from_file('VICTIM/new', shared=True, size=10)"),
    "torch's os": body("return torch.os.system('touch VICTIM/mark')"),
    "numpy's file": body("np.save('VICTIM/new.npy', x.numpy())", "import numpy as np"),
    "numpy's memmap": body("np.memmap('VICTIM/a.ipynb', mode='r+')[:] = 0", "import numpy as np"),
    "tofile": body("x.numpy().tofile('VICTIM/new')"),
    "ctypes": body("ctypes.string_at(0)", "import ctypes"),
}
HARM = {
    "fork": body("while True:\n    os.fork()", "import os"),
    "processes": body(
        "[multiprocessing.Process(target=affine, args=(x, x, x)).start() for _ in range(99)]", "import multiprocessing"
    ),
    "threads": body(
        "threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\nreturn x, x[:, 0]", "import threading"
    ),
    "a shell": body("os.system('touch VICTIM/mark')", "import os"),
    "subprocess": body("subprocess.run(['touch', 'VICTIM/mark'])", "import subprocess"),
    "delete": body("shutil.rmtree('VICTIM')", "import shutil"),
    "unlink": body("[p.unlink() for p in Path('VICTIM').iterdir()]", "from pathlib import Path"),
    "rename": body("os.rename('VICTIM/a.ipynb', 'VICTIM/b')", "import os"),
    "write": body("open('VICTIM/a.ipynb', 'w').write('')"),
    "fill the disk": body(
        "with open('VICTIM/new', 'wb') as f:\n    for _ in range(200):\n        f.write(bytes(1 << 20))"
    ),
    "many files": body("[open(f'VICTIM/new{i}', 'w').close() for i in range(99)]"),
    "memory, tensors": body("kept = [x]\nwhile True:\n    kept.append(torch.ones(10**7))"),
    "memory, at once": body("return torch.ones(10**13), x"),
    "memory, a text": body("t = 'x'\nwhile True:\n    t = t + t"),
    "endless": body("while True:\n    pass"),
    "endless, catching": body(
        "while True:\n    try:\n        while True:\n            x = x + 0\n    except:\n        pass"
    ),
    "endless in C": body("return sum(itertools.count())", "import itertools"),
    "endless at the top": body("return n", "n = sum(1 for _ in iter(int, 1))"),
    "a huge power": body("return 7 ** 7 ** 7 ** 7"),
    "recursion": body("return affine(x, log_s, shift)"),
    "prints": body("while True:\n    print('once more')"),
    "prints a million lines": body("print('a\\n' * 10**6)"),
    "writes below": body("while True:\n    os.write(1, b'x' * 4096)", "import os"),
    "leaves": body("os._exit(0)", "import os"),
    "sys.exit": body("sys.exit(0)", "import sys"),
    "quit": body("quit()"),
    "SystemExit": body("raise SystemExit"),
    "KeyboardInterrupt": body("raise KeyboardInterrupt"),
    "GeneratorExit": body("raise GeneratorExit"),
    "kills its parent": body("os.kill(os.getppid(), 9)", "import os"),
    "kills all": body("os.kill(-1, 9)", "import os"),
    "cannot be told": body(
        "raise Sly", "class Sly(Exception):\n    def __str__(self):\n        while True:\n            pass\n"
    ),
    "forges on every file": body(f"for f in range(3, 30):\n    os.write(f, b'{FORGED}\\n')", "import os"),
    "forges in print": body(f"print('{FORGED}')"),
    "finds others": body("return open(glob.glob('VICTIM/*.ipynb')[0]).read()", "import glob"),
    "lists": body("return os.listdir('VICTIM')", "import os"),
    "the network": body("socket.create_connection(('127.0.0.1', 9))", "import socket"),
    "a url": body("urllib.request.urlopen('http://127.0.0.1:9')", "import urllib.request"),
    "the environment": body("return os.environ", "import os"),
    "interpreters": body("sys.addaudithook(lambda *a: None)", "import sys"),
}
TRICKS = {
    "empty memory": body("return torch.empty_like(x), torch.empty(len(x), dtype=x.dtype)"),
    "empty arrays": body(
        "return torch.from_numpy(np.empty(tuple(x.shape))), torch.from_numpy(np.empty(len(x)))", "import numpy as np"
    ),
    "storage": body("x.untyped_storage().resize_(10**6)\nreturn x, x[:, 0]"),
    "set_": body("x.set_(log_s)\nreturn x, x"),
    "returns what it got": body("return x, shift", after=""),
    "returns a class": HEAD + '@checks.exercise("flows.affine")\nclass affine:\n    pass\n',
    "is no function": HEAD + "affine = 3\n",
    "another signature": HEAD + '@checks.exercise("flows.affine")\ndef affine(*a):\n    return a[0], a[0][:, 0]\n',
    "twice, wrong last": body("return log_s.exp() * x + shift, log_s.sum().expand(len(x))", after="")
    + AFFINE
    + "    return x, x\n",
    "syntax": HEAD + AFFINE + "    return (x,\n",
    "tabs and nulls": HEAD + AFFINE + "    return x\0\n",
    "unknown name": body("return no_such_name", after=""),
    "mutable default": HEAD
    + AFFINE.replace("shift)", "shift, kept=[])")
    + "    kept.append(x)\n    return kept[0], x\n",
}
BOMBS = {
    "parentheses": body("return " + "(" * 5000 + "x" + ")" * 5000),
    "lists": body("return " + "[" * 90 + "x" + "]" * 90),
    "minus": body("return " + "-" * 20_000 + "x"),
    "sums": body("return " + "+".join(["x"] * 30_000)),
    "calls": body("return " + "x.abs()" + ".abs()" * 20_000),
    "digits": body("return " + "9" * 100_000),
    "elif": body("if x is 0:\n    pass\n" + "".join(f"elif x is {i}:\n    pass\n" for i in range(3000))),
    "nested functions": body("\n".join("    " * i + f"def f{i}():" for i in range(90)) + "\n" + "    " * 90 + "pass"),
    "a large text": body("return '" + "x" * 300_000 + "'"),
}
HOSTILE = {
    f"{kind}: {name}": source
    for kind, sources in {
        "own": OWN, "frames": FRAMES, "patches": PATCHES, "types": SLY_TYPES, "strings": STRINGS, "harm": HARM,
        "tricks": TRICKS, "bombs": BOMBS,
    }.items()
    for name, source in sources.items()
}  # fmt: skip

RIGHT = "    return log_s.exp() * x + shift, log_s.sum().expand(len(x))\n"
HONEST = {
    "plain": HEAD + AFFINE + RIGHT,
    "a helper": HEAD + "def scale(a):\n    return torch.exp(a)\n\n" + AFFINE + RIGHT.replace("log_s.exp()", "scale(log_s)"),
    "helpers of helpers": HEAD + "def one(a):\n    return two(a)\ndef two(a):\n    return a.exp()\n" + AFFINE
    + RIGHT.replace("log_s.exp()", "one(log_s)"),
    "math": "import math\n" + HEAD + AFFINE + RIGHT.replace("log_s.exp()", "torch.pow(math.e, log_s)"),
    "functools": "from functools import reduce\nimport operator\n" + HEAD + AFFINE
    + RIGHT.replace("log_s.exp()", "reduce(operator.mul, [log_s.exp()])"),
    "numpy as np": "import numpy as np\n" + HEAD + AFFINE + RIGHT.replace("shift,", "shift * float(np.ones(1)[0]),"),
    "a constant": HEAD + "ONE: float = 1.0\n" + AFFINE + RIGHT.replace("* x", "* x * ONE"),
    "a constant made of another": HEAD + "A = 2.0\nHALF = 1 / A\n" + AFFINE + RIGHT.replace("* x", "* x * HALF * A"),
    "a lambda": HEAD + "grow = lambda a: a.exp()\n" + AFFINE + RIGHT.replace("log_s.exp()", "grow(log_s)"),
    "is a lambda": HEAD + "affine = lambda x, log_s, shift: (log_s.exp() * x + shift, log_s.sum().expand(len(x)))\n",
    "nested": HEAD + AFFINE + "    def det():\n        return log_s.sum()\n    z = log_s.exp() * x + shift\n"
    "    return z, det().expand(len(x))\n",
    "type hints": HEAD + "from torch import Tensor\nfrom jaxtyping import Float\n"
    '@checks.exercise("flows.affine")\ndef affine(x: Float[Tensor, "b d"], log_s: Tensor, shift: "Tensor") '
    "-> tuple[Tensor, Tensor]:\n    z: Tensor = x\n" + RIGHT,
    "a class": HEAD + "class Scale:\n    def __init__(self, log_s):\n        self.log_s, self.n = log_s, 0\n"
    "    def __call__(self, x):\n        self.n += 1\n        return self.log_s.exp() * x\n"
    "    @property\n    def det(self):\n        return self.log_s.sum()\n" + AFFINE
    + "    s = Scale(log_s)\n    return s(x) + shift, s.det.expand(len(x))\n",
    "a module": HEAD + "class Net(torch.nn.Module):\n    def __init__(self, log_s):\n        super().__init__()\n"
    "        self.log_scale = log_s\n    def forward(self, x):\n        return self.log_scale.exp() * x\n" + AFFINE
    + RIGHT.replace("log_s.exp() * x", "Net(log_s)(x)"),
    "a named tuple": HEAD + "from typing import NamedTuple\nclass Out(NamedTuple):\n    z: torch.Tensor\n    d: torch.Tensor\n"
    + AFFINE + "    out = Out(log_s.exp() * x + shift, log_s.sum().expand(len(x)))\n    return out.z, out.d\n",
    "a dataclass": HEAD + "from dataclasses import dataclass\n@dataclass\nclass Out:\n    z: torch.Tensor\n" + AFFINE
    + "    out = Out(log_s.exp() * x + shift)\n    return out.z, log_s.sum().expand(len(x))\n",
    "star imports": "from math import *\n" + HEAD + "from torch.nn.functional import *\n" + AFFINE
    + RIGHT.replace("* x", "* x * sqrt(1.0) + relu(-x.abs())"),
    "loops": HEAD + AFFINE + "    rows = []\n    for row in x:\n        rows.append(log_s.exp() * row + shift)\n"
    "    return torch.stack(rows), torch.stack([sum(log_s) for _ in x])\n",
    "a loop that sets a constant": HEAD + "total = 0\nfor k in range(3):\n    total = total + k\n" + AFFINE
    + RIGHT.replace("* x", "* x * (total - 2)"),
    "prints": HEAD + AFFINE + "    print(f'{x.mean():.3f}', '{:.2f} {}'.format(1.5, x.shape), end='')\n" + RIGHT,
    "asserts and errors": HEAD + AFFINE + "    if x.ndim != 2:\n        raise ValueError('two axes')\n"
    "    assert log_s.shape == shift.shape\n    try:\n        z = log_s.exp() * x + shift\n"
    "    except RuntimeError as error:\n        raise TypeError(error.args) from None\n"
    "    return z, log_s.sum().expand(len(x))\n",
    "no_grad and vmap": HEAD + AFFINE + "    with torch.no_grad():\n        n = len(x)\n"
    "    z = torch.vmap(lambda row: log_s.exp() * row + shift)(x)\n    return z, log_s.sum().repeat(n)\n",
    "autograd": HEAD + AFFINE + "    z = log_s.exp() * x + shift\n"
    "    J = torch.autograd.functional.jacobian(lambda r: log_s.exp() * r + shift, x[0], create_graph=True)\n"
    "    return z, torch.linalg.slogdet(J).logabsdet.expand(len(x))\n",
    "filled": HEAD + AFFINE + "    det = torch.empty(len(x), dtype=x.dtype)\n    det[:] = log_s.sum()\n"
    "    return torch.addcmul(shift, x, log_s.exp()), det\n",
    "the decorator is gone": HEAD + "def affine(x, log_s, shift):\n" + RIGHT,
    "its own decorator": HEAD + "def twice(f):\n    def g(x, log_s, shift):\n        f(x, log_s, shift)\n"
    "        return f(x, log_s, shift)\n    return g\n" + AFFINE.replace("\ndef", "\n@twice\ndef") + RIGHT,
    "twice, right last": HEAD + AFFINE + "    return x, x\n\n\n" + AFFINE + RIGHT,
    "magics": "%matplotlib inline\n!ls\n" + HEAD + "%load_ext autoreload\n" + AFFINE + RIGHT,
    "a mess around it": "import os, sys\nfrom genlib import data\nopen('VICTIM/new', 'w')\nos.remove('VICTIM/a.ipynb')\n"
    "sys.exit()\n" + HEAD + AFFINE + RIGHT + "while True: pass\n",
    "unicode": HEAD + AFFINE + "    σ = log_s.exp()\n    return σ * x + shift, log_s.sum().expand(len(x))\n",
    "a generator": HEAD + AFFINE + "    def rows():\n        for row in x:\n            yield log_s.exp() * row + shift\n"
    "    return torch.stack(list(rows())), log_s.sum().expand(len(x))\n",
    "requires_grad": HEAD + AFFINE + "    y = x.detach().clone()\n    y.requires_grad = True\n" + RIGHT,
    "imports inside": HEAD + AFFINE + "    import math\n    from torch import exp\n" + RIGHT.replace("log_s.exp()", "exp(log_s)"),
    "a name of a builtin": HEAD + AFFINE + "    input, vars = x, log_s\n" + RIGHT.replace("* x", "* input"),
}  # fmt: skip
