/* up_ports.h - the addresses of `sextant up`, tried before anything is started. */
#ifndef SEXTANT_CMD_UP_PORTS_H
#define SEXTANT_CMD_UP_PORTS_H

#include <sextant/error.h>

#include "net/address.h"

/* Whether it is an address at all. `flag` is what messages call it, here and below. */
sx_status cmd_address_check(const char *flag, const char *typed, sx_error *err);

/* Whether it can be had at all, by having it for a moment: it may be another machine's, or a port that
 * needs a privilege. A Unix socket is left alone: it would come and go in the file system. */
sx_status cmd_address_bindable(const char *flag, const char *typed, sx_error *err);

/* The same, and if a stranger holds the port his name: it would only show as a child that cannot start. */
sx_status cmd_address_free(const char *flag, const char *typed, sx_error *err);

/* One that children must know before the one that serves there has opened it: as typed or, for port 0,
 * with one that is free now. */
sx_status cmd_address_choose(const char *flag, const char *typed, char out[SX_ADDRESS_TEXT_BYTES],
                             sx_error *err);

#endif
