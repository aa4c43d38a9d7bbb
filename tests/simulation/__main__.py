"""Print the table: `make simulation`, or `python -m simulation [SEED]` with `tests` on the path."""

from __future__ import annotations

import sys

from simulation.rows import HEADING, ROWS, run


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    print(HEADING)
    for row in ROWS:
        _, measures = run(row, seed)
        print(measures.line(row.name))
        for name, most in row.bounds.items():
            if getattr(measures, name) > most:
                print(f"    over its bound: {name} is {getattr(measures, name):.2f}, at most {most:.2f}")


if __name__ == "__main__":
    main()
