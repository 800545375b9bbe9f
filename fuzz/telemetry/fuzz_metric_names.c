/* fuzz_metric_names.c - whatever UTF-8 a metric and a label are named, every format and escaping shows
 * it so that it reads back: quoted names and the values scheme as they were, the others as plain names;
 * and a refused name is told why. The reader here is a small one of its own. */
#include <stdlib.h>

#include <sextant/protobuf.h>
#include <sextant/utf8.h>

#include "telemetry/exposition_otlp.h"
#include "telemetry/metric_names.h"

enum { PARTS = 3 }; /* metric's name, label's name, label's value */

/* A quoted text at the front of *rest, unescaped into `out`; moves past its closing quote. */
static void read_quoted(sx_str *rest, sx_buf *out)
{
    size_t at = 1;
    sx_assert(rest->data[0] == '"');
    for (; at < rest->len && rest->data[at] != '"'; at++) {
        char c = rest->data[at];
        sx_assert(c != '\n');
        if (c == '\\') {
            c = rest->data[++at];
            sx_assert(c == '\\' || c == '"' || c == 'n');
            c = c == 'n' ? '\n' : c;
        }
        sx_buf_byte(out, c);
    }
    sx_assert(at < rest->len);
    *rest = sx_str_from(*rest, at + 1);
}

/* A name at the front: in quotes, or plain and ending before one of `=`, `{`, a space. */
static void read_name(sx_str *rest, sx_buf *out)
{
    if (rest->data[0] == '"') {
        read_quoted(rest, out);
        return;
    }
    size_t len = 0;
    while (rest->data[len] != '=' && rest->data[len] != '{' && rest->data[len] != ' ')
        len++;
    sx_str name = sx_str_first(*rest, len);
    sx_assert(sx_name_is_plain_metric(name));
    sx_buf_str(out, name);
    *rest = sx_str_from(*rest, len);
}

static void expect(sx_str *rest, sx_str what)
{
    sx_assert(sx_str_starts(*rest, what));
    *rest = sx_str_from(*rest, what.len);
}

/* The values scheme undone. */
static void unescape_values(sx_str name, sx_buf *out)
{
    if (!sx_str_starts(name, SX_STR("U__"))) {
        sx_buf_str(out, name);
        return;
    }
    for (size_t i = 3; i < name.len; i++) {
        if (name.data[i] != '_') {
            sx_buf_byte(out, name.data[i]);
        } else if (name.data[++i] == '_') {
            sx_buf_byte(out, '_');
        } else {
            char hex[9] = {0}, utf8[4];
            size_t len = 0;
            for (; name.data[i] != '_'; i++) {
                sx_assert(len < 8);
                hex[len++] = name.data[i];
            }
            len = sx_utf8_encode((uint32_t)strtoul(hex, NULL, 16), utf8);
            sx_assert(len > 0);
            sx_buf_bytes(out, utf8, len);
        }
    }
}

static void assert_name(sx_str shown, sx_str name, sx_name_of what, sx_metrics_escaping escaping)
{
    bool (*is_plain)(sx_str) =
        what == SX_NAME_OF_LABEL ? sx_name_is_plain_label : sx_name_is_plain_metric;
    bool plain = is_plain(name);
    sx_buf back;
    sx_buf_init(&back, 0);
    if (escaping == SX_METRICS_VALUES && !plain)
        unescape_values(shown, &back);
    else
        sx_buf_str(&back, shown);
    if (plain || escaping == SX_METRICS_ALLOW_UTF8 || escaping == SX_METRICS_VALUES)
        sx_assert(sx_str_eq(sx_buf_view(&back), name));
    if (escaping != SX_METRICS_ALLOW_UTF8)
        sx_assert(is_plain(shown));
    sx_buf_done(&back);
}

/* The value as the registry keeps it: made UTF-8, cut. */
static void keep_value(sx_str value, sx_buf *out)
{
    sx_str name = SX_STR("v"), text;
    sx_buf line;
    sx_buf_init(&line, 0);
    sx_labels_render(&line, &name, &value, 1);
    text = sx_str_from(sx_buf_view(&line), 2);
    read_quoted(&text, out);
    sx_assert(sx_utf8_valid(sx_buf_view(out)));
    sx_buf_done(&line);
}

static void check_text(sx_str text, const sx_str *part, sx_str kept, sx_metrics_escaping escaping)
{
    sx_buf name, label, value;
    sx_buf_init(&name, 0);
    sx_buf_init(&label, 0);
    sx_buf_init(&value, 0);
    sx_assert(sx_utf8_valid(text));
    sx_str rest = text, line;
    do /* to the sample */
        sx_assert(sx_str_cut(rest, '\n', &line, &rest));
    while (line.data[0] == '#');
    if (line.data[0] == '{') {
        expect(&line, SX_STR("{"));
        sx_assert(line.data[0] == '"');
        read_name(&line, &name);
        expect(&line, SX_STR(","));
    } else {
        read_name(&line, &name);
        expect(&line, SX_STR("{"));
    }
    read_name(&line, &label);
    expect(&line, SX_STR("="));
    read_quoted(&line, &value);
    expect(&line, SX_STR("} 7"));
    sx_assert(line.len == 0);
    assert_name(sx_buf_view(&name), part[0], SX_NAME_OF_METRIC, escaping);
    assert_name(sx_buf_view(&label), part[1], SX_NAME_OF_LABEL, escaping);
    sx_assert(sx_str_eq(sx_buf_view(&value), kept));
    sx_assert(rest.len == 0 || sx_str_eq(rest, SX_STR("# EOF\n")));
    sx_buf_done(&name);
    sx_buf_done(&label);
    sx_buf_done(&value);
}

/* The bytes field of that number in a message. */
static sx_str field(sx_str message, uint32_t number)
{
    sx_pb_reader r;
    sx_str found = SX_STR("");
    sx_pb_init(&r, message);
    while (sx_pb_next(&r))
        if (r.tag == SX_PB_TAG(number, SX_PB_BYTES))
            found = sx_pb_bytes(&r);
        else
            sx_pb_skip(&r);
    sx_assert(r.fault == SX_PB_FINE);
    return found;
}

static void check_protobuf(sx_str stream, const sx_str *part, sx_str kept,
                           sx_metrics_escaping escaping)
{
    sx_pb_reader r;
    sx_pb_init(&r, stream);
    sx_str family = sx_pb_bytes(&r);
    sx_assert(r.fault == SX_PB_FINE && !sx_pb_more(&r));
    sx_str label = field(field(family, 4), 1);
    assert_name(field(family, 1), part[0], SX_NAME_OF_METRIC, escaping);
    assert_name(field(label, 1), part[1], SX_NAME_OF_LABEL, escaping);
    sx_assert(sx_str_eq(field(label, 2), kept));
}

static void check_all(sx_metrics *m, const sx_str *part)
{
    sx_buf out, kept;
    sx_buf_init(&out, 0);
    sx_buf_init(&kept, 0);
    keep_value(part[2], &kept);
    for (int format = 0; format < SX_METRICS_FORMATS; format++)
        for (int escaping = 0; escaping < SX_METRICS_ESCAPINGS; escaping++) {
            sx_metrics_encoding encoding = {(sx_metrics_format)format,
                                            (sx_metrics_escaping)escaping};
            sx_buf_clear(&out);
            sx_assert(sx_metrics_encode(m, encoding, &out, NULL) == SX_OK);
            if (format == SX_METRICS_PROTOBUF)
                check_protobuf(sx_buf_view(&out), part, sx_buf_view(&kept), encoding.escaping);
            else
                check_text(sx_buf_view(&out), part, sx_buf_view(&kept), encoding.escaping);
        }
    sx_buf_clear(&out);
    sx_assert(sx_metrics_otlp(m, 1, 2, &out, NULL) == SX_OK);
    sx_str metric = field(sx_buf_view(&out), 2), pair = field(field(field(metric, 5), 1), 7);
    sx_assert(sx_str_eq(field(metric, 1), part[0]));
    sx_assert(sx_str_eq(field(pair, 1), part[1]));
    sx_assert(sx_str_eq(field(field(pair, 2), 1), sx_buf_view(&kept)));
    sx_buf_done(&out);
    sx_buf_done(&kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Two names that end at a NUL, as C strings do, and what is left as the value. */
    sx_str part[PARTS], rest = sx_str_of(data, size);
    for (int i = 0; i < PARTS - 1; i++)
        if (!sx_str_cut(rest, '\0', &part[i], &rest))
            return 0;
    part[PARTS - 1] = rest;
    const char *const labels[] = {part[1].data};
    sx_metrics *m;
    sx_metric *metric;
    sx_error err = {0};
    sx_metric_options options = {.kind = SX_METRIC_GAUGE,
                                 .name = part[0].data,
                                 .help = "H.",
                                 .labels = labels,
                                 .label_count = 1};
    sx_assert(sx_metrics_new(NULL, &m, NULL) == SX_OK);
    if (sx_metric_new(m, &options, &metric, &err) == SX_OK) {
        sx_gauge_set(sx_metric_gauge(metric, &part[2], 1), 7);
        check_all(m, part);
    } else {
        sx_assert(err.message[0] != '\0');
    }
    sx_metrics_free(m);
    return 0;
}
