/* template_numbers.c - numbers for people: humanize and its kin.
 *
 * Four significant digits, as Go's %.4g prints them. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include <sextant/number.h>

#include "observe/rules/template_internal.h"

enum { NUMBER_BYTES_MAX = 128 };

/* Go's ParseFloat: decimal and hexadecimal numbers, infinities, NaN, "_" between digits. */
static bool parse_number(sx_str text, double *out)
{
    char copy[NUMBER_BYTES_MAX], *end;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    bool hex = false, power = false;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c <= ' ' || c == '(') /* strtod skips space, and reads nan(...) */
            return false;
        if (c == '_' && i > 0 && i + 1 < text.len && isxdigit((unsigned char)text.data[i - 1]) &&
            isxdigit((unsigned char)text.data[i + 1]))
            continue;
        hex |= c == 'x' || c == 'X';
        power |= c == 'p' || c == 'P';
        copy[len++] = c;
    }
    copy[len] = '\0';
    *out = strtod(copy, &end);
    return end == copy + len && (!hex || power);
}

static sx_status number_of(const sx_tvalue *v, double *out, sx_error *err)
{
    if (v->kind == SX_TVALUE_FLOAT) {
        *out = v->number;
    } else if (v->kind == SX_TVALUE_INT) {
        *out = (double)v->integer;
    } else if (v->kind == SX_TVALUE_STRING) {
        if (!parse_number(v->string, out))
            return sx_fail(err, SX_EINVAL, "strconv.ParseFloat: parsing \"%.*s\": invalid syntax",
                           SX_ARG(sx_str_first(v->string, NUMBER_BYTES_MAX)));
    } else {
        return sx_fail(err, SX_EINVAL, "can't convert %s to float", rule_template_type(v));
    }
    return SX_OK;
}

static void print_g(double value, sx_buf *out)
{
    sx_tvalue v = {.kind = SX_TVALUE_FLOAT, .number = value};
    sx_template_printf(SX_STR("%.4g"), &v, 1, out);
}

static sx_status give_number(double value, const char *prefix, const char *unit, sx_arena *arena,
                             sx_tvalue *out, sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    print_g(value, &text);
    sx_buf_str(&text, sx_str_z(prefix));
    sx_buf_str(&text, sx_str_z(unit));
    return rule_template_give(&text, arena, out, err);
}

static const char *const LARGE[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
static const char *const LARGE_1024[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"};
static const char *const SMALL[] = {"m", "u", "n", "p", "f", "a", "z", "y"};

static const char *scale_down(double *v, double step, const char *const prefixes[8])
{
    const char *prefix = "";
    for (int i = 0; i < 8 && fabs(*v) >= step; i++) {
        prefix = prefixes[i];
        *v /= step;
    }
    return prefix;
}

static const char *scale_up(double *v)
{
    const char *prefix = "";
    for (int i = 0; i < 8 && fabs(*v) < 1; i++) {
        prefix = SMALL[i];
        *v *= 1000;
    }
    return prefix;
}

sx_status rule_template_humanize(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                                 sx_tvalue *out, sx_error *err)
{
    double v;
    (void)ctx, (void)count;
    sx_status st = number_of(&args[0], &v, err);
    if (st != SX_OK)
        return st;
    const char *prefix = "";
    if (v != 0 && isfinite(v))
        prefix = fabs(v) >= 1 ? scale_down(&v, 1000, LARGE) : scale_up(&v);
    return give_number(v, prefix, "", arena, out, err);
}

sx_status rule_template_humanize1024(void *ctx, const sx_tvalue *args, size_t count,
                                     sx_arena *arena, sx_tvalue *out, sx_error *err)
{
    double v;
    (void)ctx, (void)count;
    sx_status st = number_of(&args[0], &v, err);
    if (st != SX_OK)
        return st;
    const char *prefix = "";
    if (fabs(v) > 1 && isfinite(v))
        prefix = scale_down(&v, 1024, LARGE_1024);
    return give_number(v, prefix, "", arena, out, err);
}

sx_status rule_template_humanize_percentage(void *ctx, const sx_tvalue *args, size_t count,
                                            sx_arena *arena, sx_tvalue *out, sx_error *err)
{
    double v;
    (void)ctx, (void)count;
    sx_status st = number_of(&args[0], &v, err);
    return st == SX_OK ? give_number(v * 100, "%", "", arena, out, err) : st;
}

/* Seconds of a minute or more as days, hours, minutes and seconds. */
static bool print_long_duration(double v, sx_buf *text)
{
    uint64_t all = v < 9.2e18 ? (uint64_t)v : INT64_MAX;
    unsigned long long seconds = all % 60, minutes = all / 60 % 60, hours = all / 3600 % 24,
                       days = all / 86400;
    if (days)
        sx_buf_printf(text, "%llud %lluh %llum %llus", days, hours, minutes, seconds);
    else if (hours)
        sx_buf_printf(text, "%lluh %llum %llus", hours, minutes, seconds);
    else if (minutes)
        sx_buf_printf(text, "%llum %llus", minutes, seconds);
    else
        return false;
    return true;
}

sx_status rule_template_humanize_duration(void *ctx, const sx_tvalue *args, size_t count,
                                          sx_arena *arena, sx_tvalue *out, sx_error *err)
{
    double v;
    (void)ctx, (void)count;
    sx_status st = number_of(&args[0], &v, err);
    if (st != SX_OK)
        return st;
    if (!isfinite(v))
        return give_number(v, "", "", arena, out, err);
    if (v == 0)
        return give_number(v, "", "s", arena, out, err);
    if (fabs(v) < 1) {
        const char *prefix = scale_up(&v);
        return give_number(v, prefix, "s", arena, out, err);
    }
    sx_buf text;
    sx_buf_init(&text, 0);
    if (v < 0)
        sx_buf_byte(&text, '-');
    if (!print_long_duration(fabs(v), &text)) {
        print_g(fabs(v), &text);
        sx_buf_byte(&text, 's');
    }
    return rule_template_give(&text, arena, out, err);
}

/* Nanoseconds of a moment, cut to whole milliseconds: Prometheus's times have no more. */
static sx_status moment_of(double v, int64_t *ns, sx_error *err)
{
    double at = v * 1e9;
    if (!isfinite(v))
        return sx_fail(err, SX_EINVAL, "value is NaN or Inf");
    if (at >= 9223372036854775808.0 || at < -9223372036854775808.0) {
        char number[SX_DOUBLE_BYTES];
        sx_double_format(v, SX_DOUBLE_GO, number);
        return sx_fail(err, SX_EINVAL,
                       "%s cannot be represented as a nanoseconds timestamp since it overflows "
                       "int64",
                       number);
    }
    *ns = (int64_t)at / 1000000 * 1000000;
    return SX_OK;
}

sx_status rule_template_humanize_timestamp(void *ctx, const sx_tvalue *args, size_t count,
                                           sx_arena *arena, sx_tvalue *out, sx_error *err)
{
    double v;
    int64_t ns;
    (void)ctx, (void)count;
    sx_status st = number_of(&args[0], &v, err);
    if (st != SX_OK)
        return st;
    if (!isfinite(v))
        return give_number(v, "", "", arena, out, err);
    st = moment_of(v, &ns, err);
    if (st != SX_OK)
        return st;
    sx_buf text;
    sx_buf_init(&text, 0);
    rule_template_print_moment(ns, &text);
    return rule_template_give(&text, arena, out, err);
}

sx_status rule_template_to_time(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                                sx_tvalue *out, sx_error *err)
{
    double v;
    int64_t ns;
    (void)ctx, (void)count;
    sx_status st = number_of(&args[0], &v, err);
    if (st == SX_OK)
        st = moment_of(v, &ns, err);
    return st == SX_OK ? rule_template_moment(ns, arena, out, err) : st;
}

sx_status rule_template_to_duration(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                                    sx_tvalue *out, sx_error *err)
{
    double v;
    (void)ctx, (void)count;
    sx_status st = number_of(&args[0], &v, err);
    if (st != SX_OK)
        return st;
    double ns = v * 1e9;
    bool fits = ns < 9223372036854775808.0 && ns >= -9223372036854775808.0;
    return rule_template_span(fits ? (int64_t)ns : INT64_MIN, arena, out, err); /* as on amd64 */
}

sx_status rule_template_now(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                            sx_tvalue *out, sx_error *err)
{
    const rule_template_env *env = ctx;
    (void)args, (void)count, (void)arena, (void)err;
    *out = (sx_tvalue){.kind = SX_TVALUE_FLOAT, .number = (double)env->now_ms / 1000};
    return SX_OK;
}

sx_status rule_template_parse_duration(void *ctx, const sx_tvalue *args, size_t count,
                                       sx_arena *arena, sx_tvalue *out, sx_error *err)
{
    sx_str text;
    int64_t ms = 0;
    (void)ctx, (void)count, (void)arena;
    sx_status st = rule_template_text(&args[0], &text, err);
    if (st != SX_OK)
        return st;
    bool minus = text.len && text.data[0] == '-';
    st = promql_parse_duration(sx_str_from(text, minus), false, &ms, err);
    *out = (sx_tvalue){.kind = SX_TVALUE_FLOAT, .number = (double)(minus ? -ms : ms) / 1000};
    return st;
}
