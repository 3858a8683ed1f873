#include "checksum.h"

#include <string.h>

enum { LANES = 8 };

/* [0][b]: the CRC of the byte b; [k][b]: of b and k zero bytes after it. */
typedef struct {
    uint32_t of[LANES][256];
} sliced;

static void fill(sliced *s) {
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
        s->of[0][b] = crc;
    }
    for (int k = 1; k < LANES; k++)
        for (int b = 0; b < 256; b++)
            s->of[k][b] = s->of[k - 1][b] >> 8 ^ s->of[0][s->of[k - 1][b] & 255];
}

/* Eight bytes at a time, by tables that are made anew: they cost less than 8 KiB of input, and nothing is shared. */
static uint32_t portable(uint32_t crc, const uint8_t *data, size_t size) {
    sliced s;
    fill(&s);
    for (; size >= LANES; size -= LANES, data += LANES) {
        uint64_t word;
        memcpy(&word, data, LANES); /* little-endian, as model_file.h asks for */
        word ^= crc;
        crc = 0;
        for (int i = 0; i < LANES; i++)
            crc ^= s.of[LANES - 1 - i][word >> (8 * i) & 255];
    }
    for (; size; size--)
        crc = crc >> 8 ^ s.of[0][(crc ^ *data++) & 255];
    return crc;
}

uint32_t cae_crc32(const void *data, size_t size) {
    return ~portable(~UINT32_C(0), data, size);
}
