/* cae_search.h: what an encoder needs that chooses the symbols of a tile in rounds. MIT licence.
 *
 * A round is one pass through context and decoder over the symbols of some targets, and its slope: how what the tile costs
 * grows with every value. Where the next targets lie is for the caller (codec/search/rounds.py). The arithmetic is
 * float32, and only approximates the integers that cae_encode_latents codes with: nothing that a decoder sees depends on it.
 * Machines may differ in the last digits; on one, numbers of threads do not.
 *
 * cae.h says how arrays lie, what errors mean and how threads may call. One search serves one call at a time.
 */
#ifndef CAE_SEARCH_H
#define CAE_SEARCH_H

#include "cae.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The layers of an open model as floats, from the bytes of its file; `model` must live as long. Nothing of `data` is kept.
 * CAE_ERROR_MODEL where the file is not that of the model. */
typedef struct cae_gradients cae_gradients;
CAE_API int cae_gradients_open(const cae_model *model, const void *data, size_t size, cae_gradients **gradients);
CAE_API void cae_gradients_close(cae_gradients *gradients);

/* A tile. Latents of photo models have h' = rows + rows % 2 and w' = columns + columns % 2 cells, those beyond the tile's edge
 * included, those of small pictures h' = rows and w' = columns. cell: see cae_shape. */
typedef struct {
    int quality, gray, rows, columns; /* gray: of small pictures alone; the three samples of a pixel are the same */
    const uint8_t *samples; /* (cell*rows, cell*columns, 3) */
    const float *z;         /* (ceil(rows/4), ceil(columns/4), z) after its gain: in steps of the quantiser; NULL without z */
    const float *weight;    /* (n): bits that an error of one step squared is worth while rounding */
    double mse, eye;        /* bits of each pixel: for a squared error of 1 in 8-bit samples; for a point of SSIMULACRA2 */
} cae_sought;

/* What is the same in all rounds, and room for them; `gradients` must live as long. Nothing of `tile` is kept. */
typedef struct cae_search cae_search;
CAE_API int cae_search_new(const cae_gradients *gradients, cae_threads *pool, const cae_sought *tile, cae_search **search);
CAE_API void cae_search_free(cae_search *search);

/* Symbols of targets (h', w', n), in steps, chosen as cae_encode_latents does with strength (h', w') -> y_hat (h', w', n) in
 * steps, what the tile costs in bits, those that its errors are worth included, and slope (h', w', n): how that grows with
 * each value of y_hat, but for the bits of its own symbol. slope NULL: not asked for, which takes half the time. A pool of more threads than the one at
 * cae_search_new is not used. */
CAE_API int cae_search_round(cae_search *search, cae_threads *pool, const float *target, const float *strength,
                             float *y_hat, double *cost, float *slope);

#ifdef __cplusplus
}
#endif

#endif
