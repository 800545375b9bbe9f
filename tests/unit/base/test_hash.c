/* test_hash.c - hashes, checksums, random numbers, UUIDs. */
#include <sextant/hash.h>
#include <sextant/random.h>

#include <ctype.h>

#include "base/crc32c.h"
#include "tests/unit/base/cmocka_all.h"

/* RFC 3720, appendix B.4. */
static void test_crc32c_of_the_rfcs_examples(void **state)
{
    (void)state;
    unsigned char zeros[32] = {0}, ones[32], up[32], down[32];
    memset(ones, 0xff, sizeof(ones));
    for (int i = 0; i < 32; i++) {
        up[i] = (unsigned char)i;
        down[i] = (unsigned char)(31 - i);
    }
    assert_int_equal(sx_crc32c(0, zeros, 32), 0x8a9136aa);
    assert_int_equal(sx_crc32c(0, ones, 32), 0x62a8ab43);
    assert_int_equal(sx_crc32c(0, up, 32), 0x46dd794e);
    assert_int_equal(sx_crc32c(0, down, 32), 0x113fdb5c);
    assert_int_equal(sx_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(sx_crc32c(0, NULL, 0), 0);
}

static void test_crc32c_is_the_same_by_every_way_and_in_parts(void **state)
{
    (void)state;
    unsigned char data[300];
    sx_random r;
    sx_random_seed(&r, 1);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)sx_random_u64(&r);
    for (size_t len = 0; len < 64; len++) {
        for (size_t at = 0; at < 9; at++) {
            uint32_t whole = sx_crc32c(0, data + at, len);
            assert_int_equal(whole, sx_crc32c_portable(0, data + at, len));
            size_t cut = len / 3;
            uint32_t parts = sx_crc32c(sx_crc32c(0, data + at, cut), data + at + cut, len - cut);
            assert_int_equal(parts, whole);
        }
    }
    assert_int_equal(sx_crc32c(0, data, 300), sx_crc32c_portable(0, data, 300));
}

static void test_the_hash_is_xxh3(void **state)
{
    (void)state;
    /* The value of the empty input in the specification's implementation; it must never change,
     * since files carry hashes. */
    assert_true(sx_hash(SX_STR(""), 0) == 0x2d06800538d394c2u);
    assert_true(sx_hash(SX_STR("a"), 0) != sx_hash(SX_STR("a"), 1));
    assert_true(sx_hash(SX_STR("a"), 0) != sx_hash(SX_STR("b"), 0));
    assert_true(sx_hash_seed() == sx_hash_seed());
}

static void test_numbers_hash_without_visible_pattern(void **state)
{
    (void)state;
    /* Flip one bit of the input; every bit of the output must follow about half of the time. */
    for (int in = 0; in < 64; in++) {
        int flips[64] = {0};
        for (uint64_t value = 0; value < 512; value++) {
            uint64_t differ =
                sx_hash_u64(value * 4096, 7) ^ sx_hash_u64(value * 4096 ^ (uint64_t)1 << in, 7);
            for (int out = 0; out < 64; out++)
                flips[out] += (int)(differ >> out & 1);
        }
        for (int out = 0; out < 64; out++)
            assert_in_range(flips[out], 150, 362);
    }
}

static void test_a_seed_gives_the_same_numbers_again(void **state)
{
    (void)state;
    sx_random a, b;
    sx_random_seed(&a, 0);
    sx_random_seed(&b, 0);
    for (int i = 0; i < 100; i++)
        assert_true(sx_random_u64(&a) == sx_random_u64(&b));
    sx_random_seed(&b, 1);
    assert_true(sx_random_u64(&a) != sx_random_u64(&b));
    sx_random_init(&a);
    sx_random_init(&b);
    assert_true(sx_random_u64(&a) != sx_random_u64(&b));
}

static void test_random_numbers_keep_their_bounds_evenly(void **state)
{
    (void)state;
    sx_random r;
    sx_random_seed(&r, 3);
    int seen[10] = {0};
    for (int i = 0; i < 100000; i++) {
        seen[sx_random_below(&r, 10)]++;
        double d = sx_random_double(&r);
        assert_true(d >= 0 && d < 1);
        assert_int_equal(sx_random_below(&r, 1), 0);
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 9600, 10400);
    for (int i = 0; i < 100; i++)
        assert_true(sx_random_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void test_the_systems_bytes_differ(void **state)
{
    (void)state;
    unsigned char a[600], b[600];
    sx_error err = {0};
    assert_int_equal(sx_random_bytes(a, sizeof(a), &err), SX_OK);
    assert_int_equal(sx_random_bytes(b, sizeof(b), &err), SX_OK);
    assert_memory_not_equal(a, b, sizeof(a));
    assert_int_equal(sx_random_bytes(NULL, 0, &err), SX_OK);
}

static void test_a_uuid_has_the_form_of_version_7(void **state)
{
    (void)state;
    sx_fake_clock clock;
    sx_uuid_source source;
    char text[SX_UUID_BYTES];
    sx_fake_clock_init(&clock, 0x0123456789ab);
    sx_uuid_source_init(&source, &clock.clock);
    for (int n = 0; n < 1000; n++) {
        sx_uuid7(&source, text);
        assert_int_equal(strlen(text), 36);
        for (int i = 0; i < 36; i++) {
            bool dash = i == 8 || i == 13 || i == 18 || i == 23;
            assert_true(dash
                            ? text[i] == '-'
                            : isxdigit((unsigned char)text[i]) && !isupper((unsigned char)text[i]));
        }
        assert_memory_equal(text, "01234567-89ab-7", 15);
        assert_non_null(strchr("89ab", text[19]));
    }
}

static void test_uuids_grow_even_when_the_clock_does_not(void **state)
{
    (void)state;
    sx_fake_clock clock;
    sx_uuid_source source;
    char last[SX_UUID_BYTES] = "", text[SX_UUID_BYTES];
    sx_fake_clock_init(&clock, 1000000);
    sx_uuid_source_init(&source, &clock.clock);
    for (int n = 0; n < 20000; n++) {
        if (n % 5000 == 0)
            sx_fake_clock_jump(&clock, 1000000 - n); /* and falls */
        if (n == 10000)
            source.counter = (1u << 26) - 3; /* about to run over */
        if (n % 777 == 0)
            sx_fake_clock_advance(&clock, 1);
        sx_uuid7(&source, text);
        assert_true(strcmp(text, last) > 0);
        memcpy(last, text, sizeof(last));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_of_the_rfcs_examples),
        cmocka_unit_test(test_crc32c_is_the_same_by_every_way_and_in_parts),
        cmocka_unit_test(test_the_hash_is_xxh3),
        cmocka_unit_test(test_numbers_hash_without_visible_pattern),
        cmocka_unit_test(test_a_seed_gives_the_same_numbers_again),
        cmocka_unit_test(test_random_numbers_keep_their_bounds_evenly),
        cmocka_unit_test(test_the_systems_bytes_differ),
        cmocka_unit_test(test_a_uuid_has_the_form_of_version_7),
        cmocka_unit_test(test_uuids_grow_even_when_the_clock_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
