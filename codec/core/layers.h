/* layers.h: layers, multipliers and tables of a model, checked, proven and packed; and blocks of layers on a stream. */
#ifndef CAE_LAYERS_H
#define CAE_LAYERS_H

#include "kernels.h"
#include "memory.h"
#include "model_file.h"
#include "threads.h"

enum { CAE_MOST_SPANS = 16, CAE_MOST_CHANNELS = 1 << 12 };

/* A layer whose inputs lie in `spans` places (kernels.h). */
typedef struct {
    int inputs, outputs, shift;
    int narrow;    /* of the stream that it reads; 0 where it reads none */
    int64_t bound; /* B of FORMAT.md, 7.4: no sum exceeds it */
    int spans, pairs;
    int length[CAE_MOST_SPANS]; /* inputs in each span */
    int at[CAE_MOST_SPANS];     /* pairs before it */
    int16_t *weight;
    int32_t *bias;
} cae_layer;

typedef struct {
    int channels, shift;
    int16_t *weight;
    int32_t *bias;
} cae_depthwise;

typedef struct {
    int width;
    cae_layer mix_in, mix_out, expand, project;
    cae_depthwise depthwise;
} cae_block;

/* Factors of channels: a row for each quality, or one row. */
typedef struct {
    int channels;
    int32_t *factor, *shift;
} cae_multiplier;

/* What loads them: the first error stays, and makes all that follows do nothing. */
typedef struct {
    const cae_file *file;
    const cae_kernel_set *kernels;
    cae_memory *memory;
    int rows; /* of tables: one for each quality, or two of a model of photographs */
    int error;
} cae_loader;

enum { CAE_READS_STREAM = 1, CAE_READS_SAMPLES = 2 };

/* Layer `name` of the given number of outputs, its inputs in spans of the given lengths. flags: whether it reads a stream
 * (and so has a `narrow`), or samples within -255..255. */
void cae_load_layer(cae_loader *loader, const char *name, int spans, const int *length, int outputs, int flags,
                    cae_layer *layer);
/* All spans of one length. */
void cae_load_even_layer(cae_loader *loader, const char *name, int spans, int length, int outputs, int flags,
                         cae_layer *layer);
void cae_load_block(cae_loader *loader, const char *name, int width, cae_block *block);
/* Blocks name.0, name.1, ...: as many as there are. NULL where there are none. */
cae_block *cae_load_blocks(cae_loader *loader, const char *name, int width, int *count);
/* rows: 0 where it has one row alone. */
void cae_load_multiplier(cae_loader *loader, const char *name, int rows, int channels, cae_multiplier *multiplier);
/* (rows, columns) I32, none above `most` in magnitude. */
int32_t *cae_load_table(cae_loader *loader, const char *name, int rows, int columns, int32_t most);
/* (pages, rows, columns) I32. */
int32_t *cae_load_pages(cae_loader *loader, const char *name, int pages, int rows, int columns, int32_t most);
/* One I32 from 0 to `most`. */
int cae_load_number(cae_loader *loader, const char *name, int most);
/* Side `dimension` of a tensor of two sides: from 1 to CAE_MOST_CHANNELS, or 0 and an error. */
int cae_load_side(cae_loader *loader, const char *name, int type, int dimension);

/* A job for kernels->product: `x`, the inputs of the first cell, of each span. `step`: from one cell's inputs to the next's.
 * `span` is filled and must live as long as the job. */
cae_product cae_product_of(const cae_layer *layer, const int16_t *const *x, ptrdiff_t step, int cells, cae_span *span);

/* Blocks in order on a stream (rows, columns, width), in place. CAE_OK or CAE_ERROR_MEMORY. */
int cae_run_blocks(const cae_kernel_set *kernels, cae_threads *pool, const cae_block *blocks, int count, int32_t *stream,
                   int rows, int columns);

#endif
