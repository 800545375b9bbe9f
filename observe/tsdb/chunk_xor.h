/* chunk_xor.h - the decoders of float chunks, for chunk.c alone. */
#ifndef OBSERVE_TSDB_CHUNK_XOR_H
#define OBSERVE_TSDB_CHUNK_XOR_H

#include "observe/tsdb/chunk.h"

sx_status tsdb_xor_read(sx_str bytes, int64_t min_t, int64_t max_t, tsdb_columns *out,
                        sx_error *err);

#endif
