/* range_coder.h: batches of symbols <-> the stream of a tile (FORMAT.md, 5 and 6). The encoder writes what constriction's
 * RangeEncoder with `_shortest` of codec/entropy/range_coder.py does.
 *
 * A batch: `count` symbols (below 2^32) under scale indices below 64. `work` is room for `count` int16_t, used inside the
 * call alone. */
#ifndef CAE_RANGE_CODER_H
#define CAE_RANGE_CODER_H

#include <stddef.h>
#include <stdint.h>

#include "tables.h"

typedef struct {
    uint64_t range, distance;
    const uint8_t *next, *end;
} cae_decoder;

/* `stream` is a tile without its check; it stays where it is. */
void cae_decoder_start(cae_decoder *decoder, const uint8_t *stream, size_t size);

/* CAE_OK or CAE_ERROR_STREAM, after which the decoder is of no use. */
int cae_decoder_batch(cae_decoder *decoder, const cae_tables *tables, const uint8_t *index, size_t count,
                      int16_t *symbols, int16_t *work);

/* The same of a batch that is quantised dependently (FORMAT.md, 6.4): -> symbols, and the numbers of their tables. */
int cae_decoder_dependent(cae_decoder *decoder, const cae_tables *tables, const uint8_t *index, size_t count,
                          int16_t *symbols, uint8_t *number, int16_t *work);

/* Bytes that a symbol takes at most, and what the end of the stream adds. */
enum { CAE_SYMBOL_BYTES = 7, CAE_STREAM_END_BYTES = 8 };

typedef struct {
    uint64_t low, range;
    uint8_t *bytes;
    size_t size, capacity;
} cae_encoder;

/* Writes to `bytes`, at most `capacity` of them. */
void cae_encoder_start(cae_encoder *encoder, uint8_t *bytes, size_t capacity);

/* CAE_OK, or CAE_ERROR_ARGUMENT where the capacity or a symbol's bound is passed, after which the encoder is of no use. */
int cae_encoder_batch(cae_encoder *encoder, const cae_tables *tables, const uint8_t *index, size_t count,
                      const int16_t *symbols, int16_t *work);

/* The same of symbols along a path of states (trellis.h), under tables of these numbers; `work`: room for twice as many. */
int cae_encoder_dependent(cae_encoder *encoder, const cae_tables *tables, const uint8_t *index, const uint8_t *number,
                          size_t count, const int16_t *symbols, int16_t *work);

/* The end: CAE_OK or CAE_ERROR_ARGUMENT, and the stream's size. */
int cae_encoder_finish(cae_encoder *encoder, size_t *size);

#endif
