/* search_kernels.h: arithmetic in float32 of the networks that a search differentiates, once for each instruction set.
 *
 * Only encoders use it: what they choose is coded by the integers, so machines may differ here. On one machine the numbers
 * are the same with any number of threads. A set is search_kernels.inc and search_kernels_eye.inc compiled for an
 * instruction set (search_kernels_*.c).
 *
 * Layers with ReLU or a bound tell what they let pass, one int8_t for each number, 0 or -1: all that the way back needs of
 * the way there, for weights do not change.
 */
#ifndef CAE_SEARCH_KERNELS_H
#define CAE_SEARCH_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Inputs of a layer that lie side by side: the first cell's, and which of the layer's inputs they are. */
typedef struct {
    const float *x;
    int inputs, at;
} cae_float_span;

enum { CAE_MOST_FLOAT_SPANS = 4, CAE_EYE_TAPS = 9, CAE_EYE_REACH = 4 };

/* A layer at a row of cells: out = bias + x W, or out += x W. */
typedef struct {
    const float *weight; /* panels of the set's `panel` outputs, one after the other: (inputs, panel) */
    const float *bias;   /* of whole panels; NULL adds to what is there */
    int inputs, outputs;
    int spans;
    cae_float_span span[CAE_MOST_FLOAT_SPANS];
    ptrdiff_t step; /* from a cell's inputs to the next one's */
    int cells;
    float *out;
    ptrdiff_t out_step;
} cae_float_product;

/* One channel of XYB at one scale, a row of it. Of the original: a, its blurred mean, variance. Of the other picture: b and
 * three blurred maps. */
typedef struct {
    int width;
    const float *a, *mean_a, *spread_a;
    const float *b, *mean_b, *bb, *ab;
} cae_eye_row;

/* How a weighted sum of norms grows with the maps' values, by map: `first` with each, `fourth` with its cube. */
typedef struct {
    float first[3], fourth[3];
} cae_eye_slope;

typedef struct {
    const char *name;
    int panel; /* outputs of a panel */

    void (*product)(const cae_float_product *job);
    /* weight (9, channels), taps in raster order; bias NULL is none; row: three rows of inputs from one cell left on. */
    void (*depthwise)(const float *weight, const float *bias, int channels, const float *const row[3], int cells,
                      float *out);
    /* x between 0 and `most`, in place; `kept` where it was above 0 and not above that. NULL where nobody asks. */
    void (*rectify)(float *x, size_t count, float most, int8_t *kept);
    /* x between -limit and limit; out may be x. */
    void (*bound)(const float *x, size_t count, float limit, float *out, int8_t *kept);
    /* out = x where kept, else 0; out += x where kept. */
    void (*keep)(float *x, size_t count, const int8_t *kept);
    void (*add_kept)(float *out, const float *x, size_t count, const int8_t *kept);

    /* Real cube roots of positive numbers. */
    void (*cube_roots)(const float *x, int count, float *out);
    /* A row blurred along itself, mirrored at its ends. padded: room for width + 2 reach. */
    void (*blur_along)(const float *taps, const float *x, int width, float *padded, float *out);
    /* And across rows. */
    void (*blur_across)(const float *taps, const float *const row[CAE_EYE_TAPS], int width, float *out);
    /* Sums over a row: of the three maps (structure, ringing, blur), and of their fourth powers. */
    void (*eye_sums)(const cae_eye_row *row, double sums[6]);
    /* How the weighted sum grows with mean_b, bb, ab and with b itself. */
    void (*eye_slopes)(const cae_eye_row *row, const cae_eye_slope *slope, float *mean_b, float *bb, float *ab, float *b);
} cae_float_kernels;

/* The fastest that runs here. */
const cae_float_kernels *cae_chosen_float_kernels(void);

/* By name, "portable" or "avx2"; NULL where this machine has no such set. */
const cae_float_kernels *cae_float_kernels_named(const char *name);

#endif
