/* template_time.c - moments and durations as Go's package time shows them: what toTime and toDuration
 * give, with the methods that templates call on them. Times are UTC. */
#include <stdio.h>
#include <time.h>

#include "observe/rules/template_internal.h"

enum { NANO = 1000000000 };

typedef struct moment {
    int64_t ns;
} moment;

static const char *const MONTHS[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const DAYS[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

static void split(int64_t ns, struct tm *tm, uint32_t *nano)
{
    time_t seconds = (time_t)(ns / NANO);
    int64_t rest = ns % NANO;
    if (rest < 0) {
        rest += NANO;
        seconds--;
    }
    gmtime_r(&seconds, tm);
    *nano = (uint32_t)rest;
}

/* A fraction of `digits`, or with `digits` 0 as many as there are. */
static void print_fraction(uint32_t nano, unsigned digits, char point, sx_buf *out)
{
    char text[16];
    snprintf(text, sizeof text, "%09u", nano);
    size_t len = digits ? digits : 9;
    while (!digits && len && text[len - 1] == '0')
        len--;
    if (len == 0)
        return;
    sx_buf_byte(out, point);
    sx_buf_bytes(out, text, len);
}

void rule_template_print_moment(int64_t ns, sx_buf *out)
{
    struct tm tm;
    uint32_t nano;
    split(ns, &tm, &nano);
    sx_buf_printf(out, "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
                  tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    print_fraction(nano, 0, '.', out);
    sx_buf_str(out, SX_STR(" +0000 UTC"));
}

/* --- Layouts: the parts of "Mon Jan 2 15:04:05 MST 2006". */

typedef enum part {
    PART_MONTH_LONG,
    PART_MONTH_SHORT,
    PART_DAY_LONG,
    PART_DAY_SHORT,
    PART_ZONE_NAME,
    PART_MONTH_2,
    PART_DAY_2,
    PART_HOUR12_2,
    PART_MINUTE_2,
    PART_SECOND_2,
    PART_YEAR_2,
    PART_YEARDAY,
    PART_YEAR,
    PART_HOUR,
    PART_MONTH,
    PART_DAY,
    PART_HOUR12,
    PART_MINUTE,
    PART_SECOND,
    PART_DAY_SPACE,
    PART_AM,
    PART_AM_LOWER,
    PART_ZONE_Z,
    PART_ZONE_COLON,
    PART_ZONE
} part;

/* Longer ones before those that begin them. */
static const struct {
    sx_str text;
    part part;
} PARTS[] = {{SX_STR_INIT("January"), PART_MONTH_LONG},
             {SX_STR_INIT("Jan"), PART_MONTH_SHORT},
             {SX_STR_INIT("Monday"), PART_DAY_LONG},
             {SX_STR_INIT("Mon"), PART_DAY_SHORT},
             {SX_STR_INIT("MST"), PART_ZONE_NAME},
             {SX_STR_INIT("002"), PART_YEARDAY},
             {SX_STR_INIT("01"), PART_MONTH_2},
             {SX_STR_INIT("02"), PART_DAY_2},
             {SX_STR_INIT("03"), PART_HOUR12_2},
             {SX_STR_INIT("04"), PART_MINUTE_2},
             {SX_STR_INIT("05"), PART_SECOND_2},
             {SX_STR_INIT("06"), PART_YEAR_2},
             {SX_STR_INIT("15"), PART_HOUR},
             {SX_STR_INIT("1"), PART_MONTH},
             {SX_STR_INIT("2006"), PART_YEAR},
             {SX_STR_INIT("2"), PART_DAY},
             {SX_STR_INIT("_2006"), PART_YEAR}, /* an underscore and a year: told below */
             {SX_STR_INIT("_2"), PART_DAY_SPACE},
             {SX_STR_INIT("3"), PART_HOUR12},
             {SX_STR_INIT("4"), PART_MINUTE},
             {SX_STR_INIT("5"), PART_SECOND},
             {SX_STR_INIT("PM"), PART_AM},
             {SX_STR_INIT("pm"), PART_AM_LOWER},
             {SX_STR_INIT("Z07:00"), PART_ZONE_Z},
             {SX_STR_INIT("Z0700"), PART_ZONE_Z},
             {SX_STR_INIT("-07:00"), PART_ZONE_COLON},
             {SX_STR_INIT("-0700"), PART_ZONE}};

static void print_part(part p, const struct tm *tm, sx_buf *out)
{
    int hour12 = tm->tm_hour % 12 ? tm->tm_hour % 12 : 12;
    switch (p) {
    case PART_MONTH_LONG:
        sx_buf_str(out, sx_str_z(MONTHS[tm->tm_mon]));
        break;
    case PART_MONTH_SHORT:
        sx_buf_bytes(out, MONTHS[tm->tm_mon], 3);
        break;
    case PART_DAY_LONG:
        sx_buf_str(out, sx_str_z(DAYS[tm->tm_wday]));
        break;
    case PART_DAY_SHORT:
        sx_buf_bytes(out, DAYS[tm->tm_wday], 3);
        break;
    case PART_ZONE_NAME:
        sx_buf_str(out, SX_STR("UTC"));
        break;
    case PART_ZONE_Z:
        sx_buf_byte(out, 'Z');
        break;
    case PART_ZONE_COLON:
        sx_buf_str(out, SX_STR("+00:00"));
        break;
    case PART_ZONE:
        sx_buf_str(out, SX_STR("+0000"));
        break;
    case PART_AM:
        sx_buf_str(out, tm->tm_hour >= 12 ? SX_STR("PM") : SX_STR("AM"));
        break;
    case PART_AM_LOWER:
        sx_buf_str(out, tm->tm_hour >= 12 ? SX_STR("pm") : SX_STR("am"));
        break;
    case PART_YEAR:
        sx_buf_printf(out, "%04d", tm->tm_year + 1900);
        break;
    case PART_YEAR_2:
        sx_buf_printf(out, "%02d", (tm->tm_year + 1900) % 100);
        break;
    case PART_YEARDAY:
        sx_buf_printf(out, "%03d", tm->tm_yday + 1);
        break;
    case PART_DAY_SPACE:
        sx_buf_printf(out, "%2d", tm->tm_mday);
        break;
    default: {
        bool two = p == PART_MONTH_2 || p == PART_DAY_2 || p == PART_HOUR12_2 ||
                   p == PART_MINUTE_2 || p == PART_SECOND_2 || p == PART_HOUR;
        int number = p == PART_MONTH_2 || p == PART_MONTH     ? tm->tm_mon + 1
                     : p == PART_DAY_2 || p == PART_DAY       ? tm->tm_mday
                     : p == PART_HOUR12_2 || p == PART_HOUR12 ? hour12
                     : p == PART_MINUTE_2 || p == PART_MINUTE ? tm->tm_min
                     : p == PART_SECOND_2 || p == PART_SECOND ? tm->tm_sec
                                                              : tm->tm_hour;
        sx_buf_printf(out, two ? "%02d" : "%d", number);
    }
    }
}

/* ".000" or ",999" behind the seconds: how many digits, and whether final zeros are left out. */
static size_t fraction_at(sx_str s)
{
    size_t n = 1;
    if (s.len < 2 || (s.data[0] != '.' && s.data[0] != ',') ||
        (s.data[1] != '0' && s.data[1] != '9'))
        return 0;
    while (n < s.len && s.data[n] == s.data[1])
        n++;
    bool digit_follows = n < s.len && s.data[n] >= '0' && s.data[n] <= '9';
    return digit_follows ? 0 : n - 1;
}

static void format_moment(int64_t ns, sx_str layout, sx_buf *out)
{
    struct tm tm;
    uint32_t nano;
    split(ns, &tm, &nano);
    while (layout.len) {
        size_t digits = fraction_at(layout), i = 0;
        if (digits) {
            char text[16];
            snprintf(text, sizeof text, "%09u", nano);
            size_t len = digits < 9 ? digits : 9;
            while (layout.data[1] == '9' && len && text[len - 1] == '0')
                len--;
            if (len)
                sx_buf_byte(out, layout.data[0]);
            sx_buf_bytes(out, text, len);
            layout = sx_str_from(layout, digits + 1);
            continue;
        }
        while (i < SX_COUNT_OF(PARTS) && !sx_str_starts(layout, PARTS[i].text))
            i++;
        if (i == SX_COUNT_OF(PARTS)) {
            sx_buf_byte(out, layout.data[0]);
            layout = sx_str_from(layout, 1);
            continue;
        }
        if (PARTS[i].text.data[0] == '_' && PARTS[i].part == PART_YEAR)
            sx_buf_byte(out, '_');
        print_part(PARTS[i].part, &tm, out);
        layout = sx_str_from(layout, PARTS[i].text.len);
    }
}

/* --- Moments. */

static sx_status moment_get(const void *object, sx_str name, sx_arena *arena, sx_tvalue *out,
                            sx_error *err)
{
    const moment *m = object;
    struct tm tm;
    uint32_t nano;
    split(m->ns, &tm, &nano);
    int64_t seconds = (m->ns - nano) / NANO;
    const struct {
        sx_str name;
        int64_t value;
    } NUMBERS[] = {{SX_STR("Year"), tm.tm_year + 1900},
                   {SX_STR("Day"), tm.tm_mday},
                   {SX_STR("Hour"), tm.tm_hour},
                   {SX_STR("Minute"), tm.tm_min},
                   {SX_STR("Second"), tm.tm_sec},
                   {SX_STR("Nanosecond"), nano},
                   {SX_STR("YearDay"), tm.tm_yday + 1},
                   {SX_STR("Unix"), seconds},
                   {SX_STR("UnixMilli"), m->ns / 1000000},
                   {SX_STR("UnixMicro"), m->ns / 1000},
                   {SX_STR("UnixNano"), m->ns}};
    for (size_t i = 0; i < SX_COUNT_OF(NUMBERS); i++) {
        if (sx_str_eq(NUMBERS[i].name, name)) {
            *out = (sx_tvalue){.kind = SX_TVALUE_INT, .integer = NUMBERS[i].value};
            return SX_OK;
        }
    }
    if (sx_str_eq(name, SX_STR("UTC")) || sx_str_eq(name, SX_STR("Local")))
        return rule_template_moment(m->ns, arena, out, err);
    *out = (sx_tvalue){.kind = SX_TVALUE_STRING};
    if (sx_str_eq(name, SX_STR("Month"))) {
        out->string = sx_str_z(MONTHS[tm.tm_mon]);
        return SX_OK;
    }
    if (sx_str_eq(name, SX_STR("Weekday"))) {
        out->string = sx_str_z(DAYS[tm.tm_wday]);
        return SX_OK;
    }
    if (!sx_str_eq(name, SX_STR("String")))
        return SX_ENOTFOUND;
    sx_buf text;
    sx_buf_init(&text, 0);
    rule_template_print_moment(m->ns, &text);
    return rule_template_give(&text, arena, out, err);
}

static sx_status moment_call(const void *object, sx_str name, const sx_tvalue *args, size_t count,
                             sx_arena *arena, sx_tvalue *out, sx_error *err)
{
    const moment *m = object;
    sx_str layout;
    sx_buf text;
    if (sx_str_eq(name, SX_STR("Add")) && count == 1) {
        int64_t span, sum;
        if (!rule_template_is_span(&args[0], &span))
            return sx_fail(err, SX_EINVAL, "wrong type for value; expected time.Duration; got %s",
                           rule_template_type(&args[0]));
        if (__builtin_add_overflow(m->ns, span, &sum))
            return sx_fail(err, SX_EINVAL, "the sum is out of range");
        return rule_template_moment(sum, arena, out, err);
    }
    if (!sx_str_eq(name, SX_STR("Format")) || count != 1)
        return SX_ENOTFOUND;
    sx_status st = rule_template_text(&args[0], &layout, err);
    if (st != SX_OK)
        return st;
    sx_buf_init(&text, 1 << 20);
    format_moment(m->ns, layout, &text);
    return rule_template_give(&text, arena, out, err);
}

static sx_status moment_print(const void *object, sx_buf *out)
{
    rule_template_print_moment(((const moment *)object)->ns, out);
    return SX_OK;
}

static const sx_tobject_ops MOMENT = {
    .type = "*time.Time", .get = moment_get, .call = moment_call, .print = moment_print};

static sx_status give_ns(int64_t ns, const sx_tobject_ops *ops, sx_arena *arena, sx_tvalue *out,
                         sx_error *err)
{
    moment *m = sx_arena_alloc(arena, sizeof *m);
    if (!m)
        return sx_fail_memory(err, "a template's value");
    m->ns = ns;
    *out = (sx_tvalue){.kind = SX_TVALUE_STRUCT, .object = m, .ops = ops};
    return SX_OK;
}

sx_status rule_template_moment(int64_t ns, sx_arena *arena, sx_tvalue *out, sx_error *err)
{
    return give_ns(ns, &MOMENT, arena, out, err);
}

/* --- Durations. */

static void print_span(int64_t ns, sx_buf *out)
{
    uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (ns < 0)
        sx_buf_byte(out, '-');
    if (left == 0) {
        sx_buf_str(out, SX_STR("0s"));
    } else if (left < NANO) { /* the largest unit of which there is at least one */
        static const char *const UNITS[] = {"ns", "\xc2\xb5s", "ms"};
        int unit = left < 1000 ? 0 : left < 1000000 ? 1 : 2;
        uint64_t size = unit == 0 ? 1 : unit == 1 ? 1000 : 1000000;
        sx_buf_u64(out, left / size);
        print_fraction((uint32_t)(left % size * (NANO / size)), 0, '.', out);
        sx_buf_str(out, sx_str_z(UNITS[unit]));
    } else {
        uint64_t seconds = left / NANO;
        if (seconds >= 3600)
            sx_buf_printf(out, "%lluh", (unsigned long long)(seconds / 3600));
        if (seconds >= 60)
            sx_buf_printf(out, "%llum", (unsigned long long)(seconds / 60 % 60));
        sx_buf_u64(out, seconds % 60);
        print_fraction((uint32_t)(left % NANO), 0, '.', out);
        sx_buf_byte(out, 's');
    }
}

static sx_status span_get(const void *object, sx_str name, sx_arena *arena, sx_tvalue *out,
                          sx_error *err)
{
    int64_t ns = ((const moment *)object)->ns;
    static const struct {
        sx_str name;
        double unit;
        bool whole;
    } UNITS[] = {{SX_STR_INIT("Hours"), 3600e9, false},    {SX_STR_INIT("Minutes"), 60e9, false},
                 {SX_STR_INIT("Seconds"), 1e9, false},     {SX_STR_INIT("Milliseconds"), 1e6, true},
                 {SX_STR_INIT("Microseconds"), 1e3, true}, {SX_STR_INIT("Nanoseconds"), 1, true}};
    for (size_t i = 0; i < SX_COUNT_OF(UNITS); i++) {
        if (!sx_str_eq(UNITS[i].name, name))
            continue;
        *out = UNITS[i].whole
                   ? (sx_tvalue){.kind = SX_TVALUE_INT, .integer = ns / (int64_t)UNITS[i].unit}
                   : (sx_tvalue){.kind = SX_TVALUE_FLOAT, .number = (double)ns / UNITS[i].unit};
        return SX_OK;
    }
    if (!sx_str_eq(name, SX_STR("String")))
        return SX_ENOTFOUND;
    sx_buf text;
    sx_buf_init(&text, 0);
    print_span(ns, &text);
    return rule_template_give(&text, arena, out, err);
}

static sx_status span_call(const void *object, sx_str name, const sx_tvalue *args, size_t count,
                           sx_arena *arena, sx_tvalue *out, sx_error *err)
{
    int64_t ns = ((const moment *)object)->ns, unit;
    bool round = sx_str_eq(name, SX_STR("Round"));
    if (count != 1 || (!round && !sx_str_eq(name, SX_STR("Truncate"))))
        return SX_ENOTFOUND;
    if (!rule_template_is_span(&args[0], &unit))
        return sx_fail(err, SX_EINVAL, "wrong type for value; expected time.Duration; got %s",
                       rule_template_type(&args[0]));
    if (unit > 0) {
        int64_t rest = ns % unit, cut = ns - rest;
        if (round && (rest < 0 ? -rest : rest) >= unit - (rest < 0 ? -rest : rest) &&
            __builtin_add_overflow(cut, ns < 0 ? -unit : unit, &cut))
            cut = ns < 0 ? INT64_MIN : INT64_MAX;
        ns = cut;
    }
    return rule_template_span(ns, arena, out, err);
}

static sx_status span_print(const void *object, sx_buf *out)
{
    print_span(((const moment *)object)->ns, out);
    return SX_OK;
}

static const sx_tobject_ops SPAN = {
    .type = "*time.Duration", .get = span_get, .call = span_call, .print = span_print};

sx_status rule_template_span(int64_t ns, sx_arena *arena, sx_tvalue *out, sx_error *err)
{
    return give_ns(ns, &SPAN, arena, out, err);
}

bool rule_template_is_span(const sx_tvalue *v, int64_t *ns)
{
    if (v->kind != SX_TVALUE_STRUCT || v->ops != &SPAN)
        return false;
    *ns = ((const moment *)v->object)->ns;
    return true;
}
