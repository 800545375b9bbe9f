/* bound.c - see bound.h. */
#include "net/bound.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "net/port_owner.h"

/* ---- what this process listens on ---- */

/* Whether a busy address is busy because of us only this process can know, over all its loops: the
 * one reason for a global. A Unix socket cannot be bound twice, so its descriptor is kept to be
 * shared. */
typedef struct own_address {
    struct own_address *next;
    int type;
    sx_listen_address address;
    uint32_t users;
    int unix_fd; /* -1 for TCP */
} own_address;

static pthread_mutex_t own_lock = PTHREAD_MUTEX_INITIALIZER; /* guards own_first */
static own_address *own_first;

static bool own_is(const own_address *o, int type, const sx_listen_address *a)
{
    return o->type == type && o->address.bytes == a->bytes &&
           memcmp(&o->address.storage, &a->storage, a->bytes) == 0;
}

static own_address *own_find(int type, const sx_listen_address *a)
{
    for (own_address *o = own_first; o; o = o->next) {
        if (own_is(o, type, a))
            return o;
    }
    return NULL;
}

void sx_bound_release(int type, const sx_listen_address *a)
{
    pthread_mutex_lock(&own_lock);
    for (own_address **at = &own_first; *at; at = &(*at)->next) {
        own_address *o = *at;
        if (!own_is(o, type, a))
            continue;
        if (--o->users == 0) {
            *at = o->next;
            if (o->unix_fd >= 0) {
                close(o->unix_fd);
                unlink(((const struct sockaddr_un *)(const void *)&a->storage)->sun_path);
            }
            sx_free(o);
        }
        break;
    }
    pthread_mutex_unlock(&own_lock);
}

/* ---- opening ---- */

static sx_status fail_busy(const sx_listen_address *a, sx_error *err)
{
    char text[SX_ADDRESS_TEXT_BYTES];
    sx_listen_address_print(a, text);
    sx_str port = sx_str_z(text);
    while (sx_str_find_byte(port, ':') < port.len)
        port = sx_str_from(port, sx_str_find_byte(port, ':') + 1);
    if (a->storage.ss_family == AF_UNIX)
        return sx_fail(err, SX_EEXIST,
                       "another program is listening on %s: stop it or choose "
                       "another path",
                       text);
    uint64_t number;
    sx_port_owner owner;
    if (sx_str_to_u64(port, &number) && sx_port_owner_find((uint16_t)number, &owner))
        return sx_fail(err, SX_EEXIST,
                       "%s is in use by %s (pid %d): stop it or choose another port", text,
                       owner.name, owner.pid);
    return sx_fail(err, SX_EEXIST,
                   "%s is in use by another program (`ss -ltnp 'sport = :%.*s'` shows which): stop "
                   "it or choose another port",
                   text, SX_ARG(port));
}

static sx_status fail_bind(const sx_listen_address *a, int os_errno, sx_error *err)
{
    char text[SX_ADDRESS_TEXT_BYTES];
    sx_listen_address_print(a, text);
    if (os_errno == EADDRINUSE)
        return fail_busy(a, err);
    if (os_errno == EACCES)
        return sx_fail(err, SX_EACCESS,
                       "not allowed to listen on %s: choose a port from 1024 up, or grant "
                       "CAP_NET_BIND_SERVICE",
                       text);
    if (os_errno == EADDRNOTAVAIL)
        return sx_fail(err, SX_EINVAL, "%s is not an address of this machine", text);
    return sx_fail_os(err, os_errno, "cannot listen on %s", text);
}

static int open_socket(int type, sx_listen_address *a)
{
    int fd = socket(a->storage.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 && errno == EAFNOSUPPORT && a->any) {
        /* A machine without IPv6: all its addresses are IPv4's. */
        in_port_t port = ((struct sockaddr_in6 *)(void *)&a->storage)->sin6_port;
        memset(&a->storage, 0, sizeof(a->storage));
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)&a->storage;
        in->sin_family = AF_INET;
        in->sin_port = port;
        a->bytes = sizeof(*in);
        fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (fd < 0 || a->storage.ss_family == AF_UNIX)
        return fd;
    int on = 1, v6only = !a->any;
    if (type == SOCK_STREAM) /* for UDP it would mean what SO_REUSEPORT does */
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (a->storage.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
    return fd;
}

/* Binds without SO_REUSEPORT and lets go again: fails if anybody has the address. */
static sx_status probe(int type, sx_listen_address *a, sx_error *err)
{
    int fd = open_socket(type, a);
    if (fd < 0)
        return sx_fail_os(err, errno, "cannot open a socket");
    int rc = bind(fd, (const struct sockaddr *)&a->storage, a->bytes);
    sx_status status = rc == 0 ? SX_OK : fail_bind(a, errno, err);
    close(fd);
    return status;
}

static bool has_port_zero(const sx_listen_address *a)
{
    return a->storage.ss_family == AF_INET
               ? ((const struct sockaddr_in *)(const void *)&a->storage)->sin_port == 0
               : ((const struct sockaddr_in6 *)(const void *)&a->storage)->sin6_port == 0;
}

static sx_status open_inet(int type, sx_listen_address *a, bool is_ours, int *out, sx_error *err)
{
    if (!is_ours && !has_port_zero(a)) {
        sx_status rc = probe(type, a, err);
        if (rc != SX_OK)
            return rc;
    }
    int fd = open_socket(type, a), on = 1;
    if (fd < 0)
        return sx_fail_os(err, errno, "cannot open a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&a->storage, a->bytes) != 0) {
        sx_status rc = fail_bind(a, errno, err);
        close(fd);
        return rc;
    }
    a->bytes = sizeof(a->storage);
    getsockname(fd, (struct sockaddr *)&a->storage, &a->bytes); /* the port that 0 became */
    *out = fd;
    return SX_OK;
}

/* A socket file outlives a program that was killed: if nobody answers on it, it goes. */
static sx_status clear_stale(const sx_listen_address *a, sx_error *err)
{
    const char *path = ((const struct sockaddr_un *)(const void *)&a->storage)->sun_path;
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? SX_OK : sx_fail_os(err, errno, "cannot look at '%s'", path);
    if (!S_ISSOCK(st.st_mode))
        return sx_fail(err, SX_EEXIST, "'%s' exists and is not a socket: choose another path",
                       path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return sx_fail_os(err, errno, "cannot open a socket");
    int rc = connect(fd, (const struct sockaddr *)&a->storage, a->bytes);
    bool is_stale = rc != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!is_stale)
        return fail_busy(a, err);
    if (unlink(path) != 0 && errno != ENOENT)
        return sx_fail_os(err, errno, "cannot remove the stale socket '%s'", path);
    return SX_OK;
}

static sx_status open_unix(sx_listen_address *a, int *out, sx_error *err)
{
    sx_status rc = clear_stale(a, err);
    if (rc != SX_OK)
        return rc;
    int fd = open_socket(SOCK_STREAM, a);
    if (fd < 0)
        return sx_fail_os(err, errno, "cannot open a socket");
    if (bind(fd, (const struct sockaddr *)&a->storage, a->bytes) != 0) {
        rc = fail_bind(a, errno, err);
        close(fd);
        return rc;
    }
    *out = fd;
    return SX_OK;
}

sx_status sx_bound_open(int type, sx_listen_address *a, int backlog, int *out, sx_error *err)
{
    pthread_mutex_lock(&own_lock);
    own_address *own = own_find(type, a), *fresh = NULL;
    bool is_unix = a->storage.ss_family == AF_UNIX;
    int fd = -1;
    sx_status rc;
    if (own && is_unix) {
        fd = fcntl(own->unix_fd, F_DUPFD_CLOEXEC, 0);
        rc = fd >= 0 ? SX_OK : sx_fail_os(err, errno, "cannot share a Unix socket");
    } else {
        rc = is_unix ? open_unix(a, &fd, err) : open_inet(type, a, own != NULL, &fd, err);
    }
    if (rc == SX_OK && fd >= 0 && type == SOCK_STREAM && !(own && is_unix) &&
        listen(fd, backlog) != 0)
        rc = fail_bind(a, errno, err);
    if (rc == SX_OK && !own) {
        fresh = sx_calloc(1, sizeof(*fresh));
        if (fresh) {
            fresh->address = *a;
            fresh->type = type;
            fresh->unix_fd = is_unix ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
            fresh->next = own_first;
            own_first = own = fresh;
        } else {
            rc = sx_fail_memory(err, "a listener");
        }
    }
    if (rc == SX_OK) {
        own->users++;
        *out = fd;
    } else if (fd >= 0) {
        close(fd);
    }
    pthread_mutex_unlock(&own_lock);
    return rc;
}
