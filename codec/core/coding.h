/* coding.h: what a walk over the latents of a tile does with its batches of symbols: read, write or count them. */
#ifndef CAE_CODING_H
#define CAE_CODING_H

#include "cae.h"
#include "range_coder.h"

enum { CAE_READ, CAE_WRITE, CAE_COUNT };

typedef struct {
    int what;
    const cae_tables *tables;
    const cae_unrounded *given; /* what is coded, where it is not read */
    cae_decoder decoder;
    cae_encoder encoder;
    double bits;            /* of all symbols, where they are counted */
    float *bits_y, *bits_z; /* of each cell's symbols; NULL where nobody asked */
} cae_coding;

/* One batch under scale indices; `symbols` are written where they are read, and read elsewhere. CAE_OK or an error. */
static inline int cae_code(cae_coding *coding, const uint8_t *index, size_t count, int16_t *symbols, int16_t *work) {
    switch (coding->what) {
    case CAE_READ:
        return cae_decoder_batch(&coding->decoder, coding->tables, index, count, symbols, work);
    case CAE_WRITE:
        return cae_encoder_batch(&coding->encoder, coding->tables, index, count, symbols, work);
    default:
        coding->bits += cae_symbols_cost(coding->tables, symbols, index, count);
        return CAE_OK;
    }
}

/* As above, of a batch that is quantised dependently. number: of the tables of symbols, written where they are read too.
 * `work` is room for twice as many, but for those that are read. */
static inline int cae_code_dependent(cae_coding *coding, const uint8_t *index, uint8_t *number, size_t count,
                                     int16_t *symbols, int16_t *work) {
    switch (coding->what) {
    case CAE_READ:
        return cae_decoder_dependent(&coding->decoder, coding->tables, index, count, symbols, number, work);
    case CAE_WRITE:
        return cae_encoder_dependent(&coding->encoder, coding->tables, index, number, count, symbols, work);
    default:
        coding->bits += cae_symbols_cost(coding->tables, symbols, number, count);
        return CAE_OK;
    }
}

/* Bits of some symbols under indices, or numbers of tables. */
static inline float cae_bits(const cae_tables *tables, const int16_t *symbols, const uint8_t *index, int count) {
    double bits = 0;
    for (int i = 0; i < count; i++)
        bits += cae_symbol_bits(tables, symbols[i], index[i]);
    return (float)bits;
}

#endif
