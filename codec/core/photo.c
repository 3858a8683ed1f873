/* The walk over a tile's latents: z, psi of z, then y. */
#include "photo.h"

#include "cae.h"

int cae_walk_z(const cae_photo *p, cae_threads *pool, int quality, int rows, int columns, cae_coding *coding,
               const float *z, float *bits, int32_t *z_hat) {
    const cae_context *c = &p->of_z;
    cae_memory memory = {0};
    size_t cells = (size_t)(rows + rows % 2) * (size_t)(columns + columns % 2), each = (size_t)(c->n + c->psi);
    cae_targets given = {z, NULL, NULL};
    cae_walk walk = {.context = c, .kernels = p->kernels, .tables = p->tables, .coding = coding};
    walk.given = z ? &given : NULL;
    walk.quality = quality, walk.rows = rows, walk.columns = columns;
    walk.bits = bits, walk.hat = z_hat;
    walk.known = cae_take(&memory, cells * each, sizeof *walk.known);
    int error = memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
    const int16_t *psi = p->psi_z + (ptrdiff_t)(quality - 1) * c->psi;
    for (size_t cell = 0; !error && cell < cells; cell++)
        memcpy(walk.known + cell * each + c->n, psi, (size_t)c->psi * sizeof *psi);
    if (!error)
        error = cae_walk_cells(&walk, pool);
    cae_give_back(&memory);
    return error;
}

int cae_walk_photo(const cae_photo *p, cae_threads *pool, int quality, int rows, int columns, cae_coding *coding,
                   int32_t *y_hat) {
    const cae_context *c = &p->of_y;
    cae_memory memory = {0};
    int even_rows = rows + rows % 2, even_columns = columns + columns % 2, hz = (rows + 3) / 4, wz = (columns + 3) / 4;
    size_t cells = (size_t)even_rows * (size_t)even_columns;
    const cae_unrounded *all = coding->given;
    cae_targets given = {all ? all->y : NULL, all ? all->weight : NULL, all ? all->strength : NULL};
    cae_walk walk = {.context = c, .kernels = p->kernels, .tables = p->tables, .coding = coding};
    walk.given = all ? &given : NULL;
    walk.quality = quality, walk.rows = rows, walk.columns = columns;
    walk.bits = coding->bits_y, walk.hat = y_hat;
    walk.known = cae_take(&memory, cells * (size_t)(c->n + c->psi), sizeof *walk.known);
    int32_t *z_hat = cae_take(&memory, (size_t)hz * (size_t)wz * (size_t)p->of_z.n, sizeof *z_hat);
    int error = memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
    if (!error)
        error = cae_walk_z(p, pool, quality, hz, wz, coding, all ? all->z : NULL, coding->bits_z, z_hat);
    if (!error)
        error = cae_photo_psi(p, pool, quality, hz, wz, z_hat, even_rows, even_columns, walk.known + c->n, c->n + c->psi);
    if (!error)
        error = cae_walk_cells(&walk, pool);
    cae_give_back(&memory);
    return error;
}
