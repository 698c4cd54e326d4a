// What a DLL of Windows keeps to itself. With MinGW it exports all that no linker knows to be the C
// library's, and lld knows its start-up code by names of files that Zig does not use: a module that is
// linked with the DLL, and has the same code, would find these twice.
#if defined(_WIN32) && defined(__clang__)
__asm__(
    ".section .drectve, \"yni\"\n"
    ".ascii \" -exclude-symbols:atexit,_CRT_INIT,__mingw_module_is_dll\"\n"
    ".text\n");
#endif
