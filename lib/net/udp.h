/* udp.h - bound UDP sockets that receive in batches.
 *
 * For collectors whose clients send and forget (Jaeger's compact spans, statsd). One system call brings
 * up to UDP_BATCH datagrams. A socket belongs to one loop; several loops open the same address
 * (SO_REUSEPORT), and the kernel spreads senders over them. */
#ifndef SEXTANT_NET_UDP_H
#define SEXTANT_NET_UDP_H

#include <sextant/http.h>
#include <sextant/loop.h>

enum { SX_UDP_BATCH = 16, SX_UDP_DATAGRAM_BYTES = 65536 };

typedef struct sx_udp sx_udp;

typedef struct sx_datagram {
    sx_str bytes; /* good for the call; SX_STREAM_SLACK readable behind it */
    sx_peer from;
} sx_datagram;

/* May call sx_udp_close. */
typedef void sx_udp_fn(sx_udp *udp, void *ctx, const sx_datagram *items, size_t count);

typedef struct sx_udp_options {
    sx_str address;         /* as a listener's, but no Unix socket */
    uint32_t receive_bytes; /* of the kernel's queue (SO_RCVBUF); 0: 4 MiB, or what it allows */
    sx_udp_fn *fn;
    void *ctx;
} sx_udp_options;

/* Opens and starts. `bound` (may be NULL) gets the address with its real port.
 * Errors: SX_EINVAL (address), SX_EEXIST (in use), SX_EACCESS, SX_EIO, SX_ENOMEM. */
sx_status sx_udp_open(sx_loop *loop, const sx_udp_options *options, sx_udp **out, sx_bound *bound,
                      sx_error *err);

/* Stops and frees; from within its callback too. */
void sx_udp_close(sx_udp *udp);

/* The loop it belongs to. */
sx_loop *sx_udp_loop(const sx_udp *udp);

/* Datagrams received. The kernel's drops (SO_RXQ_OVFL) are in `lost`. */
typedef struct sx_udp_counts {
    uint64_t received, lost;
} sx_udp_counts;
sx_udp_counts sx_udp_counts_of(const sx_udp *udp);

#endif
