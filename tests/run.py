"""Run the tests as `make test` does: `python tests/run.py [pytest arguments]`.

All tests run side by side in several workers. When a few of them fail, they run once more, alone, and the second result
counts. The first failure stays in the output, and the test is named at the end: it depends on the load of the machine,
which is an error of the test that has to be corrected. More than MOST failures are not a matter of timing, and a
run that was interrupted has no result: both end with the first exit code.

Before that, everything is compiled once, with all processors. Otherwise each worker of a fresh checkout compiles it.
"""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

from _pytest.assertion import rewrite

MOST = 3
TESTS_FAILED = 1  # pytest's exit code
FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main(arguments: list[str]) -> int:
    """The exit code of the run, or of the second one where a few tests failed."""
    # Compiled modules are kept: tests start hundreds of processes, and each would compile Tidegate again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    _compile()
    FAILED.unlink(missing_ok=True)
    code = _pytest(arguments)
    failed = _failed() if code == TESTS_FAILED else []
    if not 0 < len(failed) <= MOST:
        return code
    print(f"\n{len(failed)} of the tests failed beside the others. They run once more, alone:", flush=True)
    code = _pytest(["-n", "0", *failed])
    if code == 0:
        print("\nThese tests failed once and passed alone. Correct them: they depend on the load of the machine.")
        print(*(f"  {name}" for name in failed), sep="\n")
    return code


def _compile() -> None:
    """Compile the program, and the tests with pytest's rewritten assertions: the files that pytest would write."""
    with ProcessPoolExecutor() as processes:
        tests = processes.map(_compile_test, sorted(Path("tests").absolute().rglob("test_*.py")), chunksize=4)
        for folder in ("src", "tests/support", "examples"):
            compileall.compile_dir(folder, quiet=2, workers=0)
        list(tests)


def _compile_test(file: Path) -> None:
    pyc = rewrite.get_cache_dir(file) / f"{file.stem}{rewrite.PYC_TAIL}"
    if rewrite._read_pyc(file, pyc) is None and rewrite.try_makedirs(pyc.parent):
        with suppress(SyntaxError):  # which pytest shows
            source_hash, code = rewrite._rewrite_test(file, None)
            rewrite._write_pyc(SimpleNamespace(trace=print), code, source_hash, pyc)


def _pytest(arguments: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", "-rs", *arguments], check=False).returncode


def _failed() -> list[str]:
    """The ids of the tests that failed in the last run, also of those in a worker that crashed."""
    return sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
