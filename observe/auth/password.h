/* password.h - passwords as argon2id keeps them.
 *
 * 19 MiB and two passes a password (OWASP's least): a guess costs an attacker as much as us, so it is
 * done in threads of a pool of two, whose memory that bounds. Source: RFC 9106; OWASP, Password
 * Storage Cheat Sheet. */
#ifndef OBSERVE_AUTH_PASSWORD_H
#define OBSERVE_AUTH_PASSWORD_H

#include <sextant/error.h>
#include <sextant/str.h>

enum { AUTH_PASSWORD_LEAST = 8, AUTH_PASSWORD_MOST = 1024, AUTH_PASSWORD_TEXT = 128 };

/* Errors: SX_EINVAL (too short, too long, with what to do), SX_ENOMEM, SX_EIO. Takes its time, and
 * lowers the priority of the calling thread for good. */
sx_status auth_password_hash(sx_str password, char out[AUTH_PASSWORD_TEXT], sx_error *err);
/* Whether `hash` is of `password`; as long for an empty hash, which is nobody's. Takes its time as
 * the above. */
bool auth_password_matches(sx_str hash, sx_str password);

#endif
