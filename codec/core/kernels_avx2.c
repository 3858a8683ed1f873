/* 256-bit vectors of x86: Haswell, Zen and later. */
#if defined(__x86_64__)

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif

#include "arithmetic.h"

#include <string.h>

#define SET avx2
#define SIDE_BY_SIDE 1
#define DEPTHWISE_PAIRS 1
enum { LANES = 8, ROWS = 6 };

typedef __m256i vec, pairs;

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const int32_t *x) { return _mm256_loadu_si256((const vec *)x); }
INLINE void store(int32_t *out, vec x) { _mm256_storeu_si256((vec *)out, x); }
INLINE vec spread(int32_t x) { return _mm256_set1_epi32(x); }
INLINE pairs load_pairs(const int16_t *x) { return _mm256_loadu_si256((const pairs *)x); }
INLINE void store_pairs(int16_t *out, pairs x) { _mm256_storeu_si256((pairs *)out, x); }
INLINE pairs spread_pair(const int16_t *x) {
    int32_t both;
    memcpy(&both, x, 4);
    return _mm256_set1_epi32(both);
}
INLINE vec add(vec a, vec b) { return _mm256_add_epi32(a, b); }
INLINE vec least(vec a, vec b) { return _mm256_min_epi32(a, b); }
INLINE vec most(vec a, vec b) { return _mm256_max_epi32(a, b); }
INLINE vec shift_right(vec a, int bits) { return _mm256_sra_epi32(a, _mm_cvtsi32_si128(bits)); }
INLINE vec multiply_add(vec sum, pairs x, pairs w) { return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w)); }
INLINE pairs interleave_low(pairs a, pairs b) { return _mm256_unpacklo_epi16(a, b); }
INLINE pairs interleave_high(pairs a, pairs b) { return _mm256_unpackhi_epi16(a, b); }
INLINE pairs pack(vec low, vec high) { return _mm256_packs_epi32(low, high); }
INLINE pairs between(pairs x, int16_t lowest) {
    return _mm256_min_epi16(_mm256_max_epi16(x, _mm256_set1_epi16(lowest)), _mm256_set1_epi16(CAE_ACTIVATION));
}
INLINE pairs clamp_pairs(pairs x) { return between(x, -CAE_ACTIVATION); }
INLINE void store_narrow(int16_t *out, vec a, vec b, int16_t lowest) {
    store_pairs(out, between(_mm256_permute4x64_epi64(pack(a, b), 0xd8), lowest));
}

#include "kernels.inc"

#ifdef __clang__
#pragma clang attribute pop
#endif

#else
typedef int nothing_to_compile;
#endif
