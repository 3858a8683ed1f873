/* analysis.h: g_a and h_a, from pixels to latents (FORMAT.md, 10.5). */
#ifndef CAE_ANALYSIS_H
#define CAE_ANALYSIS_H

#include "layers.h"

typedef struct {
    int there; /* whether the model has it */
    int cell, n;
    int width, blocks;
    cae_layer stem, down, linear;
    cae_block *block;
    float *unit; /* (n) */
} cae_g_a;

typedef struct {
    int width, n, z;
    cae_multiplier scale;
    cae_layer stem, down1, down2;
    cae_block block1, block2;
    float *unit; /* (z) */
} cae_h_a;

void cae_load_g_a(cae_loader *loader, int cell, int n, cae_g_a *g_a);
void cae_load_h_a(cae_loader *loader, int n, int z, cae_h_a *h_a);

/* Samples (cell*rows, cell*columns, 3) -> y (inner_rows, inner_columns, n) of the cells from (top, left) on, in units. */
int cae_run_g_a(const cae_kernel_set *kernels, cae_threads *pool, const cae_g_a *g_a, int rows, int columns,
                const uint8_t *samples, int top, int left, int inner_rows, int inner_columns, int32_t *y);

/* y (rows, columns, n) -> z (ceil(rows/4), ceil(columns/4), z), in units. */
int cae_run_h_a(const cae_kernel_set *kernels, cae_threads *pool, const cae_h_a *h_a, int rows, int columns,
                const int32_t *y, int32_t *z);

#endif
