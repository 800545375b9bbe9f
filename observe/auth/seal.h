/* seal.h - texts that leave our hands and come back: nobody else can read, make or change them.
 *
 * AES-256-GCM with a new random nonce each, as base64url: what a browser keeps for us while it is at a
 * provider's page, and refresh tokens in the users' database. A key seals far fewer than the 2^32 texts that
 * random nonces allow. Source: NIST SP 800-38D, sections 7 and 8.3; RFC 4648, section 5. */
#ifndef OBSERVE_AUTH_SEAL_H
#define OBSERVE_AUTH_SEAL_H

#include <sextant/arena.h>
#include <sextant/error.h>

enum { SEAL_KEY_BYTES = 32, SEAL_TEXT_MAX = 64 << 10 };

/* `text`, at most SEAL_TEXT_MAX bytes, sealed into *out, in `arena`. Errors: SX_ELIMIT, SX_ENOMEM, SX_EIO
 * (no random bytes). */
sx_status seal_close(const uint8_t key[SEAL_KEY_BYTES], sx_str text, sx_arena *arena, sx_str *out,
                     sx_error *err);
/* What was sealed with the same key, in `arena`. False: it was not, or there is no memory. */
bool seal_open(const uint8_t key[SEAL_KEY_BYTES], sx_str sealed, sx_arena *arena, sx_str *out);

/* `in` as base64url without padding, in `arena`; empty if there is no memory. */
sx_str seal_base64url(sx_str in, sx_arena *arena);

#endif
