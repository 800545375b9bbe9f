/* csv_spool.h - an upload on its way in: kept in memory while it is small, else in a file.
 *
 * What a form asks for may stand behind its file, and most clients read no answer before they have
 * sent everything: so an upload is kept until it is whole. The file has no name and goes with the
 * spool, whatever ends the process. A spool belongs to a loop; the crew's threads write and read. */
#ifndef SEXTANT_GEOCODE_API_CSV_SPOOL_H
#define SEXTANT_GEOCODE_API_CSV_SPOOL_H

#include "geocode/api/csv_job.h"

enum { GEO_SPOOL_MEMORY_BYTES = 1 << 20 };

typedef struct geo_csv_spool_events {
    /* There is room again, after geo_csv_spool_add said SX_AGAIN. */
    void (*room)(void *ctx);
    /* The next piece of what was kept; an empty one with SX_END after the last. */
    void (*piece)(void *ctx, sx_str piece, sx_status status);
    /* The disk failed: nothing more comes. */
    void (*failed)(void *ctx, const sx_error *err);
    /* After geo_csv_spool_close: no thread has anything of it any more. */
    void (*gone)(void *ctx);
} geo_csv_spool_events;

/* Embedded in its owner. All fields are private. */
typedef struct geo_csv_spool {
    geo_csv_crew *crew;
    sx_loop *loop;
    const char *folder;
    const geo_csv_spool_events *events;
    void *ctx;
    sx_buf tail, busy; /* what comes; what a thread writes or reads */
    int fd;            /* -1: all is in `tail` */
    uint64_t written, read_at;
    bool working, waiting, draining, closed, ended;
    sx_status status; /* of the thread's work */
    sx_error err;
} geo_csv_spool;

/* `folder` (borrowed) is where a file would be made. */
void geo_csv_spool_init(geo_csv_spool *s, geo_csv_crew *crew, sx_loop *loop, const char *folder,
                        const geo_csv_spool_events *events, void *ctx);

/* Keeps more. SX_OK; SX_AGAIN: kept, but wait for `room`; SX_EIO, SX_ENOMEM, SX_REFUSED. */
sx_status geo_csv_spool_add(geo_csv_spool *s, sx_str bytes, sx_error *err);

/* Nothing more is added. Each call then gives one `piece`, at once or later. */
void geo_csv_spool_next(geo_csv_spool *s);

/* Lets go; `gone` follows, maybe from within. */
void geo_csv_spool_close(geo_csv_spool *s);

#endif
