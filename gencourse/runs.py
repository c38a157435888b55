"""Where the stored trainings lie that notebooks load: lectures/runs in a copy of the course, or inside of gencourse."""

from pathlib import Path

_FOLDERS = (
    Path(__file__).parents[1] / "lectures" / "runs",  # a checkout
    Path(__file__).parent / "stored",  # installed by pip, which brings them along (setup.py)
)


def run_file(name: str) -> Path:
    """The path of a file of a stored training, such as `ddpm_digits.safetensors`.

    Raises:
        FileNotFoundError: if there is none of that name.
    """
    for folder in _FOLDERS:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"name: no stored training has a file {name}; looked in {_FOLDERS[0]} and {_FOLDERS[1]}")
