"""The command ``mdkern``: one file per subcommand.

Without a subcommand: the help. Exit status: 0 done; 1 ran, but a check failed; 2 wrong usage or input, with one line on stderr;
130 after Ctrl-C. stdout carries results, stderr progress and warnings.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import NoReturn

from mdkern.cli import (
    bench,
    convert,
    demo,
    describe,
    doctor,
    evaluate,
    export,
    info,
    md,
    neighbors,
    relax,
    tune,
    validate,
)
from mdkern.cli.options import positive_int, warn_of_many_threads
from mdkern.cli.output import UsageError, error, one_line, warning
from mdkern.errors import MDKernError

__all__ = ["main"]

_COMMANDS = (
    info,
    doctor,
    neighbors,
    describe,
    md,
    relax,
    evaluate,
    validate,
    convert,
    export,
    tune,
    demo,
    bench,
)

_EPILOG = """\
examples:
  mdkern demo                                   what it does, how fast: a table and a picture
  mdkern doctor                                 what is wrong or slow here, and what to do about it
  mdkern info Cu.eam.alloy                      what is in a potential file
  mdkern neighbors crystal.cif --cutoff 5       pairs, coordination, distance shells
  mdkern describe run.extxyz --map map.png       SOAP or ACSF of every atom, a map of them
  mdkern md crystal.cif --potential zhou2004 --temperature 600 --steps 10000 -o run.extxyz
  mdkern relax crystal.cif --potential zhou2004 --cell full -o relaxed.extxyz
  mdkern evaluate frames.extxyz --potential Cu.eam.alloy --plot parity.png

environment:
  MDKERN_NUM_THREADS, else OMP_NUM_THREADS      threads; --threads goes before both
  MDKERN_ISA = auto | avx512 | avx2 | neon | scalar    instruction set of the kernels
  MDKERN_TUNE = off | once | measure            skin and threads of md that were measured: mdkern tune
  OPENBLAS_NUM_THREADS, MKL_NUM_THREADS         1 unless set in md, relax, evaluate, validate, tune, demo
  NO_COLOR                                      plain text, no progress bars
"""


class _Parser(argparse.ArgumentParser):
    """Errors become exceptions, so that every one ends as the same single line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


class _Version(argparse.Action):
    """``--version``; the core is only loaded where the number is wanted."""

    def __call__(self, parser: argparse.ArgumentParser, *args: object) -> NoReturn:
        del args
        import mdkern

        print(f"mdkern {mdkern.__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="mdkern",
        description="Fast CPU kernels for atomistic simulation: neighbor lists, potentials, MD.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("common options")
    group.add_argument(
        "--threads", type=positive_int, metavar="N", help="threads (default: all available CPUs)"
    )
    group.add_argument(
        "--traceback", action="store_true", help="show where an error comes from, not just one line"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for module in _COMMANDS:
        command = commands.add_parser(
            module.__name__.rpartition(".")[2],
            parents=[common],
            help=module.HELP,
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _run(arguments: list[str]) -> int:
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.command is None:
        print(parser.format_help(), end="")
        return 0
    args.command_line = ["mdkern", *arguments]
    if os.environ.get("MDKERN_TUNE") and args.command != "doctor":  # which says what is wrong
        importlib.import_module("mdkern.tuning")  # a bad value is refused, whatever the command
    if args.threads is None:
        return int(args.run(args))
    import mdkern

    with mdkern.num_threads(args.threads):
        warn_of_many_threads(args.threads, mdkern.info()["available_cpus"])
        return int(args.run(args))


def _guarded(arguments: list[str]) -> int:
    """Run and turn exceptions into an exit status and one line."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except SystemExit as e:  # --help and --version
        return e.code if isinstance(e.code, int) else 0
    except KeyboardInterrupt:
        error("interrupted")
        return 130
    except BrokenPipeError:
        raise
    except Exception as e:  # noqa: BLE001 - whatever it is, the user gets one line
        if "--traceback" in arguments:
            traceback.print_exc()
        error(_explain(e))
        return 2


# Commands whose linear algebra is small: matrices of cells, rows of an optimizer.
_SMALL_MATRICES = ("md", "relax", "evaluate", "validate", "tune", "demo")

_BLAS_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def _keep_blas_alone(command: str) -> None:
    """One thread for BLAS, unless the user chose otherwise: it reads this when NumPy is loaded.

    ASE's filters and optimizers multiply matrices of 3 x 3 and vectors of 3 N numbers. Threads of BLAS share them out and
    then spin, which takes longer than the work, and much longer where another process has one of the CPUs.
    """
    if command in _SMALL_MATRICES and "numpy" not in sys.modules:
        for name in _BLAS_THREADS:
            os.environ.setdefault(name, "1")


def _explain(e: Exception) -> str:
    if isinstance(e, OSError) and e.strerror:
        # Writers of files say their names (`output.writing`): what has none is the stream of results.
        name = "standard output" if e.errno == errno.ENOSPC else None
        name = name if e.filename is None else os.fsdecode(e.filename)
        where = f"{name}: " if name else ""
        return where + e.strerror
    if isinstance(e, (MDKernError, ValueError, OSError, MemoryError)) and str(e):
        return one_line(str(e))
    return one_line(f"{type(e).__name__}: {e}") + " (--traceback shows where)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit status: 0, 1 (a check failed), 2 (usage or input), 130 (interrupted).
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    if argv is None:  # this process is the command's own
        _keep_blas_alone(next((a for a in arguments if not a.startswith("-")), ""))
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show must not end the program.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = 0
    try:
        with warnings.catch_warnings():
            # What one dependency deprecates in another is no news for whoever types a command.
            warnings.filterwarnings("ignore", category=DeprecationWarning, module="(?!mdkern)")
            warnings.showwarning = lambda message, *_args, **_kwargs: warning(str(message))
            code = _guarded(arguments)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has left, as in `mdkern info | head -1`
        code = 0
    except OSError as e:
        if code == 0:  # else something has been said
            error(_explain(e))
        code = 2
    else:
        return code
    # Python flushes once more at exit: what is left goes nowhere, silently.
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    return code
