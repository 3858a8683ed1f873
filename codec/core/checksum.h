/* checksum.h: the CRC-32 of zlib, gzip and PNG (FORMAT.md, 2.5). */
#ifndef CAE_CHECKSUM_H
#define CAE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint32_t cae_crc32(const void *data, size_t size);

#endif
