"""Submissions are graded: a submission is data, and never trusted.

grade(path)            one notebook -> Graded; `.points` is the number
grade_all(paths)       many, several at a time; gives each as it is done
points()               what each exercise is worth: teach/points.toml

From a notebook only the exercises' functions are taken, with the helpers, constants and imports that they use
(`take`); `look` says whether that code may run at all, `guard` rewrites it so that it asks before it does anything
unusual, and `judge` examines it in processes that `cage` has locked in.
"""

from gencourse.grade.run import Graded, GradeError, Scored, grade, grade_all, points

__all__ = ["GradeError", "Graded", "Scored", "grade", "grade_all", "points"]
