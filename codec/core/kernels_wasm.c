/* 128-bit vectors of WebAssembly. */
#if defined(__wasm_simd128__)

#include "arithmetic.h"

#include <string.h>
#include <wasm_simd128.h>

#define SET wasm
#define SIDE_BY_SIDE 1
#define DEPTHWISE_PAIRS 1
#define VECTOR_TIMES 0
enum { LANES = 4, ROWS = 4 };

typedef v128_t vec, pairs;

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const int32_t *x) { return wasm_v128_load(x); }
INLINE void store(int32_t *out, vec x) { wasm_v128_store(out, x); }
INLINE vec spread(int32_t x) { return wasm_i32x4_splat(x); }
INLINE pairs load_pairs(const int16_t *x) { return wasm_v128_load(x); }
INLINE void store_pairs(int16_t *out, pairs x) { wasm_v128_store(out, x); }
INLINE pairs spread_pair(const int16_t *x) { return wasm_v128_load32_splat(x); }
INLINE vec add(vec a, vec b) { return wasm_i32x4_add(a, b); }
INLINE vec least(vec a, vec b) { return wasm_i32x4_min(a, b); }
INLINE vec most(vec a, vec b) { return wasm_i32x4_max(a, b); }
INLINE vec shift_right(vec a, int bits) { return wasm_i32x4_shr(a, (uint32_t)bits); }
INLINE vec multiply_add(vec sum, pairs x, pairs w) { return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(x, w)); }
INLINE pairs interleave_low(pairs a, pairs b) { return wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
INLINE pairs interleave_high(pairs a, pairs b) { return wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
INLINE pairs pack(vec low, vec high) { return wasm_i16x8_narrow_i32x4(low, high); }
INLINE pairs between(pairs x, int16_t lowest) {
    return wasm_i16x8_min(wasm_i16x8_max(x, wasm_i16x8_splat(lowest)), wasm_i16x8_splat(CAE_ACTIVATION));
}
INLINE pairs clamp_pairs(pairs x) { return between(x, -CAE_ACTIVATION); }
INLINE void store_narrow(int16_t *out, vec a, vec b, int16_t lowest) { store_pairs(out, between(pack(a, b), lowest)); }

#include "kernels.inc"

#else
typedef int nothing_to_compile;
#endif
