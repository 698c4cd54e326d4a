#!/usr/bin/env bash
# Build the library with ThreadSanitizer and run the C++ tests of potentials and of threads, which share potentials and whose
# teams evaluate them; then, where the sanitizer's runtime can be loaded into Python, the tests of Python threads.
#
#   tools/tsan.sh [PYTHON [PYTEST ARGUMENTS...]]
#
# PYTHON (default: python3) has the test dependencies and mdkern, which writes the models and is not touched. Clang is needed, with
# its OpenMP (Debian: clang, libomp-dev): libarcher tells the sanitizer what the barriers of a team are. GCC's libgomp does not, and
# all that a team does looks like a race. CXX names another compiler than clang++. One instruction set and -O1, for the sake of time.
#
# The runtime of Clang 14 cannot be loaded into Python where the kernel spreads addresses as widely as today's do; that of Clang 19 can.
# TSAN_RUNTIME names one of a newer Clang than the compiler's (libclang_rt.tsan-x86_64.so): what compilers make calls them alike.
set -euo pipefail

python=$(realpath -s "$(command -v "${1:-python3}")")
shift || true
cd "$(dirname "$0")/.."
root=$PWD
compiler=${CXX:-clang++}
target=$(mktemp -d)
trap 'rm -rf "$target"' EXIT

# The library takes the runtime from the program that loads it: linked into each, it would be there twice.
CXX=$compiler CXXFLAGS='-fsanitize=thread -g1' LDFLAGS='-fsanitize=thread' \
    SKBUILD_CMAKE_DEFINE='MDKERN_ISAS=scalar;CMAKE_CXX_FLAGS_RELEASE=-O1' SKBUILD_BUILD_DIR=build/tsan SKBUILD_INSTALL_STRIP=false \
    "$python" -m pip install --quiet --no-deps ${TSAN_PIP_OPTIONS:-} --target "$target/site" .

library=$target/site/mdkern
openmp=$(ldd "$library/libmdkern.so" | awk '/libomp/ { print $3 }')
archer=$(dirname "$(readlink -f "$openmp")")/libarcher.so
[[ -e $archer ]] || { echo "tsan.sh: $archer: not there; expected clang's OpenMP" >&2; exit 2; }
export OMP_TOOL_LIBRARIES=$archer
# Python and NumPy are not instrumented, their locks are seen all the same. Reports go to files, as pytest captures the rest.
export TSAN_OPTIONS=log_path=$target/report:ignore_noninstrumented_modules=1:exitcode=0
status=0

for name in test_potentials test_threads; do
    "$compiler" -fsanitize=thread -std=c++17 -fPIC -O1 -g1 -Icpp "cpp/tests/$name.cpp" "$library/libmdkern.so" \
        -Wl,-rpath,"$library" -lpthread -o "$target/$name"
done
mkdir "$target/models"
cd "$target/models"
PYTHONPATH=$root/tests "$python" -c '
from potentials_data import MADE
for name, make in MADE.items():
    make().potential.export(f"{name}.mdk")'
"$target/test_potentials" ./*.mdk || status=$?
"$target/test_threads" ./*.mdk || status=$?
# Those that have no teams in small systems.
"$target/test_threads" --large lj.mdk lj_mixture.mdk morse.mdk buckingham.mdk eam.mdk eam_fs.mdk zbl.mdk stillinger_weber.mdk tersoff.mdk ||
    status=$?
cd "$root"

runtime=${TSAN_RUNTIME:-$("$compiler" -print-file-name=libclang_rt.tsan-x86_64.so)}
# The sanitizer wants addresses where it expects them, and some versions cannot be loaded at all.
if [[ -e $runtime ]] && LD_PRELOAD=$runtime setarch "$(uname -m)" -R "$python" -c '' 2>/dev/null; then
    if [[ $# -eq 0 ]]; then
        set -- -m quick tests/test_thread_safety.py tests/test_free_threading.py tests/test_evaluation.py tests/test_calculators_set.py
    fi
    PYTHONPATH=$target/site LD_PRELOAD=$runtime setarch "$(uname -m)" -R \
        "$python" -m pytest -q -p no:cacheprovider "$@" || status=$?
else
    echo "tsan.sh: $runtime cannot be loaded into Python: its tests are left out" >&2
fi
for report in "$target"/report.*; do
    if [[ -e $report ]]; then
        cat "$report"
        status=1
    fi
done
exit "$status"
