"""Write the data files of the bundled inbox: `python -m data.make_samples [--to FOLDER]`."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

SAMPLES = ("kenya", "bangladesh", "india", "nepal", "vietnam", "malawi", "nigeria")


def make_all() -> dict[str, bytes]:
    """Every generated file by its path below the inbox."""
    made: dict[str, bytes] = {}
    for name in SAMPLES:
        made |= import_module(f"data.make_samples.{name}").make()
    return made


def main() -> None:
    """Write the files, and say how large each is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent.parent / "submissions", help="the inbox")
    target = parser.parse_args().to
    for path, content in make_all().items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        sys.stdout.write(f"{len(content):>9,}  {path}\n")


if __name__ == "__main__":
    main()
