/* Skylake-X and later. */
#if defined(__x86_64__)
#define SET avx512
#define TARGET "avx512f,avx512bw"
#include "kernels_avx512.inc"
#else
typedef int nothing_to_compile;
#endif
