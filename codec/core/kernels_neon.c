/* 128-bit vectors of 64-bit ARM. */
#if defined(__aarch64__)

#include "arithmetic.h"

#include <arm_neon.h>
#include <string.h>

#define SET neon
#define SIDE_BY_SIDE 0 /* one multiplication takes a weight of each of four outputs */
#define DEPTHWISE_PAIRS 0
#define VECTOR_TIMES 1
enum { LANES = 4, ROWS = 12 };

typedef int32x4_t vec;
typedef int16x8_t pairs; /* the first of each pair, then the second; where it is spread, one pair over and over */

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const int32_t *x) { return vld1q_s32(x); }
INLINE void store(int32_t *out, vec x) { vst1q_s32(out, x); }
INLINE vec spread(int32_t x) { return vdupq_n_s32(x); }
INLINE pairs load_pairs(const int16_t *x) { return vld1q_s16(x); }
INLINE pairs spread_pair(const int16_t *x) {
    int32_t both;
    memcpy(&both, x, 4);
    return vreinterpretq_s16_s32(vdupq_n_s32(both));
}
INLINE vec add(vec a, vec b) { return vaddq_s32(a, b); }
INLINE vec least(vec a, vec b) { return vminq_s32(a, b); }
INLINE vec most(vec a, vec b) { return vmaxq_s32(a, b); }
INLINE vec shift_right(vec a, int bits) { return vshlq_s32(a, vdupq_n_s32(-bits)); }
INLINE vec multiply_add(vec sum, pairs x, pairs w) {
    return vmlal_high_laneq_s16(vmlal_laneq_s16(sum, vget_low_s16(w), x, 0), w, x, 1);
}
INLINE void store_narrow(int16_t *out, vec a, vec b, int16_t lowest) {
    int16x8_t both = vqmovn_high_s32(vqmovn_s32(a), b);
    vst1q_s16(out, vminq_s16(vmaxq_s16(both, vdupq_n_s16(lowest)), vdupq_n_s16(CAE_ACTIVATION)));
}
INLINE vec times(vec x, vec factor, vec shift, int32_t limit) {
    vec bits = vnegq_s32(shift); /* this shift rounds */
    int64x2_t low = vrshlq_s64(vmull_s32(vget_low_s32(x), vget_low_s32(factor)), vmovl_s32(vget_low_s32(bits)));
    int64x2_t high = vrshlq_s64(vmull_high_s32(x, factor), vmovl_high_s32(bits));
    vec both = vqmovn_high_s64(vqmovn_s64(low), high);
    return vminq_s32(vmaxq_s32(both, vdupq_n_s32(-limit)), vdupq_n_s32(limit));
}

#include "kernels.inc"

#else
typedef int nothing_to_compile;
#endif
