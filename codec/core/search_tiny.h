/* search_tiny.h: what search_walk.h is to photo models, for the family `tiny`: the walk over the latents of a small picture in
 * float32, and how its bits and anything made of y_hat grow with every value. */
#ifndef CAE_SEARCH_TINY_H
#define CAE_SEARCH_TINY_H

#include "search_layers.h"
#include "search_rate.h"
#include "tiny.h"

typedef struct {
    cae_float_layer adaptor, adaptor_back; /* back to all channels that may be known */
    cae_float_layer head, head_back;
} cae_float_tiny_step;

/* The context of FORMAT.md, 15: what is known -> means and scale indices. */
typedef struct {
    const cae_tiny *exact; /* for its sides and tables */
    cae_float_layer mix, mix_back, expand, expand_back, project, project_back;
    float expand_reads, head_unit; /* the bound of what expand reads; what heads multiply the stream by */
    cae_float_tiny_step *step;
    cae_rate rate;
} cae_float_tiny;

void cae_load_float_tiny(cae_float_loader *loader, const cae_tiny *exact, cae_float_tiny *tiny);

/* One picture at one quality, and its room, with C = adapted and H = hidden of the model. */
typedef struct {
    const cae_float_tiny *tiny;
    const cae_float_kernels *kernels;
    int rows, columns;
    float *to_u, *to_y, *index_offset, *weight; /* of this quality, (n) */
    float *bias;                                /* (steps, C, in whole panels): the adaptors', and the quality's */
    float *known;                               /* (rows, columns, n) */
    float *adapted;                             /* (rows + 2, columns + 2, C), with a border of zeros */
    float *stream, *read, *wide, *sums;         /* (cells of a step, H), H, 2H and 2n; sums also holds 9C */
    float *of_index;                            /* (rows, columns, n): how bits grow with every index */
    int8_t *kept;                               /* (steps, cells, C + 4H): what bounds let pass */
    size_t kept_count;                          /* of a step */
} cae_float_tiny_walk;

/* weight (n): bits that an error of one step^2 is worth. Room from `memory`, which remembers a failure. */
void cae_float_tiny_open(cae_float_tiny_walk *walk, const cae_float_tiny *tiny, const cae_float_kernels *kernels, int quality,
                         int gray, int rows, int columns, const float *weight, cae_memory *memory);
/* Targets (rows, columns, n) and strength (rows, columns) as in rounding.h -> y_hat in steps, and the bits of all symbols. */
double cae_float_tiny_run(cae_float_tiny_walk *walk, const float *target, const float *strength, float *y_hat);
/* slope: how anything grows with y_hat -> how that and all bits grow with each value, but for the bits of its own symbol. */
void cae_float_tiny_back(cae_float_tiny_walk *walk, float *slope);

#endif
