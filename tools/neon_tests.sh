#!/usr/bin/env bash
# C++ tests of the SIMD layer on the NEON backend, cross-compiled and run under emulation.
#
#   tools/neon_tests.sh FOLDER [TEST...]
#
# FOLDER is for the build. TEST: test_simd (default, seconds), test_math (minutes under emulation). Needs g++-aarch64-linux-gnu,
# qemu-user, cmake and ninja.
set -euo pipefail

folder=$1
shift
(($#)) || set -- test_simd
cd "$(dirname "$0")/.."
root=/usr/aarch64-linux-gnu
cmake -S . -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMDKERN_TESTS=ON -DMDKERN_WERROR=ON \
    -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
for test in "$@"; do
    cmake --build "$folder" --target "${test}_neon"
    qemu-aarch64 -L "$root" "$folder/cpp/tests/${test}_neon"
done
