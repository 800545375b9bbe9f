/* bench_base.c - nanoseconds of the ground floor's hot paths. One line a figure: name, value, unit.
 * The least of several rounds is printed, which is what the code costs when nobody disturbs it. */
#include <stdio.h>
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/map.h>
#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/random.h>
#include <sextant/regex.h>
#include <sextant/ring.h>
#include <sextant/timer.h>
#include <sextant/utf8.h>

#include "base/heap_profile.h"

enum { ROUNDS = 7, KEYS = 4096, CALLS = 1 << 20, TEXT_BYTES = 1 << 16 };

/* What the cases work on, made once before any is timed. */
typedef struct bench {
    sx_random random;
    sx_map map;
    sx_map64 map64;
    sx_str keys[KEYS];
    char key_text[KEYS][24];
    sx_timers timers;
    sx_timer timer[KEYS];
    sx_ring ring;
    sx_uuid_source uuids;
    double coordinates[KEYS], scores[KEYS];
    char coordinate_text[KEYS][SX_DOUBLE_BYTES], score_text[KEYS][SX_DOUBLE_BYTES];
    char ascii[TEXT_BYTES], french[TEXT_BYTES];
    sx_regex *literal, *prefix, *contains, *set, *class;
    uint64_t sink; /* results go here, so that no compiler drops the work */
} bench;

static void do_map_find(bench *b, size_t i)
{
    b->sink += sx_map_find(&b->map, b->keys[i % KEYS])->u64;
}

static void do_map64_find(bench *b, size_t i)
{
    b->sink += sx_map64_find(&b->map64, i % KEYS)->u64;
}

static void do_timer_restart(bench *b, size_t i)
{
    sx_timer_start(&b->timers, &b->timer[i % KEYS], 5000 + (int64_t)(i & 1023));
}

static void do_ring(bench *b, size_t i)
{
    b->sink += sx_ring_push(&b->ring, &b->keys[i % KEYS]);
    b->sink += (uintptr_t)sx_ring_pop(&b->ring);
}

/* What malloc and free themselves cost, for the difference. */
static void do_malloc_free(bench *b, size_t i)
{
    void *block = malloc(64 + (i & 255));
    b->sink += (uintptr_t)block;
    free(block);
}

static void do_alloc_free(bench *b, size_t i)
{
    void *block = sx_alloc(64 + (i & 255));
    b->sink += (uintptr_t)block;
    sx_free(block);
}

/* The same while the heap is sampled; turned off again by the last call. */
static void do_alloc_free_sampled(bench *b, size_t i)
{
    if (i == 0)
        sx_heap_profile_set(512 * 1024);
    do_alloc_free(b, i);
    if (i == CALLS - 1)
        sx_heap_profile_set(0);
}

static void do_hash_16(bench *b, size_t i)
{
    b->sink += sx_hash(b->keys[i % KEYS], 1);
}

static void do_crc_64k(bench *b, size_t i)
{
    b->sink += sx_crc32c((uint32_t)i, b->ascii, TEXT_BYTES);
}

static void do_random(bench *b, size_t i)
{
    (void)i;
    b->sink += sx_random_u64(&b->random);
}

static void do_uuid(bench *b, size_t i)
{
    char text[SX_UUID_BYTES];
    (void)i;
    sx_uuid7(&b->uuids, text);
    b->sink += (unsigned char)text[35];
}

static void do_parse_coordinate(bench *b, size_t i)
{
    double value;
    b->sink += sx_double_parse(sx_str_z(b->coordinate_text[i % KEYS]), &value);
}

static void do_parse_score(bench *b, size_t i)
{
    double value;
    b->sink += sx_double_parse(sx_str_z(b->score_text[i % KEYS]), &value);
}

static void do_format_coordinate(bench *b, size_t i)
{
    char text[SX_DOUBLE_BYTES];
    b->sink += sx_double_format(b->coordinates[i % KEYS], SX_DOUBLE_PYTHON, text);
}

static void do_format_score(bench *b, size_t i)
{
    char text[SX_DOUBLE_BYTES];
    b->sink += sx_double_format(b->scores[i % KEYS], SX_DOUBLE_PYTHON, text);
}

static void do_utf8_ascii(bench *b, size_t i)
{
    (void)i;
    b->sink += sx_utf8_valid(sx_str_of(b->ascii, TEXT_BYTES));
}

static void do_utf8_french(bench *b, size_t i)
{
    (void)i;
    b->sink += sx_utf8_valid_len(sx_str_of(b->french, TEXT_BYTES));
}

static void do_regex_literal(bench *b, size_t i)
{
    b->sink += sx_regex_match(b->literal, b->keys[i % KEYS]);
}

static void do_regex_prefix(bench *b, size_t i)
{
    b->sink += sx_regex_match(b->prefix, b->keys[i % KEYS]);
}

static void do_regex_contains(bench *b, size_t i)
{
    b->sink += sx_regex_match(b->contains, b->keys[i % KEYS]);
}

static void do_regex_set(bench *b, size_t i)
{
    b->sink += sx_regex_match(b->set, b->keys[i % KEYS]);
}

static void do_regex_re2(bench *b, size_t i)
{
    b->sink += sx_regex_match(b->class, b->keys[i % KEYS]);
}

static const struct bench_case {
    const char *name;
    void (*run)(bench *b, size_t i);
    size_t calls;
    size_t bytes; /* of one call, if the figure is a throughput */
} CASES[] = {
    {"malloc_free", do_malloc_free, CALLS, 0},
    {"alloc_free", do_alloc_free, CALLS, 0},
    {"alloc_free_heap_profile", do_alloc_free_sampled, CALLS, 0},
    {"map_find_text", do_map_find, CALLS, 0},
    {"map_find_number", do_map64_find, CALLS, 0},
    {"timer_restart", do_timer_restart, CALLS, 0},
    {"ring_push_pop", do_ring, CALLS, 0},
    {"hash_12_bytes", do_hash_16, CALLS, 0},
    {"crc32c", do_crc_64k, 1 << 10, TEXT_BYTES},
    {"random_u64", do_random, CALLS, 0},
    {"uuid7", do_uuid, CALLS, 0},
    {"double_parse_coordinate", do_parse_coordinate, CALLS, 0},
    {"double_parse_17_digits", do_parse_score, CALLS, 0},
    {"double_format_coordinate", do_format_coordinate, CALLS, 0},
    {"double_format_17_digits", do_format_score, CALLS, 0},
    {"utf8_valid_ascii", do_utf8_ascii, 1 << 10, TEXT_BYTES},
    {"utf8_valid_french", do_utf8_french, 1 << 10, TEXT_BYTES},
    {"regex_literal", do_regex_literal, CALLS, 0},
    {"regex_prefix", do_regex_prefix, CALLS, 0},
    {"regex_contains", do_regex_contains, CALLS, 0},
    {"regex_set_of_100", do_regex_set, CALLS, 0},
    {"regex_class_by_re2", do_regex_re2, CALLS, 0},
};

static void tick(sx_timer *timer, void *arg)
{
    (void)timer;
    (void)arg;
}

static sx_regex *compile(const char *pattern)
{
    sx_regex *re = NULL;
    sx_error err;
    const sx_regex_options options = {.flags = SX_REGEX_FULL_ONLY};
    if (sx_regex_new(&re, sx_str_z(pattern), &options, &err) != SX_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return re;
}

static void make_texts(bench *b)
{
    static const char FRENCH[] =
        "34 avenue de l'Op\xc3\xa9ra, d\xc3\xa9partement de la C\xc3\xb4te ";
    for (size_t i = 0; i < TEXT_BYTES; i++) {
        b->ascii[i] = (char)(' ' + i % 90);
        b->french[i] = FRENCH[i % (sizeof(FRENCH) - 1)];
    }
    for (size_t i = 0; i < KEYS; i++) {
        int len = snprintf(b->key_text[i], sizeof(b->key_text[i]), "host-%zu:9100", i);
        b->keys[i] = sx_str_of(b->key_text[i], (size_t)len);
        b->coordinates[i] = (double)sx_random_below(&b->random, 180000000) / 1e6;
        b->scores[i] = sx_random_double(&b->random);
        sx_double_format(b->coordinates[i], SX_DOUBLE_PYTHON, b->coordinate_text[i]);
        sx_double_format(b->scores[i], SX_DOUBLE_PYTHON, b->score_text[i]);
    }
}

static void set_up(bench *b)
{
    sx_error err;
    char set[4096];
    int len = 0;
    sx_random_seed(&b->random, 1);
    make_texts(b);
    sx_map_init(&b->map, NULL);
    sx_map64_init(&b->map64, NULL);
    sx_timers_init(&b->timers, sx_clock_system());
    sx_uuid_source_init(&b->uuids, sx_clock_system());
    bool ok = sx_ring_init(&b->ring, 1024, &err) == SX_OK;
    for (size_t i = 0; i < KEYS && ok; i++) {
        b->timer[i].fn = tick;
        ok = sx_map_put(&b->map, b->keys[i], NULL) && sx_map64_put(&b->map64, i, NULL);
    }
    for (int i = 0; i < 100; i++)
        len +=
            snprintf(set + len, sizeof(set) - (size_t)len, "%shost-%d:9100", i ? "|" : "", i * 7);
    b->literal = compile("host-17:9100");
    b->prefix = compile("host-2.*");
    b->contains = compile(".*99.*");
    b->set = compile(set);
    b->class = compile("host-[0-9]+:91[0-9]{2}");
    sx_assert(ok);
}

int main(void)
{
    static bench b;
    const sx_clock *clock = sx_clock_system();
    set_up(&b);
    for (size_t c = 0; c < SX_COUNT_OF(CASES); c++) {
        int64_t least_ns = INT64_MAX;
        for (int round = 0; round < ROUNDS; round++) {
            int64_t start_ns = sx_clock_mono_ns(clock);
            for (size_t i = 0; i < CASES[c].calls; i++)
                CASES[c].run(&b, i);
            int64_t ns = sx_clock_mono_ns(clock) - start_ns;
            least_ns = ns < least_ns ? ns : least_ns;
        }
        double each_ns = (double)least_ns / (double)CASES[c].calls;
        if (CASES[c].bytes)
            printf("%s %.2f GB/s\n", CASES[c].name, (double)CASES[c].bytes / each_ns);
        else
            printf("%s %.1f ns\n", CASES[c].name, each_ns);
    }
    fprintf(stderr, "checksum %llx\n", (unsigned long long)b.sink); /* keeps the work alive */
    return 0;
}
