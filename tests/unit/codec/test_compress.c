/* test_compress.c - every codec against itself, against damage, against bombs and against no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <unistd.h>

#include <sextant/compress.h>
#include <sextant/file.h>

#include "base/fault.h"
#include "codec/compress_record.h"

static const sx_codec ALL[] = {SX_CODEC_IDENTITY, SX_CODEC_GZIP,          SX_CODEC_ZLIB,
                               SX_CODEC_DEFLATE,  SX_CODEC_ZSTD,          SX_CODEC_BROTLI,
                               SX_CODEC_SNAPPY,   SX_CODEC_SNAPPY_FRAMED, SX_CODEC_BZIP2};

/* Text that compresses, with numbers that do not repeat. */
static sx_buf sample(size_t bytes)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    for (uint32_t i = 1; b.len < bytes; i++)
        sx_buf_printf(&b, "metric_%u{job=\"node\"} %u\n", i % 97, i * 2654435761u);
    b.len = bytes;
    assert_false(b.failed);
    return b;
}

static sx_buf packed(sx_codec codec, sx_str plain)
{
    sx_buf b;
    sx_error err = {0};
    sx_buf_init(&b, 0);
    if (sx_compress(codec, plain, SX_LEVEL_DEFAULT, &b, &err) != SX_OK)
        fail_msg("%s", err.message);
    return b;
}

/* Decodes in pieces of `step` input bytes and at most `room` output bytes a call. */
static sx_status unpack_in_steps(sx_codec codec, sx_str in, size_t step, size_t room, sx_buf *out,
                                 sx_error *err)
{
    sx_decoder *d = sx_decoder_new(codec, NULL, err);
    if (!d)
        return SX_ENOMEM;
    sx_status status = SX_OK;
    while (in.len && status == SX_OK) {
        sx_str piece = sx_str_first(in, step);
        in = sx_str_from(in, step);
        do {
            size_t before = out->len;
            status = sx_decoder_feed(d, &piece, out, room, err);
            assert_true(room == 0 || out->len - before <= room);
        } while (status == SX_AGAIN);
        assert_true(status != SX_OK || piece.len == 0);
    }
    while (status == SX_OK) {
        size_t before = out->len;
        status = sx_decoder_finish(d, out, room, err);
        assert_true(room == 0 || out->len - before <= room);
        if (status == SX_OK)
            break;
        if (status == SX_AGAIN)
            status = SX_OK;
    }
    assert_true(status != SX_OK || sx_decoder_out_bytes(d) == out->len);
    sx_decoder_free(d);
    return status;
}

static void test_what_is_packed_unpacks_equal(void **state)
{
    (void)state;
    static const size_t SIZES[] = {0, 1, 100, 65535, 65536, 65537, 300000};
    for (size_t c = 0; c < SX_COUNT_OF(ALL); c++) {
        for (size_t i = 0; i < SX_COUNT_OF(SIZES); i++) {
            sx_buf plain = sample(SIZES[i]), small = packed(ALL[c], sx_buf_view(&plain)), back;
            sx_error err = {0};
            sx_buf_init(&back, 0);
            assert_int_equal(sx_decompress(ALL[c], sx_buf_view(&small), 0, &back, &err), SX_OK);
            assert_true(sx_str_eq(sx_buf_view(&plain), sx_buf_view(&back)));
            sx_buf_done(&plain);
            sx_buf_done(&small);
            sx_buf_done(&back);
        }
    }
}

static void test_pieces_and_back_pressure_change_nothing(void **state)
{
    (void)state;
    static const size_t STEPS[] = {1, 7, 4096, SIZE_MAX}, ROOMS[] = {1, 13, 65536, 0};
    sx_buf plain = sample(70000);
    for (size_t c = 0; c < SX_COUNT_OF(ALL); c++) {
        sx_buf small = packed(ALL[c], sx_buf_view(&plain));
        for (size_t i = 0; i < SX_COUNT_OF(STEPS); i++) {
            for (size_t j = 0; j < SX_COUNT_OF(ROOMS); j++) {
                sx_buf back;
                sx_error err = {0};
                sx_buf_init(&back, 0);
                if (unpack_in_steps(ALL[c], sx_buf_view(&small), STEPS[i], ROOMS[j], &back, &err))
                    fail_msg("%s", err.message);
                assert_true(sx_str_eq(sx_buf_view(&plain), sx_buf_view(&back)));
                sx_buf_done(&back);
            }
        }
        sx_buf_done(&small);
    }
    sx_buf_done(&plain);
}

static void test_an_encoder_takes_pieces_flushes_and_serves_again(void **state)
{
    (void)state;
    sx_buf plain = sample(150000);
    for (size_t c = 0; c < SX_COUNT_OF(ALL); c++) {
        sx_error err = {0};
        sx_encoder *e = sx_encoder_new(ALL[c], NULL, &err);
        assert_non_null(e);
        for (int round = 0; round < 2; round++) {
            sx_buf small, back;
            sx_buf_init(&small, 0);
            sx_buf_init(&back, 0);
            sx_str rest = sx_buf_view(&plain);
            while (rest.len) {
                assert_int_equal(sx_encoder_feed(e, sx_str_first(rest, 9999), &small, &err), SX_OK);
                rest = sx_str_from(rest, 9999);
                if (rest.len % 5 == 0)
                    assert_int_equal(sx_encoder_flush(e, &small, &err), SX_OK);
            }
            assert_int_equal(sx_encoder_finish(e, &small, &err), SX_OK);
            assert_int_equal(sx_decompress(ALL[c], sx_buf_view(&small), 0, &back, &err), SX_OK);
            assert_true(sx_str_eq(sx_buf_view(&plain), sx_buf_view(&back)));
            sx_buf_done(&small);
            sx_buf_done(&back);
            assert_int_equal(sx_encoder_reset(e, &err), SX_OK);
        }
        sx_encoder_free(e);
    }
    sx_buf_done(&plain);
}

static void test_a_flush_makes_what_was_fed_readable(void **state)
{
    (void)state;
    for (size_t c = 0; c < SX_COUNT_OF(ALL); c++) {
        if (ALL[c] == SX_CODEC_SNAPPY || ALL[c] == SX_CODEC_BZIP2)
            continue; /* their formats have no such point */
        sx_error err = {0};
        sx_encoder *e = sx_encoder_new(ALL[c], NULL, &err);
        sx_decoder *d = sx_decoder_new(ALL[c], NULL, &err);
        sx_buf wire, text;
        sx_buf_init(&wire, 0);
        sx_buf_init(&text, 0);
        assert_int_equal(sx_encoder_feed(e, SX_STR("data: 1\n\n"), &wire, &err), SX_OK);
        assert_int_equal(sx_encoder_flush(e, &wire, &err), SX_OK);
        sx_str in = sx_buf_view(&wire);
        assert_int_equal(sx_decoder_feed(d, &in, &text, 0, &err), SX_OK);
        assert_true(sx_str_eq(sx_buf_view(&text), SX_STR("data: 1\n\n")));
        sx_encoder_free(e);
        sx_decoder_free(d);
        sx_buf_done(&wire);
        sx_buf_done(&text);
    }
}

static void test_cut_anywhere_is_an_error(void **state)
{
    (void)state;
    sx_buf plain = sample(3000);
    for (size_t c = 1; c < SX_COUNT_OF(ALL); c++) {
        sx_buf small = packed(ALL[c], sx_buf_view(&plain));
        for (size_t len = 0; len < small.len; len++) {
            sx_buf back;
            sx_error err = {0};
            sx_buf_init(&back, 0);
            sx_status status = sx_decompress(ALL[c], sx_str_of(small.data, len), 0, &back, &err);
            /* After its identifier a framed stream is whole, if empty. */
            if (ALL[c] == SX_CODEC_SNAPPY_FRAMED && len == 10)
                assert_int_equal(status, SX_OK);
            else
                assert_int_equal(status, SX_EFORMAT);
            assert_true(status == SX_OK || err.message[0]);
            sx_buf_done(&back);
        }
        sx_buf_done(&small);
    }
    sx_buf_done(&plain);
}

static void test_damage_never_gives_more_than_the_limit(void **state)
{
    (void)state;
    sx_buf plain = sample(2000);
    for (size_t c = 1; c < SX_COUNT_OF(ALL); c++) {
        sx_buf small = packed(ALL[c], sx_buf_view(&plain));
        for (size_t at = 0; at < small.len; at++) {
            sx_buf back;
            sx_error err = {0};
            sx_buf_init(&back, 0);
            small.data[at] = (char)(small.data[at] ^ (1 << at % 8));
            sx_status status = sx_decompress(ALL[c], sx_buf_view(&small), 4096, &back, &err);
            small.data[at] = (char)(small.data[at] ^ (1 << at % 8));
            assert_true(back.len <= 4096);
            assert_true(status == SX_OK || err.message[0]);
            sx_buf_done(&back);
        }
        sx_buf_done(&small);
    }
    sx_buf_done(&plain);
}

static void test_bytes_after_the_end_are_an_error(void **state)
{
    (void)state;
    for (size_t c = 1; c < SX_COUNT_OF(ALL); c++) {
        sx_buf small = packed(ALL[c], SX_STR("hello")), back;
        sx_error err = {0};
        sx_buf_init(&back, 0);
        sx_buf_str(&small, SX_STR("junk"));
        sx_status status = sx_decompress(ALL[c], sx_buf_view(&small), 0, &back, &err);
        assert_true(status == SX_EFORMAT || status == SX_EUNSUPPORTED);
        sx_buf_done(&small);
        sx_buf_done(&back);
    }
}

static void test_members_one_after_another_are_one_stream(void **state)
{
    (void)state;
    static const sx_codec MANY[] = {SX_CODEC_GZIP, SX_CODEC_ZSTD, SX_CODEC_BZIP2,
                                    SX_CODEC_SNAPPY_FRAMED};
    for (size_t c = 0; c < SX_COUNT_OF(MANY); c++) {
        sx_buf one = packed(MANY[c], SX_STR("hello, ")), two = packed(MANY[c], SX_STR("world"));
        sx_buf_str(&one, sx_buf_view(&two));
        for (size_t step = 1; step < 60; step += 29) {
            sx_buf back;
            sx_error err = {0};
            sx_buf_init(&back, 0);
            if (unpack_in_steps(MANY[c], sx_buf_view(&one), step, 3, &back, &err))
                fail_msg("%s", err.message);
            assert_true(sx_str_eq(sx_buf_view(&back), SX_STR("hello, world")));
            sx_buf_done(&back);
        }
        sx_buf_done(&one);
        sx_buf_done(&two);
    }
}

static void test_a_bomb_stops_at_the_limit_and_says_so(void **state)
{
    (void)state;
    sx_buf zeros;
    sx_buf_init(&zeros, 0);
    char *at = sx_buf_reserve(&zeros, 8 << 20);
    assert_non_null(at);
    memset(at, 0, 8 << 20);
    zeros.len = 8 << 20;
    for (size_t c = 0; c < SX_COUNT_OF(ALL); c++) {
        sx_buf small = packed(ALL[c], sx_buf_view(&zeros)), back;
        sx_error err = {0};
        sx_buf_init(&back, 0);
        assert_int_equal(sx_decompress(ALL[c], sx_buf_view(&small), 1 << 20, &back, &err),
                         SX_ELIMIT);
        assert_non_null(strstr(err.message, "limit of 1048576"));
        assert_int_equal(back.len, ALL[c] == SX_CODEC_SNAPPY ? 0 : 1 << 20);
        assert_true(back.cap <= 4 << 20);
        sx_buf_clear(&back);
        assert_int_equal(sx_decompress(ALL[c], sx_buf_view(&small), 8 << 20, &back, &err), SX_OK);
        sx_buf_done(&small);
        sx_buf_done(&back);
    }
    sx_buf_done(&zeros);
}

static void test_a_large_window_is_refused_unless_allowed(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_encoder *e = sx_encoder_new(SX_CODEC_ZSTD, &(sx_encoder_options){.window_log = 25}, &err);
    sx_buf plain = sample(200000), small, back;
    sx_buf_init(&small, 0);
    sx_buf_init(&back, 0);
    assert_int_equal(sx_encoder_feed(e, sx_buf_view(&plain), &small, &err), SX_OK);
    assert_int_equal(sx_encoder_finish(e, &small, &err), SX_OK);
    sx_encoder_free(e);
    assert_int_equal(sx_decompress(SX_CODEC_ZSTD, sx_buf_view(&small), 0, &back, &err), SX_ELIMIT);
    assert_non_null(strstr(err.message, "window"));

    sx_decoder *d =
        sx_decoder_new(SX_CODEC_ZSTD, &(sx_decoder_options){.window_log_max = 25}, &err);
    sx_str in = sx_buf_view(&small);
    assert_int_equal(sx_decoder_feed(d, &in, &back, 0, &err), SX_OK);
    assert_int_equal(sx_decoder_finish(d, &back, 0, &err), SX_OK);
    assert_true(sx_str_eq(sx_buf_view(&plain), sx_buf_view(&back)));
    sx_decoder_free(d);
    sx_buf_done(&plain);
    sx_buf_done(&small);
    sx_buf_done(&back);
}

static void test_a_failed_decoder_stays_failed_until_reset(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_buf out, small = packed(SX_CODEC_GZIP, SX_STR("hello"));
    sx_buf_init(&out, 0);
    sx_decoder *d = sx_decoder_new(SX_CODEC_GZIP, NULL, &err);
    sx_str in = SX_STR("this is no gzip");
    assert_int_equal(sx_decoder_feed(d, &in, &out, 0, &err), SX_EFORMAT);
    assert_non_null(strstr(err.message, "gzip data, byte "));
    in = sx_buf_view(&small);
    assert_int_equal(sx_decoder_feed(d, &in, &out, 0, &err), SX_EFORMAT);
    assert_int_equal(sx_decoder_finish(d, &out, 0, &err), SX_EFORMAT);
    assert_int_equal(sx_decoder_reset(d, &err), SX_OK);
    assert_int_equal(sx_decoder_feed(d, &in, &out, 0, &err), SX_OK);
    assert_int_equal(sx_decoder_finish(d, &out, 0, &err), SX_OK);
    assert_true(sx_str_eq(sx_buf_view(&out), SX_STR("hello")));
    sx_decoder_free(d);
    sx_buf_done(&small);
    sx_buf_done(&out);
}

static void test_framed_snappy_checks_and_skips(void **state)
{
    (void)state;
    /* Identifier, a skippable chunk of 3, padding of 0, then "abc" as it is with its checksum. */
    static const char GOOD[] = "\xff\x06\x00\x00sNaPpY\x80\x03\x00\x00xyz\xfe\x00\x00\x00"
                               "\x01\x07\x00\x00\x6e\x57\xf1\x21"
                               "abc";
    char bytes[sizeof(GOOD) - 1];
    memcpy(bytes, GOOD, sizeof(bytes));
    sx_error err = {0};
    sx_buf out;
    sx_buf_init(&out, 0);
    sx_status status =
        sx_decompress(SX_CODEC_SNAPPY_FRAMED, sx_str_of(bytes, sizeof(bytes)), 0, &out, &err);
    if (status != SX_OK)
        fail_msg("%s", err.message);
    assert_true(sx_str_eq(sx_buf_view(&out), SX_STR("abc")));
    bytes[sizeof(bytes) - 1] ^= 1;
    assert_int_equal(
        sx_decompress(SX_CODEC_SNAPPY_FRAMED, sx_str_of(bytes, sizeof(bytes)), 0, &out, &err),
        SX_EFORMAT);
    assert_non_null(strstr(err.message, "checksum"));
    bytes[10] = 0x02; /* reserved, and not to be skipped */
    assert_int_equal(
        sx_decompress(SX_CODEC_SNAPPY_FRAMED, sx_str_of(bytes, sizeof(bytes)), 0, &out, &err),
        SX_EUNSUPPORTED);
    sx_buf_done(&out);
}

static void test_a_snappy_block_cannot_claim_or_drag_on(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_buf out;
    sx_buf_init(&out, 0);
    /* A header of 4 GiB and nothing behind it allocates nothing. */
    assert_int_equal(sx_decompress(SX_CODEC_SNAPPY, SX_STR("\xff\xff\xff\xff\x0f"),
                                   SX_OUTPUT_UNLIMITED, &out, &err),
                     SX_EFORMAT);
    assert_int_equal(out.cap, 0);
    /* A header of 1 byte and a megabyte behind it is refused before it is all held. */
    sx_decoder *d = sx_decoder_new(SX_CODEC_SNAPPY, NULL, &err);
    char piece[100] = {1};
    sx_str in = sx_str_of(piece, sizeof(piece));
    assert_int_equal(sx_decoder_feed(d, &in, &out, 0, &err), SX_EFORMAT);
    assert_non_null(strstr(err.message, "longer"));
    sx_decoder_free(d);
    sx_buf_done(&out);
}

static void test_levels_have_bounds(void **state)
{
    (void)state;
    for (size_t c = 0; c < SX_COUNT_OF(ALL); c++) {
        int least, most;
        sx_error err = {0};
        sx_codec_levels(ALL[c], &least, &most);
        if (most == 0)
            continue;
        sx_encoder *low = sx_encoder_new(ALL[c], &(sx_encoder_options){.level = least}, &err);
        assert_non_null(low);
        sx_encoder_free(low);
        assert_null(sx_encoder_new(ALL[c], &(sx_encoder_options){.level = most + 1}, &err));
        assert_int_equal(err.status, SX_EINVAL);
        assert_null(sx_encoder_new(ALL[c], &(sx_encoder_options){.level = -1}, &err));
    }
    assert_null(sx_decoder_new(SX_CODEC_ZSTD, &(sx_decoder_options){.window_log_max = 32}, NULL));
    assert_null(sx_encoder_new(SX_CODEC_ZSTD, &(sx_encoder_options){.window_log = 9}, NULL));
    assert_null(sx_encoder_new(SX_CODEC_BROTLI, &(sx_encoder_options){.window_log = 25}, NULL));
    assert_null(sx_encoder_new(SX_CODEC_GZIP, &(sx_encoder_options){.window_log = 16}, NULL));
}

static void test_content_tells_the_codec(void **state)
{
    (void)state;
    for (size_t c = 0; c < SX_COUNT_OF(ALL); c++) {
        sx_buf small = packed(ALL[c], SX_STR("{\"id\": 1}"));
        sx_codec found = sx_codec_detect(sx_buf_view(&small));
        bool has_magic = ALL[c] == SX_CODEC_GZIP || ALL[c] == SX_CODEC_ZSTD ||
                         ALL[c] == SX_CODEC_BZIP2 || ALL[c] == SX_CODEC_SNAPPY_FRAMED;
        assert_int_equal(found, has_magic ? ALL[c] : SX_CODEC_IDENTITY);
        sx_buf_done(&small);
    }
    assert_int_equal(sx_codec_detect(SX_STR("")), SX_CODEC_IDENTITY);
    assert_int_equal(sx_codec_detect(SX_STR("BZh9 is a town")), SX_CODEC_IDENTITY);
}

static void test_accept_encoding(void **state)
{
    (void)state;
    static const sx_codec OFFERED[] = {SX_CODEC_ZSTD, SX_CODEC_BROTLI, SX_CODEC_GZIP};
    static const struct {
        const char *accept; /* NULL: no field */
        sx_status status;
        sx_codec chosen;
    } CASES[] = {
        {NULL, SX_OK, SX_CODEC_IDENTITY},
        {"", SX_OK, SX_CODEC_IDENTITY},
        {"gzip", SX_OK, SX_CODEC_GZIP},
        {"X-GZIP", SX_OK, SX_CODEC_GZIP},
        {"gzip, deflate, br, zstd", SX_OK, SX_CODEC_ZSTD},
        {"gzip;q=1.0, br;q=0.5", SX_OK, SX_CODEC_GZIP},
        {"gzip;q=0.5, br;q=0.501", SX_OK, SX_CODEC_BROTLI},
        {"br;q=0, gzip", SX_OK, SX_CODEC_GZIP},
        {"*", SX_OK, SX_CODEC_ZSTD},
        {"*;q=0.1, gzip", SX_OK, SX_CODEC_GZIP},
        {"zstd;q=0, *", SX_OK, SX_CODEC_BROTLI},
        {"identity", SX_OK, SX_CODEC_IDENTITY},
        {"identity, gzip;q=0.5", SX_OK, SX_CODEC_IDENTITY},
        {"identity;q=0.5, gzip", SX_OK, SX_CODEC_GZIP},
        {"identity, gzip", SX_OK, SX_CODEC_GZIP},
        {"gzip;q=0.001", SX_OK, SX_CODEC_GZIP},
        {"identity;q=0", SX_ENOTFOUND, SX_CODEC_IDENTITY},
        {"*;q=0", SX_ENOTFOUND, SX_CODEC_IDENTITY},
        {"*;q=0, identity", SX_OK, SX_CODEC_IDENTITY},
        {"identity;q=0, gzip", SX_OK, SX_CODEC_GZIP},
        {"gzip;q=2", SX_OK, SX_CODEC_IDENTITY},      /* no such q: as if absent */
        {"gzip;q=0.1234", SX_OK, SX_CODEC_IDENTITY}, /* the same */
        {"gzip;q=", SX_OK, SX_CODEC_IDENTITY},
        {"gzip ; Q=0.8 , br ;q=0.9", SX_OK, SX_CODEC_BROTLI},
        {"compress, exi, ,;,=;q=1", SX_OK, SX_CODEC_IDENTITY},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_codec chosen = SX_CODECS;
        sx_status status =
            sx_codec_negotiate(sx_str_z(CASES[i].accept), OFFERED, SX_COUNT_OF(OFFERED), &chosen);
        if (status != CASES[i].status || chosen != CASES[i].chosen)
            fail_msg("'%s' gave %s, %s", CASES[i].accept, sx_status_name(status),
                     sx_codec_name(chosen));
    }
}

static void test_coding_names_go_both_ways(void **state)
{
    (void)state;
    sx_codec codec;
    for (size_t c = 0; c < SX_COUNT_OF(ALL); c++) {
        if (sx_codec_coding(ALL[c]).len == 0)
            continue;
        assert_true(sx_codec_of_coding(sx_codec_coding(ALL[c]), &codec));
        assert_int_equal(codec, ALL[c]);
    }
    assert_true(sx_codec_of_coding(SX_STR("Deflate"), &codec));
    assert_int_equal(codec, SX_CODEC_ZLIB);
    assert_false(sx_codec_of_coding(SX_STR(""), &codec));
    assert_false(sx_codec_of_coding(SX_STR("raw deflate"), &codec));
}

/* Packs and unpacks as a service would; what the n-th failure makes of it must be SX_ENOMEM. */
static sx_status round_trip(sx_codec codec, sx_str plain)
{
    sx_buf small, back;
    sx_error err = {0};
    sx_buf_init(&small, 0);
    sx_buf_init(&back, 0);
    sx_status status = sx_compress(codec, plain, SX_LEVEL_DEFAULT, &small, &err);
    if (status == SX_OK)
        status = unpack_in_steps(codec, sx_buf_view(&small), 1000, 5000, &back, &err);
    if (status == SX_OK)
        status = sx_decompress(codec, sx_buf_view(&small), 0, &back, NULL);
    sx_buf_done(&small);
    sx_buf_done(&back);
    return status;
}

static void test_every_failing_allocation_is_reported(void **state)
{
    (void)state;
    sx_buf plain = sample(20000);
    for (size_t c = 0; c < SX_COUNT_OF(ALL); c++) {
        for (int64_t n = 1;; n++) {
            sx_fault_alloc_set((sx_fault_alloc){.nth = n});
            sx_status status = round_trip(ALL[c], sx_buf_view(&plain));
            int64_t calls = sx_fault_alloc_calls(), held = sx_fault_alloc_held();
            sx_fault_alloc_set((sx_fault_alloc){0});
            assert_int_equal(held, 0);
            assert_int_equal(status, calls < n ? SX_OK : SX_ENOMEM);
            if (calls < n)
                break;
        }
    }
    sx_buf_done(&plain);
}

static void write_file(const char *path, sx_str bytes)
{
    assert_int_equal(sx_file_replace(path, bytes, NULL), SX_OK);
}

static void test_a_file_is_read_whatever_it_is_packed_with(void **state)
{
    (void)state;
    static const sx_codec KINDS[] = {SX_CODEC_IDENTITY, SX_CODEC_GZIP, SX_CODEC_ZSTD,
                                     SX_CODEC_BZIP2, SX_CODEC_SNAPPY_FRAMED};
    static const size_t SIZES[] = {0, 5, 300000}, CHUNKS[] = {1, 4096, 0};
    char path[] = "/tmp/sx-packed-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < SX_COUNT_OF(KINDS) * SX_COUNT_OF(SIZES) * SX_COUNT_OF(CHUNKS); i++) {
        sx_codec kind = KINDS[i % 5];
        sx_buf plain = sample(SIZES[i / 5 % 3]), small = packed(kind, sx_buf_view(&plain)), back;
        sx_packed_file_options options = {.chunk_bytes = CHUNKS[i / 15]};
        sx_error err = {0};
        sx_str chunk;
        sx_buf_init(&back, 0);
        write_file(path, sx_buf_view(&small));
        sx_packed_file *f = sx_packed_file_open(path, &options, &err);
        assert_non_null(f);
        assert_int_equal(sx_packed_file_codec(f), kind);
        assert_int_equal(sx_packed_file_size(f), small.len);
        sx_status status;
        while ((status = sx_packed_file_read(f, &chunk, &err)) == SX_OK) {
            assert_true(chunk.len > 0 &&
                        (!options.chunk_bytes || chunk.len <= options.chunk_bytes));
            sx_buf_str(&back, chunk);
        }
        assert_int_equal(status, SX_END);
        assert_int_equal(sx_packed_file_read(f, &chunk, &err), SX_END);
        assert_int_equal(sx_packed_file_taken(f), small.len);
        assert_true(sx_str_eq(sx_buf_view(&plain), sx_buf_view(&back)));
        sx_packed_file_close(f);
        sx_buf_done(&plain);
        sx_buf_done(&small);
        sx_buf_done(&back);
    }
    unlink(path);
}

static void test_a_damaged_or_missing_file_is_named(void **state)
{
    (void)state;
    char path[] = "/tmp/sx-packed-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    sx_buf plain = sample(50000), small = packed(SX_CODEC_GZIP, sx_buf_view(&plain));
    sx_error err = {0};
    sx_str chunk;
    write_file(path, sx_str_of(small.data, small.len - 1));
    sx_packed_file *f = sx_packed_file_open(path, NULL, &err);
    assert_non_null(f);
    sx_status status;
    while ((status = sx_packed_file_read(f, &chunk, &err)) == SX_OK)
        assert_true(chunk.len > 0);
    assert_int_equal(status, SX_EFORMAT);
    assert_true(sx_str_starts(sx_str_z(err.message), sx_str_z(path)));
    assert_non_null(strstr(err.message, "cut short"));
    assert_int_equal(sx_packed_file_read(f, &chunk, &err), SX_EFORMAT);
    sx_packed_file_close(f);

    f = sx_packed_file_open(path, &(sx_packed_file_options){.output_bytes_max = 100}, &err);
    assert_int_equal(sx_packed_file_read(f, &chunk, &err), SX_ELIMIT);
    sx_packed_file_close(f);
    unlink(path);
    assert_null(sx_packed_file_open(path, NULL, &err));
    assert_int_equal(err.status, SX_ENOTFOUND);
    assert_null(sx_packed_file_open("/tmp", NULL, &err));
    assert_int_equal(err.status, SX_EIO);
    for (int64_t n = 1;; n++) {
        write_file(path, sx_buf_view(&small));
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        f = sx_packed_file_open(path, NULL, &err);
        status = SX_ENOMEM;
        while (f && (status = sx_packed_file_read(f, &chunk, &err)) == SX_OK)
            ;
        sx_packed_file_close(f);
        int64_t calls = sx_fault_alloc_calls(), held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        assert_int_equal(status, calls < n ? SX_END : SX_ENOMEM);
        if (calls < n)
            break;
    }
    unlink(path);
    sx_buf_done(&plain);
    sx_buf_done(&small);
}

/* What other programs write, byte for byte: made once with their command-line tools. */
static void test_foreign_streams(void **state)
{
    (void)state;
    static const struct {
        sx_codec codec;
        sx_str packed;
    } CASES[] = {
        /* gzip -9 with a file name */
        {SX_CODEC_GZIP, SX_STR_INIT("\x1f\x8b\x08\x08\x00\x00\x00\x00\x02\x03"
                                    "a\x00\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00"
                                    "\x00")},
        /* Python's zlib.compress */
        {SX_CODEC_ZLIB, SX_STR_INIT("\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15")},
        /* Python's bz2.compress */
        {SX_CODEC_BZIP2,
         SX_STR_INIT("BZh91AY&SY\x19\x31\x65\x3d\x00\x00\x00\x81\x00\x02\x44\xa0\x00\x21\x9a\x68"
                     "\x33\x4d\x07\x33\x8b\xb9\x22\x9c\x28\x48\x0c\x98\xb2\x9e\x80")},
        /* a stored brotli meta-block, by hand from RFC 7932 section 9.2 */
        {SX_CODEC_BROTLI, SX_STR_INIT("\x0b\x02\x80hello\x03")},
        /* a snappy literal */
        {SX_CODEC_SNAPPY, SX_STR_INIT("\x05\x10hello")},
        /* a zstd frame of one raw block, single segment, by hand from RFC 8878 section 3.1 */
        {SX_CODEC_ZSTD, SX_STR_INIT("\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello")},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_buf out;
        sx_error err = {0};
        sx_buf_init(&out, 0);
        if (sx_decompress(CASES[i].codec, CASES[i].packed, 0, &out, &err) != SX_OK)
            fail_msg("%s", err.message);
        assert_true(sx_str_eq(sx_buf_view(&out), SX_STR("hello")));
        sx_buf_done(&out);
    }
}

static void test_records_are_packed_one_by_one(void **state)
{
    (void)state;
    codec_records r = {0};
    sx_buf in = sample(40000), packed_one, plain;
    sx_error err = {0};
    sx_buf_init(&packed_one, 0);
    sx_buf_init(&plain, 0);
    for (size_t len = 0; len <= in.len; len += len < 300 ? 1 : 9931) {
        sx_str one = sx_str_of(in.data, len);
        sx_buf_clear(&packed_one);
        sx_buf_clear(&plain);
        assert_int_equal(codec_records_pack(&r, one, &packed_one, &err), SX_OK);
        sx_str packed_view = sx_buf_view(&packed_one);
        assert_int_equal(codec_records_unpack(&r, packed_view, len, &plain, &err), SX_OK);
        assert_true(sx_str_eq(sx_buf_view(&plain), one));
        if (len)
            assert_int_equal(codec_records_unpack(&r, packed_view, len - 1, &plain, &err),
                             SX_ELIMIT);
        for (size_t cut = 0; cut < packed_view.len; cut += 1 + cut / 16)
            assert_int_equal(
                codec_records_unpack(&r, sx_str_of(packed_view.data, cut), len, &plain, &err),
                SX_EFORMAT);
    }
    /* A writer that does not know the size beforehand leaves it out. */
    sx_encoder *e = sx_encoder_new(SX_CODEC_ZSTD, NULL, &err);
    sx_buf_clear(&packed_one);
    sx_buf_clear(&plain);
    assert_int_equal(sx_encoder_feed(e, sx_buf_view(&in), &packed_one, &err), SX_OK);
    assert_int_equal(sx_encoder_finish(e, &packed_one, &err), SX_OK);
    assert_int_equal(codec_records_unpack(&r, sx_buf_view(&packed_one), in.len, &plain, &err),
                     SX_OK);
    assert_true(sx_str_eq(sx_buf_view(&plain), sx_buf_view(&in)));
    sx_encoder_free(e);
    codec_records_done(&r);
    sx_buf_done(&in);
    sx_buf_done(&packed_one);
    sx_buf_done(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_packed_unpacks_equal),
        cmocka_unit_test(test_pieces_and_back_pressure_change_nothing),
        cmocka_unit_test(test_an_encoder_takes_pieces_flushes_and_serves_again),
        cmocka_unit_test(test_a_flush_makes_what_was_fed_readable),
        cmocka_unit_test(test_cut_anywhere_is_an_error),
        cmocka_unit_test(test_damage_never_gives_more_than_the_limit),
        cmocka_unit_test(test_bytes_after_the_end_are_an_error),
        cmocka_unit_test(test_members_one_after_another_are_one_stream),
        cmocka_unit_test(test_a_bomb_stops_at_the_limit_and_says_so),
        cmocka_unit_test(test_a_large_window_is_refused_unless_allowed),
        cmocka_unit_test(test_a_failed_decoder_stays_failed_until_reset),
        cmocka_unit_test(test_framed_snappy_checks_and_skips),
        cmocka_unit_test(test_a_snappy_block_cannot_claim_or_drag_on),
        cmocka_unit_test(test_levels_have_bounds),
        cmocka_unit_test(test_content_tells_the_codec),
        cmocka_unit_test(test_accept_encoding),
        cmocka_unit_test(test_coding_names_go_both_ways),
        cmocka_unit_test(test_every_failing_allocation_is_reported),
        cmocka_unit_test(test_a_file_is_read_whatever_it_is_packed_with),
        cmocka_unit_test(test_a_damaged_or_missing_file_is_named),
        cmocka_unit_test(test_foreign_streams),
        cmocka_unit_test(test_records_are_packed_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
