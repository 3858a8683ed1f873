/* Loading the entropy network of `photo`, and h_s:
 *
 *     z_hat (hz, wz, Z)       int32, 10 fraction bits
 *     x     (hz, wz, Z)       int16
 *     r     (2hz, 2wz, C)     int32: up1, block1
 *     r     (4hz, 4wz, C)     int32: up2, block2
 *     psi   (4hz, 4wz, C)     int16, cut to the tile
 */
#include "photo.h"

#include "arithmetic.h"
#include "cae.h"

#include <stdio.h>

static void load_layers(cae_loader *loader, cae_photo *p) {
    cae_load_even_layer(loader, "int.h_s.up1", 1, p->z, 4 * p->psi, 0, &p->up1);
    cae_load_block(loader, "int.h_s.block1", p->psi, &p->block1);
    cae_load_even_layer(loader, "int.h_s.up2", 1, p->psi, 4 * p->psi, CAE_READS_STREAM, &p->up2);
    cae_load_block(loader, "int.h_s.block2", p->psi, &p->block2);
    cae_load_even_layer(loader, "int.context.first", 1, p->psi, p->context, 0, &p->first);
    p->trunk = cae_load_blocks(loader, "int.context.trunk", p->context, &p->trunk_blocks);
    int quarter = p->n / CAE_STEPS;
    for (int step = 0; step < CAE_STEPS; step++) {
        char name[64];
        if (step > 0) {
            int lengths[] = {quarter, quarter, quarter, quarter, p->psi};
            snprintf(name, sizeof name, "int.context.adaptors.%d", step - 1);
            cae_load_layer(loader, name, 5, lengths, p->context, 0, &p->adaptor[step - 1]);
        }
        for (int group = 0; group < CAE_STEPS; group++) {
            snprintf(name, sizeof name, "int.context.head.%d.%d", step, group);
            cae_load_even_layer(loader, name, 1, p->context, 2 * quarter, 0, &p->head[step][group]);
        }
    }
}

void cae_load_photo(cae_loader *loader, const cae_tables *tables, cae_photo *p) {
    *p = (cae_photo){.kernels = loader->kernels, .tables = tables};
    p->n = cae_load_side(loader, "quality.to_u", CAE_I32, 1);
    p->z = cae_load_side(loader, "quality.z_to_u", CAE_I32, 1);
    p->psi = cae_load_side(loader, "int.context.first.weight", CAE_I16, 0);
    p->context = cae_load_side(loader, "int.context.first.weight", CAE_I16, 1);
    if (!loader->error && p->n % CAE_STEPS)
        loader->error = CAE_ERROR_MODEL;
    load_layers(loader, p);
    p->psi_narrow = cae_load_number(loader, "int.h_s.narrow", CAE_MOST_NARROW);
    p->context_narrow = cae_load_number(loader, "int.context.narrow", CAE_MOST_NARROW);
    cae_load_multiplier(loader, "quality.to_u", CAE_QUALITIES, p->n, &p->to_u);
    cae_load_multiplier(loader, "quality.to_y", CAE_QUALITIES, p->n, &p->to_y);
    cae_load_multiplier(loader, "quality.z_to_u", CAE_QUALITIES, p->z, &p->z_to_u);
    p->index = cae_load_table(loader, "quality.index", CAE_QUALITIES, p->n, CAE_STREAM);
    p->psi_offset = cae_load_table(loader, "quality.psi", CAE_QUALITIES, p->psi, CAE_STREAM);
    p->z_mean = cae_load_table(loader, "quality.z_mean", CAE_QUALITIES, p->z, CAE_MEAN);
    p->z_index = cae_load_indices(loader, "quality.z_index", CAE_QUALITIES, p->z);
}

typedef struct {
    const cae_photo *photo;
    const cae_layer *layer;
    int columns;
    const int16_t *x;      /* inputs of the layer, or */
    const int32_t *stream; /* the stream that it reads */
    int32_t *out;
    int16_t *narrowed; /* a row of each worker */
    int32_t *sums;
} up;

/* A row of cells to two rows of twice as many: the layer, then depth_to_space. */
static void run_up(void *context, int row, int worker) {
    up *u = context;
    const cae_layer *layer = u->layer;
    const cae_kernel_set *kernels = u->photo->kernels;
    int inputs = layer->inputs, width = u->photo->psi, count = u->columns * inputs;
    int32_t *sums = u->sums + (ptrdiff_t)worker * u->columns * 4 * width;
    const int16_t *x = u->x + (ptrdiff_t)row * count;
    if (u->stream) {
        int16_t *narrowed = u->narrowed + (ptrdiff_t)worker * count;
        kernels->narrow(u->stream + (ptrdiff_t)row * count, (size_t)count, layer->narrow, narrowed);
        x = narrowed;
    }
    cae_span span[1];
    cae_product job = cae_product_of(layer, &x, inputs, u->columns, span);
    job.kind = CAE_TO_STREAM;
    job.lowest = -CAE_STREAM;
    job.highest = CAE_STREAM;
    job.stream = sums;
    job.out_step = 4 * width;
    kernels->product(&job);
    int32_t *out = u->out + (ptrdiff_t)row * u->columns * 4 * width;
    for (int i = 0; i < 2; i++) {
        for (int cell = 0; cell < u->columns; cell++, out += 2 * width)
            memcpy(out, sums + (4 * cell + 2 * i) * width, 2 * (size_t)width * sizeof *out);
    }
}

typedef struct {
    const cae_photo *photo;
    const int32_t *stream, *offset;
    int columns, of_stream; /* kept, and there */
    int16_t *psi;
    ptrdiff_t step;
} cut;

static void run_cut(void *context, int row, int worker) {
    cut *c = context;
    (void)worker;
    int width = c->photo->psi, narrow = c->photo->psi_narrow;
    for (int column = 0; column < c->columns; column++) {
        const int32_t *from = c->stream + ((ptrdiff_t)row * c->of_stream + column) * width;
        int16_t *out = c->psi + ((ptrdiff_t)row * c->columns + column) * c->step;
        for (int k = 0; k < width; k++)
            out[k] = cae_narrow(from[k] + c->offset[k], narrow);
    }
}

int cae_photo_psi(const cae_photo *p, cae_threads *pool, int quality, int hz, int wz, const int16_t *symbols, int rows,
                  int columns, int16_t *psi, ptrdiff_t step) {
    cae_memory memory = {0};
    size_t workers = (size_t)cae_thread_count(pool), cells = (size_t)hz * (size_t)wz, width = (size_t)p->psi;
    int16_t *x = cae_take(&memory, cells * (size_t)p->z, sizeof *x);
    int32_t *z_hat = cae_take(&memory, (size_t)p->z, sizeof *z_hat);
    int32_t *coarse = cae_take(&memory, 4 * cells * width, sizeof *coarse);
    int32_t *fine = cae_take(&memory, 16 * cells * width, sizeof *fine);
    up u = {.photo = p};
    u.narrowed = cae_take(&memory, workers * 2 * (size_t)wz * width, sizeof *u.narrowed);
    u.sums = cae_take(&memory, workers * 8 * (size_t)wz * width, sizeof *u.sums);
    int error = memory.failed ? CAE_ERROR_MEMORY : CAE_OK;
    if (!error) {
        ptrdiff_t at = (ptrdiff_t)(quality - 1) * p->z;
        for (size_t cell = 0; cell < cells; cell++) {
            for (int k = 0; k < p->z; k++)
                z_hat[k] = symbols[cell * (size_t)p->z + (size_t)k] * CAE_ONE + p->z_mean[at + k];
            p->kernels->times_to_activation(z_hat, p->z_to_u.factor + at, p->z_to_u.shift, p->z,
                                            x + cell * (size_t)p->z);
        }
        u.layer = &p->up1, u.x = x, u.columns = wz, u.out = coarse;
        cae_parallel(pool, hz, run_up, &u);
        error = cae_run_blocks(p->kernels, pool, &p->block1, 1, coarse, 2 * hz, 2 * wz);
    }
    if (!error) {
        u.layer = &p->up2, u.stream = coarse, u.columns = 2 * wz, u.out = fine;
        cae_parallel(pool, 2 * hz, run_up, &u);
        error = cae_run_blocks(p->kernels, pool, &p->block2, 1, fine, 4 * hz, 4 * wz);
    }
    if (!error) {
        cut c = {p, fine, p->psi_offset + (ptrdiff_t)(quality - 1) * p->psi, columns, 4 * wz, psi, step};
        cae_parallel(pool, rows, run_cut, &c);
    }
    cae_give_back(&memory);
    return error;
}
