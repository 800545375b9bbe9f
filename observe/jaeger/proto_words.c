/* proto_words.c - Go's spelling of numbers and times. See proto_words.h. */
#include "observe/jaeger/proto_words.h"

#define NS_A_SECOND 1000000000ll

bool jaeger_int(sx_str text, int64_t *out)
{
    bool minus = text.len && text.data[0] == '-';
    size_t i = text.len && (minus || text.data[0] == '+');
    uint64_t n = 0;
    if (i == text.len)
        return false;
    for (; i < text.len; i++) {
        unsigned digit = (unsigned char)text.data[i] - '0';
        if (digit > 9 || n > ((uint64_t)INT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = minus ? -(int64_t)n : (int64_t)n;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- times ---- */

#define LAYOUT "2006-01-02T15:04:05.999999999Z07:00"

/* The parts of the layout up to the seconds. */
static const struct {
    const char *layout;
    unsigned digits; /* 0: the very text */
} PARTS[] = {{"2006", 4}, {"-", 0}, {"01", 2}, {"-", 0}, {"02", 2}, {"T", 0},
             {"15", 2},   {":", 0}, {"04", 2}, {":", 0}, {"05", 2}};

enum { YEAR, MONTH = 2, DAY = 4, HOUR = 6, MINUTE = 8, SECOND = 10, PART_COUNT = 11 };

static sx_status bad_time(sx_str whole, sx_str rest, const char *part, sx_error *err)
{
    return sx_fail(err, SX_EINVAL,
                   "parsing time \"%.*s\" as \"" LAYOUT "\": cannot parse \"%.*s\" as \"%s\"",
                   SX_ARG(whole), SX_ARG(rest), part);
}

static sx_status out_of_range(sx_str whole, const char *what, sx_error *err)
{
    return sx_fail(err, SX_EINVAL, "parsing time \"%.*s\": %s out of range", SX_ARG(whole), what);
}

static bool read_digits(sx_str *rest, unsigned count, int *out)
{
    int n = 0;
    if (rest->len < count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!is_digit(rest->data[i]))
            return false;
        n = n * 10 + (rest->data[i] - '0');
    }
    *rest = sx_str_from(*rest, count);
    *out = n;
    return true;
}

/* Days from 1970 to a day of the Gregorian calendar, the year begun in March. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = y / 400, in_era = y % 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static int days_in(int year, int month)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return DAYS[month - 1] + (month == 2 && leap);
}

/* ".5" and more digits than nine, which are dropped. */
static int64_t read_fraction(sx_str *rest)
{
    int64_t ns = 0;
    size_t i = 1;
    if (rest->len < 2 || (rest->data[0] != '.' && rest->data[0] != ',') || !is_digit(rest->data[1]))
        return 0;
    for (int64_t unit = NS_A_SECOND / 10; i < rest->len && is_digit(rest->data[i]); i++, unit /= 10)
        ns += (rest->data[i] - '0') * unit;
    *rest = sx_str_from(*rest, i);
    return ns;
}

/* Z or +07:00, in seconds east. */
static bool read_zone(sx_str *rest, int64_t *seconds)
{
    int hours, minutes;
    *seconds = 0;
    if (rest->len && rest->data[0] == 'Z') {
        *rest = sx_str_from(*rest, 1);
        return true;
    }
    if (rest->len < 6 || (rest->data[0] != '+' && rest->data[0] != '-') || rest->data[3] != ':')
        return false;
    int64_t sign = rest->data[0] == '-' ? -1 : 1;
    *rest = sx_str_from(*rest, 1);
    if (!read_digits(rest, 2, &hours))
        return false;
    *rest = sx_str_from(*rest, 1);
    if (!read_digits(rest, 2, &minutes) || hours > 24 || minutes > 59)
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

static sx_status check_ranges(sx_str text, const int at[PART_COUNT], sx_error *err)
{
    if (at[MONTH] < 1 || at[MONTH] > 12)
        return out_of_range(text, "month", err);
    if (at[DAY] < 1 || at[DAY] > days_in(at[YEAR], at[MONTH]))
        return out_of_range(text, "day", err);
    if (at[HOUR] > 23)
        return out_of_range(text, "hour", err);
    if (at[MINUTE] > 59)
        return out_of_range(text, "minute", err);
    return at[SECOND] > 59 ? out_of_range(text, "second", err) : SX_OK;
}

sx_status jaeger_time_read(sx_str text, int64_t *ns, sx_error *err)
{
    sx_str rest = text;
    int at[PART_COUNT] = {0};
    for (size_t i = 0; i < PART_COUNT; i++) {
        bool good = PARTS[i].digits ? read_digits(&rest, PARTS[i].digits, &at[i])
                                    : rest.len && rest.data[0] == PARTS[i].layout[0];
        if (!good)
            return bad_time(text, rest, PARTS[i].layout, err);
        if (!PARTS[i].digits)
            rest = sx_str_from(rest, 1);
    }
    int64_t fraction = read_fraction(&rest), east;
    if (!read_zone(&rest, &east))
        return bad_time(text, rest, "Z07:00", err);
    if (rest.len)
        return sx_fail(err, SX_EINVAL, "parsing time \"%.*s\": extra text: \"%.*s\"", SX_ARG(text),
                       SX_ARG(rest));
    sx_status status = check_ranges(text, at, err);
    if (status != SX_OK)
        return status;
    int64_t seconds = days_of(at[YEAR], at[MONTH], at[DAY]) * 86400 + at[HOUR] * 3600 +
                      at[MINUTE] * 60 + at[SECOND] - east;
    if (seconds <= INT64_MIN / NS_A_SECOND)
        *ns = INT64_MIN;
    else if (seconds >= INT64_MAX / NS_A_SECOND)
        *ns = INT64_MAX;
    else
        *ns = seconds * NS_A_SECOND + fraction;
    return SX_OK;
}
