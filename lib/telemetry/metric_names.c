/* metric_names.c - spelling: every name under every escaping is made once, when it is registered, so
 * that a scrape copies. The escaping rules are those of Prometheus, "UTF-8 metric and label name
 * escaping schemes". */
#include "telemetry/metric_names.h"

#include <sextant/utf8.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, for what is no UTF-8 */

static bool is_plain(uint32_t c, bool first, bool colon)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    return letter || (colon && c == ':') || (!first && c >= '0' && c <= '9');
}

static bool name_is_plain(sx_str name, bool colon)
{
    for (size_t i = 0; i < name.len; i++)
        if (!is_plain((uint8_t)name.data[i], i == 0, colon))
            return false;
    return name.len > 0;
}

bool sx_name_is_plain_metric(sx_str name)
{
    return name_is_plain(name, true);
}

bool sx_name_is_plain_label(sx_str name)
{
    return name_is_plain(name, false);
}

/* ---- escapings of names ---- */

static void escape_underscores(sx_buf *out, uint32_t c, bool plain)
{
    sx_buf_byte(out, plain ? (char)c : '_');
}

static void escape_dots(sx_buf *out, uint32_t c, bool plain)
{
    if (c == '.')
        sx_buf_str(out, SX_STR("_dot_"));
    else if (plain && c != '_')
        sx_buf_byte(out, (char)c);
    else
        sx_buf_str(out, SX_STR("__"));
}

static void escape_values(sx_buf *out, uint32_t c, bool plain)
{
    if (c == '_')
        sx_buf_str(out, SX_STR("__"));
    else if (plain)
        sx_buf_byte(out, (char)c);
    else
        sx_buf_printf(out, "_%x_", (unsigned)c);
}

void sx_name_escape(sx_buf *out, sx_str name, sx_name_of what, sx_metrics_escaping escaping)
{
    static void (*const ESCAPE[SX_METRICS_ESCAPINGS])(sx_buf *, uint32_t, bool) = {
        [SX_METRICS_UNDERSCORES] = escape_underscores,
        [SX_METRICS_DOTS] = escape_dots,
        [SX_METRICS_VALUES] = escape_values,
    };
    if (escaping == SX_METRICS_ALLOW_UTF8) {
        sx_buf_str(out, name);
        return;
    }
    if (escaping == SX_METRICS_VALUES)
        sx_buf_str(out, SX_STR("U__"));
    uint32_t c = 0;
    bool first = true;
    for (size_t len = sx_utf8_decode(name, &c); len > 0; len = sx_utf8_decode(name, &c)) {
        ESCAPE[escaping](out, c, is_plain(c, first, what == SX_NAME_OF_METRIC));
        first = false;
        name = sx_str_from(name, len);
    }
}

/* ---- text ---- */

void sx_text_escape(sx_buf *out, sx_str text, sx_text_quotes quotes)
{
    uint32_t code;
    while (text.len > 0) {
        size_t len = sx_utf8_decode(text, &code);
        char c = text.data[0];
        if (len == 0)
            sx_buf_str(out, SX_STR(REPLACEMENT));
        else if (c == '\\' || (c == '"' && quotes == SX_TEXT_QUOTES_ESCAPED))
            sx_buf_bytes(out, (char[]){'\\', c}, 2);
        else if (c == '\n')
            sx_buf_str(out, SX_STR("\\n"));
        else
            sx_buf_bytes(out, text.data, len);
        text = sx_str_from(text, len ? len : 1);
    }
}

void sx_label_value_render(sx_buf *out, sx_str value)
{
    if (value.len > SX_LABEL_VALUE_BYTES_MAX) {
        value = sx_str_first(value, SX_LABEL_VALUE_BYTES_MAX);
        uint32_t code;
        for (size_t at = 0, len; at < value.len; at += len ? len : 1) {
            len = sx_utf8_decode(sx_str_from(value, at), &code);
            if (len == 0 && value.len - at < 4)
                value.len = at; /* a character that the cut went through */
        }
    }
    sx_text_escape(out, value, SX_TEXT_QUOTES_ESCAPED);
}

void sx_labels_render(sx_buf *out, const sx_str *names, const sx_str *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            sx_buf_byte(out, ',');
        sx_buf_str(out, names[i]);
        sx_buf_str(out, SX_STR("=\""));
        sx_label_value_render(out, values[i]);
        sx_buf_byte(out, '"');
    }
}

static void unescape(sx_buf *out, sx_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '\\' && i + 1 < text.len) {
            c = text.data[++i];
            c = c == 'n' ? '\n' : c;
        }
        sx_buf_byte(out, c);
    }
}

sx_str sx_labels_next(sx_str *rest, sx_str name, sx_buf *scratch)
{
    sx_str text = sx_str_from(*rest, name.len + 2); /* past name=" */
    size_t end = 0;
    bool escapes = false;
    for (; text.data[end] != '"'; end++)
        if (text.data[end] == '\\') {
            escapes = true;
            end++;
        }
    sx_assert(end < text.len);                                         /* the text is ours */
    *rest = sx_str_from(text, end + 1 < text.len ? end + 2 : end + 1); /* past ", and a comma */
    if (!escapes)
        return sx_str_first(text, end);
    sx_buf_clear(scratch);
    unescape(scratch, sx_str_first(text, end));
    return sx_buf_view(scratch);
}

/* ---- spelling a metric ---- */

/* Moves what is in `scratch` to the arena. */
static bool keep(sx_arena *arena, sx_buf *scratch, sx_str *out)
{
    if (scratch->failed)
        return false;
    *out = sx_arena_copy(arena, sx_buf_view(scratch));
    sx_buf_clear(scratch);
    return out->data != NULL;
}

static bool spell(sx_arena *arena, sx_buf *scratch, sx_str name, sx_name_of what,
                  sx_metrics_escaping escaping, sx_str *out)
{
    sx_name_escape(scratch, name, what, escaping);
    return keep(arena, scratch, out);
}

static bool spell_labels(sx_arena *arena, sx_buf *scratch, const sx_metric_options *o,
                         sx_metric *metric)
{
    size_t count = o->label_count;
    metric->label_count = count;
    metric->plain_labels = true;
    metric->labels = (sx_str *)sx_arena_calloc(arena, count + 1, sizeof(sx_str));
    if (!metric->labels)
        return false;
    for (size_t e = 0; e < SX_METRICS_ESCAPINGS; e++) {
        metric->spelled[e].labels = (sx_str *)sx_arena_calloc(arena, count + 1, sizeof(sx_str));
        if (!metric->spelled[e].labels)
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        sx_str name = sx_str_z(o->labels[i]);
        bool plain = sx_name_is_plain_label(name);
        if (!plain) {
            metric->plain_labels = false;
            sx_buf_byte(scratch, '"');
            sx_text_escape(scratch, name, SX_TEXT_QUOTES_ESCAPED);
            sx_buf_byte(scratch, '"');
        } else {
            sx_buf_str(scratch, name);
        }
        if (!keep(arena, scratch, &metric->labels[i]))
            return false;
        for (size_t e = 0; e < SX_METRICS_ESCAPINGS; e++) {
            sx_str *to = &metric->spelled[e].labels[i];
            if (plain)
                *to = metric->labels[i];
            else if (!spell(arena, scratch, name, SX_NAME_OF_LABEL, (sx_metrics_escaping)e, to))
                return false;
        }
    }
    return true;
}

static bool spell_states(sx_arena *arena, const sx_metric_options *o, sx_metric *metric)
{
    sx_str *states = (sx_str *)sx_arena_calloc(arena, o->state_count + 1, sizeof(*states));
    if (!states)
        return false;
    metric->states = states;
    metric->state_count = o->state_count;
    for (size_t i = 0; i < o->state_count; i++) {
        states[i] = sx_arena_copy(arena, sx_str_z(o->states[i]));
        if (!states[i].data)
            return false;
    }
    return true;
}

bool sx_metric_spell(sx_arena *arena, sx_buf *scratch, const sx_metric_options *o,
                     sx_metric *metric)
{
    sx_buf_clear(scratch);
    metric->name = sx_arena_copy(arena, sx_str_z(o->name));
    metric->unit = sx_arena_copy(arena, sx_str_z(o->unit ? o->unit : ""));
    sx_str help = sx_str_z(o->help);
    uint32_t code;
    for (size_t len; help.len > 0; help = sx_str_from(help, len ? len : 1)) {
        len = sx_utf8_decode(help, &code);
        sx_buf_str(scratch, len ? sx_str_first(help, len) : SX_STR(REPLACEMENT));
    }
    if (!metric->name.data || !metric->unit.data || !keep(arena, scratch, &metric->help))
        return false;
    bool plain = sx_name_is_plain_metric(metric->name);
    for (size_t e = 0; e < SX_METRICS_ESCAPINGS; e++)
        if (plain)
            metric->spelled[e].name = metric->name;
        else if (!spell(arena, scratch, metric->name, SX_NAME_OF_METRIC, (sx_metrics_escaping)e,
                        &metric->spelled[e].name))
            return false;
    if (!plain) {
        sx_buf_str(scratch, SX_STR("{\""));
        sx_text_escape(scratch, metric->name, SX_TEXT_QUOTES_ESCAPED);
        if (!keep(arena, scratch, &metric->quoted))
            return false;
    }
    return spell_labels(arena, scratch, o, metric) && spell_states(arena, o, metric);
}

/* ---- collisions ---- */

/* What each kind shows beside its own name: the ending that OpenMetrics' family name lacks, and what
 * is put behind that. */
static const struct {
    sx_str without;
    sx_str with[4];
} NAMES[SX_METRIC_KINDS] = {
    [SX_METRIC_COUNTER] = {SX_STR_INIT("_total"), {SX_STR_INIT(""), SX_STR_INIT("_created")}},
    [SX_METRIC_HISTOGRAM] = {{NULL, 0},
                             {SX_STR_INIT("_bucket"), SX_STR_INIT("_count"), SX_STR_INIT("_sum"),
                              SX_STR_INIT("_created")}},
    [SX_METRIC_INFO] = {SX_STR_INIT("_info"), {SX_STR_INIT("")}},
    [SX_METRIC_SUMMARY] = {{NULL, 0},
                           {SX_STR_INIT("_count"), SX_STR_INIT("_sum"), SX_STR_INIT("_created")}},
};

/* The names that a metric takes, each a beginning and an ending. */
typedef struct taken {
    sx_str base[6], end[6];
    size_t count;
} taken;

static taken names_of(const sx_metric *metric)
{
    sx_str name = metric->spelled[SX_METRICS_UNDERSCORES].name;
    taken all = {.base = {name}, .end = {SX_STR("")}, .count = 1};
    sx_str without = NAMES[metric->kind].without, base = name;
    if (without.len > 0 && !sx_str_ends(name, without))
        return all;
    base.len -= without.len;
    for (size_t i = 0; i < SX_COUNT_OF(NAMES[0].with) && NAMES[metric->kind].with[i].data; i++) {
        all.base[all.count] = base;
        all.end[all.count++] = NAMES[metric->kind].with[i];
    }
    return all;
}

static char char_of(sx_str base, sx_str end, size_t at)
{
    return at < base.len ? base.data[at] : end.data[at - base.len];
}

static bool same_name(sx_str base, sx_str end, sx_str other_base, sx_str other_end)
{
    size_t len = base.len + end.len;
    if (len != other_base.len + other_end.len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (char_of(base, end, i) != char_of(other_base, other_end, i))
            return false;
    return true;
}

bool sx_metric_names_collide(const sx_metric *a, const sx_metric *b)
{
    taken left = names_of(a), right = names_of(b);
    for (size_t i = 0; i < left.count; i++)
        for (size_t k = 0; k < right.count; k++)
            if (same_name(left.base[i], left.end[i], right.base[k], right.end[k]))
                return true;
    return false;
}
