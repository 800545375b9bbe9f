/* postcode.c - postcodes as their countries write them, in data and in queries; see words.h. */
#include "geocode/words/countries.h"
#include "geocode/words/pattern.h"
#include "geocode/words/words.h"

enum {
    COUNTRY_COUNT = sizeof(COUNTRIES) / sizeof(COUNTRIES[0]),
    SHAPE_COUNT = sizeof(POSTCODE_SHAPES) / sizeof(POSTCODE_SHAPES[0]),
    POSTCODE_BYTES_MAX = 64,
    ANY_LEAST = 3, /* of a country without a pattern: letters, digits, '-' and spaces */
    ANY_MOST = 12,
    EXTENT_M = 5000,
    LOOK_AHEAD = 24, /* a postcode has a digit among its first characters */
};

/* What may follow a postcode in a query. */
static const char *const ENDS = ":, >";

static const country_facts *country_of(sx_str code)
{
    size_t low = 0, high = COUNTRY_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = sx_str_cmp(code, sx_str_z(COUNTRIES[middle].code));
        if (order == 0)
            return &COUNTRIES[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

sx_str wrd_country_languages(sx_str country)
{
    const country_facts *c = country_of(country);
    return c ? sx_str_z(c->languages) : sx_str_of("", 0);
}

uint32_t wrd_postcode_extent(sx_str country)
{
    const country_facts *c = country_of(country);
    return c && c->extent_m ? c->extent_m : EXTENT_M;
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool only_zeros(sx_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] != '0' && s.data[i] != '-' && s.data[i] != ' ')
            return false;
    return true;
}

/* Any postcode of a country that has no pattern. */
static bool match_any(sx_str text, wrd_match *m)
{
    if (text.len > ANY_LEAST && text.data[0] == '-')
        text = sx_str_from(text, 1);
    if (text.len < ANY_LEAST || text.len > ANY_MOST)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!is_upper(text.data[i]) && !is_digit(text.data[i]) && text.data[i] != '-' &&
            text.data[i] != ' ')
            return false;
    *m = (wrd_match){.whole = text};
    return true;
}

static bool match_country(const country_facts *c, sx_str text, wrd_match *m)
{
    const char *pattern = c->postcode;
    if (pattern[0] == '*')
        return match_any(text, m);
    if (text.len > 2 && (text.data[0] | 0x20) == c->code[0] &&
        (text.data[1] | 0x20) == c->code[1]) {
        sx_str bare = sx_str_from(text, 2);
        if ((bare.data[0] == ' ' || bare.data[0] == '-') &&
            wrd_pattern_match(pattern, sx_str_from(bare, 1), "", true, m))
            return true;
        if (wrd_pattern_match(pattern, bare, "", true, m))
            return true;
    }
    return wrd_pattern_match(pattern, text, "", true, m);
}

bool wrd_postcode(sx_str country, sx_str text, sx_buf *out)
{
    char upper[POSTCODE_BYTES_MAX];
    const country_facts *c = country_of(country);
    text = sx_str_trim_all(text);
    if (country.len != 2 || (c && !c->postcode[0]) || text.len == 0 || text.len > sizeof(upper))
        return false;
    for (size_t i = 0; i < text.len; i++)
        upper[i] =
            text.data[i] >= 'a' && text.data[i] <= 'z' ? (char)(text.data[i] - 32) : text.data[i];
    wrd_match m;
    text = sx_str_of(upper, text.len);
    if (!(c ? match_country(c, text, &m) : match_any(text, &m)) || only_zeros(m.whole))
        return false;
    wrd_pattern_output(c ? c->output : "", &m, out);
    return true;
}

static bool any_shape(sx_str text)
{
    wrd_match m;
    for (size_t i = 0; i < SHAPE_COUNT; i++)
        if ((i == 0 || strcmp(POSTCODE_SHAPES[i].pattern, POSTCODE_SHAPES[i - 1].pattern) != 0) &&
            wrd_pattern_match(POSTCODE_SHAPES[i].pattern, text, ENDS, false, &m))
            return true;
    return false;
}

/* Adds the postcode unless it is there. */
static uint32_t put(wrd_postcode_found *out, uint32_t count, uint32_t breaks, sx_str text,
                    sx_arena *arena)
{
    for (uint32_t i = 0; i < count; i++)
        if (out[i].breaks == breaks && sx_str_eq(out[i].text, text))
            return count;
    text = sx_arena_copy(arena, text);
    if (count == WRD_POSTCODES_MAX || !text.data)
        return count;
    out[count] = (wrd_postcode_found){breaks, text};
    return count + 1;
}

/* Endings of words within a match and the one behind it. */
static uint32_t breaks_in(sx_str text, size_t len)
{
    uint32_t count = 0;
    for (size_t i = 0; i <= len && i < text.len; i++)
        count += text.data[i] == ' ' || text.data[i] == ',' || text.data[i] == '-' ||
                 text.data[i] == ':' || text.data[i] == '>';
    return count;
}

uint32_t wrd_postcodes_in(sx_str text, bool whole, sx_arena *arena,
                          wrd_postcode_found out[WRD_POSTCODES_MAX])
{
    bool digit = false;
    for (size_t i = 0; i < text.len && i < LOOK_AHEAD && !digit; i++)
        digit = is_digit(text.data[i]);
    if (!digit)
        return 0;
    /* A country's code may come first: "CH-8000". If what follows is a postcode anywhere, it is only
     * looked up in that country. */
    sx_str code = sx_str_of("", 0), rest = text;
    size_t space = 0;
    if (text.len > 3 && is_upper(text.data[0]) && is_upper(text.data[1])) {
        space = text.data[2] == ' ' || text.data[2] == '-';
        if (!(space && any_shape(sx_str_from(text, 3))))
            space = 0;
        if (space || any_shape(sx_str_from(text, 2))) {
            code = sx_str_first(text, 2);
            rest = sx_str_from(text, 2 + space);
        }
    }
    uint32_t count = 0;
    sx_buf buf;
    sx_buf_init(&buf, POSTCODE_BYTES_MAX);
    bool fits = false;
    wrd_match m;
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        const postcode_shape *shape = &POSTCODE_SHAPES[i];
        if (i == 0 || strcmp(shape->pattern, POSTCODE_SHAPES[i - 1].pattern) != 0)
            fits = wrd_pattern_match(shape->pattern, rest, ENDS, whole, &m);
        sx_str countries = sx_str_z(shape->countries);
        if (!fits || (code.len && sx_str_find(countries, code) == countries.len))
            continue;
        sx_buf_clear(&buf);
        wrd_pattern_output(shape->output, &m, &buf);
        if (!buf.failed)
            count = put(out, count, (uint32_t)space + breaks_in(rest, m.whole.len),
                        sx_buf_view(&buf), arena);
    }
    sx_buf_done(&buf);
    return count;
}
