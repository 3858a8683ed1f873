#include "checksum.h"

#include <string.h>

enum { LANES = 8, SHORT = 256 };

static const uint32_t POLYNOMIAL = 0xEDB88320;

/* Without any table, for a few bytes. */
static uint32_t bitwise(uint32_t crc, const uint8_t *data, size_t size) {
    for (; size; size--) {
        crc ^= *data++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (POLYNOMIAL & (0 - (crc & 1)));
    }
    return crc;
}

/* [0][b]: the CRC of the byte b; [k][b]: of b and k zero bytes after it. */
typedef struct {
    uint32_t of[LANES][256];
} sliced;

static void fill(sliced *s) {
    for (uint32_t b = 0; b < 256; b++) {
        uint8_t byte = (uint8_t)b;
        s->of[0][b] = bitwise(0, &byte, 1);
    }
    for (int k = 1; k < LANES; k++)
        for (int b = 0; b < 256; b++)
            s->of[k][b] = s->of[k - 1][b] >> 8 ^ s->of[0][s->of[k - 1][b] & 255];
}

/* Eight bytes at a time, by tables that are made anew: that takes as long as a few KiB, and nothing is shared. */
static uint32_t portable(uint32_t crc, const uint8_t *data, size_t size) {
    sliced s;
    fill(&s);
    for (; size >= LANES; size -= LANES, data += LANES) {
        uint32_t low, high; /* little-endian, as model_file.h asks for */
        memcpy(&low, data, 4);
        memcpy(&high, data + 4, 4);
        low ^= crc;
        crc = s.of[7][low & 255] ^ s.of[6][low >> 8 & 255] ^ s.of[5][low >> 16 & 255] ^ s.of[4][low >> 24] ^
              s.of[3][high & 255] ^ s.of[2][high >> 8 & 255] ^ s.of[1][high >> 16 & 255] ^ s.of[0][high >> 24];
    }
    return bitwise(crc, data, size);
}

#if defined(__x86_64__) && !defined(CAE_PORTABLE) /* which tests define */
#define CAE_FOLDED
#include <immintrin.h>

#define FOLDING __attribute__((target("pclmul")))

/* 16 bytes moved on by as many bits as `by` stands for, and the 16 that lie there. */
FOLDING static inline __m128i fold(__m128i x, __m128i by, const uint8_t *data) {
    __m128i low = _mm_clmulepi64_si128(x, by, 0x00), high = _mm_clmulepi64_si128(x, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), _mm_loadu_si128((const __m128i *)data));
}

/* At least 64 bytes, folded to 16 that have the same remainder (Gopal et al., Fast CRC computation for generic polynomials
 * using PCLMULQDQ, Intel 2009). The constants are x^(n + 32) and x^(n - 32) modulo the polynomial, bits reversed. */
FOLDING static uint32_t folded(uint32_t crc, const uint8_t *data, size_t size) {
    const __m128i by_512 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4), by_128 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    const __m128i zero = _mm_setzero_si128();
    __m128i x[4];
    for (int i = 0; i < 4; i++)
        x[i] = fold(zero, zero, data + 16 * i);
    x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)crc));
    for (data += 64, size -= 64; size >= 64; data += 64, size -= 64)
        for (int i = 0; i < 4; i++)
            x[i] = fold(x[i], by_512, data + 16 * i);
    uint8_t last[16];
    for (int i = 1; i < 4; i++) {
        _mm_storeu_si128((__m128i *)last, x[i]);
        x[0] = fold(x[0], by_128, last);
    }
    for (; size >= 16; data += 16, size -= 16)
        x[0] = fold(x[0], by_128, data);
    _mm_storeu_si128((__m128i *)last, x[0]);
    return bitwise(bitwise(0, last, sizeof last), data, size);
}
#endif

uint32_t cae_crc32(const void *data, size_t size) {
    const uint32_t start = ~UINT32_C(0);
#ifdef CAE_FOLDED
    if (size >= 64 && __builtin_cpu_supports("pclmul"))
        return ~folded(start, data, size);
#endif
    return ~(size < SHORT ? bitwise(start, data, size) : portable(start, data, size));
}
