/* up_ports.h - the addresses of `sextant up`, tried before anything is started.
 *
 * `typed` is what the user gave to --`flag`, as messages call it. Errors of all: SX_EINVAL (no address),
 * SX_EEXIST (taken, by whom and what to do), SX_EACCESS, SX_EIO. Between a trial and the child that opens
 * the address somebody else may take it: the child says so, then. Called by cmd/up.c. */
#ifndef SEXTANT_CMD_UP_PORTS_H
#define SEXTANT_CMD_UP_PORTS_H

#include <sextant/error.h>

#include "net/address.h"

/* Whether it is an address at all. */
sx_status cmd_address_check(const char *flag, const char *typed, sx_error *err);

/* Whether it can be had at all, by having it for a moment: it may be another machine's, or a port that
 * needs a privilege. A Unix socket is left alone: it would come and go in the file system. */
sx_status cmd_address_bindable(const char *flag, const char *typed, sx_error *err);

/* The same, and if a stranger holds the port his name: it would only show as a child that cannot start. */
sx_status cmd_address_free(const char *flag, const char *typed, sx_error *err);

/* One that children must know before the one that serves there has opened it: as typed or, for port 0,
 * with one that is free now. `out` may be `typed`; it is untouched on an error. No Unix sockets. */
sx_status cmd_address_choose(const char *flag, const char *typed, char out[SX_ADDRESS_TEXT_BYTES],
                             sx_error *err);

#endif
