/* systemd.c - see systemd.h. */
#include "service/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <sextant/buf.h>

void sx_systemd_init(sx_systemd *sd)
{
    *sd = (sx_systemd){.notify_fd = -1};
}

static sx_str variable(const char *const *environment, sx_str name)
{
    for (size_t i = 0; environment && environment[i]; i++) {
        sx_str line = sx_str_z(environment[i]), key, value;
        if (sx_str_cut(line, '=', &key, &value) && sx_str_eq(key, name))
            return value;
    }
    return sx_str_of(NULL, 0);
}

/* Whether a variable that names a process means this one; an absent one means everybody. */
static bool is_for_us(sx_str pid)
{
    uint64_t number;
    return !pid.data || (sx_str_to_u64(pid, &number) && number == (uint64_t)getpid());
}

/* ---- notify ---- */

/* A path, or with '@' first a name of the abstract kind. */
static void open_notify(sx_systemd *sd, sx_str path, sx_buf *warnings)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path.len == 0)
        return;
    if ((path.data[0] != '/' && path.data[0] != '@') || path.len >= sizeof(to.sun_path)) {
        sx_buf_printf(warnings, "NOTIFY_SOCKET=%.*s: not a path of a Unix socket\n", SX_ARG(path));
        return;
    }
    memcpy(to.sun_path, path.data, path.len);
    if (path.data[0] == '@')
        to.sun_path[0] = '\0';
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len +
                                (path.data[0] == '/' ? 1 : 0));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, len) == 0) {
        sd->notify_fd = fd;
        return;
    }
    sx_buf_printf(warnings, "NOTIFY_SOCKET=%.*s: %s\n", SX_ARG(path), strerrordesc_np(errno));
    if (fd >= 0)
        close(fd);
}

void sx_systemd_notify(const sx_systemd *sd, const char *state)
{
    if (sd->notify_fd < 0)
        return;
    /* Without waiting: a manager that is stuck must not stop us. */
    ssize_t sent = send(sd->notify_fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* nobody else could be told */
}

/* ---- sockets ---- */

static void name_sockets(sx_systemd *sd, sx_str names)
{
    for (size_t i = 0; i < sd->fd_count; i++) {
        sx_str name;
        sx_str_cut(names, ':', &name, &names);
        snprintf(sd->names[i], sizeof(sd->names[i]), "%.*s", SX_ARG(name));
    }
}

static bool is_listening(int fd)
{
    int listening = 0, type = 0;
    socklen_t size = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) || !listening)
        return false;
    size = sizeof(int);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

static void read_sockets(sx_systemd *sd, const char *const *environment, sx_buf *warnings)
{
    uint64_t count;
    sx_str text = variable(environment, SX_STR("LISTEN_FDS"));
    sx_str pid = variable(environment, SX_STR("LISTEN_PID"));
    if (!text.data || !pid.data || !is_for_us(pid))
        return;
    if (!sx_str_to_u64(text, &count)) {
        sx_buf_printf(warnings, "LISTEN_FDS=%.*s: not a number\n", SX_ARG(text));
        return;
    }
    if (count > SX_SYSTEMD_FDS_MAX) {
        sx_buf_printf(warnings, "LISTEN_FDS=%.*s: the first %d are used\n", SX_ARG(text),
                      SX_SYSTEMD_FDS_MAX);
        count = SX_SYSTEMD_FDS_MAX;
    }
    sd->fd_count = (size_t)count;
    name_sockets(sd, variable(environment, SX_STR("LISTEN_FDNAMES")));
    for (int i = 0; i < (int)count; i++) {
        int fd = SX_SYSTEMD_FIRST_FD + i;
        sd->fds[i] = fd;
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && is_listening(fd))
            continue;
        sx_buf_printf(warnings, "descriptor %d of LISTEN_FDS is no listening stream socket\n", fd);
        sd->fds[i] = -1;
    }
}

int sx_systemd_take(sx_systemd *sd, const char *name)
{
    for (size_t i = 0; i < sd->fd_count; i++) {
        int fd = sd->fds[i];
        if (fd < 0 || (name && strcmp(sd->names[i], name) != 0))
            continue;
        sd->fds[i] = -1;
        return fd;
    }
    return -1;
}

/* ---- all ---- */

void sx_systemd_read(sx_systemd *sd, const char *const *environment, sx_buf *warnings)
{
    uint64_t microseconds;
    open_notify(sd, variable(environment, SX_STR("NOTIFY_SOCKET")), warnings);
    sx_str period = variable(environment, SX_STR("WATCHDOG_USEC"));
    if (sd->notify_fd >= 0 && is_for_us(variable(environment, SX_STR("WATCHDOG_PID"))) &&
        sx_str_to_u64(period, &microseconds) && microseconds >= 1000 &&
        microseconds < (uint64_t)INT64_MAX)
        sd->watchdog_ms = (int64_t)(microseconds / 1000);
    read_sockets(sd, environment, warnings);
}

void sx_systemd_done(sx_systemd *sd)
{
    if (sd->notify_fd >= 0)
        close(sd->notify_fd);
    for (size_t i = 0; i < sd->fd_count; i++)
        if (sd->fds[i] >= 0)
            close(sd->fds[i]);
    sx_systemd_init(sd);
}
