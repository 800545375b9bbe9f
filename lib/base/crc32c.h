/* crc32c.h - the ways to compute a CRC-32C, so that a test can hold them against each other. */
#ifndef SEXTANT_BASE_CRC32C_H
#define SEXTANT_BASE_CRC32C_H

#include <sextant/base.h>

/* The one that needs no instruction of the processor: 8 bytes a step by tables. */
uint32_t sx_crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
