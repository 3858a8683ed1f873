/* synthesis.h: g_s, from latents to pixels (FORMAT.md, 10), of every family with cells. */
#ifndef CAE_SYNTHESIS_H
#define CAE_SYNTHESIS_H

#include "layers.h"

typedef struct {
    int cell; /* its side in pixels */
    int n;    /* channels of y */
    int width, blocks;
    cae_multiplier to_g_s;
    int32_t *modulation; /* (100, width) */
    cae_layer stem, head, linear;
    cae_block *block;
    int32_t *small_weight; /* (n, 2*2*3): of `linear`, summed over the pixels of each quarter of a cell */
    int64_t *small_bias;   /* (2*2*3) */
} cae_g_s;

void cae_load_g_s(cae_loader *loader, int cell, int n, cae_g_s *g_s);

/* y_hat (rows, columns, n) -> samples (cell*rows, cell*columns, 3), of 8 bits, or in `deep` of 16: the other is NULL.
 * CAE_OK or CAE_ERROR_MEMORY. */
int cae_run_g_s(const cae_kernel_set *kernels, cae_threads *pool, const cae_g_s *g_s, int quality, int rows, int columns,
                const int32_t *y_hat, uint8_t *samples, uint16_t *deep);

/* y_hat (rows, columns, n) -> means of the linear branch, 16 bits (side*rows, side*columns, 3). side: 1 or 2. CAE_OK or
 * CAE_ERROR_MEMORY. */
int cae_run_small(const cae_kernel_set *kernels, const cae_g_s *g_s, int quality, int side, int rows, int columns,
                  const int32_t *y_hat, uint16_t *samples);

#endif
