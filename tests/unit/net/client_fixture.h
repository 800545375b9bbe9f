/* client_fixture.h - an HTTP client under test beside http_fixture's server, and peers that speak raw
 * bytes: all on one loop, turned by hand, on a fake clock. */
#ifndef SEXTANT_TESTS_CLIENT_FIXTURE_H
#define SEXTANT_TESTS_CLIENT_FIXTURE_H

#include "tests/unit/base/cmocka_all.h"

#include <sextant/http_client.h>

#include "tests/unit/net/http_fixture.h"

/* What one call has told. */
typedef struct call_record {
    sx_call *call; /* NULL once done */
    int heads, pieces, writables, dones;
    int status, version;
    int64_t content_bytes;
    sx_status result;
    sx_error err;
    sx_buf body;
    char header[64];  /* of X-Test, or Content-Type */
    char trailer[64]; /* the first trailer's value */
    size_t trailer_count;
    void (*on_head)(struct call_record *r);
    void (*on_body)(struct call_record *r);
    void (*on_done)(struct call_record *r);
    void *ctx;
} call_record;

typedef struct client_fixture {
    http_fixture server;
    sx_http_client *client;
} client_fixture;

extern const sx_call_events RECORD;

void client_fixture_open(client_fixture *f, const sx_http_client_options *options);
void client_fixture_close(client_fixture *f);

/* Starts a call of `method` to http://<server><target>, or to `target` itself if it is a URL. */
sx_status client_fixture_start(client_fixture *f, call_record *r, const char *method,
                               const char *target, const char *body);
/* The same, turned until it is done. */
void client_fixture_call(client_fixture *f, call_record *r, const char *method, const char *target,
                         const char *body);
void call_record_done(call_record *r);

/* Turns the loop until `*flag` is not zero; fails the test after five seconds. */
void client_fixture_until(client_fixture *f, const int *flag);

/* A listening socket whose connections the test answers by hand. */
typedef struct raw_peer {
    int listening, fd;
    char url[64];
} raw_peer;
void raw_peer_open(raw_peer *p);
void raw_peer_close(raw_peer *p);
void raw_peer_accept(client_fixture *f, raw_peer *p); /* waits for the next connection */
void raw_peer_say(client_fixture *f, raw_peer *p, const void *data, size_t len);
/* Waits until what has come ends in `end`; returns it, NUL-terminated, static. */
const char *raw_peer_read_to(client_fixture *f, raw_peer *p, const char *end);

#endif
