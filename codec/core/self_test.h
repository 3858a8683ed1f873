/* self_test.h: whether kernels compute, on this machine, what they should. */
#ifndef CAE_SELF_TEST_H
#define CAE_SELF_TEST_H

#include "kernels.h"

/* 1 where a set gives the numbers of the portable one; 0 where it does not, or memory is lacking. */
int cae_kernels_agree(const cae_kernel_set *kernels);

#endif
