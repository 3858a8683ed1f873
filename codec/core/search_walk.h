/* search_walk.h: the walk over the latents of a tile in float32: choose symbols of targets, count their bits, and tell how
 * both grow with every value. */
#ifndef CAE_SEARCH_WALK_H
#define CAE_SEARCH_WALK_H

#include "photo.h"
#include "search_layers.h"
#include "search_rate.h"
#include "trellis.h"

/* The context of y (FORMAT.md, 9): psi and what is known -> means and scale indices. */
typedef struct {
    const cae_photo *photo;   /* for z, which does not move */
    const cae_context *exact; /* for its sides and tables */
    cae_float_layer first, adaptor[CAE_STEPS - 1];
    cae_float_layer adaptor_back[CAE_STEPS - 1][CAE_STEPS]; /* to each group of y */
    cae_float_layer head[CAE_STEPS][CAE_STEPS], head_back[CAE_STEPS][CAE_STEPS];
    float head_unit; /* what heads multiply the trunk's stream by */
    cae_float_block *trunk;
    cae_rate rate;
} cae_float_context;

void cae_load_float_context(cae_float_loader *loader, const cae_photo *photo, cae_float_context *context);

/* One tile at one quality, and its room. Arrays of latents are (rows, columns, n), both even. */
typedef struct {
    const cae_float_context *context;
    const cae_float_kernels *kernels;
    int rows, columns;
    float *to_u, *to_y, *index_offset, *weight; /* of this quality, (n) */
    double bits_z;
    float *start[CAE_STEPS - 1]; /* (rows, columns, width): adaptors of psi alone */
    float *first;                /* (rows, columns, n/2): means and indices of step 0 */
    float *known, *stream;       /* (rows, columns, n) and (rows, columns, width) */
    float *of_index;             /* how bits grow with every index */
    int8_t *kept_adaptor[CAE_STEPS - 1], *kept_trunk[CAE_STEPS - 1];
    double *bits; /* of rows */
    int step_of_path; /* of dependent quantisation (trellis.h), or 0: then there are none of these */
    float *found;     /* (rows, columns, n/2): means and indices of a step */
    int16_t *symbols; /* of latents on the path, and the numbers of their tables */
    uint8_t *number;
    cae_on_path *path;
    void *path_room;
    float *scratch;
    size_t scratch_count; /* of each worker */
    cae_float_blocks trunk;
} cae_float_walk;

/* z: (ceil(rows/4), ceil(columns/4), z) after its gain; weight (n): bits that an error of one step^2 is worth. CAE_OK or
 * CAE_ERROR_MEMORY. */
int cae_float_walk_open(cae_float_walk *walk, const cae_float_context *context, const cae_float_kernels *kernels,
                        cae_threads *pool, int quality, int rows, int columns, const float *z, const float *weight,
                        cae_memory *memory);
/* Targets, and strength (rows, columns) as in rounding.h -> y_hat in steps, and the bits of all symbols. */
double cae_float_walk_run(cae_float_walk *walk, cae_threads *pool, const float *target, const float *strength, float *y_hat,
                          int keeps);
/* slope: how anything grows with y_hat -> how that and all bits grow with each value, but for the bits of its own symbol. */
void cae_float_walk_back(cae_float_walk *walk, cae_threads *pool, float *slope);

#endif
