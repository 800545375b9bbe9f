/* signature.h - signatures of others, verified: RS256 and ES256 of JSON Web Signature.
 *
 * OpenSSL behind a few calls, so that no product deals with it. A key knows its one algorithm, so that
 * a message cannot choose another. Source: RFC 7518, sections 3.3, 3.4, 6.2 and 6.3. */
#ifndef SEXTANT_NET_SIGNATURE_H
#define SEXTANT_NET_SIGNATURE_H

#include <sextant/error.h>
#include <sextant/str.h>

typedef struct sx_verify_key sx_verify_key;

/* RSASSA-PKCS1-v1_5 with SHA-256: modulus and exponent, big-endian. At least 2048 bits, at most 8192.
 * Errors: SX_EINVAL, SX_ENOMEM. */
sx_status sx_verify_key_rsa(sx_str n, sx_str e, sx_verify_key **out, sx_error *err);
/* ECDSA on P-256 with SHA-256: a point on the curve, 32 bytes each. Errors: SX_EINVAL, SX_ENOMEM. */
sx_status sx_verify_key_p256(sx_str x, sx_str y, sx_verify_key **out, sx_error *err);
/* NULL is allowed. */
void sx_verify_key_free(sx_verify_key *key);

/* "RS256" or "ES256". */
sx_str sx_verify_key_algorithm(const sx_verify_key *key);

/* Whether `signature` (for ES256: r and s, 32 bytes each) is of `data`. Any thread. */
bool sx_verify(const sx_verify_key *key, sx_str data, sx_str signature);

#endif
