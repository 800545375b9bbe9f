/* systemd.h - what a service manager tells us and wants to hear, without libsystemd.
 *
 * NOTIFY_SOCKET: datagrams that say ready, reloading, stopping, how things are, and that the loops
 * still turn (WATCHDOG_USEC). LISTEN_FDS: listening sockets that were opened for us, so that nothing is
 * refused while we restart. Without these variables nothing is done.
 * Source: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3), "Type=notify-reload" in
 * systemd.service(5). */
#ifndef SEXTANT_SERVICE_SYSTEMD_H
#define SEXTANT_SERVICE_SYSTEMD_H

#include <sextant/error.h>
#include <sextant/str.h>

enum { SX_SYSTEMD_FDS_MAX = 32, SX_SYSTEMD_FIRST_FD = 3 };

typedef struct sx_systemd {
    int notify_fd;               /* -1: nobody listens */
    int64_t watchdog_ms;         /* 0: nobody watches */
    int fds[SX_SYSTEMD_FDS_MAX]; /* -1: taken */
    char names[SX_SYSTEMD_FDS_MAX][64];
    size_t fd_count;
} sx_systemd;

/* Nothing yet. */
void sx_systemd_init(sx_systemd *sd);

/* Reads `environment` (as environ; NULL: none). What is not right there is a warning in `warnings`,
 * one a line, and otherwise ignored: the manager's mistake should not keep us from serving. */
struct sx_buf;
void sx_systemd_read(sx_systemd *sd, const char *const *environment, struct sx_buf *warnings);

/* The inherited listening socket of that name, or (name NULL) the first that nobody took; -1 if there
 * is none. The caller closes it. */
int sx_systemd_take(sx_systemd *sd, const char *name);

/* Tells the manager: "READY=1" or several such lines. Does nothing without one. Any thread. */
void sx_systemd_notify(const sx_systemd *sd, const char *state);

/* Closes what it has. */
void sx_systemd_done(sx_systemd *sd);

#endif
