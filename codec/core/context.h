/* context.h: the context of the family `photo`, and the walk over cells that it guides (FORMAT.md, 9). There is one of z,
 * and one of y. */
#ifndef CAE_CONTEXT_H
#define CAE_CONTEXT_H

#include "coding.h"
#include "layers.h"

enum { CAE_STEPS = 4, CAE_PHASES = 4 };

/* psi and what is known of latents -> means and scale indices. */
typedef struct {
    int n, psi, width; /* channels of the latents, of psi, and of the stream */
    cae_layer first;
    cae_layer adaptor[CAE_STEPS - 1]; /* spans: the four groups of the latents, and psi */
    int trunk_blocks;
    cae_block *trunk;
    cae_layer head[CAE_STEPS][CAE_STEPS]; /* of each step and group */
    int narrow;
    cae_multiplier to_u, to_y;
    int32_t *index;
    int32_t *step; /* of dependent quantisation, a row's, in 2^-10; NULL where symbols are plain */
} cae_context;

/* Tensors int.PART.* and quality.PREFIXto_u, .. */
void cae_load_context(cae_loader *loader, const char *part, const char *prefix, cae_context *context);

/* In which phase a cell is, by the parity of its row and column; and the parities of each phase. */
static const int CAE_PHASE_OF[2][2] = {{0, 2}, {3, 1}};
static const int CAE_PARITY_OF[CAE_PHASES][2] = {{0, 0}, {1, 1}, {0, 1}, {1, 0}};

/* What an encoder codes: values (rows, columns, n), and weight (n) and strength (rows, columns) as in rounding.h, or NULL. */
typedef struct {
    const float *values, *weight, *strength;
} cae_targets;

/* A walk over rows x columns cells. `known`: (rows, columns, n + psi), both rounded up to even: psi is there already, all
 * else is zero. given: NULL where symbols are read. bits: of each cell, NULL where nobody asked. -> hat (rows, columns, n),
 * in 2^-10. CAE_OK or an error. */
typedef struct {
    const cae_context *context;
    const cae_kernel_set *kernels;
    const cae_tables *tables;
    cae_coding *coding;
    const cae_targets *given;
    int quality, rows, columns;
    int16_t *known;
    float *bits;
    int32_t *hat;
} cae_walk;

int cae_walk_cells(const cae_walk *walk, cae_threads *pool);

#endif
