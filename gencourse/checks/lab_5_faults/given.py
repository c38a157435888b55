"""What several hunts say or use."""

SINGLE = (
    "This right one computes in float32, as networks do: its dtype and its last digits are its own affair. How far "
    "may a right one be from the truth, and how far is a faulty one?"
)
ALGEBRA = (
    "This right one writes the same formula in another way, and rounds elsewhere. Ask for what the formula says, to "
    "four digits, not for how it is computed."
)
DOUBLE = (
    "This right one answers in float64, whatever it was given: its dtype is its own affair. Compare numbers, both "
    "sides by `.double()`, and not dtypes."
)
