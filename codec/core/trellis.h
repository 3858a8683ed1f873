/* trellis.h: dependent quantisation (codec/entropy/trellis.py): latents of large scales take one of two quantisers, by a state
 * that every symbol moves on by its parity. An encoder looks for the best of all ways through the states. */
#ifndef CAE_TRELLIS_H
#define CAE_TRELLIS_H

#include <stddef.h>
#include <stdint.h>

#include "tables.h"

enum { CAE_STATES = 8, CAE_DEPENDENT_MAX = (1 << 14) - 1 }; /* |symbol| */

/* The state after one, by the parity of the symbol between; the quantiser of a state is its lowest bit. */
static const uint8_t CAE_NEXT_STATE[CAE_STATES][2] = {{0, 2}, {5, 7}, {1, 3}, {6, 4}, {2, 0}, {4, 6}, {3, 1}, {7, 5}};

/* What a symbol under a table of this number adds to its mean, in 2^-10; step: the fine one of dependent symbols. */
static inline int32_t cae_offset(int symbol, int number, int step) {
    if (number < CAE_SCALES)
        return symbol * 1024;
    int second = number & 1;
    return (2 * symbol - second * ((symbol > 0) - (symbol < 0))) * step;
}

/* A strength as a path takes it (codec/entropy/trellis.py). */
#define CAE_STRONGEST 0.8
static inline double cae_path_strength(double strength) { return strength < CAE_STRONGEST ? strength : CAE_STRONGEST; }

/* A latent on the path. residual: from its mean, in steps of the plain quantiser. weight, strength: as in rounding.h. */
typedef struct {
    double residual, weight, strength;
    uint8_t index;
    uint32_t place; /* in its batch */
} cae_on_path;

/* Bytes of room that `cae_best_path` takes for so many latents. */
size_t cae_path_room(size_t count);

/* The cheapest symbols of latents in the order of coding, and the numbers of their tables: written to their places. The same
 * on every machine, and those of the Python code. */
void cae_best_path(const cae_tables *tables, const cae_on_path *latents, size_t count, int step, void *room,
                   int16_t *symbols, uint8_t *number);

#endif
