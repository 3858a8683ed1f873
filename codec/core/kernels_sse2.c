/* 128-bit vectors that every 64-bit x86 has. */
#if defined(__x86_64__)

#include "arithmetic.h"

#include <emmintrin.h>
#include <string.h>

#define SET sse2
#define SIDE_BY_SIDE 1
#define DEPTHWISE_PAIRS 1
#define VECTOR_TIMES 0
enum { LANES = 4, ROWS = 5 };

typedef __m128i vec, pairs;

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const int32_t *x) { return _mm_loadu_si128((const vec *)x); }
INLINE void store(int32_t *out, vec x) { _mm_storeu_si128((vec *)out, x); }
INLINE vec spread(int32_t x) { return _mm_set1_epi32(x); }
INLINE pairs load_pairs(const int16_t *x) { return _mm_loadu_si128((const pairs *)x); }
INLINE void store_pairs(int16_t *out, pairs x) { _mm_storeu_si128((pairs *)out, x); }
INLINE pairs spread_pair(const int16_t *x) {
    int32_t both;
    memcpy(&both, x, 4);
    return _mm_set1_epi32(both);
}
INLINE vec add(vec a, vec b) { return _mm_add_epi32(a, b); }
INLINE vec choose(vec mask, vec a, vec b) { return _mm_or_si128(_mm_and_si128(mask, a), _mm_andnot_si128(mask, b)); }
INLINE vec least(vec a, vec b) { return choose(_mm_cmplt_epi32(a, b), a, b); }
INLINE vec most(vec a, vec b) { return choose(_mm_cmpgt_epi32(a, b), a, b); }
INLINE vec shift_right(vec a, int bits) { return _mm_sra_epi32(a, _mm_cvtsi32_si128(bits)); }
INLINE vec multiply_add(vec sum, pairs x, pairs w) { return _mm_add_epi32(sum, _mm_madd_epi16(x, w)); }
INLINE pairs interleave_low(pairs a, pairs b) { return _mm_unpacklo_epi16(a, b); }
INLINE pairs interleave_high(pairs a, pairs b) { return _mm_unpackhi_epi16(a, b); }
INLINE pairs pack(vec low, vec high) { return _mm_packs_epi32(low, high); }
INLINE pairs between(pairs x, int16_t lowest) {
    return _mm_min_epi16(_mm_max_epi16(x, _mm_set1_epi16(lowest)), _mm_set1_epi16(CAE_ACTIVATION));
}
INLINE pairs clamp_pairs(pairs x) { return between(x, -CAE_ACTIVATION); }
INLINE void store_narrow(int16_t *out, vec a, vec b, int16_t lowest) { store_pairs(out, between(pack(a, b), lowest)); }

#include "kernels.inc"

#else
typedef int nothing_to_compile;
#endif
