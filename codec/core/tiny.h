/* tiny.h: the context network of the family `tiny`, and the walk over a picture's latents (FORMAT.md, 15). */
#ifndef CAE_TINY_H
#define CAE_TINY_H

#include "coding.h"
#include "layers.h"

enum { CAE_TINY_GROUPS = CAE_MOST_SPANS, CAE_TINY_STEPS = 4 * CAE_TINY_GROUPS };

typedef struct {
    int first, count; /* channels of y */
    int group;
    int phases, first_phase;
    cae_layer adaptor; /* spans: the groups of y */
    cae_layer head;
} cae_tiny_step;

/* Letters of FORMAT.md, 15.2: N = n, C = adapted, H = hidden. */
typedef struct {
    const cae_kernel_set *kernels;
    const cae_tables *tables;
    int n, adapted, hidden;
    int steps;
    cae_tiny_step *step;
    cae_layer mix, expand, project;
    int narrow;
    cae_multiplier to_u, to_y;
    int32_t *index, *bias; /* bias: (2, 100, adapted) */
} cae_tiny;

void cae_load_tiny(cae_loader *loader, const cae_tables *tables, cae_tiny *tiny);

/* Row and column of each phase in 2x2 cells. */
extern const int CAE_TINY_PARITY[4][2];

/* All symbols of a picture -> y_hat (rows, columns, n). CAE_OK or an error. */
int cae_walk_tiny(const cae_tiny *tiny, int quality, int gray, int rows, int columns, cae_coding *coding, int32_t *y_hat);

#endif
