/* model.h: what an open model holds. */
#ifndef CAE_MODEL_H
#define CAE_MODEL_H

#include "analysis.h"
#include "photo.h"
#include "synthesis.h"
#include "tiny.h"

struct cae_model {
    const cae_kernel_set *kernels;
    cae_memory memory;
    cae_shape shape;
    int rows; /* of tables: the highest quality, as cae.h has it */
    cae_tables tables;
    int has_tables;
    cae_photo photo; /* the family's alone */
    cae_tiny tiny;
    cae_g_s g_s;
    cae_g_a g_a; /* not there in models that were cut down to decoding */
    cae_h_a h_a;
};

/* cae_model_open for kernels of one's choice. */
int cae_model_open_for(const cae_kernel_set *kernels, const void *data, size_t size, cae_model **model);

#endif
