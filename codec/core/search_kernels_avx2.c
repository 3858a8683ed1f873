/* Haswell, Zen and later. */
#if defined(__x86_64__)

#include <immintrin.h>
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

#define SET avx2
enum { LANES = 8, ROWS = 6 };

typedef __m256 vec;

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *x) { return _mm256_loadu_ps(x); }
INLINE void store(float *out, vec x) { _mm256_storeu_ps(out, x); }
INLINE vec spread(float x) { return _mm256_set1_ps(x); }
INLINE vec multiply_add(vec sum, vec x, vec w) { return _mm256_fmadd_ps(x, w, sum); }

#include "search_kernels.inc"

#ifdef __clang__
#pragma clang attribute pop
#endif

#else
typedef int nothing_to_compile;
#endif
