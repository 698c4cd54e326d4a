# The Clang of `pip install ziglang`, which brings headers and libraries of macOS and Windows. With `zig` on PATH:
#
#   cmake -S . -B FOLDER -DCMAKE_TOOLCHAIN_FILE=cmake/zig.cmake -DMDKERN_ZIG_TARGET=aarch64-macos
#
# MDKERN_ZIG_TARGET: aarch64-macos, x86_64-macos or x86_64-windows-gnu. There is no OpenMP for these.
set(MDKERN_ZIG_TARGET x86_64-windows-gnu CACHE STRING "Target, as Zig names it")
find_program(MDKERN_ZIG zig REQUIRED)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MDKERN_ZIG_TARGET MDKERN_ZIG)

string(REGEX MATCH "^[^-]*" CMAKE_SYSTEM_PROCESSOR "${MDKERN_ZIG_TARGET}")
if(MDKERN_ZIG_TARGET MATCHES "-macos$")
  set(CMAKE_SYSTEM_NAME Darwin)
  # CMake insists on this tool of Apple's, which has nothing to do where names are right from the start.
  find_program(CMAKE_INSTALL_NAME_TOOL NAMES install_name_tool llvm-install-name-tool true REQUIRED)
  set(CMAKE_BUILD_WITH_INSTALL_NAME_DIR ON)
  set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
elseif(MDKERN_ZIG_TARGET MATCHES "-windows-gnu$")
  set(CMAKE_SYSTEM_NAME Windows)
else()
  message(FATAL_ERROR "MDKERN_ZIG_TARGET: '${MDKERN_ZIG_TARGET}'; expected aarch64-macos, x86_64-macos or x86_64-windows-gnu")
endif()
foreach(language IN ITEMS C CXX)
  # Zig adds debugging information, and the undefined-behaviour sanitizer to builds without optimisation.
  set(CMAKE_${language}_FLAGS_INIT "-fno-sanitize=undefined -g0")
endforeach()
set(CMAKE_C_COMPILER "${MDKERN_ZIG}" cc -target ${MDKERN_ZIG_TARGET})
set(CMAKE_CXX_COMPILER "${MDKERN_ZIG}" c++ -target ${MDKERN_ZIG_TARGET})
