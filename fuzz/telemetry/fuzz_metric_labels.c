/* fuzz_metric_labels.c - whatever a label value or a help text holds, the exposition's line reads
 * back as it (made UTF-8, cut), and no second line or label comes of it. */
#include <sextant/mem.h>
#include <sextant/metrics.h>
#include <sextant/utf8.h>

#include "telemetry/store.h"

/* The inside of a quoted label value, unescaped by the format's three rules; *end is at its quote. */
static void read_back(sx_str text, size_t at, sx_buf *out, size_t *end)
{
    for (; at < text.len && text.data[at] != '"'; at++) {
        char c = text.data[at];
        sx_assert(c != '\n');
        if (c == '\\') {
            c = text.data[++at];
            sx_assert(c == '\\' || c == '"' || c == 'n');
            c = c == 'n' ? '\n' : c;
        }
        sx_buf_byte(out, c);
    }
    *end = at;
}

/* `value` as the registry keeps it: cut, each byte that is no UTF-8 replaced. */
static void expect(sx_str value, sx_buf *out)
{
    bool cut = value.len > SX_LABEL_VALUE_BYTES_MAX;
    value = sx_str_first(value, SX_LABEL_VALUE_BYTES_MAX);
    while (value.len > 0) {
        size_t good = sx_utf8_valid_len(value);
        sx_buf_str(out, sx_str_first(value, good));
        value = sx_str_from(value, good);
        if (value.len == 0 || (cut && value.len < 4))
            break;
        sx_buf_str(out, SX_STR("\xef\xbf\xbd"));
        value = sx_str_from(value, 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const LABELS[] = {"a", "b"};
    sx_str input = sx_str_of(data, size), values[2];
    sx_str_cut(input, '\0', &values[0], &values[1]);
    sx_metrics *m;
    sx_metric *metric;
    sx_metric_options options = {
        .name = "x_total", .help = "X.", .labels = LABELS, .label_count = 2};
    sx_assert(sx_metrics_new(NULL, &m, NULL) == SX_OK);
    sx_assert(sx_metric_new(m, &options, &metric, NULL) == SX_OK);
    sx_counter_add(sx_metric_counter(metric, values, 2), 7);
    sx_counter_add(sx_metric_counter(metric, values, 2), 1); /* the same series */
    sx_buf out, back, want;
    sx_buf_init(&out, 0);
    sx_buf_init(&back, 0);
    sx_buf_init(&want, 0);
    sx_assert(sx_metrics_write(m, SX_METRICS_TEXT_004, &out, NULL) == SX_OK);
    sx_str text = sx_buf_view(&out), head = SX_STR("\nx_total{a=\"");
    sx_assert(sx_utf8_valid(text));
    size_t at = sx_str_find(text, head) + head.len;
    for (int i = 0; i < 2; i++) {
        sx_buf_clear(&back);
        sx_buf_clear(&want);
        read_back(text, at, &back, &at);
        expect(values[i], &want);
        sx_assert(sx_str_eq(sx_buf_view(&back), sx_buf_view(&want)));
        sx_str after = i ? SX_STR("\"} 8\n") : SX_STR("\",b=\"");
        sx_assert(sx_str_starts(sx_str_from(text, at), after));
        at += after.len;
    }
    sx_assert(at == text.len);
    sx_buf_done(&out);
    sx_buf_done(&back);
    sx_buf_done(&want);
    sx_metrics_free(m);
    return 0;
}
