#!/usr/bin/env bash
# Tests in Python for AArch64 under emulation: a machine of Debian's packages and of wheels, this package cross-compiled
# into it, and pytest with its Python, run by qemu.
#
#   tools/arm_python.sh FOLDER [PYTEST ARGUMENTS...]
#
# FOLDER keeps what was fetched and built for the next time; nothing outside is changed, and root is not asked for.
# FOLDER/python is the machine's Python, and FOLDER/build has the library. PYTHON (default: python3) is one of this
# machine, whose pip chooses the wheels; SKBUILD_CMAKE_DEFINE may name more options of the build. Needs apt-get and dpkg
# of Debian, g++-aarch64-linux-gnu, qemu-user, cmake and ninja.
set -euo pipefail

fail() { # MESSAGE
    printf 'arm_python.sh: %s\n' "$1" >&2
    exit 1
}
(($#)) || fail "FOLDER: not given; expected arm_python.sh FOLDER [PYTEST ARGUMENTS...]"
for program in apt-get dpkg aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64 cmake ninja "${PYTHON:=python3}"; do
    command -v "$program" >/dev/null || fail "$program: not on PATH (Debian: apt install g++-aarch64-linux-gnu qemu-user cmake ninja-build)"
done
python=$(realpath -s "$(command -v "$PYTHON")")
"$python" -m pip --version >/dev/null || fail "PYTHON: '$PYTHON'; expected a Python that has pip"
folder=$(realpath -m "$1")
# Tests split the command line of the emulator, which has the path, as a shell does.
[[ $folder != *[[:space:]\'\"\\]* ]] || fail "FOLDER: '$folder'; expected a path without spaces, quotes and backslashes"
mkdir -p "$folder"
shift
cd "$(dirname "$0")/.."
machine=$folder/machine
interpreter=$machine/usr/bin/python3

# What apt-get knows of the other machine is a release's list of packages and that none is installed: so it fetches all
# that Python needs.
if [[ ! -e $folder/packages ]]; then
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    [[ -e $keys ]] || fail "$keys: not there; expected Debian, or its package debian-archive-keyring"
    # On a machine that is not Debian: the first release whose Python has all the wheels.
    codename=$(. /etc/os-release && [[ $ID == debian ]] && echo "$VERSION_CODENAME" || echo bookworm)
    mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
    : >"$folder/apt/status"
    echo "deb [signed-by=$keys] http://deb.debian.org/debian $codename main" >"$folder/apt/sources"
    apt=(apt-get -q -y -oAPT::Architecture=arm64 -oAPT::Architectures=arm64 -oDir::State="$folder/apt"
        -oDir::State::Status="$folder/apt/status" -oDir::Cache="$folder/apt" -oDir::Etc::SourceList="$folder/apt/sources"
        -oDir::Etc::SourceParts=/dev/null -oDebug::NoLocking=1)
    "${apt[@]}" update
    "${apt[@]}" install --download-only --no-install-recommends python3 libpython3-dev libstdc++6 libgomp1
    rm -rf "$machine"
    for package in "$folder"/apt/archives/*.deb; do dpkg -x "$package" "$machine"; done
    # Python.h includes <aarch64-linux-gnu/python3.x/pyconfig.h>, which is to be found without the headers of the C
    # library beside it.
    headers=$(cd "$machine/usr/include" && echo python3.*)
    mkdir "$machine/usr/include/$headers/aarch64-linux-gnu"
    ln -s "../../aarch64-linux-gnu/$headers" "$machine/usr/include/$headers/aarch64-linux-gnu/$headers"
    touch "$folder/packages"
fi

# The interpreter's place is taken by a script that runs it: another process is started like the first, where the kernel
# knows nothing of other machines (binfmt_misc). Programs that tests compile are compiled for the machine, and run by
# qemu too. Bytecode is kept, in FOLDER: compiling what a test imports takes longer than the test.
name=$(readlink "$interpreter")
[[ -e $machine/usr/bin/$name.elf ]] || mv "$machine/usr/bin/$name" "$machine/usr/bin/$name.elf"
cat >"$machine/usr/bin/$name" <<END
#!/bin/sh
unset PYTHONDONTWRITEBYTECODE
export CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++ MDKERN_TEST_EMULATOR='qemu-aarch64 -L $machine'
export PYTHONPYCACHEPREFIX='$folder/bytecode'
exec qemu-aarch64 -L '$machine' -0 "\$0" '$machine/usr/bin/$name.elf' "\$@"
END
chmod +x "$machine/usr/bin/$name"
ln -sfn "machine/usr/bin/$name" "$folder/python"
site=$("$folder/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))') ||
    fail "$folder/python: does not run; an empty FOLDER makes a new machine"

# What pyproject.toml asks for to build and to test, by the pip of this machine, which takes a tenth of the time.
wanted=$("$folder/python" - <<'END'
import re, tomllib
with open("pyproject.toml", "rb") as file:
    table = tomllib.load(file)
extras = table["project"]["optional-dependencies"]
def flat(requirements):
    for line in requirements:
        own = re.fullmatch(r"mdkern\[(.*)\]", line)
        yield from flat(r for e in own[1].split(",") for r in extras[e]) if own else [line]
print(*["pip", *table["build-system"]["requires"], *flat(table["project"]["dependencies"] + ["mdkern[test]"])], sep="\n")
END
)
if [[ ! -e $folder/wheels || $(<"$folder/wheels") != "$wanted" ]]; then
    "$python" -m pip install --quiet --target "$site" --upgrade --no-compile --only-binary=:all: \
        --implementation cp --python-version "${name#python}" --platform manylinux_2_28_aarch64 \
        --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 -r <(echo "$wanted")
    echo "$wanted" >"$folder/wheels"
fi

# The compilers are named by the machine's Python (CXX, above).
system='CMAKE_SYSTEM_NAME=Linux;CMAKE_SYSTEM_PROCESSOR=aarch64'
SKBUILD_CMAKE_DEFINE=${SKBUILD_CMAKE_DEFINE:+$SKBUILD_CMAKE_DEFINE;}$system SKBUILD_BUILD_DIR=$folder/build \
    "$folder/python" -m pip install --quiet --no-deps --no-build-isolation --force-reinstall --break-system-packages \
    --root-user-action=ignore --no-warn-script-location .
"$folder/python" -m pytest "$@"
