/* rounding.h: latents -> symbols, rounding that weighs rate against distortion (codec/entropy/rounding.py). */
#ifndef CAE_ROUNDING_H
#define CAE_ROUNDING_H

#include "tables.h"

/* Nearest, or one step nearer to zero where that saves more rate than it costs distortion. All arrays are of `count`.
 * values: in steps of the quantiser. mean: in 2^-10 of them. weight: bits that an error of one step squared is worth; NULL
 * rounds to nearest. strength: how much of the bits that moving a symbol saves its distortion may use up. The same symbols
 * on every machine, and those of the Python code; not a number is 0. */
void cae_round(const cae_tables *tables, size_t count, const float *values, const int32_t *mean, const uint8_t *index,
               const float *weight, double strength, int16_t *symbols);

#endif
