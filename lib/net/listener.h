/* listener.h - a listening socket of a server. */
#ifndef SEXTANT_NET_LISTENER_H
#define SEXTANT_NET_LISTENER_H

#include "net/address.h"
#include "net/http_server.h"
#include "net/loop_internal.h"

struct sx_listener {
    uv_poll_t poll;
    sx_list link; /* server->listeners */
    sx_http_server *server;
    int fd;
    int spare_fd; /* given up for a moment when the process has no more: see accept_none */
    sx_tls *tls;
    bool proxy_protocol;
    bool closed;
    bool inherited; /* the descriptor was handed over: nothing of it is on our own list */
    sx_listen_address address;
    sx_timer rest; /* after a failed accept, before the next try */
};

#endif
