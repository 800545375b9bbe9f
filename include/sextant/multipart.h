/* multipart.h - reads multipart/form-data, piece by piece (RFC 7578, RFC 2046 section 5.1).
 *
 * The reader is fed the body as it comes and tells of each part: its name, its bytes in pieces, its
 * end. It holds one part's header and nothing of its data, so a file of any size passes through.
 * How the body is cut into pieces never shows.
 *
 *     sx_multipart_boundary(content_type, &boundary, &err);
 *     sx_multipart_init(&m, boundary, &limits, &events, ctx, &err);
 *     for each piece: sx_multipart_feed(&m, piece, &err);
 *     at the body's end: sx_multipart_finish(&m, &err);
 */
#ifndef SEXTANT_MULTIPART_H
#define SEXTANT_MULTIPART_H

#include <sextant/buf.h>
#include <sextant/error.h>

SX_BEGIN_DECLS

enum { SX_MULTIPART_BOUNDARY_MAX = 200 }; /* RFC 2046 allows 70; some clients take more */

/* A part's header, read. Views are good for the call of `begin`. */
typedef struct sx_multipart_part {
    sx_str name;         /* of the field; empty if it has none */
    sx_str filename;     /* as sent, any bytes: never a path to be trusted */
    bool is_file;        /* a file name was given, be it empty */
    sx_str content_type; /* empty if absent */
} sx_multipart_part;

/* What is told of a part. Anything but SX_OK ends the reading, which returns it. `data` comes any
 * number of times, never empty; `end` once. */
typedef struct sx_multipart_events {
    sx_status (*begin)(void *ctx, const sx_multipart_part *part, sx_error *err);
    sx_status (*data)(void *ctx, sx_str piece, sx_error *err);
    sx_status (*end)(void *ctx, sx_error *err);
} sx_multipart_events;

typedef struct sx_multipart_limits { /* 0 takes the default */
    uint32_t header_bytes_max;       /* 8192: one part's header; also what the reader holds */
    uint32_t parts_max;              /* 256 */
} sx_multipart_limits;

/* A reader. All fields are private. */
typedef struct sx_multipart {
    sx_multipart_limits limits;
    const sx_multipart_events *events;
    void *ctx;
    char delimiter[SX_MULTIPART_BOUNDARY_MAX + 4]; /* CR LF - - boundary */
    uint32_t delimiter_len;
    uint32_t matched; /* bytes of the delimiter met at the end of what was fed */
    uint32_t assumed; /* of them, those that stood before the part or the body */
    uint32_t tail;    /* bytes met of what follows a delimiter */
    uint32_t parts;
    uint64_t offset; /* bytes fed so far, for messages */
    uint8_t state;
    bool last; /* the delimiter met is the closing one */
    sx_buf header;
    sx_status failed; /* sticky */
} sx_multipart;

/* Finds the boundary in a Content-Type field's value; a view of it. Errors: SX_EUNSUPPORTED if it is
 * not multipart/form-data; SX_EINVAL if it names no boundary, or one that is too long. */
sx_status sx_multipart_boundary(sx_str content_type, sx_str *boundary, sx_error *err);

/* Makes a reader ready. `events` must live as long as it; `limits` may be NULL. Takes no memory yet.
 * Errors: SX_EINVAL for a boundary that is empty, too long, or has a line end in it. */
sx_status sx_multipart_init(sx_multipart *m, sx_str boundary, const sx_multipart_limits *limits,
                            const sx_multipart_events *events, void *ctx, sx_error *err);

/* Frees what it holds. */
void sx_multipart_done(sx_multipart *m);

/* Reads the next piece of the body. Errors, final: SX_EFORMAT (with the offset), SX_ELIMIT,
 * SX_ENOMEM, and whatever an event returned. */
sx_status sx_multipart_feed(sx_multipart *m, sx_str piece, sx_error *err);

/* Says that the body has ended. SX_EFORMAT if its closing boundary has not come. */
sx_status sx_multipart_finish(sx_multipart *m, sx_error *err);

SX_END_DECLS

#endif
