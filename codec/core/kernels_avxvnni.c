/* Alder Lake and later, which lack AVX-512: multiplies, adds pairs and adds to sums at once. */
#include "kernels.h"

#if CAE_HAS_AVXVNNI
#define SET avxvnni
#define TARGET "avx2,avxvnni"
#define VNNI
#include "kernels_avx2.inc"
#else
typedef int nothing_to_compile;
#endif
