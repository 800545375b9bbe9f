/* http_fixture.h - a server and its clients in one process: real sockets, the loop turned by hand, a
 * fake clock, a handler that does what the target asks for. */
#ifndef SEXTANT_TESTS_HTTP_FIXTURE_H
#define SEXTANT_TESTS_HTTP_FIXTURE_H

#include <sextant/http.h>

typedef struct http_fixture {
    sx_fake_clock clock;
    sx_loop *loop;
    sx_http_server *server;
    sx_http_server_options options;
    sx_bound bound;
    /* What the handler and the observers saw. */
    int handled, done, rejected, aborted, cut_short, drained;
    int rejected_status;
    char rejected_why[128];
    char peer_address[46];
    char tls_client_name[128];
    sx_request *held; /* of /hold: replied to by the test */
    sx_str held_host; /* of the same, as its handler saw it */
    sx_buf body;      /* what body events brought */
    bool body_ended;
    int body_pieces;
    int done_status;
    char done_target[64];
} http_fixture;

/* Opens loop, server and a listener on 127.0.0.1, with `limits` (NULL: defaults). */
void http_fixture_open(http_fixture *f, const sx_http_limits *limits);
void http_fixture_listen(http_fixture *f, const sx_listen_options *options);
void http_fixture_close(http_fixture *f);

/* A client's socket, connected; a turn of the loop has accepted it. */
int http_fixture_connect(http_fixture *f);

/* Sends all of it, turning the loop. */
void http_fixture_send(http_fixture *f, int fd, const char *data, size_t len);
void http_fixture_say(http_fixture *f, int fd, const char *text);

/* Turns until nothing moves any more. */
void http_fixture_settle(http_fixture *f);

/* What has come since, NUL-terminated, in a static buffer; `*is_closed` (may be NULL) says whether the
 * end was seen: 1 for FIN, 2 for RST. */
const char *http_fixture_read(http_fixture *f, int fd, int *is_closed);

/* Sends while the loop stands still, lets time pass, and only then turns it: a process that was
 * stopped, or a machine with no time for it. */
void http_fixture_stall(http_fixture *f, int fd, const char *data, size_t len, int64_t ms);

/* Lets time pass and settles. */
void http_fixture_wait(http_fixture *f, int64_t ms);

#endif
