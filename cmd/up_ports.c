/* up_ports.c - the addresses of `sextant up`, tried before anything is started. See up_ports.h. */
#include <unistd.h>

#include "cmd/up_ports.h"
#include "net/bound.h"
#include "net/port_owner.h"

static sx_status parse(const char *flag, const char *typed, sx_listen_address *out, sx_error *err)
{
    sx_status status = sx_listen_address_parse(sx_str_z(typed), out, err);
    return status ? sx_error_prefix(err, status, "--%s", flag) : SX_OK;
}

sx_status cmd_address_bindable(const char *flag, const char *typed, sx_error *err)
{
    sx_listen_address address;
    int fd;
    sx_status status = parse(flag, typed, &address, err);
    if (status != SX_OK || address.storage.ss_family == AF_UNIX)
        return status;
    status = sx_bound_open(SOCK_STREAM, &address, 1, &fd, err);
    if (status != SX_OK)
        return sx_error_prefix(err, status, "--%s", flag);
    close(fd);
    sx_bound_release(SOCK_STREAM, &address);
    return SX_OK;
}

sx_status cmd_address_free(const char *flag, const char *typed, sx_error *err)
{
    sx_str host, port;
    uint64_t number = 0;
    sx_str listen = sx_str_z(typed);
    size_t colon = listen.len;
    while (colon && listen.data[colon - 1] != ':')
        colon--;
    host = sx_str_first(listen, colon ? colon - 1 : 0);
    port = sx_str_from(listen, colon);
    sx_port_owner owner;
    if (!sx_str_to_u64(port, &number) || number == 0 || number > 65535 ||
        !sx_port_owner_find((uint16_t)number, &owner))
        return cmd_address_bindable(flag, typed, err);
    return sx_fail(err, SX_EEXIST,
                   "port %llu is taken by %s (process %d); stop it, or choose another with --%s "
                   "%.*s:PORT",
                   (unsigned long long)number, owner.name, owner.pid, flag, SX_ARG(host));
}

sx_status cmd_address_choose(const char *flag, const char *typed, char out[SX_ADDRESS_TEXT_BYTES],
                             sx_error *err)
{
    sx_listen_address address;
    int fd;
    sx_status status = parse(flag, typed, &address, err);
    if (status == SX_OK && address.storage.ss_family == AF_UNIX)
        return sx_fail(err, SX_EINVAL, "--%s %s: it must be HOST:PORT", flag, typed);
    if (status == SX_OK)
        status = sx_bound_open(SOCK_STREAM, &address, 1, &fd, err);
    if (status != SX_OK)
        return sx_error_prefix(err, status, "--%s", flag);
    sx_listen_address_print(&address, out);
    close(fd);
    sx_bound_release(SOCK_STREAM, &address);
    return SX_OK;
}

sx_status cmd_address_check(const char *flag, const char *typed, sx_error *err)
{
    sx_listen_address ignored;
    return parse(flag, typed, &ignored, err);
}
