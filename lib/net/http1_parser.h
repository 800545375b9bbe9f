/* http1_parser.h - the HTTP/1.x request parser: heads, and bodies in chunks.
 *
 * Strict: what RFC 9112 lets a server refuse is refused, because every leniency (a bare LF, a second
 * length, a space before the colon) is a way for two servers in a row to disagree on where a
 * request ends. It copies nothing: all views point into the caller's bytes, of which it reads up to
 * HTTP1_SLACK beyond the end (whatever they are), so that it can load 16 at a time.
 *
 * What it answers depends on the bytes alone, never on how they were cut into reads: it refuses at
 * the first byte that makes the head wrong, and checks what needs the whole head at its end. */
#ifndef SEXTANT_NET_HTTP1_PARSER_H
#define SEXTANT_NET_HTTP1_PARSER_H

#include <sextant/http.h>

enum { HTTP1_SLACK = 16, HTTP1_METHOD_BYTES_MAX = 32 };

/* Where the last call stopped; zero before the first for each head. */
typedef struct http1_progress {
    uint32_t line_at; /* start of the first line that is not complete */
    uint32_t fields;  /* complete lines after the request line */
    uint8_t section;
} http1_progress;

typedef struct http1_head {
    sx_method method;
    sx_str method_text, target, path, query, scheme, authority;
    int version;           /* 10 or 11 */
    int64_t content_bytes; /* 0 none; -1 chunked */
    size_t header_count;
    size_t bytes;    /* of the whole head, from the first byte given to its empty line */
    bool keep_alive; /* what version and Connection ask for */
    bool expects_continue;
    sx_str upgrade; /* value of Upgrade if Connection names it, else empty */
    /* After SX_EFORMAT: the answer it deserves and why, static text. */
    int status;
    const char *why;
    bool is_foreign; /* the request line is none of HTTP/1's: whoever sent it speaks otherwise */
} http1_head;

/* Parses the head that begins at data[0].
 *   limits    header_bytes_max, header_count_max, target_bytes_max; none may be 0
 *   progress  carried from call to call while the answer is SX_AGAIN; the bytes may have moved
 *   headers   room for header_count_max; filled on SX_OK
 * SX_OK: *head is filled, the body begins at data[head->bytes]. SX_AGAIN: more bytes are needed; the
 * next call gives these and more. SX_EFORMAT: head->status and ->why. RFC 9112, sections 2 to 7;
 * RFC 9110, sections 5, 7 and 8.6. */
sx_status http1_head_parse(const char *data, size_t len, const sx_http_limits *limits,
                           http1_progress *progress, sx_header *headers, http1_head *head);

/* Decodes a chunked body. Zero is its start. */
typedef struct http1_chunks {
    uint64_t left;        /* of the present chunk's data */
    uint32_t extra_bytes; /* of size lines' extensions and trailers so far */
    uint8_t state;
    uint8_t digits;
    bool is_last;
    int status; /* after SX_EFORMAT */
    const char *why;
} http1_chunks;

/* Takes from *in. SX_OK: *piece is data (points into in); call again. SX_AGAIN: all was taken.
 * SX_END: the body with its trailers is complete, *in is what follows. SX_EFORMAT: c->status, ->why.
 * Trailers are checked and dropped: no caller may use a field that came after the decision to serve.
 * RFC 9112, section 7.1. */
sx_status http1_chunks_read(http1_chunks *c, uint32_t extra_bytes_max, sx_str *in, sx_str *piece);

/* For each byte: HTTP1_TOKEN if RFC 9110 lets it be in a token, HTTP1_FIELD if in a field value. */
enum { HTTP1_TOKEN = 1, HTTP1_FIELD = 2, HTTP1_HOST = 4 };
extern const uint8_t http1_byte_kind[256];

/* The method that `token` names. */
sx_method http1_method_of(sx_str token);

#endif
