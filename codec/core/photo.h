/* photo.h: the entropy network of the family `photo`, and the walk over a tile's latents (FORMAT.md, 8.5 and 9). */
#ifndef CAE_PHOTO_H
#define CAE_PHOTO_H

#include "coding.h"
#include "layers.h"

enum { CAE_STEPS = 4, CAE_PHASES = 4 };

/* Letters of FORMAT.md, 7.3: N = n, Z = z, C = psi, K = context. */
typedef struct {
    const cae_kernel_set *kernels;
    const cae_tables *tables;
    int n, z, psi, context;

    cae_layer up1, up2;
    cae_block block1, block2;
    cae_layer first;
    cae_layer adaptor[CAE_STEPS - 1]; /* spans: the four groups of y, and psi */
    int trunk_blocks;
    cae_block *trunk;
    cae_layer head[CAE_STEPS][CAE_STEPS]; /* of each step and group */
    int psi_narrow, context_narrow;

    cae_multiplier to_u, to_y, z_to_u;
    int32_t *index, *psi_offset, *z_mean;
    uint8_t *z_index;
} cae_photo;

void cae_load_photo(cae_loader *loader, const cae_tables *tables, cae_photo *photo);

/* In which phase a cell is, by the parity of its row and column. */
static const int CAE_PHASE_OF[2][2] = {{0, 2}, {3, 1}};

/* Symbols of z -> psi, the first `rows` by `columns` of it, each cell's C numbers `step` apart. hz, wz: cells of z. */
int cae_photo_psi(const cae_photo *photo, cae_threads *pool, int quality, int hz, int wz, const int16_t *symbols, int rows,
                  int columns, int16_t *psi, ptrdiff_t step);

/* All symbols of a tile -> y_hat (rows, columns, n). CAE_OK or an error. */
int cae_walk_photo(const cae_photo *photo, cae_threads *pool, int quality, int rows, int columns, cae_coding *coding,
                   int32_t *y_hat);

#endif
