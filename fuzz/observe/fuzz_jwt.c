/* fuzz_jwt.c - an identity token and a key set from anybody. The input is both: keys, a newline, a token.
 *
 * Properties: a refusal has a message; nothing verifies that was not signed, and the fuzzer has no
 * private key, so nothing verifies; a key set that is taken has a bounded number of keys; claims that are
 * found lie within the text or the arena. */
#include <stdint.h>

#include "observe/auth/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const jwt_expect EXPECT = {.issuer = SX_STR_INIT("i"),
                                      .client = SX_STR_INIT("a"),
                                      .nonce = SX_STR_INIT("n"),
                                      .now_s = 1000,
                                      .skew_s = 60};
    sx_str text = sx_str_of(data, size), json, token, claims, found[4];
    jwt_keys *keys = NULL;
    sx_error err = {0};
    sx_arena arena;
    sx_arena_init(&arena, 0, 1 << 20);
    if (!sx_str_cut(text, '\n', &json, &token))
        token = json;
    size_t count = jwt_claim(token, SX_STR("a.b"), &arena, found, SX_COUNT_OF(found));
    sx_assert(count <= SX_COUNT_OF(found));
    for (size_t i = 0; i < count; i++)
        sx_assert(found[i].data);
    if (jwt_keys_parse(json, &keys, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0');
    } else {
        sx_assert(jwt_keys_count(keys) <= JWT_KEYS_MAX);
        sx_status status = jwt_verify(token, keys, &EXPECT, &arena, &claims, &err);
        sx_assert(status != SX_OK && err.message[0] != '\0');
        jwt_keys_free(keys);
    }
    sx_arena_done(&arena);
    return 0;
}
