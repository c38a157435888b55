"""Grade a folder of submissions, none of which is trusted.

    make grade SUBMISSIONS=moodle_download OUT=grades.csv
    python tools/course.py grade moodle_download --out grades.csv

SUBMISSIONS is a folder of notebooks, or of folders with notebooks: what Moodle and Canvas call "download all
submissions", unpacked. From each notebook only the exercises' functions are taken, with what they use, and each is
examined in a process that is locked in; teach/README.md says how, and what the columns of the table mean.

Written are OUT, in the form that Moodle or Canvas reads if the submissions come from there, and beside it a folder with
index.html, a page for each student, and exercises.csv.

Exit status: 0, all were graded; 1, some could not be read; 2, nothing was done.
"""

import argparse
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submissions", type=Path, help="the folder")
    parser.add_argument("--out", type=Path, default=Path("grades.csv"), help="the table; grades.csv if not given")
    parser.add_argument(
        "--lab", default="", help="such as lab_2_flows; the one that most submissions are of if not given"
    )
    parser.add_argument("--for", dest="system", choices=["moodle", "canvas", "plain"], help="whose form the table has")
    parser.add_argument("--jobs", type=int, default=0, help="submissions at a time; as many as processors if not given")
    args = parser.parse_args(argv)
    import grade_folder  # it imports torch: --help does without

    try:
        return grade_folder.run(args.submissions, args.out, args.lab, args.system, args.jobs)
    except grade_folder.GradeError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
