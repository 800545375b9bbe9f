/* exposition_metadata.c - lines that begin with a number sign: HELP, TYPE, UNIT, comments, # EOF. */
#include <stdio.h>

#include <sextant/utf8.h>

#include "observe/scrape/exposition_text.h"

const sx_str EXPO_TYPE_NAMES[EXPO_TYPES] = {
    [EXPO_UNKNOWN] = SX_STR_INIT("unknown"),
    [EXPO_COUNTER] = SX_STR_INIT("counter"),
    [EXPO_GAUGE] = SX_STR_INIT("gauge"),
    [EXPO_HISTOGRAM] = SX_STR_INIT("histogram"),
    [EXPO_GAUGEHISTOGRAM] = SX_STR_INIT("gaugehistogram"),
    [EXPO_SUMMARY] = SX_STR_INIT("summary"),
    [EXPO_INFO] = SX_STR_INIT("info"),
    [EXPO_STATESET] = SX_STR_INIT("stateset"),
};

static expo_type type_of(sx_str name, bool open_metrics)
{
    if (!open_metrics && sx_str_eq(name, SX_STR("untyped")))
        return EXPO_UNKNOWN;
    for (int t = 0; t < EXPO_TYPES; t++) {
        bool old = t == EXPO_COUNTER || t == EXPO_GAUGE || t == EXPO_HISTOGRAM || t == EXPO_SUMMARY;
        if ((open_metrics || old) && sx_str_eq(EXPO_TYPE_NAMES[t], name))
            return (expo_type)t;
    }
    return EXPO_TYPES;
}

static sx_status take_type(prom_exposition *x, prom_entry *out, sx_error *err)
{
    expo_type t = type_of(out->text, x->open_metrics);
    if (t == EXPO_TYPES)
        return sx_fail(err, SX_EFORMAT, "invalid metric type \"%.*s\" (line %u)",
                       SX_ARG(sx_str_first(out->text, EXPO_QUOTED_BYTES)),
                       expo_line_of(x, x->entry));
    x->type = t;
    x->unit = (sx_str){0};
    out->text = EXPO_TYPE_NAMES[t];
    return SX_OK;
}

static sx_status take_unit(prom_exposition *x, prom_entry *out, sx_error *err)
{
    sx_str m = out->metric, unit = out->text;
    x->unit = unit;
    if (unit.len == 0 ||
        (m.len > unit.len && sx_str_ends(m, unit) && m.data[m.len - unit.len - 1] == '_'))
        return SX_OK;
    return sx_fail(err, SX_EFORMAT, "unit \"%.*s\" not a suffix of metric \"%.*s\" (line %u)",
                   SX_ARG(sx_str_first(unit, EXPO_QUOTED_BYTES)),
                   SX_ARG(sx_str_first(m, EXPO_QUOTED_BYTES)), expo_line_of(x, x->entry));
}

/* The rest of a HELP, TYPE or UNIT line: the family's name and a text. */
static sx_status read_metadata(prom_exposition *x, prom_entry *out, const char *word, sx_error *err)
{
    uint32_t begin = x->at;
    bool string = expo_peek(x) == '"';
    if (string ? !expo_read_string(x, true) : !expo_read_name(x, EXPO_COLON)) {
        char expected[64];
        snprintf(expected, sizeof expected, "expected metric name after %s", word);
        return expo_fail_token(x, err, expected);
    }
    out->metric = expo_between(x, begin + string, x->at - string);
    const char *newline = memchr(x->body.data + x->at, '\n', x->body.len - x->at);
    uint32_t end = newline ? (uint32_t)(newline - x->body.data) : (uint32_t)x->body.len;
    bool blank = expo_peek(x) == ' ' || (expo_peek(x) == '\t' && !x->open_metrics);
    if ((x->open_metrics && (!newline || !blank)) || (x->at < end && !blank))
        return sx_fail(err, SX_EFORMAT, "expected text in %s (line %u)", word,
                       expo_line_of(x, x->entry));
    out->text = expo_between(x, x->at + (x->at < end), end);
    x->at = end + (newline != NULL);
    switch (out->kind) {
    case PROM_ENTRY_TYPE:
        return take_type(x, out, err);
    case PROM_ENTRY_UNIT:
        return take_unit(x, out, err);
    default:
        break;
    }
    if (!sx_utf8_valid(out->text))
        return sx_fail(err, SX_EFORMAT, "help text is not a valid utf8 string (line %u)",
                       expo_line_of(x, x->entry));
    out->text = expo_unescape(out->text, x->open_metrics, &x->scratch);
    return out->text.data ? SX_OK : sx_fail_memory(err, "a help text");
}

static void skip_line(prom_exposition *x)
{
    const char *newline = memchr(x->body.data + x->at, '\n', x->body.len - x->at);
    x->at = newline ? (uint32_t)(newline - x->body.data) + 1 : (uint32_t)x->body.len;
}

static const struct {
    sx_str word;
    prom_entry_kind kind;
} META[] = {{SX_STR_INIT("HELP"), PROM_ENTRY_HELP},
            {SX_STR_INIT("TYPE"), PROM_ENTRY_TYPE},
            {SX_STR_INIT("UNIT"), PROM_ENTRY_UNIT}};

/* A line that begins with a number sign. SX_AGAIN: a comment, go on. */
sx_status expo_read_comment(prom_exposition *x, prom_entry *out, sx_error *err)
{
    x->at++;
    int blank = expo_peek(x);
    if (x->open_metrics && blank != ' ')
        return expo_fail_token(x, err, "expected a valid start token");
    if (!x->open_metrics)
        expo_skip_blanks(x);
    else
        x->at++;
    bool spaced = blank == ' ' || blank == '\t';
    for (size_t i = 0; spaced && i < SX_COUNT_OF(META) - !x->open_metrics; i++) {
        sx_str rest = sx_str_from(x->body, x->at);
        size_t len = META[i].word.len;
        if (!sx_str_starts(rest, META[i].word) || rest.len == len)
            continue;
        if (rest.data[len] != ' ' && (x->open_metrics || rest.data[len] != '\t'))
            continue;
        x->at += (uint32_t)len + 1;
        if (!x->open_metrics)
            expo_skip_blanks(x);
        out->kind = META[i].kind;
        return read_metadata(x, out, META[i].word.data, err);
    }
    if (!x->open_metrics) {
        skip_line(x);
        return SX_AGAIN;
    }
    if (!sx_str_starts(sx_str_from(x->body, x->at), SX_STR("EOF")))
        return expo_fail_token(x, err, "expected a valid start token");
    x->at += 3;
    x->at += expo_peek(x) == '\n';
    if (x->at < x->body.len)
        return sx_fail(err, SX_EFORMAT, "unexpected data after # EOF");
    return SX_END;
}
