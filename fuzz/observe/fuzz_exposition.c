/* fuzz_exposition.c - any body in any format: what is read is the same whether series were expected
 * (rightly or wrongly) or not; labels are sorted and without repeats; a refusal has words.
 * The first byte chooses format and options, the rest is the body. */
#include <stdlib.h>

#include <sextant/buf.h>

#include "observe/scrape/exposition.h"

enum { SERIES_MAX = 512 };

typedef struct known {
    size_t at[SERIES_MAX], len[SERIES_MAX]; /* of each entry's series in `texts` */
    size_t count;
    sx_buf texts;
} known;

static void put_entry(prom_exposition *x, const prom_entry *e, sx_arena *arena, sx_buf *out)
{
    tsdb_labels l;
    sx_error err = {0};
    sx_buf_printf(out, "%d %d %lld %lld %a ", e->kind, e->has_t, (long long)e->t,
                  (long long)e->start_t, e->value);
    sx_buf_str(out, e->series);
    sx_buf_str(out, e->metric);
    sx_buf_str(out, e->text);
    for (uint32_t i = 0; i < e->exemplar_count; i++)
        tsdb_labels_print(e->exemplars[i].labels, out, NULL);
    if (e->kind == PROM_ENTRY_HISTOGRAM)
        tsdb_histogram_print(e->histogram, out, NULL);
    if (e->kind != PROM_ENTRY_SERIES && e->kind != PROM_ENTRY_HISTOGRAM)
        return;
    if (prom_exposition_labels(x, e, arena, &l, &err) != SX_OK) {
        sx_assert(err.message[0] != 0);
        sx_buf_str(out, sx_str_z(err.message));
        return;
    }
    for (uint32_t i = 0; i < l.count; i++) {
        sx_assert(l.items[i].value.len > 0);
        sx_assert(i == 0 || sx_str_cmp(l.items[i - 1].name, l.items[i].name) < 0);
    }
    tsdb_labels_print(l, out, NULL);
}

/* Learns the series if `k` is given and `expect` is not; expects them, `shift` places off. */
static void read_all(prom_exposition *x, const prom_exposition_options *o, sx_str body, known *k,
                     bool expect, size_t shift, sx_buf *out)
{
    sx_arena arena;
    sx_error err = {0};
    sx_status st;
    prom_entry e;
    sx_arena_init(&arena, 0, 0);
    prom_exposition_reset(x, o, body);
    for (size_t i = 0;; i++) {
        size_t at = k->count ? (i + shift) % k->count : 0;
        if (expect && k->count)
            prom_exposition_expect(x, sx_str_of(k->texts.data + k->at[at], k->len[at]));
        st = prom_exposition_next(x, &e, &err);
        if (st != SX_OK)
            break;
        if (!expect && k->count < SERIES_MAX && e.kind == PROM_ENTRY_SERIES) {
            k->at[k->count] = k->texts.len;
            k->len[k->count++] = e.series.len;
            sx_buf_str(&k->texts, e.series);
        }
        put_entry(x, &e, &arena, out);
    }
    sx_assert(st == SX_END || err.message[0] != 0);
    sx_buf_printf(out, "%d %s", st, st == SX_END ? "" : err.message);
    sx_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    prom_exposition_options o = {.protocol =
                                     (prom_scrape_protocol)(1 + data[0] % (PROM_PROTOCOLS - 1)),
                                 .native_histograms = data[0] & 0x08,
                                 .classic_always = data[0] & 0x10,
                                 .classic_to_nhcb = data[0] & 0x20,
                                 .skip_created = data[0] & 0x40,
                                 .type_unit_labels = data[0] & 0x80,
                                 .labels_max = 20,
                                 .label_bytes_max = 200};
    sx_str body = sx_str_of(data + 1, size - 1);
    prom_exposition *x;
    known k = {.count = 0};
    sx_buf plain, expected;
    sx_buf_init(&k.texts, 0);
    sx_buf_init(&plain, 0);
    if (prom_exposition_new(&o, &x, NULL) != SX_OK)
        return 0;
    read_all(x, &o, body, &k, false, 0, &plain);
    for (size_t shift = 0; shift < 2; shift++) {
        sx_buf_init(&expected, 0);
        read_all(x, &o, body, &k, true, shift, &expected);
        sx_assert(sx_str_eq(sx_buf_view(&plain), sx_buf_view(&expected)));
        sx_buf_done(&expected);
    }
    prom_exposition_free(x);
    sx_buf_done(&plain);
    sx_buf_done(&k.texts);
    return 0;
}
