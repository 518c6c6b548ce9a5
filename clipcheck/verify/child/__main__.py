"""The process in which a script is watched: `python .../child/__main__.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    own = Path(__file__).resolve().parent
    package_root = str(own.parents[2])
    # clipcheck need not be installed for the interpreter that runs the script, nor does the script see our folder.
    sys.path[:] = [package_root, *(path for path in sys.path if path != str(own))]
    from clipcheck.verify.child.run import run

    sys.path.remove(package_root)
    run(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
