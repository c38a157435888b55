"""Exercises that answer, and identities that are shown by numbers.

@checks.exercise("diffusion.q_sample")     checks the function below it at once, and shows what was found
checks.hint(name), checks.solution(name)   a second hint, and a worked answer
checks.summary()                           all exercises of the lab, at its end
checks.results(lab)                        the same, as a list
checks.identity(name, lhs, rhs, tol)       prints that two things are equal within tol, or fails
checks.at_most(name, lhs, rhs)             prints that a bound holds, or fails
checks.installation()                      says whether everything the course needs is there, and works
"""

from gencourse.checks.compare import at_most, identity
from gencourse.checks.exercise import exercise, exercises, hint, results, run, solution, summary
from gencourse.checks.installation import installation
from gencourse.checks.panel import Result

__all__ = [
    "Result",
    "at_most",
    "exercise",
    "exercises",
    "hint",
    "identity",
    "installation",
    "results",
    "run",
    "solution",
    "summary",
]
