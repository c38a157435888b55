"""What is said of a test that goes wrong in a way that any test can."""

NEVER_CALLS = (
    "It comes to its verdict without calling candidate once. Names and texts say nothing about what a function does: "
    "call it, on numbers for which you know the answer."
)
REFUSES_ALL = (
    "It refuses every right one. Is what it compares with right itself, and made of numbers that are still what the "
    "candidate was given? Work one example out by hand. Where numbers are drawn: is the tolerance one that a mean of "
    "so many draws can keep?"
)
WRONG_ITSELF = "It refuses every right one, and accepts one that is wrong: what it compares with has the same mistake."
REFUSES_RIGHT = (
    "It refuses a right one. What does it ask for that the docstring does not: a dtype, the last digit, one way of "
    "writing it?"
)
MISUSE = (
    "A right one fell over when it was called. The docstring says which shapes and numbers it takes: does the test "
    "keep to them?"
)
FALLS_OVER = (
    "On a right one the test itself fell over, before it came to a verdict. Look at the line above: the candidate has "
    "done what it should. Where two dtypes met: a right one may answer in another float dtype, so `.double()` both."
)
CRASHES = (
    "On a faulty one the test itself raised something else than an AssertionError: nobody who runs it could tell a "
    "finding from a broken test. A faulty result may have any shape, any dtype, and no gradient: assert its shape, and "
    "its requires_grad, before you compute with it."
)
RETURNS = (
    "It returns its verdict, and nobody looks at what a test returns: it refuses by `assert`, and accepts by coming to "
    "its end."
)
FLAKY = (
    "With other random numbers it refuses right ones. A mean of n draws is off by a standard error or so, and by three "
    "of them once in 370 times: allow five, and let n be large enough that a fault stands out."
)
SOMETIMES = (
    "With other random numbers it lets faulty ones pass. A verdict needs numbers on which the fault always shows: more "
    "draws, or fixed numbers that you have chosen."
)
