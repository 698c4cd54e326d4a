"""How tests run programs that they compile."""

from __future__ import annotations

import os
import shlex

# Sanitizers are loaded in front of Python, so what a test links needs them too.
SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
# What runs a program that was compiled for another machine: tools/arm_python.sh
EMULATOR = shlex.split(os.environ.get("MDKERN_TEST_EMULATOR", ""))
# How many times as long as on a machine processes may take there.
PATIENCE = 20 if EMULATOR else 1
