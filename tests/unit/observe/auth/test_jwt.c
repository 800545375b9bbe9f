/* test_jwt.c - identity tokens: what is right, and every trick that is not. */
#include "tests/unit/base/cmocka_all.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <sextant/buf.h>

#include "base/fault.h"
#include "codec/base64.h"
#include "observe/auth/jwt.h"

typedef struct fixture {
    EVP_PKEY *rsa, *ec;
    sx_arena arena;
    jwt_keys *keys;
} fixture;

static const jwt_expect EXPECT = {.issuer = SX_STR_INIT("https://id.example"),
                                  .client = SX_STR_INIT("sextant"),
                                  .nonce = SX_STR_INIT("n1"),
                                  .now_s = 1000000,
                                  .skew_s = 60};
#define GOOD                                                                                       \
    "{\"iss\":\"https://id.example\",\"aud\":\"sextant\",\"sub\":\"7\",\"nonce\":\"n1\","          \
    "\"iat\":999990,\"exp\":1000300}"

static sx_str url64(sx_arena *arena, sx_str in)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    sx_base64_encode(in, &b);
    while (b.len && b.data[b.len - 1] == '=')
        b.len--;
    for (size_t i = 0; i < b.len; i++)
        b.data[i] = (char)(b.data[i] == '+' ? '-' : b.data[i] == '/' ? '_' : b.data[i]);
    sx_str out = sx_arena_copy(arena, sx_buf_view(&b));
    sx_buf_done(&b);
    return out;
}

static sx_str number(fixture *f, EVP_PKEY *key, const char *name)
{
    BIGNUM *n = NULL;
    unsigned char *bytes;
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
    int size = name[0] == 'q' ? 32 : BN_num_bytes(n);
    bytes = sx_arena_alloc(&f->arena, 1024);
    assert_true(BN_bn2binpad(n, bytes, size) == size);
    BN_free(n);
    return url64(&f->arena, sx_str_of(bytes, (size_t)size));
}

static int open_fixture(void **state)
{
    static fixture f;
    sx_error err = {0};
    sx_arena_init(&f.arena, 0, 0);
    f.rsa = EVP_RSA_gen(2048);
    f.ec = EVP_EC_gen("P-256");
    sx_str n = number(&f, f.rsa, "n"), e = number(&f, f.rsa, "e");
    sx_str x = number(&f, f.ec, "qx"), y = number(&f, f.ec, "qy");
    sx_str text = sx_arena_printf(
        &f.arena,
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"mac\"},"
        "{\"kty\":\"RSA\",\"use\":\"enc\",\"kid\":\"enc\",\"n\":\"%.*s\",\"e\":\"AQAB\"},"
        "{\"kty\":\"RSA\",\"kid\":\"small\",\"n\":\"AQAB\",\"e\":\"AQAB\"},"
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"off\",\"x\":\"%.*s\",\"y\":\"%.*s\"},"
        "{\"kty\":\"RSA\",\"use\":\"sig\",\"kid\":\"r\",\"n\":\"%.*s\",\"e\":\"%.*s\"},"
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":\"%.*s\",\"y\":\"%.*s\"}]}",
        SX_ARG(n), SX_ARG(x), SX_ARG(x), SX_ARG(n), SX_ARG(e), SX_ARG(x), SX_ARG(y));
    assert_int_equal(jwt_keys_parse(text, &f.keys, &err), SX_OK);
    assert_int_equal(jwt_keys_count(f.keys), 2); /* the others cannot sign for us */
    *state = &f;
    return 0;
}

static int close_fixture(void **state)
{
    fixture *f = *state;
    jwt_keys_free(f->keys);
    EVP_PKEY_free(f->rsa);
    EVP_PKEY_free(f->ec);
    sx_arena_done(&f->arena);
    return 0;
}

/* What was signed by `key`, which may be NULL: an empty signature. */
static sx_str token(fixture *f, EVP_PKEY *key, const char *header, const char *claims)
{
    unsigned char sig[512];
    size_t len = 0;
    sx_arena *a = &f->arena;
    sx_str h = url64(a, sx_str_z(header)), c = url64(a, sx_str_z(claims));
    sx_str text = sx_arena_printf(a, "%.*s.%.*s", SX_ARG(h), SX_ARG(c));
    if (key) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        len = sizeof sig;
        assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
        assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const unsigned char *)text.data, text.len),
                         1);
        EVP_MD_CTX_free(ctx);
    }
    if (key == f->ec) { /* 64 bytes instead of ASN.1 */
        const unsigned char *at = sig;
        ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &at, (long)len);
        BN_bn2binpad(ECDSA_SIG_get0_r(parts), sig, 32);
        unsigned char s[32];
        BN_bn2binpad(ECDSA_SIG_get0_s(parts), s, 32);
        memcpy(sig + 32, s, 32);
        ECDSA_SIG_free(parts);
        len = 64;
    }
    sx_str signature = url64(a, sx_str_of(sig, len));
    return sx_arena_printf(a, "%.*s.%.*s", SX_ARG(text), SX_ARG(signature));
}

static sx_status verify(fixture *f, sx_str text, sx_error *err)
{
    sx_str claims;
    *err = (sx_error){0};
    sx_status status = jwt_verify(text, f->keys, &EXPECT, &f->arena, &claims, err);
    assert_true((status == SX_OK) == (err->message[0] == '\0'));
    return status;
}

static void test_both_algorithms_verify(void **state)
{
    fixture *f = *state;
    sx_error err;
    assert_int_equal(verify(f, token(f, f->rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", GOOD), &err),
                     SX_OK);
    assert_int_equal(verify(f, token(f, f->ec, "{\"alg\":\"ES256\",\"kid\":\"e\"}", GOOD), &err),
                     SX_OK);
    assert_int_equal(verify(f, token(f, f->ec, "{\"alg\":\"ES256\"}", GOOD), &err), SX_OK);
}

static void test_algorithms_are_not_the_senders_choice(void **state)
{
    fixture *f = *state;
    sx_error err;
    static const char *const HEADERS[] = {"{\"alg\":\"none\"}",
                                          "{\"alg\":\"None\",\"kid\":\"r\"}",
                                          "{\"kid\":\"r\"}",
                                          "{\"alg\":\"HS256\",\"kid\":\"r\"}",
                                          "{\"alg\":\"RS512\",\"kid\":\"r\"}",
                                          "{\"alg\":\"\"}",
                                          "{\"alg\":\"HS256\",\"kid\":\"mac\"}"};
    for (size_t i = 0; i < SX_COUNT_OF(HEADERS); i++) {
        assert_int_equal(verify(f, token(f, NULL, HEADERS[i], GOOD), &err), SX_EACCESS);
        assert_int_equal(verify(f, token(f, f->rsa, HEADERS[i], GOOD), &err), SX_EACCESS);
    }
    /* The key of one algorithm under the name of the other; a key that does not exist. */
    assert_int_equal(verify(f, token(f, f->ec, "{\"alg\":\"RS256\",\"kid\":\"r\"}", GOOD), &err),
                     SX_EACCESS);
    assert_int_equal(verify(f, token(f, f->ec, "{\"alg\":\"ES256\",\"kid\":\"r\"}", GOOD), &err),
                     SX_ENOTFOUND);
    assert_int_equal(verify(f, token(f, f->rsa, "{\"alg\":\"RS256\",\"kid\":\"x\"}", GOOD), &err),
                     SX_ENOTFOUND);
    assert_int_equal(
        verify(f, token(f, f->rsa, "{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[\"b64\"]}", GOOD),
               &err),
        SX_EACCESS);
}

static void test_a_mac_with_the_public_key_is_no_signature(void **state)
{
    fixture *f = *state;
    sx_error err;
    unsigned char mac[32];
    unsigned len;
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem;
    assert_int_equal(PEM_write_bio_PUBKEY(bio, f->rsa), 1);
    long pem_len = BIO_get_mem_data(bio, &pem);
    sx_str unsigned_text = token(f, NULL, "{\"alg\":\"HS256\",\"kid\":\"r\"}", GOOD);
    (void)HMAC(EVP_sha256(), pem, (int)pem_len, (const unsigned char *)unsigned_text.data,
               unsigned_text.len - 1, mac, &len);
    sx_str sig = url64(&f->arena, sx_str_of(mac, len));
    sx_str text = sx_arena_printf(&f->arena, "%.*s%.*s", SX_ARG(unsigned_text), SX_ARG(sig));
    assert_int_equal(verify(f, text, &err), SX_EACCESS);
    BIO_free(bio);
}

static void test_claims_that_are_not_for_us(void **state)
{
    fixture *f = *state;
    sx_error err;
#define CLAIMS(iss, aud, rest) "{\"iss\":" iss ",\"aud\":" aud "," rest "}"
#define TIMES                  "\"sub\":\"7\",\"nonce\":\"n1\",\"iat\":999990,\"exp\":1000300"
#define US                     "\"https://id.example\""
    static const char *const BAD[] = {
        CLAIMS("\"https://id.example/\"", "\"sextant\"", TIMES),
        CLAIMS("\"\"", "\"sextant\"", TIMES),
        CLAIMS(US, "\"other\"", TIMES),
        CLAIMS(US, "[]", TIMES),
        CLAIMS(US, "[\"sextant\",\"other\"]", TIMES),
        CLAIMS(US, "\"sextant\"", TIMES ",\"azp\":\"other\""),
        CLAIMS(US, "\"sextant\"", "\"sub\":\"7\",\"nonce\":\"n1\",\"iat\":999990,\"exp\":999940"),
        CLAIMS(US, "\"sextant\"", "\"sub\":\"7\",\"nonce\":\"n1\",\"iat\":999990"),
        CLAIMS(US, "\"sextant\"", "\"sub\":\"7\",\"nonce\":\"n1\",\"exp\":1000300"),
        CLAIMS(US, "\"sextant\"", "\"sub\":\"7\",\"nonce\":\"n1\",\"iat\":1000061,\"exp\":1000300"),
        CLAIMS(US, "\"sextant\"", TIMES ",\"nbf\":1000061"),
        CLAIMS(US, "\"sextant\"", "\"sub\":\"7\",\"nonce\":\"n2\",\"iat\":999990,\"exp\":1000300"),
        CLAIMS(US, "\"sextant\"", "\"sub\":\"7\",\"iat\":999990,\"exp\":1000300"),
        CLAIMS(US, "\"sextant\"", "\"sub\":\"\",\"nonce\":\"n1\",\"iat\":999990,\"exp\":1000300"),
        CLAIMS(US, "\"sextant\"", "\"nonce\":\"n1\",\"iat\":999990,\"exp\":1000300"),
    };
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++)
        if (verify(f, token(f, f->rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", BAD[i]), &err) !=
            SX_EACCESS)
            fail_msg("%s", BAD[i]);
    static const char *const BROKEN[] = {"", "[]", "{", "null", "{\"iss\":1}", "{\"exp\":\"x\"}"};
    for (size_t i = 0; i < SX_COUNT_OF(BROKEN); i++)
        assert_true(
            verify(f, token(f, f->rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", BROKEN[i]), &err));
    assert_int_equal(
        verify(f,
               token(f, f->rsa, "{\"alg\":\"RS256\"}",
                     CLAIMS(US, "[\"other\",\"sextant\"]", TIMES ",\"azp\":\"sextant\"")),
               &err),
        SX_OK);
}

static void test_cut_or_changed_at_every_byte(void **state)
{
    fixture *f = *state;
    sx_error err;
    sx_str text = token(f, f->ec, "{\"alg\":\"ES256\",\"kid\":\"e\"}", GOOD);
    for (size_t i = 0; i < text.len; i++)
        assert_true(verify(f, sx_str_first(text, i), &err) != SX_OK);
    for (size_t i = 0; i < text.len; i++) {
        sx_str copy = sx_arena_copy(&f->arena, text);
        char *at = (char *)(uintptr_t)copy.data + i;
        *at = *at == 'A' ? 'B' : 'A';
        /* The last letter holds bits that belong to no byte. */
        assert_true(i == text.len - 1 || verify(f, copy, &err) != SX_OK);
    }
    sx_str longer = sx_arena_printf(&f->arena, "%.*s.x", SX_ARG(text));
    assert_true(verify(f, longer, &err) != SX_OK);
}

static void test_claims_are_found_by_their_paths(void **state)
{
    fixture *f = *state;
    sx_str out[4];
    sx_str text = SX_STR("{\"a\":{\"b\":[\"x\",1,\"y\",{}],\"c\":\"z\"},\"a.b\":\"whole\","
                         "\"https://x.y/roles\":[\"r\"],\"t\":true,\"n\":5}");
    assert_int_equal(jwt_claim(text, SX_STR("a.b"), &f->arena, out, 4), 4);
    assert_true(sx_str_eq(out[1], SX_STR("1")));
    assert_int_equal(jwt_claim(text, SX_STR("a.c"), &f->arena, out, 4), 1);
    assert_true(sx_str_eq(out[0], SX_STR("z")));
    assert_int_equal(jwt_claim(text, SX_STR("https://x.y/roles"), &f->arena, out, 4), 1);
    assert_int_equal(jwt_claim(text, SX_STR("t"), &f->arena, out, 4), 1);
    assert_true(sx_str_eq(out[0], SX_STR("true")));
    assert_int_equal(jwt_claim(text, SX_STR("n"), &f->arena, out, 4), 1);
    assert_true(sx_str_eq(out[0], SX_STR("5")));
    assert_int_equal(jwt_claim(text, SX_STR("a.b"), &f->arena, out, 1), 1);
    assert_int_equal(jwt_claim(text, SX_STR("nothing.here"), &f->arena, out, 4), 0);
    text = SX_STR(
        "{\"g\":[{\"name\":\"x\",\"of\":[{\"id\":1},{\"id\":2}]},\"y\",{\"name\":\"z\"},[[7]]]}");
    assert_int_equal(jwt_claim(text, SX_STR("g.name"), &f->arena, out, 4), 2);
    assert_true(sx_str_eq(out[1], SX_STR("z")));
    assert_int_equal(jwt_claim(text, SX_STR("g.of.id"), &f->arena, out, 4), 2);
    assert_int_equal(jwt_claim(text, SX_STR("g"), &f->arena, out, 4), 2); /* "y" and 7 */
    sx_str deep = SX_STR("{\"g\":[[[[[[[[[[[[1]]]]]]]]]]]]}");
    assert_int_equal(jwt_claim(deep, SX_STR("g"), &f->arena, out, 4), 0);
}

static void test_without_memory_no_token_is_taken(void **state)
{
    fixture *f = *state;
    sx_str text = token(f, f->rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", GOOD);
    sx_str jwks =
        SX_STR("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"kid\":\"x\\u0041\"}]}");
    for (int64_t nth = 1, done = 0; !done; nth++) {
        sx_arena arena;
        sx_error err = {0};
        sx_str claims;
        jwt_keys *keys = NULL;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_arena_init(&arena, 0, 0);
        sx_status verified = jwt_verify(text, f->keys, &EXPECT, &arena, &claims, &err);
        sx_status parsed = jwt_keys_parse(jwks, &keys, &err);
        if (parsed == SX_OK)
            jwt_keys_free(keys);
        sx_arena_done(&arena);
        int64_t held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        done = verified == SX_OK && parsed == SX_OK;
        assert_true(done || verified != SX_OK || parsed == SX_ENOMEM);
    }
}

static void test_keys_cut_at_every_byte(void **state)
{
    (void)state;
    sx_str text = SX_STR("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}],\"x\":1}");
    sx_error err = {0};
    jwt_keys *keys = NULL;
    for (size_t i = 0; i < text.len; i++)
        assert_true(jwt_keys_parse(sx_str_first(text, i), &keys, &err) != SX_OK);
    assert_int_equal(jwt_keys_parse(text, &keys, &err), SX_OK);
    assert_int_equal(jwt_keys_count(keys), 0);
    jwt_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_algorithms_verify),
        cmocka_unit_test(test_algorithms_are_not_the_senders_choice),
        cmocka_unit_test(test_a_mac_with_the_public_key_is_no_signature),
        cmocka_unit_test(test_claims_that_are_not_for_us),
        cmocka_unit_test(test_cut_or_changed_at_every_byte),
        cmocka_unit_test(test_claims_are_found_by_their_paths),
        cmocka_unit_test(test_without_memory_no_token_is_taken),
        cmocka_unit_test(test_keys_cut_at_every_byte),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
