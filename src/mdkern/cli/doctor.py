"""``mdkern doctor``: how this machine and this installation stand, and what to do about it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from mdkern.cli.info import installation_fields
from mdkern.cli.output import note, number, one_line, print_fields, print_json, print_table

if TYPE_CHECKING:
    from mdkern.doctor import Finding, Readings

HELP = "how this machine and installation stand, and what would be faster"
DESCRIPTION = (
    "Looks at CPU, threads, memory, limits of containers and jobs, other load, environment variables and packages, tries\n"
    "the kernels and the threads, and says in one line each what is wrong or slow and what to do about it."
)
EPILOG = """\
examples:
  mdkern doctor
  mdkern doctor --json          for a report, or a job's log
  mdkern doctor --no-test       look only

Exit status: 1 where results are wrong or something is missing that every user needs, else 0; warnings
change nothing.
"""

SCHEMA = 1  # of --json: entries are added without a change of it, never renamed or removed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--no-test", action="store_true", help="leave out the self-test")


def run(args: argparse.Namespace) -> int:
    from mdkern import doctor

    if not args.json and sys.stderr.isatty():
        note("looking, which takes some seconds")
    readings = doctor.read(not args.no_test)
    found = doctor.findings(readings)
    failed = any(finding.level == "error" for finding in found)
    if args.json:
        print_json(
            {
                "schema": SCHEMA,
                "ok": not failed,
                "findings": [asdict(finding) for finding in found],
                **asdict(readings),
            }
        )
    else:
        print_fields("", _fields(readings))
        _print_findings(found)
    return int(failed)


def _fields(r: Readings) -> dict[str, str]:
    """The screen: two columns."""
    here, threads = r.installation, r.threads
    out = {"mdkern": here.version or "not installed"}
    if r.core is not None:
        out = installation_fields(asdict(r.core))
        out["threads"] = f"{r.core.threads}; {_cpus(r)}"
        if threads.runtimes:
            out["OpenMP"] = ", ".join(threads.runtimes)
    out["CPU"] = r.cpu.name
    out["Python"] = f"{here.python}, {here.system}"
    out["folder"] = here.folder
    if threads.environment:
        out["variables"] = " ".join(f"{k}={v}" for k, v in threads.environment.items())
    out["memory"] = _memory(r)
    out["load of others"] = _load(r)
    if r.cpu.frequency is not None:
        governor = f", {r.cpu.governor}" if r.cpu.governor else ""
        out["frequency"] = f"{r.cpu.frequency:.0f} MHz{governor}"
    out["tuning"] = f"{r.tuning.choices} kept in {r.tuning.file or '-'}"
    out["extras"] = _extras(r)
    for extra in here.extras:
        lacking = ", ".join(p.name for p in extra.packages if not p.ok)
        if lacking:
            out[f"extra {extra.name}"] = f"lacks {lacking}"
    if r.self_test.kernels:
        out["self-test"] = _self_test(r)
    return {name: one_line(text) for name, text in out.items()}


def _extras(r: Readings) -> str:
    if r.installation.version is None:
        return "not known"
    if not r.installation.extras:
        return "not known: pip install packaging"
    ready = [extra.name for extra in r.installation.extras if extra.ready]
    return f"{', '.join(ready) or 'none'}; others: pip install 'mdkern[NAME]'"


def _cpus(r: Readings) -> str:
    t = r.threads
    cores = f" on {t.cores} cores" if t.cores else ""
    quota = f", limited to {t.quota:g}" if t.quota is not None else ""
    return f"this process may use {t.affinity or t.cpus} of {t.cpus} CPUs{cores}{quota}"


def _memory(r: Readings) -> str:
    def gib(n: int | None) -> str:
        return number(None if n is None else n / 2**30, 3, "GiB")

    m = r.memory
    limit = f", limited to {gib(m.limit)}" if m.limit is not None else ""
    huge = f"; huge pages: {m.huge_pages}" if m.huge_pages else ""
    return f"{gib(m.left)} of {gib(m.total)} left{limit}{huge}"


def _load(r: Readings) -> str:
    busy = f"{number(r.load.busy, 2)} CPUs"
    stolen = f", {r.load.stolen:.1f} taken by the host" if r.load.stolen else ""
    return f"{busy}{stolen}; {number(r.load.average, 3)} in the last minute"


def _self_test(r: Readings) -> str:
    kernels, test = r.self_test.kernels, r.self_test
    wrong = [f"{k.name} with {k.isa}" for k in kernels if not k.ok]
    names = ", ".join(dict.fromkeys(k.isa for k in kernels))
    worst = max(k.error for k in kernels)
    text = f"wrong: {', '.join(wrong)}" if wrong else f"{names} right to {worst:.0e}"
    if test.speedup is None or test.threads is None:
        return text
    return f"{text}; {test.threads} threads {test.speedup:.2f} times as fast as one"


def _print_findings(found: list[Finding]) -> None:
    print()
    if not found:
        print("nothing to mend")
        return
    rows = []
    for finding in found:
        rows += [(finding.level, one_line(finding.says)), ("", f"-> {one_line(finding.advice)}")]
    print_table("", (), rows, right=False)
