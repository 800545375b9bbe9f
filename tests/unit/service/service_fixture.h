/* service_fixture.h - whole services in a test's process, and a client that speaks HTTP/1.1 to them.
 *
 * A test program includes it once; every service listens on a free port, and every wait has an end. */
#ifndef SEXTANT_TESTS_SERVICE_FIXTURE_H
#define SEXTANT_TESTS_SERVICE_FIXTURE_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/service_internal.h"

enum { FLAGS_MAX = 24, ANSWER_BYTES_MAX = 1 << 20 };

typedef struct fixture {
    sx_service *service;
    const char *flags[FLAGS_MAX];
    size_t flag_count;
    const char *const *environment;
    const sx_clock *clock;
    char folder[48];
    char access_flag[96], text[96];
} fixture;

static inline int fixture_setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/sx-test-service-XXXXXX");
    if (!mkdtemp(f->folder))
        return 1;
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    fixture *f = *state;
    char command[80];
    sx_service_free(f->service);
    snprintf(command, sizeof(command), "rm -rf %s", f->folder);
    int failed = system(command);
    free(f);
    return failed;
}

/* A path in the test's folder. */
static inline const char *in_folder(fixture *f, const char *name)
{
    snprintf(f->text, sizeof(f->text), "%s/%s", f->folder, name);
    return f->text;
}

static inline void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

/* Makes the service with `more` flags (NULL at the end); SX_OK, or why not. */
static inline sx_status try_make(fixture *f, const sx_service_def *def, const char *const *more,
                                 sx_error *err)
{
    f->flag_count = 0;
    f->flags[f->flag_count++] = "--listen=127.0.0.1:0";
    f->flags[f->flag_count++] = "--log.path=/dev/null";
    snprintf(f->access_flag, sizeof(f->access_flag), "--access_log=%s/access.log", f->folder);
    f->flags[f->flag_count++] = f->access_flag;
    while (more && *more)
        f->flags[f->flag_count++] = *more++;
    sx_buf problems;
    sx_buf_init(&problems, 0);
    sx_service_options options = {.flags = f->flags,
                                  .flag_count = f->flag_count,
                                  .environment = f->environment,
                                  .clock = f->clock};
    sx_status status = sx_service_new(def, &options, &f->service, &problems, err);
    if (status && problems.len > 0)
        snprintf(err->message, sizeof(err->message), "%.*s", SX_ARG(sx_buf_view(&problems)));
    sx_buf_done(&problems);
    if (status)
        f->service = NULL;
    return status;
}

/* Makes and starts it; its address. */
static inline const char *start_service(fixture *f, const sx_service_def *def,
                                        const char *const *more)
{
    sx_error err = {0};
    if (try_make(f, def, more, &err) || sx_service_start(f->service, &err))
        fail_msg("%s", err.message);
    const char *address = sx_service_address(f->service, "http");
    return address ? address : sx_service_address(f->service, "https");
}

static inline int dial(const char *address)
{
    const char *colon = strrchr(address, ':');
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 20};
    int now = 1; /* small writes in a row would wait for each other's acknowledgements */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &now, sizeof(now));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static inline void send_all(int fd, const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t sent = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += (size_t)sent;
    }
}

static inline void send_text(int fd, const char *text)
{
    send_all(fd, text, strlen(text));
}

/* All that comes until the other side closes, NUL after it; *len may be NULL. free() it. */
static inline char *receive_all(int fd, size_t *len)
{
    size_t got = 0;
    char *text = malloc(ANSWER_BYTES_MAX);
    for (ssize_t n; got + 1 < ANSWER_BYTES_MAX &&
                    (n = recv(fd, text + got, ANSWER_BYTES_MAX - got - 1, 0)) > 0;)
        got += (size_t)n;
    text[got] = '\0';
    if (len)
        *len = got;
    return text;
}

/* One request, on a connection of its own, with these header lines (each with its CRLF). */
static inline char *ask_bytes(const char *address, const char *method, const char *target,
                              const char *headers, const char *body, size_t *len)
{
    char head[8192];
    int fd = dial(address);
    int n = snprintf(
        head, sizeof(head),
        "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s", method,
        target, headers, strlen(body), body);
    assert_true(n > 0 && (size_t)n < sizeof(head));
    send_all(fd, head, (size_t)n);
    char *text = receive_all(fd, len);
    close(fd);
    return text;
}

static inline char *ask(const char *address, const char *method, const char *target,
                        const char *headers, const char *body)
{
    return ask_bytes(address, method, target, headers, body, NULL);
}

static inline char *get(const char *address, const char *target, const char *headers)
{
    return ask(address, "GET", target, headers, "");
}

static inline int status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? (int)strtol(answer + 9, NULL, 10) : -1;
}

/* The status alone. */
static inline int get_status(const char *address, const char *target, const char *headers)
{
    char *answer = get(address, target, headers);
    int status = status_of(answer);
    free(answer);
    return status;
}

static inline void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in:\n%s", part, text);
}

static inline void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("'%s' is in:\n%s", part, text);
}

/* The access log so far; free() it. */
static inline char *access_log(fixture *f)
{
    char path[80];
    assert_true(sx_log_flush(f->service->access_log, 5000));
    snprintf(path, sizeof(path), "%s/access.log", f->folder);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    char *text = calloc(1, ANSWER_BYTES_MAX);
    size_t got = fread(text, 1, ANSWER_BYTES_MAX - 1, in);
    text[got] = '\0';
    fclose(in);
    return text;
}

#endif
