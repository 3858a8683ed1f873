/* Haswell, Zen and later. */
#if defined(__x86_64__)
#define SET avx2
#define TARGET "avx2"
#include "kernels_avx2.inc"
#else
typedef int nothing_to_compile;
#endif
