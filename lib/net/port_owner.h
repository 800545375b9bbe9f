/* port_owner.h - which process listens on a TCP port, for "port in use" messages.
 *
 * Linux only tells by way of /proc: the listening socket's inode from /proc/net/tcp, then the process
 * that has a descriptor of it. Processes of other users can be looked into by root alone. */
#ifndef SEXTANT_NET_PORT_OWNER_H
#define SEXTANT_NET_PORT_OWNER_H

#include <sextant/base.h>

typedef struct sx_port_owner {
    int pid;
    char name[32]; /* the command's name as the kernel has it */
} sx_port_owner;

/* Finds the process that listens on `port` (any address). False if none does or it cannot be seen.
 * Reads /proc: for error paths, not for loops. */
bool sx_port_owner_find(uint16_t port, sx_port_owner *out);

#endif
