/* baggage.c - W3C Baggage: checking what came in and walking over it.
 *
 * Baggage is passed on as it came, so it is checked once, with its limits, and kept as one view.
 * Called by the service for each request that has some, and by programs that read a member.
 * Source: W3C Baggage, section 3.3 (the header's grammar and limits). */
#include <sextant/trace.h>

/* What a byte may be part of. */
enum { IN_TOKEN = 1, IN_VALUE = 2 };

#define TOKEN_AND_VALUE (IN_TOKEN | IN_VALUE)

/* RFC 9110's tchar; and baggage-octet: visible ASCII without '"', ',', ';' and '\'. */
static const uint8_t CLASS[256] = {
    ['!'] = TOKEN_AND_VALUE,
    ['#' ... '\''] = TOKEN_AND_VALUE,
    ['('] = IN_VALUE,
    [')'] = IN_VALUE,
    ['*'] = TOKEN_AND_VALUE,
    ['+'] = TOKEN_AND_VALUE,
    ['-'] = TOKEN_AND_VALUE,
    ['.'] = TOKEN_AND_VALUE,
    ['/'] = IN_VALUE,
    ['0' ... '9'] = TOKEN_AND_VALUE,
    [':'] = IN_VALUE,
    ['<'] = IN_VALUE,
    ['='] = IN_VALUE,
    ['>'] = IN_VALUE,
    ['?'] = IN_VALUE,
    ['@'] = IN_VALUE,
    ['A' ... 'Z'] = TOKEN_AND_VALUE,
    ['['] = IN_VALUE,
    [']'] = IN_VALUE,
    ['^'] = TOKEN_AND_VALUE,
    ['_'] = TOKEN_AND_VALUE,
    ['`'] = TOKEN_AND_VALUE,
    ['a' ... 'z'] = TOKEN_AND_VALUE,
    ['{'] = IN_VALUE,
    ['|'] = TOKEN_AND_VALUE,
    ['}'] = IN_VALUE,
    ['~'] = TOKEN_AND_VALUE,
};

static bool all_in(sx_str text, unsigned class)
{
    for (size_t i = 0; i < text.len; i++)
        if (!(CLASS[(unsigned char)text.data[i]] & class))
            return false;
    return true;
}

/* key OWS "=" OWS value, cut into its parts; false if there is no '='. */
static bool cut_pair(sx_str text, sx_str *key, sx_str *value)
{
    bool found = sx_str_cut(text, '=', key, value);
    *key = sx_str_trim(*key);
    *value = sx_str_trim(*value);
    return found;
}

static bool pair_is_right(sx_str key, sx_str value)
{
    return key.len > 0 && all_in(key, IN_TOKEN) && all_in(value, IN_VALUE);
}

/* A member must have a value, which may be empty; a property may be a key alone. */
static bool member_is_right(sx_str member)
{
    sx_str part, rest, key, value;
    bool more = sx_str_cut(member, ';', &part, &rest);
    if (!cut_pair(part, &key, &value))
        return false;
    for (;;) {
        if (!pair_is_right(key, value))
            return false;
        if (!more)
            return true;
        more = sx_str_cut(rest, ';', &part, &rest);
        cut_pair(part, &key, &value);
    }
}

sx_str sx_baggage_check(sx_str text)
{
    static const sx_str NONE = SX_STR_INIT("");
    size_t members = 0;
    sx_str rest = text, member;
    if (text.len > SX_BAGGAGE_MAX)
        return NONE;
    while (rest.len > 0) {
        sx_str_cut(rest, ',', &member, &rest);
        member = sx_str_trim(member);
        if (member.len == 0)
            continue;
        if (!member_is_right(member) || ++members > SX_BAGGAGE_MEMBERS)
            return NONE;
    }
    return members > 0 ? text : NONE;
}

bool sx_baggage_next(sx_str *rest, sx_str *key, sx_str *value)
{
    while (rest->len > 0) {
        sx_str member, properties;
        sx_str_cut(*rest, ',', &member, rest);
        sx_str_cut(member, ';', &member, &properties);
        if (cut_pair(member, key, value))
            return true;
    }
    return false;
}

sx_str sx_baggage_extract(unsigned propagators, sx_carrier_get *get, const void *carrier)
{
    if (!(propagators & SX_PROPAGATE_BAGGAGE))
        return SX_STR("");
    return sx_baggage_check(get(carrier, SX_STR("baggage")));
}
