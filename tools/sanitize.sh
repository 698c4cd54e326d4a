#!/usr/bin/env bash
# Build the extension with AddressSanitizer and UndefinedBehaviorSanitizer and run the quick tests.
#
#   tools/sanitize.sh [PYTHON [PYTEST ARGUMENTS...]]
#
# PYTHON (default: python3) has the test dependencies; an mdkern installed there is not touched.
# Leaks are left to the tests of memory growth: Python itself leaks by design.
set -euo pipefail

python=$(command -v "${1:-python3}")
shift || true
cd "$(dirname "$0")/.."
target=$(mktemp -d)
trap 'rm -rf "$target"' EXIT

SKBUILD_CMAKE_DEFINE='MDKERN_WERROR=ON;MDKERN_SANITIZE=ON' SKBUILD_BUILD_DIR=build/sanitize \
    "$python" -m pip install --quiet --no-deps --target "$target" .

# libstdc++ too: ASan looks up its exceptions at the start, and Python alone does not load it.
compiler=${CXX:-g++}
preload="$("$compiler" -print-file-name=libasan.so) $("$compiler" -print-file-name=libstdc++.so)"
export PYTHONPATH=$target PYTHONMALLOC=malloc
export ASAN_OPTIONS=detect_leaks=0:strict_string_checks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1
LD_PRELOAD=$preload "$python" -c "
import mdkern
print('sanitized:', mdkern._core.__file__ if hasattr(mdkern, '_core') else mdkern.__file__)"
LD_PRELOAD=$preload "$python" -m pytest -m quick "$@"
