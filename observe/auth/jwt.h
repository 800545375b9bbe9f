/* jwt.h - identity tokens of OpenID Connect, verified, and the keys that they are signed with.
 *
 * RS256 and ES256 alone; a key is of one algorithm, and the header's `alg` must be that one, so that
 * neither "none" nor a MAC with a public key as its secret is ever tried. Source: RFC 7515, 7517, 7519;
 * RFC 8725; OpenID Connect Core 1.0, section 3.1.3.7. */
#ifndef OBSERVE_AUTH_JWT_H
#define OBSERVE_AUTH_JWT_H

#include <sextant/arena.h>
#include <sextant/error.h>

enum { JWT_BYTES_MAX = 64 << 10, JWT_KEYS_MAX = 64, JWT_JWKS_BYTES_MAX = 512 << 10 };

typedef struct jwt_keys jwt_keys;

/* A provider's key set. Keys of other kinds and uses are passed over. Errors: SX_EFORMAT, SX_ELIMIT,
 * SX_ENOMEM. */
sx_status jwt_keys_parse(sx_str json, jwt_keys **out, sx_error *err);
void jwt_keys_free(jwt_keys *keys);
size_t jwt_keys_count(const jwt_keys *keys);

typedef struct jwt_expect {
    sx_str issuer;
    sx_str client;           /* our id: the audience */
    const sx_str *audiences; /* others that are right, too */
    size_t audience_count;
    sx_str nonce;          /* empty: an answer to a refresh token, whose nonce is not looked at */
    int64_t now_s, skew_s; /* wall clock; how much it may be off */
} jwt_expect;

/* Verifies signature, issuer, audience, times and nonce. *claims is the JSON text, in `arena`.
 *   errors  SX_EFORMAT (no token), SX_ENOTFOUND (no such key: they may have been changed),
 *           SX_EACCESS (not for us, not now, or not signed so), SX_ENOMEM */
sx_status jwt_verify(sx_str token, const jwt_keys *keys, const jwt_expect *expect, sx_arena *arena,
                     sx_str *claims, sx_error *err);

/* The text, or all texts of the list, that a claim holds: `path` is a name, or names with dots that lead
 * into objects (and into all objects of a list); a name that has dots itself is found, too. At most `most` into `out`; a truth is "true" or
 * "false", a number its digits. */
size_t jwt_claim(sx_str claims, sx_str path, sx_arena *arena, sx_str *out, size_t most);

#endif
