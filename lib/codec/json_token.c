/* json_token.c - the grammar of JSON: which token may follow which, and that each is well-formed.
 *
 * The second pass over the text; json_scan.h describes the first. Every reader goes through
 * sx_json_next(), so it is written for speed: on its usual path nothing is called that it would have
 * to save registers for, and what is unusual is left to functions called last. */
#include "codec/json_cursor.h"

#include "codec/json_number.h"

/* The functions below come in two kinds made of one source: the usual one, which knows that
 * SX_JSON_AHEAD marks follow, and for the end of the text a careful one. */
typedef enum pace { USUAL, CAREFUL } pace;

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NOINLINE      __attribute__((noinline))

ALWAYS_INLINE bool is_missing(const uint32_t *m, pace how)
{
    return how == CAREFUL && *m == JSON_NO_MARK;
}

/* Whether what begins at `at` is a number or word that may go on in the next piece of the text. */
static SX_COLD bool is_cut(const sx_json *r, size_t at)
{
    if (!json_is_scalar((unsigned char)r->text[at]))
        return false;
    while (at < r->len && json_is_scalar((unsigned char)r->text[at]))
        at++;
    return at == r->len;
}

ALWAYS_INLINE sx_json_token take_word(sx_json *r, const uint32_t *m, sx_str word,
                                      sx_json_token token)
{
    size_t at = m[0], left = r->len - at;
    if (sx_unlikely(left < word.len || memcmp(r->text + at, word.data, word.len) != 0 ||
                    (left > word.len && json_is_scalar((unsigned char)r->text[at + word.len]))))
        return json_bad_scalar(r, at);
    json_done(r, m[0], at + word.len, at + word.len, m + 1, r->after);
    return token;
}

/* Called, not inlined, so that its registers are not saved for each key and string. */
static NOINLINE sx_json_token take_number(sx_json *r, const uint32_t *m)
{
    json_short n;
    size_t at = m[0], end;
    if (sx_likely(json_short_number(r, at, m[1], &n)))
        end = n.at + n.len;
    else
        end = json_number_end(r, at);
    if (sx_unlikely(end == at))
        return json_bad_scalar(r, at);
    json_done(r, m[0], end, end, m + 1, r->after);
    return SX_JSON_NUMBER;
}

static NOINLINE sx_json_token take_odd_string(sx_json *r, const uint32_t *m)
{
    sx_json_token token = json_odd_string(r, m);
    if (token != SX_JSON_STRING)
        return token;
    size_t at = m[0], end = m[1];
    if (r->escaped && !json_check_escapes(r, sx_str_of(r->text + at + 1, end - at - 1)))
        return SX_JSON_ERROR;
    json_done(r, m[0], m[1], end + 1, m + 2, r->after);
    return SX_JSON_STRING;
}

ALWAYS_INLINE sx_json_token take_string(sx_json *r, const uint32_t *m)
{
    if (!json_is_plain(r, m))
        return take_odd_string(r, m);
    r->escaped = false;
    json_done(r, m[0], m[1], (size_t)m[1] + 1, m + 2, r->after);
    return SX_JSON_STRING;
}

/* The value whose mark is m[0], if it is no string or number. */
static NOINLINE sx_json_token take_other(sx_json *r, const uint32_t *m)
{
    switch (r->text[m[0]]) {
    case 't':
        return take_word(r, m, SX_STR("true"), SX_JSON_TRUE);
    case 'f':
        return take_word(r, m, SX_STR("false"), SX_JSON_FALSE);
    case 'n':
        return take_word(r, m, SX_STR("null"), SX_JSON_NULL);
    case '{':
    case '[':
        if (sx_unlikely(r->depth >= r->depth_max))
            return json_too_deep(r, m);
        json_open(r, m, r->text[m[0]] == '{');
        return r->after == JSON_AFTER_MEMBER ? SX_JSON_OBJECT : SX_JSON_ARRAY;
    default:
        return json_unexpected(r, m[0], "a value");
    }
}

/* The value whose mark is m[0]. */
ALWAYS_INLINE sx_json_token take_value(sx_json *r, const uint32_t *m, pace how)
{
    if (is_missing(m, how))
        return json_ended(r, r->len, "a value");
    if (how == CAREFUL && r->partial && is_cut(r, m[0]))
        return SX_JSON_MORE;
    char c = r->text[m[0]];
    if (c == '"')
        return take_string(r, m);
    if (json_begins_number(c))
        return take_number(r, m);
    return take_other(r, m);
}

/* The key whose opening quote's mark is m[0], if it is not of the usual form. */
static NOINLINE sx_json_token take_odd_key(sx_json *r, const uint32_t *m)
{
    bool first = r->state == JSON_FIRST_KEY;
    if (m[0] == JSON_NO_MARK || r->text[m[0]] != '"')
        return json_unexpected(r, m[0], first ? "a key in quotes or '}'" : "a key in quotes");
    sx_json_token token = json_odd_string(r, m);
    if (token != SX_JSON_STRING)
        return token;
    size_t at = m[0], end = m[1];
    if (r->escaped && !json_check_escapes(r, sx_str_of(r->text + at + 1, end - at - 1)))
        return SX_JSON_ERROR;
    if (m[2] == JSON_NO_MARK || r->text[m[2]] != ':')
        return json_unexpected(r, m[2], "':' after a key");
    json_done(r, m[0], m[1], (size_t)m[2] + 1, m + 3, JSON_VALUE);
    return SX_JSON_KEY;
}

/* The key whose opening quote's mark is m[0], and its colon. */
ALWAYS_INLINE sx_json_token take_key(sx_json *r, const uint32_t *m, pace how)
{
    if (is_missing(m + 2, how) || sx_unlikely(r->text[m[0]] != '"' || r->text[m[2]] != ':') ||
        !json_is_plain(r, m))
        return take_odd_key(r, m);
    r->escaped = false;
    json_done(r, m[0], m[1], (size_t)m[2] + 1, m + 3, JSON_VALUE);
    return SX_JSON_KEY;
}

/* What follows the outermost value. */
static NOINLINE sx_json_token take_end(sx_json *r, const uint32_t *m)
{
    if (m[0] != JSON_NO_MARK)
        return json_unexpected(r, m[0], "the end of the text");
    if (r->stop != JSON_STOP_NONE || r->partial)
        return json_ended(r, r->len, "the end of the text");
    r->at = r->tok_end = r->end = (uint32_t)r->len;
    return SX_JSON_DONE;
}

ALWAYS_INLINE sx_json_token take_close(sx_json *r, const uint32_t *m, sx_json_token token)
{
    json_close(r, m);
    return token;
}

ALWAYS_INLINE sx_json_token take_token(sx_json *r, const uint32_t *m, pace how)
{
    switch (r->state) {
    case JSON_AFTER_MEMBER:
        if (is_missing(m, how))
            return json_ended(r, r->len, json_comma_or_end(r));
        if (sx_likely(r->text[m[0]] == ','))
            return take_key(r, m + 1, how);
        if (sx_likely(r->text[m[0]] == '}'))
            return take_close(r, m, SX_JSON_OBJECT_END);
        return json_unexpected(r, m[0], json_comma_or_end(r));
    case JSON_VALUE:
        return take_value(r, m, how);
    case JSON_FIRST_KEY:
        if (!is_missing(m, how) && r->text[m[0]] == '}')
            return take_close(r, m, SX_JSON_OBJECT_END);
        return take_key(r, m, how);
    case JSON_AFTER_ITEM:
        if (is_missing(m, how))
            return json_ended(r, r->len, json_comma_or_end(r));
        if (sx_likely(r->text[m[0]] == ','))
            return take_value(r, m + 1, how);
        if (sx_likely(r->text[m[0]] == ']'))
            return take_close(r, m, SX_JSON_ARRAY_END);
        return json_unexpected(r, m[0], json_comma_or_end(r));
    case JSON_FIRST_ITEM:
        if (!is_missing(m, how) && r->text[m[0]] == ']')
            return take_close(r, m, SX_JSON_ARRAY_END);
        return take_value(r, m, how);
    case JSON_AFTER_ALL:
        return take_end(r, m);
    default:
        return SX_JSON_ERROR;
    }
}

/* The marks have run out, or the text nearly has. */
static NOINLINE sx_json_token take_carefully(sx_json *r)
{
    return take_token(r, json_marks(r), CAREFUL);
}

/* HOT: 4 ns on average. */
sx_json_token sx_json_next(sx_json *r)
{
    const uint32_t *m = r->window.marks + r->next;
    if (json_must_fill(r) || sx_unlikely(m[SX_JSON_AHEAD - 1] == JSON_NO_MARK))
        return take_carefully(r);
    return take_token(r, m, USUAL);
}
