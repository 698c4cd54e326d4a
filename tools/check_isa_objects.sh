#!/usr/bin/env bash
# Check that code for one instruction set cannot end up in the path of another.
#
#   tools/check_isa_objects.sh BUILD_DIR
#
# BUILD_DIR holds the object files of the library and of _core (scikit-build-core's build/{wheel_tag}). Two mistakes make
# a library crash on older CPUs although every kernel is chosen at run time:
# - an object compiled for AVX-512 defines a shared symbol, such as std::vector<double>::resize, and
#   the linker keeps that copy for everybody;
# - an object compiled for AVX-512 has a static object whose constructor runs at load time.
set -euo pipefail

build=${1:?usage: check_isa_objects.sh BUILD_DIR}
root=$(cd "$(dirname "$0")/.." && pwd)
export LC_ALL=C
failures=0
fail() {
    echo "  $1" >&2
    failures=$((failures + 1))
}

# Instructions past the baseline of x86-64 (tzcnt is not among them: it is bsf to an older CPU).
vex='%[yz]mm|%k[0-7]\b|\bv[a-z0-9]+ .*%xmm|\b(andn|bextr|blsi|blsmsk|blsr|mulx|pdep|pext|rorx|sarx|shlx|shrx|popcnt|lzcnt)[lqw]? '
evex='%zmm|%k[0-7]\b|%[xy]mm(1[6-9]|2[0-9]|3[01])\b'

disassembly() { objdump -d --no-show-raw-insn "$1"; }
# Reads its input to the end: with pipefail, grep -q would end the writer and look like "not found".
has() { grep -E -- "$1" >/dev/null; }

# Objects that run on every CPU.
check_baseline() {
    local object=$1 found
    found=$(disassembly "$object" | grep -E "$vex" | sed -n 1,3p || true)
    [[ -z $found ]] || fail "$object: instructions past the baseline: $found"
}

check_symbols() {
    local isa=$1 object=$2 found
    # Defined here and seen by the linker, outside mdkern::<isa>.
    found=$(nm --defined-only "$object" | awk '$2 ~ /[A-TV-Zuvw]/ {print $3}' |
        grep -vE "^_Z(GV|T[VTIS])?Z*NK?6mdkern${#isa}${isa}" | c++filt | sed -n 1,5p || true)
    [[ -z $found ]] || fail "$object: symbols outside mdkern::$isa: $found"
    found=$(nm --defined-only "$object" | awk '{print $3}' | grep -E '^_Z(NK?)?S[abdiost]' |
        c++filt | sed -n 1,5p || true)
    [[ -z $found ]] || fail "$object: symbols of the standard library: $found"
    if objdump -h "$object" | has '\.(init_array|ctors)'; then
        fail "$object: objects with dynamic initialisation"
    fi
}

objects_of() { find "$build" -path "*/$1.dir/*" -name '*.o' | sort; }

x86=
kernels=$(find "$root/cpp" -name '*_kernel.cpp' | wc -l)
baseline=$(objects_of mdkern && objects_of _core)
[[ -n $baseline ]] || { echo "no objects of the library below $build" >&2; exit 1; }
if [[ $(objdump -f "${baseline%%$'\n'*}") == *x86-64* ]]; then x86=yes; fi

for object in $baseline; do
    [[ -z $x86 ]] || check_baseline "$object"
done
summary="$(wc -w <<<"$baseline") baseline objects"
for isa in scalar avx2 avx512 neon; do
    objects=$(objects_of "kernels_$isa")
    [[ $isa == scalar || -n $objects ]] || continue
    n=$(wc -w <<<"$objects")
    [[ $n == "$kernels" ]] || fail "kernels_$isa: $n objects for $kernels kernel sources"
    wide=0
    for object in $objects; do
        check_symbols "$isa" "$object"
        case $isa in
        scalar) [[ -z $x86 ]] || check_baseline "$object" ;;
        avx2)
            if disassembly "$object" | has "$evex"; then fail "$object: AVX-512 instructions"; fi
            if disassembly "$object" | has '%ymm'; then wide=$((wide + 1)); fi
            ;;
        avx512) if disassembly "$object" | has '%zmm'; then wide=$((wide + 1)); fi ;;
        esac
    done
    # Were the flags lost, the checks above would pass and the kernels be slow.
    [[ $isa == scalar || $isa == neon || $wide == "$n" ]] || fail "kernels_$isa: $wide of $n objects use its registers"
    summary+=", $n for $isa"
done

if ((failures)); then
    echo "check_isa_objects: $failures failures ($summary)" >&2
    exit 1
fi
echo "check_isa_objects: ok ($summary)"
