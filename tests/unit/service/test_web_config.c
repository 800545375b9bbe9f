/* Tests of web_config.h: what the file may say, what is refused and where, and promtool's opinion. */
#include <sextant/web_config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "service/web_auth.h"

#define HASH "$2y$04$QFPMsjNt6WOn/3YCuW4yDO.sndMwqVTZLhNIdkL3DKzTePDhsBo1."

static sx_web_config *read_right(const char *text)
{
    sx_web_config *c;
    sx_error err = {0};
    if (sx_web_config_parse(sx_str_z(text), "/etc/web/web.yml", &c, &err))
        fail_msg("%s", err.message);
    return c;
}

static void test_everything_that_a_file_may_say(void **state)
{
    (void)state;
    sx_web_config *c = read_right("tls_server_config:\n"
                                  "  cert_file: server.crt\n"
                                  "  key_file: /keys/server.key\n"
                                  "  client_auth_type: RequireAndVerifyClientCert\n"
                                  "  client_ca_file: ca.crt\n"
                                  "  client_allowed_sans: [a.example, 'spiffe://b']\n"
                                  "  min_version: TLS12\n"
                                  "  max_version: TLS13\n"
                                  "  cipher_suites:\n"
                                  "    - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n"
                                  "    - TLS_AES_128_GCM_SHA256\n"
                                  "    - TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\n"
                                  "  curve_preferences: [X25519, CurveP256]\n"
                                  "  prefer_server_cipher_suites: false\n"
                                  "http_server_config:\n"
                                  "  http2: false\n"
                                  "  headers:\n"
                                  "    X-Frame-Options: deny\n"
                                  "    Content-Security-Policy: default-src 'self'\n"
                                  "rate_limit: {interval: 1m2.5ms, burst: 7}\n"
                                  "basic_auth_users:\n"
                                  "  alice: " HASH "\n"
                                  "bearer_tokens:\n"
                                  "  ci: 0123456789abcdef\n"
                                  "  cd: sha256:"
                                  "9F9F5111F7B27A781F1F1DDDE5EBC2DD2B796BFC7365C9C28B548E564176929F"
                                  "\n");
    assert_true(c->tls);
    assert_int_equal(c->rate_interval_ns, 60002500000);
    assert_int_equal(c->rate_burst, 7);
    assert_string_equal(c->certificate.chain_file, "/etc/web/server.crt");
    assert_string_equal(c->certificate.key_file, "/keys/server.key");
    assert_string_equal(c->tls_options.client_ca_file, "/etc/web/ca.crt");
    assert_int_equal(c->tls_options.verify, SX_TLS_VERIFY_REQUIRED);
    assert_int_equal(c->tls_options.client_name_count, 2);
    assert_string_equal(c->tls_options.client_names[1], "spiffe://b");
    assert_int_equal(c->tls_options.version_min, SX_TLS_1_2);
    assert_int_equal(c->tls_options.version_max, SX_TLS_1_3);
    assert_string_equal(c->tls_options.ciphers,
                        "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384");
    assert_string_equal(c->tls_options.groups, "X25519:P-256");
    assert_true(c->tls_options.client_order);
    assert_false(c->http2);
    assert_false(c->tls_options.http2);
    assert_int_equal(c->header_count, 2);
    assert_true(sx_str_eq(c->headers[1].value, SX_STR("default-src 'self'")));
    assert_int_equal(c->user_count, 1);
    assert_true(sx_str_eq(c->users[0].name, SX_STR("alice")));
    assert_int_equal(c->token_count, 2);
    /* The second is the digest of the first's text. */
    assert_memory_equal(c->tokens[0].sha256, c->tokens[1].sha256, 32);
    sx_web_config_free(c);
}

static void test_an_empty_file_protects_nothing_and_is_right(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {"", "# nothing\n", "---\n", "tls_server_config:\n",
                                        "tls_server_config: {}\nbasic_auth_users: {}\n"};
    for (size_t i = 0; i < SX_COUNT_OF(TEXTS); i++) {
        sx_web_config *c = read_right(TEXTS[i]);
        assert_false(c->tls);
        assert_true(c->http2);
        assert_int_equal(c->user_count, 0);
        sx_web_config_free(c);
    }
}

static void test_all_five_ways_to_ask_for_a_certificate(void **state)
{
    (void)state;
    static const struct {
        const char *word, *more;
        sx_tls_verify verify;
    } WAYS[] = {
        {"NoClientCert", "", SX_TLS_VERIFY_NONE},
        {"RequestClientCert", "", SX_TLS_VERIFY_ASK},
        {"RequireAnyClientCert", "", SX_TLS_VERIFY_ANY},
        {"RequireClientCert", "", SX_TLS_VERIFY_ANY},
        {"VerifyClientCertIfGiven", "  client_ca_file: c\n", SX_TLS_VERIFY_OPTIONAL},
        {"RequireAndVerifyClientCert", "  client_ca_file: c\n", SX_TLS_VERIFY_REQUIRED},
    };
    for (size_t i = 0; i < SX_COUNT_OF(WAYS); i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "tls_server_config:\n  cert_file: a\n  key_file: b\n  client_auth_type: %s\n%s",
                 WAYS[i].word, WAYS[i].more);
        sx_web_config *c = read_right(text);
        assert_int_equal(c->tls_options.verify, WAYS[i].verify);
        sx_web_config_free(c);
    }
}

static void test_what_is_wrong_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } WRONG[] = {
        {"tls_config: {}\n", "web.yml:1:1: "},
        {"tls_server_config:\n  certfile: a\n", "web.yml:2:3: "},
        {"tls_server_config:\n  cert_file: a\n", "both cert_file and key_file"},
        {"tls_server_config:\n  cert_file: a\n  key_file: b\n  client_auth_type: Maybe\n",
         "web.yml:4:21: "},
        {"tls_server_config:\n  cert_file: a\n  key_file: b\n  client_ca_file: c\n",
         "without a client_auth_type"},
        {"tls_server_config:\n  cert_file: a\n  key_file: b\n"
         "  client_auth_type: RequireAndVerifyClientCert\n",
         "needs a client_ca_file"},
        {"tls_server_config:\n  cert_file: a\n  key_file: b\n  client_allowed_sans: [x]\n",
         "client_allowed_sans"},
        {"tls_server_config:\n  cert_file: a\n  key_file: b\n  min_version: TLS14\n",
         "\"TLS14\" is none of TLS10, TLS11, TLS12, TLS13"},
        {"tls_server_config:\n  cert_file: a\n  key_file: b\n  min_version: TLS13\n"
         "  max_version: TLS12\n",
         "above max_version"},
        {"tls_server_config:\n  cert_file: a\n  key_file: b\n  cipher_suites: [RC4]\n", "RC4"},
        {"tls_server_config:\n  cert_file: a\n  key_file: b\n  curve_preferences: X25519\n",
         "expected a list"},
        {"tls_server_config:\n  cert: |\n    x\n  key_file: b\n", "is not supported"},
        {"http_server_config:\n  http2: maybe\n", "web.yml:2:10: "},
        {"http_server_config:\n  headers: {Server: x}\n", "cannot be configured here"},
        {"http_server_config:\n  headers: {X-Frame-Options: allow}\n",
         "must be deny or sameorigin"},
        {"basic_auth_users:\n  alice: secret\n", "not a bcrypt hash"},
        {"basic_auth_users:\n  'a:b': " HASH "\n", "cannot have ':'"},
        {"basic_auth_users: [alice]\n", "expected a mapping"},
        {"bearer_tokens:\n  ci: short\n", "at least 16 characters"},
        {"bearer_tokens:\n  ci: sha256:12\n", "64 hexadecimal digits"},
        {"rate_limit: {interval: 5, burst: 1}\n", "write a time as 10ms"},
        {"rate_limit: {interval: 50000h, burst: 1}\n", "at most 49 days"},
        {"rate_limit: {interval: 1s}\n", "burst must be at least 1"},
        {"rate_limit: {interval: 1s, burst: -1}\n", "web.yml:1:"},
        {"rate_limit: {every: 1s}\n", "web.yml:1:"},
        {"a: [\n", "web.yml:"},
        {"{}\n---\n{}\n", "second document"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(WRONG); i++) {
        sx_web_config *c = NULL;
        sx_error err = {0};
        assert_int_not_equal(
            sx_web_config_parse(sx_str_z(WRONG[i].text), "/etc/web/web.yml", &c, &err), SX_OK);
        if (!strstr(err.message, WRONG[i].says) || !strstr(err.message, "/etc/web/web.yml:"))
            fail_msg("%s\nsaid '%s'", WRONG[i].text, err.message);
        assert_int_not_equal(sx_web_config_parse(sx_str_z(WRONG[i].text), "w", &c, NULL), SX_OK);
    }
}

/* What promtool accepts must load here: the same files are given to both. */
static void test_promtool_accepts_what_we_accept(void **state)
{
    (void)state;
    static const char *const FILES[] = {
        "basic_auth_users:\n  alice: " HASH "\n  bob: " HASH "\n",
        "http_server_config:\n  http2: true\n  headers:\n    X-Frame-Options: sameorigin\n"
        "    X-Content-Type-Options: nosniff\n    X-XSS-Protection: '1'\n"
        "    Strict-Transport-Security: max-age=1\n",
        "http_server_config:\n  http2: false\nbasic_auth_users:\n  alice: " HASH "\n",
        "",
    };
    if (access("/usr/bin/promtool", X_OK) != 0)
        skip();
    for (size_t i = 0; i < SX_COUNT_OF(FILES); i++) {
        char path[] = "/tmp/sx-web-config-XXXXXX", command[96];
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, FILES[i], strlen(FILES[i])), strlen(FILES[i]));
        close(fd);
        snprintf(command, sizeof(command), "promtool check web-config %s >/dev/null 2>&1", path);
        int said = system(command);
        sx_web_config *c = NULL;
        sx_error err = {0};
        if (sx_web_config_load(path, &c, &err))
            fail_msg("%s", err.message);
        sx_web_config_free(c);
        unlink(path);
        assert_int_equal(said, 0);
    }
}

static void test_a_missing_file_is_named(void **state)
{
    (void)state;
    sx_web_config *c;
    sx_error err = {0};
    assert_int_equal(sx_web_config_load("/nowhere/web.yml", &c, &err), SX_ENOTFOUND);
    assert_non_null(strstr(err.message, "/nowhere/web.yml"));
}

static void test_every_cut_and_every_failed_allocation_is_survived(void **state)
{
    (void)state;
    static const char TEXT[] =
        "tls_server_config: {cert_file: a, key_file: b, min_version: TLS12,\n"
        "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]}\n"
        "http_server_config: {headers: {X-Frame-Options: deny}}\n"
        "basic_auth_users: {alice: " HASH "}\n"
        "bearer_tokens: {ci: 0123456789abcdef}\n";
    for (size_t len = 0; len < sizeof(TEXT); len++) {
        sx_web_config *c = NULL;
        sx_error err = {0};
        if (sx_web_config_parse(sx_str_of(TEXT, len), "w.yml", &c, &err) == SX_OK)
            sx_web_config_free(c);
        else
            assert_true(err.message[0] != '\0');
    }
    for (int64_t n = 1;; n++) {
        sx_web_config *c = NULL;
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status status = sx_web_config_parse(sx_str_z(TEXT), "w.yml", &c, &err);
        bool reached = sx_fault_alloc_calls() >= n;
        sx_web_config_free(c);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (!reached)
            break;
        assert_int_equal(status, SX_ENOMEM);
    }
}

static void test_bcrypt_of_all_three_prefixes(void **state)
{
    (void)state;
    /* The hashes of "correct horse", by htpasswd's $2y$; $2a$ and $2b$ are the same computation. */
    char hash[] = HASH;
    assert_true(sx_bcrypt_matches(sx_str_z(hash), SX_STR("correct horse")));
    assert_false(sx_bcrypt_matches(sx_str_z(hash), SX_STR("correct horsf")));
    assert_false(sx_bcrypt_matches(sx_str_z(hash), SX_STR("")));
    assert_false(sx_bcrypt_matches(sx_str_z(hash), SX_STR("correct horse\0")));
    for (const char *p = "ab"; *p; p++) {
        hash[2] = *p;
        assert_true(sx_bcrypt_matches(sx_str_z(hash), SX_STR("correct horse")));
    }
    assert_false(sx_bcrypt_matches(SX_STR("$2y$04$short"), SX_STR("correct horse")));
    static char longest[4096];
    memset(longest, 'x', sizeof(longest));
    assert_false(sx_bcrypt_matches(sx_str_z(hash), sx_str_of(longest, sizeof(longest))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_that_a_file_may_say),
        cmocka_unit_test(test_an_empty_file_protects_nothing_and_is_right),
        cmocka_unit_test(test_all_five_ways_to_ask_for_a_certificate),
        cmocka_unit_test(test_what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(test_promtool_accepts_what_we_accept),
        cmocka_unit_test(test_a_missing_file_is_named),
        cmocka_unit_test(test_every_cut_and_every_failed_allocation_is_survived),
        cmocka_unit_test(test_bcrypt_of_all_three_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
