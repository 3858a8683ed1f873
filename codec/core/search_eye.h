/* search_eye.h: 100 - SSIMULACRA 2.1 of a tile, with its slope. The measure, with its sources, is
 * codec/pictures/ssimulacra2.py; models/networks/eye.py is the same on torch. A tile is part of a picture, so it is mirrored
 * at its borders, where a whole picture ends in zeros. Norms whose weight is below 0.01 are left out. */
#ifndef CAE_SEARCH_EYE_H
#define CAE_SEARCH_EYE_H

#include "memory.h"
#include "search_kernels.h"
#include "threads.h"

enum { CAE_EYE_SCALES = 5, CAE_EYE_CHANNELS = 3, CAE_EYE_SMALLEST = 8 /* pixels on a side */ };

/* A channel of XYB at one scale; planes of the original, and of what it is compared with. */
typedef struct {
    float *a, *mean_a, *spread_a;
    float *b, *mean_b, *bb, *ab;
    double norms[6];
} cae_eye_channel;

typedef struct {
    int height, width;
    float *light[3]; /* linear, of the other picture; then how the distance grows with it */
    float *root[3];  /* of what cones respond, as far as it is needed */
    cae_eye_channel channel[CAE_EYE_CHANNELS];
} cae_eye_scale;

typedef struct {
    const cae_float_kernels *kernels;
    int scales;
    cae_eye_scale scale[CAE_EYE_SCALES];
    float taps[CAE_EYE_TAPS];
    float *linear;   /* a table of linear light, by sRGB */
    float *plane[4]; /* of the size of the first scale */
    double *sums;    /* (rows, 6) */
    float *scratch;  /* of each worker: rows */
    size_t scratch_count;
} cae_eye;

/* samples: the original (height, width, 3), sides multiples of 16. CAE_OK or CAE_ERROR_MEMORY. */
int cae_eye_open(cae_eye *eye, const cae_float_kernels *kernels, cae_threads *pool, int height, int width,
                 const uint8_t *samples, cae_memory *memory);
/* Pixels (height, width, 3), which count as if they were within 0..1 -> the distance; and onto `slope`, where not NULL,
 * `worth` times how it grows with each pixel. */
double cae_eye_distance(cae_eye *eye, cae_threads *pool, const float *pixels, double worth, float *slope);

#endif
