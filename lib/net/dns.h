/* dns.h - names to addresses without blocking a loop: c-ares, a bounded cache, no thread.
 *
 * A resolver belongs to one loop; the HTTP client has one. Lookups of one name that overlap share a
 * query. Literal addresses and "localhost" (RFC 6761, section 6.3) are answered from themselves,
 * names in /etc/hosts by c-ares from there. Used by http_client_connect.c. */
#ifndef SEXTANT_NET_DNS_H
#define SEXTANT_NET_DNS_H

#include <netinet/in.h>

#include <sextant/loop.h>
#include <sextant/str.h>

typedef struct sx_dns sx_dns;
typedef struct sx_dns_lookup sx_dns_lookup;

enum { SX_DNS_ADDRESSES_MAX = 8 };

typedef union sx_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} sx_address;

/* Ports are 0. */
typedef struct sx_addresses {
    sx_address items[SX_DNS_ADDRESSES_MAX];
    size_t count;
} sx_addresses;

typedef struct sx_dns_options {
    const char *servers;    /* "127.0.0.1:5353,..." in place of resolv.conf's; NULL: those */
    uint32_t names_max;     /* 0: 1024 in the cache */
    uint32_t ttl_ms_max;    /* 0: 300000: longest time an answer is believed */
    uint32_t failed_ms_max; /* 0: 2000: how long a failure is */
    uint32_t try_ms_max;    /* 0: 2000: wait for one answer; there are three tries */
} sx_dns_options;

/* `options` may be NULL. Errors: SX_ENOMEM, SX_EIO (c-ares cannot start), SX_EINVAL (servers). */
sx_status sx_dns_new(sx_loop *loop, const sx_dns_options *options, sx_dns **out, sx_error *err);

/* Frees it; lookups under way are forgotten without a call. */
void sx_dns_free(sx_dns *dns);

/* What a lookup says, once, never from within sx_dns_start: SX_OK with at least one address, else the
 * failure: SX_ENOTFOUND (no such name, or no address), SX_ETIMEOUT, SX_EIO, SX_ENOMEM. */
typedef void sx_dns_fn(void *ctx, sx_status status, const sx_addresses *addresses,
                       const sx_error *err);

/* Looks `host` up (a name, or an address without brackets; at most 255 bytes).
 * Errors: SX_EINVAL, SX_ENOMEM. */
sx_status sx_dns_start(sx_dns *dns, sx_str host, sx_dns_fn *fn, void *ctx, sx_dns_lookup **out,
                       sx_error *err);

/* Forgets a lookup whose call has not come yet. */
void sx_dns_cancel(sx_dns_lookup *lookup);

/* ---- records of any type: for discovery ---- */

typedef struct sx_dns_query sx_dns_query;

/* What a query says, once, never from within sx_dns_query_start. SX_OK: `reply` is a message with at
 * least one record (RFC 1035, section 4), good for the call. SX_ENOTFOUND: no such name, or it has no
 * such records. Else no server has answered properly: SX_ETIMEOUT, SX_EIO, SX_ENOMEM. */
typedef void sx_dns_query_fn(void *ctx, sx_status status, sx_str reply, const sx_error *err);

/* Asks for records of `type` (RFC 1035's numbers) of a name, with resolv.conf's search list. Nothing is
 * cached. Errors: SX_EINVAL (the name), SX_ENOMEM. */
sx_status sx_dns_query_start(sx_dns *dns, sx_str name, uint16_t type, sx_dns_query_fn *fn,
                             void *ctx, sx_dns_query **out, sx_error *err);

/* Forgets a query whose call has not come yet. */
void sx_dns_query_cancel(sx_dns_query *query);

#endif
