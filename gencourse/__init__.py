"""gencourse: what makes the notebooks answer, on top of genlib.

The modules are imported one by one, `from gencourse import checks, plots, widgets`: none loads more than it needs.
"""
