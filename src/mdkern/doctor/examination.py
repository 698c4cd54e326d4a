"""All readings of this machine and process."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace

from mdkern.doctor import installation, selftest, system
from mdkern.doctor.readings import Core, Readings, SelfTest, Tuning

__all__ = ["read"]


def _core() -> tuple[Core | None, str | None, tuple[str, ...]]:
    """What the core says, its file, and what it complained of while it was loaded."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            from mdkern import _core, _runtime

            facts = _runtime.info()
        except Exception as e:  # noqa: BLE001 - a damaged NumPy raises anything, and the rest is still told
            return None, None, (_with_causes(e),)
    facts["isas_compiled"] = tuple(facts["isas_compiled"])
    facts["isas_supported"] = tuple(facts["isas_supported"])
    return Core(**facts), _core.__file__, tuple(str(w.message) for w in said)


def _with_causes(e: BaseException) -> str:
    """The core's own "initialization failed" says nothing; what NumPy said is its cause."""
    texts = [str(e) or type(e).__name__]
    while e.__cause__ is not None:
        e = e.__cause__
        texts.append(f"{type(e).__name__}: {e}")
    return ": ".join(texts)


def _tuning() -> Tuning:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            from mdkern import tuning

            kept = len(tuning.all_choices())
        except Exception as e:  # noqa: BLE001 - a bad value of the variable, or what the core's findings tell
            return Tuning(complaints=(str(e),) if "MDKERN_TUNE" in str(e) else ())
        return Tuning(str(tuning.path()), kept, tuple(str(w.message) for w in said))


def read(self_test: bool = True) -> Readings:
    """Look at everything, which takes a second.

    Parameters
    ----------
    self_test : bool
        Also try the kernels and the threads.
    """
    mask = system.affinity()
    load = system.read_load(mask=mask)
    core, core_file, complaints = _core()
    bound = system.affinity()
    tried = SelfTest()
    if self_test and core is not None:
        try:
            tried = selftest.run()
        except Exception as e:  # noqa: BLE001 - as where ASE is missing: the rest is still told
            tried = SelfTest(failure=f"{type(e).__name__}: {e}")
    threads = replace(
        system.read_threads(mask=mask, environment=os.environ.items()),
        affinity_with_core=None if bound is None else len(bound),
        runtimes=installation.runtimes(installation.libraries()),
        bundled=installation.bundled_runtimes(),
    )
    return Readings(
        installation.read_installation(core_file),
        system.read_cpu(),
        threads,
        core,
        complaints,
        system.read_memory(),
        load,
        tried,
        _tuning(),
    )
