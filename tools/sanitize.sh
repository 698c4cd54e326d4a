#!/usr/bin/env bash
# Build the extension with AddressSanitizer and UndefinedBehaviorSanitizer and run the quick tests.
#
#   tools/sanitize.sh [PYTHON [PYTEST ARGUMENTS...]]
#
# PYTHON (default: python3) has the test dependencies; an mdkern installed there is not touched.
# Leaks are left to the tests of memory growth: Python itself leaks by design.
set -euo pipefail

python=$(realpath -s "$(command -v "${1:-python3}")")
shift || true
cd "$(dirname "$0")/.."
target=$(mktemp -d)
trap 'rm -rf "$target"' EXIT

# What lies between the narrowest and the widest kernels is made from the same sources, on a SIMD layer that has
# C++ tests of its own.
isas=$(bash tools/widest_isas.sh)
sanitized=$isas
# Where tests run with the widest alone, scalar kernels are what it is compared with.
[[ ${MDKERN_TEST_ISAS:-} != widest ]] || sanitized=${isas##*,}
define="MDKERN_WERROR=ON;MDKERN_SANITIZE=ON;MDKERN_ISAS=$isas;MDKERN_SANITIZE_ISAS=$sanitized"
SKBUILD_CMAKE_DEFINE=$define SKBUILD_BUILD_DIR=build/sanitize \
    SKBUILD_INSTALL_STRIP=false \
    "$python" -m pip install --quiet --no-deps --target "$target/site" .

# libstdc++ too: ASan looks up its exceptions at the start, and Python alone does not load it.
compiler=${CXX:-g++}
preload="$("$compiler" -print-file-name=libasan.so) $("$compiler" -print-file-name=libstdc++.so)"
export PYTHONPATH=$target/site PYTHONMALLOC=malloc
# pytest captures what the sanitizers print before they end the process, hence the files. The limit of
# memory is for the sake of what else runs on the machine.
common=log_path=$target/report:print_stacktrace=1
export UBSAN_OPTIONS=$common
export ASAN_OPTIONS=$common:detect_leaks=0:strict_string_checks=1:allocator_may_return_null=1:hard_rss_limit_mb=8000
status=0
LD_PRELOAD=$preload "$python" -m pytest -m quick "$@" || status=$?
for report in "$target"/report.*; do
    if [[ -e $report ]]; then
        cat "$report"
        status=1
    fi
done
exit "$status"
