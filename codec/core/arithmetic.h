/* arithmetic.h: the integers of FORMAT.md, 7.4 and 8, one at a time. */
#ifndef CAE_ARITHMETIC_H
#define CAE_ARITHMETIC_H

#include <stdint.h>

enum {
    CAE_ACTIVATION = 8191,     /* M: what layers read lies within -M..M */
    CAE_STREAM = 1 << 26,      /* S: what blocks add to */
    CAE_FEATURE = 131071,      /* what g_s's stem gives, before modulation */
    CAE_MEAN = 1 << 25,        /* means of symbols */
    CAE_ONE = 1 << 10,         /* a step of the quantiser in y_hat and means */
    CAE_SAMPLE_BITS = 12,      /* fraction bits of samples before they are rounded */
    CAE_MODULATION_BITS = 7,
    CAE_MOST_SHIFT = 30,       /* of layers */
    CAE_MOST_NARROW = 15,
    CAE_MOST_MULTIPLIER = 1 << 30,
    CAE_MOST_MULTIPLIER_SHIFT = 60,
    CAE_QUALITIES = 100,
};

static inline int32_t cae_clamp(int32_t x, int32_t lowest, int32_t highest) {
    return x < lowest ? lowest : x > highest ? highest : x;
}

/* What a shift by `bits` needs to have added so that it rounds: 2^(bits - 1), or 0. */
static inline int32_t cae_half(int bits) { return (int32_t)((1u << bits) >> 1); }

/* A number of a stream as layers read it. */
static inline int16_t cae_narrow(int32_t x, int bits) {
    return (int16_t)cae_clamp((x + cae_half(bits)) >> bits, -CAE_ACTIVATION, CAE_ACTIVATION);
}

/* x * factor / 2^shift, rounded; shift from 1 to 60, |x| at most 2^31, |factor| at most 2^30. */
static inline int32_t cae_times(int32_t x, int32_t factor, int shift, int32_t limit) {
    int64_t product = ((int64_t)x * factor + ((int64_t)1 << (shift - 1))) >> shift;
    return (int32_t)(product < -limit ? -limit : product > limit ? limit : product);
}

#endif
