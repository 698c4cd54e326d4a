#!/usr/bin/env bash
# Prints the narrowest and the widest instruction set that this machine runs, as MDKERN_ISAS takes them: for builds
# that are there to be tested fast.
set -euo pipefail
if grep -qw avx512bw /proc/cpuinfo 2>/dev/null; then
    echo scalar,avx512
elif grep -qw avx2 /proc/cpuinfo 2>/dev/null; then
    echo scalar,avx2
else
    echo scalar
fi
