/* search_synthesis.h: g_s in float32, from y_hat to unrounded pixels, and back. */
#ifndef CAE_SEARCH_SYNTHESIS_H
#define CAE_SEARCH_SYNTHESIS_H

#include "search_layers.h"
#include "synthesis.h"

typedef struct {
    const cae_g_s *exact; /* for its sides and tables */
    cae_float_layer stem, stem_back, head, head_back, linear, linear_back;
    float head_reads;
    cae_float_block *block;
} cae_float_g_s;

void cae_load_float_g_s(cae_float_loader *loader, const cae_g_s *exact, cae_float_g_s *g_s);

/* One tile at one quality, and its room. Latents are (rows, columns, n), both even; the picture is `height` by `width`
 * pixels of it, from its first on. */
typedef struct {
    const cae_float_g_s *g_s;
    const cae_float_kernels *kernels;
    int rows, columns, height, width;
    float *factor, *modulation; /* of this quality */
    float *y, *stream;          /* (rows, columns, n); (2 rows, 2 columns, G) */
    float *grown;               /* (2 rows, 2 columns + 2, head outputs): how things grow with these */
    int8_t *kept_y, *kept_stem, *kept_blocks, *kept_head;
    float *scratch;
    size_t scratch_count; /* of each worker */
    cae_float_blocks blocks;
} cae_float_synthesis;

void cae_float_synthesis_open(cae_float_synthesis *s, const cae_float_g_s *g_s, const cae_float_kernels *kernels,
                              int quality, int rows, int columns, int height, int width, int workers, cae_memory *memory);
/* y_hat, in steps of the quantiser -> pixels (height, width, 3) in about 0..1. keeps: whether there will be a way back. */
void cae_float_synthesis_run(cae_float_synthesis *s, cae_threads *pool, const float *y_hat, float *pixels, int keeps);
/* How anything grows with those pixels -> with y_hat. */
void cae_float_synthesis_back(cae_float_synthesis *s, cae_threads *pool, const float *of_pixels, float *of_y_hat);

#endif
