"""Programs and what they need: ELF files, scripts, and how the kernel, glibc and musl find the rest in any tree."""
