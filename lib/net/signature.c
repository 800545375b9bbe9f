/* signature.c - see signature.h. */
#include "net/signature.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <sextant/mem.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, P256_BYTES = 32, EXPONENT_BYTES_MAX = 8 };

struct sx_verify_key {
    EVP_PKEY *pkey;
    bool is_ec;
};

/* A public key of `type` from its parameters, which are freed. */
static sx_status make(const char *type, OSSL_PARAM_BLD *build, bool is_ec, sx_verify_key **out,
                      sx_error *err)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;
    sx_verify_key *key = (sx_verify_key *)sx_calloc(1, sizeof(*key));
    bool made = params && ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
                EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(ctx);
    ctx = made ? EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL) : NULL;
    bool sound = ctx && EVP_PKEY_public_check(ctx) == 1; /* a point that is on the curve */
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    ERR_clear_error();
    if (!key || !sound) {
        EVP_PKEY_free(pkey);
        sx_free(key);
        return key ? sx_fail(err, SX_EINVAL, "the %s key makes no sense", type)
                   : sx_fail_memory(err, "a key");
    }
    *key = (sx_verify_key){.pkey = pkey, .is_ec = is_ec};
    *out = key;
    return SX_OK;
}

sx_status sx_verify_key_rsa(sx_str n, sx_str e, sx_verify_key **out, sx_error *err)
{
    if (n.len > RSA_BITS_MAX / 8 || e.len == 0 || e.len > EXPONENT_BYTES_MAX)
        return sx_fail(err, SX_EINVAL, "the RSA key is too large: at most %d bits", RSA_BITS_MAX);
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.data, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.data, (int)e.len, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    sx_status status = SX_OK;
    if (!modulus || !exponent || !build ||
        !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) ||
        !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent))
        status = sx_fail_memory(err, "a key");
    else if (BN_num_bits(modulus) < RSA_BITS_MIN || !BN_is_odd(exponent) || BN_is_one(exponent))
        status = sx_fail(err, SX_EINVAL, "the RSA key has %d bits; it needs %d and an odd exponent",
                         BN_num_bits(modulus), RSA_BITS_MIN);
    else
        status = make("RSA", build, false, out, err);
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    return status;
}

sx_status sx_verify_key_p256(sx_str x, sx_str y, sx_verify_key **out, sx_error *err)
{
    unsigned char point[1 + 2 * P256_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
    if (x.len != P256_BYTES || y.len != P256_BYTES)
        return sx_fail(err, SX_EINVAL, "a point of P-256 has 32 bytes each way");
    memcpy(point + 1, x.data, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, y.data, P256_BYTES);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    sx_status status = SX_OK;
    if (!build || !OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) ||
        !OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)))
        status = sx_fail_memory(err, "a key");
    else
        status = make("EC", build, true, out, err);
    OSSL_PARAM_BLD_free(build);
    return status;
}

void sx_verify_key_free(sx_verify_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    sx_free(key);
}

sx_str sx_verify_key_algorithm(const sx_verify_key *key)
{
    return key->is_ec ? SX_STR("ES256") : SX_STR("RS256");
}

/* r and s as OpenSSL wants them, in ASN.1; NULL without memory. Free by OPENSSL_free. */
static unsigned char *to_der(sx_str raw, size_t *len)
{
    unsigned char *der = NULL;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn((const unsigned char *)raw.data, P256_BYTES, NULL);
    BIGNUM *s = BN_bin2bn((const unsigned char *)raw.data + P256_BYTES, P256_BYTES, NULL);
    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        int made = i2d_ECDSA_SIG(sig, &der);
        *len = made > 0 ? (size_t)made : 0;
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    return der;
}

bool sx_verify(const sx_verify_key *key, sx_str data, sx_str signature)
{
    const unsigned char *bytes = (const unsigned char *)signature.data;
    size_t len = signature.len;
    unsigned char *der = NULL;
    if (key->is_ec) {
        if (signature.len != 2 * (size_t)P256_BYTES)
            return false;
        bytes = der = to_der(signature, &len);
        if (!der)
            return false;
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
                EVP_DigestVerify(ctx, bytes, len, (const unsigned char *)data.data, data.len) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    ERR_clear_error();
    return good;
}
