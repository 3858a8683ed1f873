/* search_layers.h: a model's integer layers as float32, there and back, and blocks of them on a stream.
 *
 * Numbers stay in the units of the integers, and streams in theirs: a layer that reads a stream has the division in its
 * weights. What layers read and put out is bounded as there; nothing else is rounded.
 */
#ifndef CAE_SEARCH_LAYERS_H
#define CAE_SEARCH_LAYERS_H

#include "memory.h"
#include "model_file.h"
#include "search_kernels.h"
#include "threads.h"

typedef struct {
    int inputs, outputs;
    float *weight, *bias; /* packed; zeros for a bias where it goes back */
} cae_float_layer;

typedef struct {
    int width;
    float mix_in_reads, expand_reads; /* bounds of the stream */
    cae_float_layer mix_in, mix_out, expand, project;
    cae_float_layer mix_in_back, mix_out_back, expand_back, project_back;
    float *depthwise, *depthwise_bias, *depthwise_back;
} cae_float_block;

/* What loads them: the first error stays, and makes all that follows do nothing. */
typedef struct {
    const cae_file *file;
    const cae_float_kernels *kernels;
    cae_memory *memory;
    int error;
} cae_float_loader;

/* Layer `name` of known sides; `taps` is 9 for a 3x3 of inputs/9 channels, else 1. back, where not NULL: from outputs to
 * inputs; of a 3x3, from the 3x3 of outputs around a cell. reads, where not NULL: the bound of the stream that it reads. */
void cae_load_float_layer(cae_float_loader *loader, const char *name, int inputs, int outputs, int taps,
                          cae_float_layer *layer, cae_float_layer *back, float *reads);
/* The way back to inputs first to first + count - 1 alone. */
void cae_load_float_part_back(cae_float_loader *loader, const char *name, int inputs, int outputs, int first, int count,
                              cae_float_layer *back);
void cae_load_float_block(cae_float_loader *loader, const char *name, int width, cae_float_block *block);
/* Blocks name.0, name.1, ...: so many. */
cae_float_block *cae_load_float_blocks(cae_float_loader *loader, const char *name, int width, int count);
/* 2^-number of a tensor of one I32 up to 15. */
float cae_load_float_narrow(cae_float_loader *loader, const char *name);

/* A layer at a row of cells: out = bias + x W. Without the job's bias, out += x W. */
cae_float_product cae_float_product_of(const cae_float_layer *layer, const float *x, ptrdiff_t step, int cells, float *out,
                                       ptrdiff_t out_step);
/* The way back at a row of cells: out = x W, `cells` by outputs without gaps. */
void cae_float_back(const cae_float_kernels *kernels, const cae_float_layer *back, const float *x, int cells, float *out);

/* Blocks on streams (rows, columns, width), with the room that they need. */
typedef struct {
    const cae_float_kernels *kernels;
    const cae_float_block *block;
    int count, rows, columns, width;
    float *map[2];      /* (rows, columns + 2, width): zeros to the left and right */
    const float *zeros; /* a row of such a map */
    float *scratch;     /* (workers, columns, 3 width) */
} cae_float_blocks;

/* Room from `memory`, which remembers a failure. */
void cae_float_blocks_open(cae_float_blocks *blocks, const cae_float_kernels *kernels, const cae_float_block *block,
                           int count, int rows, int columns, int width, int workers, cae_memory *memory);
/* Row `row` of a map, from the first cell of zeros on; zeros alone beyond the map. */
float *cae_float_map_row(const cae_float_blocks *blocks, int which, int row);
/* kept: what they let pass, as many numbers as cae_float_blocks_kept says; NULL keeps nothing. In place. */
size_t cae_float_blocks_kept(const cae_float_blocks *blocks);
void cae_float_blocks_run(const cae_float_blocks *blocks, cae_threads *pool, float *stream, int8_t *kept);
/* How anything grows with the stream afterwards -> with the stream before; in place. */
void cae_float_blocks_back(const cae_float_blocks *blocks, cae_threads *pool, float *slope, const int8_t *kept);

#endif
