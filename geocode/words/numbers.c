/* numbers.c - house numbers: lists, ranges, and one form for 2a, 2 A and 2-a; see words.h. */
#include "geocode/words/words.h"

enum {
    RANGE_DIGITS_MAX = 9,
    RANGE_COUNT_MAX = 10, /* longer ranges are a number of their own */
    NAMED_LETTERS = 4,    /* so many in a row: it is not only a number */
    OPTIONALS_MAX = 4,
    NUMBER_BYTES_MAX = 1024,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool has_digit(sx_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (is_digit(s.data[i]))
            return true;
    return false;
}

/* A part between commas of three characters or more without a digit: "Haus Bethanien". */
static bool is_house_name(sx_str value)
{
    sx_str part;
    for (bool more = true; more;) {
        more = sx_str_cut(value, ',', &part, &value);
        uint32_t code;
        size_t count = 0;
        for (size_t i = 0; i < part.len && count < 3; count++)
            i += wrd_letter(sx_str_from(part, i), &code);
        if (count >= 3 && !has_digit(part))
            return true;
    }
    return false;
}

/* "2-8" with "even": 2, 4, 6, 8. 0: no such range, or a long one. */
static uint32_t expand(sx_str value, sx_str how, sx_arena *arena, sx_str *out)
{
    sx_str left, right;
    uint64_t first, last, step = 2;
    if (sx_str_eq(how, SX_STR("all")))
        step = 1;
    else if (how.len == 1 && is_digit(how.data[0]))
        step = (uint64_t)(how.data[0] - '0');
    else if (!sx_str_eq(how, SX_STR("odd")) && !sx_str_eq(how, SX_STR("even")))
        return 0;
    if (!sx_str_cut(value, '-', &left, &right) || left.len > RANGE_DIGITS_MAX ||
        right.len > RANGE_DIGITS_MAX || !sx_str_to_u64(left, &first) ||
        !sx_str_to_u64(right, &last) || step == 0)
        return 0;
    if ((sx_str_eq(how, SX_STR("even")) && first % 2 == 1) ||
        (sx_str_eq(how, SX_STR("odd")) && first % 2 == 0))
        first++;
    if (last < first || last + 1 - first >= RANGE_COUNT_MAX * step)
        return 0;
    uint32_t count = 0;
    for (uint64_t n = first; n <= last && count < WRD_NUMBERS_MAX; n += step) {
        out[count] = sx_arena_printf(arena, "%llu", (unsigned long long)n);
        if (!out[count].data)
            return 0;
        count++;
    }
    return count;
}

uint32_t wrd_housenumbers(sx_str value, sx_str interpolation, sx_arena *arena, sx_str *out,
                          bool *is_name)
{
    *is_name = false;
    value = sx_str_trim_all(sx_str_first(value, NUMBER_BYTES_MAX));
    uint32_t count = interpolation.len ? expand(value, interpolation, arena, out) : 0;
    if (count)
        return count;
    if (is_house_name(value)) {
        *is_name = true;
        return 0;
    }
    size_t from = 0;
    for (size_t i = 0; i <= value.len && count < WRD_NUMBERS_MAX; i++) {
        if (i < value.len && value.data[i] != ',' && value.data[i] != ';')
            continue;
        sx_str one = sx_str_trim_all(sx_str_of(value.data + from, i - from));
        from = i + 1;
        if (one.len == 0)
            continue;
        out[count] = sx_arena_copy(arena, one);
        if (!out[count].data)
            return 0;
        count++;
    }
    return count;
}

/* Between a digit and a letter (or the other way round, `letter_first`), spaces become one mark. The
 * pairs do not overlap, as those of a regular expression do not. Returns how many. */
static unsigned put_optionals(sx_str in, bool letter_first, sx_buf *out)
{
    unsigned count = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.data[i];
        bool begins = letter_first ? c != ' ' && !is_digit(c) && c != WRD_OPTIONAL : is_digit(c);
        size_t next = i + 1;
        while (begins && next < in.len && in.data[next] == ' ')
            next++;
        sx_buf_byte(out, c);
        if (!begins || next == in.len)
            continue;
        char d = in.data[next];
        bool ends = letter_first ? is_digit(d) : d != ' ' && !is_digit(d) && d != WRD_OPTIONAL;
        if (!ends)
            continue;
        sx_buf_byte(out, WRD_OPTIONAL);
        sx_buf_byte(out, d);
        i = next;
        count++;
    }
    return count;
}

static bool has_word(sx_str s)
{
    size_t run = 0;
    for (size_t i = 0; i < s.len; i++) {
        run = s.data[i] >= 'a' && s.data[i] <= 'z' ? run + 1 : 0;
        if (run == NAMED_LETTERS)
            return true;
    }
    return false;
}

void wrd_housenumber_id(sx_str number, sx_buf *out)
{
    bool plain = number.len > 0;
    for (size_t i = 0; i < number.len && plain; i++)
        plain = is_digit(number.data[i]);
    if (plain) {
        sx_buf_str(out, number);
        return;
    }
    sx_buf normal, ascii, once, twice;
    sx_buf_init(&normal, 0);
    sx_buf_init(&ascii, 0);
    sx_buf_init(&once, 0);
    sx_buf_init(&twice, 0);
    wrd_normal_name(sx_str_first(number, NUMBER_BYTES_MAX), &normal);
    wrd_ascii(sx_buf_view(&normal), &ascii);
    sx_str id = sx_buf_view(&ascii);
    if (!has_word(id)) {
        unsigned count = put_optionals(id, false, &once);
        count += put_optionals(sx_buf_view(&once), true, &twice);
        if (count <= OPTIONALS_MAX)
            id = sx_buf_view(&twice);
    }
    sx_buf_str(out, id);
    out->failed |= normal.failed || ascii.failed || once.failed || twice.failed;
    sx_buf_done(&normal);
    sx_buf_done(&ascii);
    sx_buf_done(&once);
    sx_buf_done(&twice);
}

void wrd_housenumber_variants(sx_str id, void (*each)(void *ctx, sx_str variant), void *ctx)
{
    char text[NUMBER_BYTES_MAX * 4];
    unsigned marks = 0;
    for (size_t i = 0; i < id.len; i++)
        marks += id.data[i] == WRD_OPTIONAL;
    if (id.len > sizeof(text) || marks > OPTIONALS_MAX * 2) {
        each(ctx, id);
        return;
    }
    for (unsigned choice = 0; choice < 1u << marks; choice++) {
        size_t len = 0;
        unsigned mark = 0;
        for (size_t i = 0; i < id.len; i++) {
            if (id.data[i] != WRD_OPTIONAL)
                text[len++] = id.data[i];
            else if (!(choice >> mark++ & 1))
                text[len++] = ' ';
        }
        each(ctx, sx_str_of(text, len));
    }
}
