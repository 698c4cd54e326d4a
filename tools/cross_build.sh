#!/usr/bin/env bash
# Compile and link the library with its interface in C for another system, with the Clang of `pip install ziglang`.
#
#   tools/cross_build.sh TARGET FOLDER [CMAKE ARGUMENTS...]
#
# TARGET: aarch64-macos, x86_64-macos or x86_64-windows-gnu. FOLDER gets the build and, in FOLDER/installed, the library
# and its header. Needs cmake, ninja, and `zig` on PATH or ziglang in PYTHON (default: python3). Warnings are errors.
set -euo pipefail

target=${1:?usage: cross_build.sh TARGET FOLDER [CMAKE ARGUMENTS...]}
folder=${2:?usage: cross_build.sh TARGET FOLDER [CMAKE ARGUMENTS...]}
shift 2
zig=$(command -v zig || "${PYTHON:-python3}" -c 'import pathlib, ziglang; print(pathlib.Path(ziglang.__file__).parent / "zig")')
cmake -S "$(dirname "$0")/.." -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMDKERN_LIBRARY=ON -DMDKERN_WERROR=ON \
    -DCMAKE_TOOLCHAIN_FILE=cmake/zig.cmake -DMDKERN_ZIG="$zig" -DMDKERN_ZIG_TARGET="$target" "$@"
cmake --build "$folder"
cmake --install "$folder" --prefix "$folder/installed"
