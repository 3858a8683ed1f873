/* photo.h: the entropy network of the family `photo`, and the walk over a tile's latents (FORMAT.md, 8.5 and 9). */
#ifndef CAE_PHOTO_H
#define CAE_PHOTO_H

#include "context.h"

typedef struct {
    const cae_kernel_set *kernels;
    const cae_tables *tables;
    cae_context of_z, of_y;
    cae_layer up1, up2;
    cae_block block1, block2;
    int psi_narrow;
    int32_t *psi_offset;
    int16_t *psi_z; /* what the context of z reads in place of psi: a row for each quality */
} cae_photo;

void cae_load_photo(cae_loader *loader, const cae_tables *tables, cae_photo *photo);

/* All symbols of z, of rows x columns cells -> z_hat. z: after its gain, NULL where symbols are read. bits: of each cell,
 * NULL where nobody asked. CAE_OK or an error, as of the next two. */
int cae_walk_z(const cae_photo *photo, cae_threads *pool, int quality, int rows, int columns, cae_coding *coding,
               const float *z, float *bits, int32_t *z_hat);

/* z_hat (hz, wz, Z) -> psi, the first `rows` by `columns` of it, each cell's numbers `step` apart. */
int cae_photo_psi(const cae_photo *photo, cae_threads *pool, int quality, int hz, int wz, const int32_t *z_hat, int rows,
                  int columns, int16_t *psi, ptrdiff_t step);

/* All symbols of a tile -> y_hat (rows, columns, N). */
int cae_walk_photo(const cae_photo *photo, cae_threads *pool, int quality, int rows, int columns, cae_coding *coding,
                   int32_t *y_hat);

#endif
