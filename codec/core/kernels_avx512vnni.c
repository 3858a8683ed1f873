/* Cascade Lake, Zen 4 and later: multiplies, adds pairs and adds to sums at once. */
#if defined(__x86_64__)
#define SET avx512vnni
#define TARGET "avx512f,avx512bw,avx512vnni"
#define VNNI
#include "kernels_avx512.inc"
#else
typedef int nothing_to_compile;
#endif
