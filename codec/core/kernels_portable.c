/* For any machine. Vectors of 128 bits as gcc and clang know them: they become what the machine has. */
#include "arithmetic.h"

#include <string.h>

#define SET portable
#define SIDE_BY_SIDE 0
#define DEPTHWISE_PAIRS 0
#define VECTOR_TIMES 0
enum { LANES = 4, ROWS = 4 };

typedef int32_t vec __attribute__((vector_size(16)));
typedef int16_t half __attribute__((vector_size(8)));
typedef struct {
    vec first, second; /* of each pair */
} pairs;

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const int32_t *x) {
    vec out;
    memcpy(&out, x, sizeof out);
    return out;
}
INLINE void store(int32_t *out, vec x) { memcpy(out, &x, sizeof x); }
INLINE vec spread(int32_t x) { return (vec){x, x, x, x}; }
INLINE pairs load_pairs(const int16_t *x) {
    half first, second;
    memcpy(&first, x, sizeof first);
    memcpy(&second, x + LANES, sizeof second);
    return (pairs){__builtin_convertvector(first, vec), __builtin_convertvector(second, vec)};
}
INLINE pairs spread_pair(const int16_t *x) { return (pairs){spread(x[0]), spread(x[1])}; }
INLINE vec add(vec a, vec b) { return a + b; }
INLINE vec choose(vec mask, vec a, vec b) { return (a & mask) | (b & ~mask); }
INLINE vec least(vec a, vec b) { return choose(a < b, a, b); }
INLINE vec most(vec a, vec b) { return choose(a > b, a, b); }
INLINE vec shift_right(vec a, int bits) { return a >> bits; }
INLINE vec multiply_add(vec sum, pairs x, pairs w) { return sum + x.first * w.first + x.second * w.second; }
INLINE void store_narrow(int16_t *out, vec a, vec b, int16_t lowest) {
    vec low = spread(lowest), high = spread(CAE_ACTIVATION);
    half first = __builtin_convertvector(least(most(a, low), high), half);
    half second = __builtin_convertvector(least(most(b, low), high), half);
    memcpy(out, &first, sizeof first);
    memcpy(out + LANES, &second, sizeof second);
}

#include "kernels.inc"
