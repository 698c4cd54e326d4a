#!/usr/bin/env bash
# Build the extension with ThreadSanitizer and run the tests of Python threads and of OpenMP's.
#
#   tools/tsan.sh [PYTHON [PYTEST ARGUMENTS...]]
#
# PYTHON (default: python3) has the test dependencies; an mdkern installed there is not touched. Clang is needed, with its
# OpenMP (Debian: clang, libomp-dev): libarcher tells the sanitizer what the barriers of a team are. GCC's libgomp does not, and
# all that a team does looks like a race. CXX names another compiler than clang++. One instruction set, for the sake of time.
set -euo pipefail

python=$(command -v "${1:-python3}")
shift || true
cd "$(dirname "$0")/.."
compiler=${CXX:-clang++}
target=$(mktemp -d)
trap 'rm -rf "$target"' EXIT

CXX=$compiler CXXFLAGS='-fsanitize=thread -g1' LDFLAGS='-fsanitize=thread -shared-libsan' \
    SKBUILD_CMAKE_DEFINE='MDKERN_ISAS=scalar' SKBUILD_BUILD_DIR=build/tsan SKBUILD_INSTALL_STRIP=false \
    "$python" -m pip install --quiet --no-deps ${TSAN_PIP_OPTIONS:-} --target "$target/site" .

runtime=$("$compiler" -print-file-name=libclang_rt.tsan-x86_64.so)
openmp=$(ldd "$target"/site/mdkern/libmdkern.so | awk '/libomp/ { print $3 }')
archer=$(dirname "$(readlink -f "$openmp")")/libarcher.so
for file in "$runtime" "$archer"; do
    [[ -e $file ]] || { echo "tsan.sh: $file: not there; expected clang with its sanitizers and OpenMP" >&2; exit 2; }
done
export PYTHONPATH=$target/site OMP_TOOL_LIBRARIES=$archer
# Python and NumPy are not instrumented, their locks are seen all the same. Reports go to files, as pytest captures the rest.
export TSAN_OPTIONS=log_path=$target/report:ignore_noninstrumented_modules=1:exitcode=0
if [[ $# -eq 0 ]]; then
    set -- -m quick tests/test_thread_safety.py tests/test_evaluation.py tests/test_calculators_set.py
fi
status=0
# The sanitizer wants addresses where it expects them.
LD_PRELOAD=$runtime setarch "$(uname -m)" -R "$python" -m pytest -q -p no:cacheprovider "$@" || status=$?
for report in "$target"/report.*; do
    if [[ -e $report ]]; then
        cat "$report"
        status=1
    fi
done
exit "$status"
