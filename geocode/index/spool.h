/* spool.h - growing byte streams that go to a temporary file when memory is short.
 *
 * A spool is appended to at its tail, an sx_buf that encoders write to directly, and settled between
 * records; what is beyond its buffer then goes to a file that has no name (O_TMPFILE, or unlinked as
 * soon as it is made), so that a killed build leaves nothing behind. It is read back from any place
 * forwards. Small builds never touch the disk. Used by the index builder alone; one thread. */
#ifndef GEOCODE_INDEX_SPOOL_H
#define GEOCODE_INDEX_SPOOL_H

#include <sextant/buf.h>
#include <sextant/file.h>

/* Where temporary files go; shared by all spools and sorters of a build. */
typedef struct geo_temp {
    char *folder;        /* heap, owned; NULL: nothing is spilled, everything stays in memory */
    size_t buffer_bytes; /* a spool keeps at most so many in memory */
    uint64_t disk_bytes; /* in all temporary files now, for messages */
} geo_temp;

/* Copies `folder` (NUL-terminated, NULL allowed). False: no memory. */
bool geo_temp_init(geo_temp *t, const char *folder, size_t buffer_bytes);
void geo_temp_done(geo_temp *t);

/* A file without a name; -1 while there is none. */
typedef struct geo_temp_file {
    geo_temp *temp;
    int fd;
    uint64_t bytes; /* written so far */
} geo_temp_file;

/* Appends to the file, which is made at the first call. Errors: those of the system; the message
 * names the folder, what is in it already, and what to do. */
sx_status geo_temp_write(geo_temp_file *f, const void *data, size_t len, sx_error *err);

/* Reads exactly `len` bytes at `offset`. */
sx_status geo_temp_read(const geo_temp_file *f, uint64_t offset, void *out, size_t len,
                        sx_error *err);

/* Closes it, which gives its space back. Of a closed one: does nothing. */
void geo_temp_close(geo_temp_file *f);

typedef struct geo_spool {
    sx_buf tail;        /* behind what is in the file; encoders append to it */
    geo_temp_file file; /* file.bytes of the stream */
    uint32_t crc32c;    /* of what is in the file */
} geo_spool;

/* Empty, in memory. `temp` must live as long as it. */
void geo_spool_init(geo_spool *s, geo_temp *temp);
void geo_spool_done(geo_spool *s);

/* Bytes of the stream so far, which is where the next one goes. */
static inline uint64_t geo_spool_bytes(const geo_spool *s)
{
    return s->file.bytes + s->tail.len;
}

/* Between two records: spills the tail if it is beyond the buffer. Errors also those of the appends
 * before; `what` names the stream in them. */
sx_status geo_spool_settle(geo_spool *s, const char *what, sx_error *err);

/* The checksum of all of it. */
uint32_t geo_spool_crc32c(const geo_spool *s);

/* Appends zeros until its length is a multiple of `to`. */
void geo_spool_pad(geo_spool *s, size_t to);

/* Reads a spool forwards, while nothing is appended to it. */
typedef struct geo_spool_reader {
    const geo_spool *spool;
    uint64_t at;   /* of the next byte given */
    sx_buf window; /* bytes of the file from `from` on */
    uint64_t from;
} geo_spool_reader;

void geo_spool_reader_init(geo_spool_reader *r, const geo_spool *s);
void geo_spool_reader_done(geo_spool_reader *r);

/* The next `len` bytes, which are there: good until the next call. NULL: an error. */
const void *geo_spool_next(geo_spool_reader *r, size_t len, sx_error *err);

/* The next bytes, as many as lie together; *len 0 at the end. NULL: an error. */
const void *geo_spool_chunk(geo_spool_reader *r, size_t *len, sx_error *err);

#endif
