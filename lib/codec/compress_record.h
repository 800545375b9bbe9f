/* compress_record.h - zstd for records of one kind, thousands a second: a write-ahead log's.
 *
 * compress.h's streams make their state anew for each sx_compress() and keep windows of their own; here
 * a state is kept and a record goes from buffer to buffer in one step. The settings are for neighbours
 * that differ in few bytes: what repeats is an entry or two back, so a table of a kilobyte finds it as
 * well as a large one and stays in the first cache. Used by observe/tsdb/wal.
 * Written in compress_zstd.c. */
#ifndef SEXTANT_CODEC_COMPRESS_RECORD_H
#define SEXTANT_CODEC_COMPRESS_RECORD_H

#include <sextant/buf.h>
#include <sextant/error.h>

/* One thread at a time. All zeros is ready for use; the states are made when they are first needed. */
typedef struct codec_records {
    void *packing, *unpacking;
} codec_records;

void codec_records_done(codec_records *r);

/* Appends `in` to `out` as one frame that says its plain size. SX_ENOMEM, or SX_ELIMIT of `out`. */
sx_status codec_records_pack(codec_records *r, sx_str in, sx_buf *out, sx_error *err);

/* Appends what one frame holds. SX_EFORMAT for what is no whole frame; SX_ELIMIT above `bytes_max`,
 * before there is memory for it. */
sx_status codec_records_unpack(codec_records *r, sx_str in, uint64_t bytes_max, sx_buf *out,
                               sx_error *err);

#endif
