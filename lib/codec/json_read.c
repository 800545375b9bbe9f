/* json_read.c - the JSON reader by structure: objects, arrays, skipping. */
#include "codec/json_cursor.h"

/* Reads tokens until the container at depth `depth` has been closed. */
static bool read_out(sx_json *r, uint32_t depth)
{
    do {
        if (sx_unlikely(sx_json_next(r) == SX_JSON_ERROR))
            return false;
    } while (r->depth >= depth);
    return true;
}

bool sx_json_skip(sx_json *r)
{
    const uint32_t *m = json_begin_value(r);
    if (!m)
        return false;
    sx_json_token token = sx_json_next(r);
    if (token == SX_JSON_OBJECT || token == SX_JSON_ARRAY)
        return read_out(r, r->depth);
    return token != SX_JSON_ERROR;
}

bool sx_json_raw(sx_json *r, sx_str *out)
{
    const uint32_t *m = json_begin_value(r);
    if (!m)
        return false;
    size_t from = m[0]; /* if it is JSON_NO_MARK, skipping fails */
    if (!sx_json_skip(r))
        return false;
    *out = sx_str_of(r->text + from, r->end - from);
    return true;
}

/* Bits set, without the instruction that not every x86-64 has. */
static inline size_t count_bits(uint64_t bits)
{
    bits -= bits >> 1 & 0x5555555555555555u;
    bits = (bits & 0x3333333333333333u) + (bits >> 2 & 0x3333333333333333u);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return bits * 0x0101010101010101u >> 56;
}

/* The bracket in this block that closes the last of *open containers; 64 if there is none. */
static inline unsigned find_close(uint64_t opens, uint64_t closes, size_t *open)
{
    size_t closing = count_bits(closes);
    if (sx_likely(closing < *open)) {
        *open = *open - closing + count_bits(opens);
        return 64;
    }
    for (uint64_t both = opens | closes; both; both &= both - 1) {
        *open = (both & -both & opens) != 0 ? *open + 1 : *open - 1;
        if (*open == 0)
            return (unsigned)__builtin_ctzll(both);
    }
    return 64;
}

/* Counts the brackets at the marks that are left over from before the window, where there are no
 * bitmaps any more. The mark after that of the last one to close, or after all of them. */
static const uint32_t *count_left_over(const sx_json *r, const uint32_t *m, size_t *open)
{
    for (; *open > 0 && *m < r->window_at; m++) {
        char c = r->text[*m];
        if (c == '{' || c == '[')
            ++*open;
        else if (c == '}' || c == ']')
            --*open;
    }
    return m;
}

/* HOT: counts brackets, a block at a time, from after the one whose mark is m[0]. */
static bool skip_container_fast(sx_json *r, const uint32_t *m)
{
    uint32_t at = m[0], block = 0;
    size_t open = 1;
    uint64_t rest = ~(uint64_t)0;
    m = count_left_over(r, m + 1, &open);
    if (open == 0) {
        json_done(r, at, (size_t)m[-1] + 1, (size_t)m[-1] + 1, m, r->after);
        return true;
    }
    if (at >= r->window_at) {
        block = (uint32_t)((at - r->window_at) / 64);
        rest <<= (at - r->window_at) % 64;
        rest &= rest - 1; /* without the opening bracket itself */
    }
    for (;; block++, rest = ~(uint64_t)0) {
        if (block >= r->blocks) {
            json_cursor_next_window(r);
            if (r->blocks == 0) {
                json_ended(r, at, "the end of an array or object");
                return false;
            }
            block = 0;
        }
        unsigned close =
            find_close(r->window.opens[block] & rest, r->window.closes[block] & rest, &open);
        if (close < 64) {
            size_t end = r->window_at + 64 * (size_t)block + close + 1;
            const uint32_t *stop = r->window.marks + r->window.count;
            m = r->window.marks + r->window.first[block];
            while (m < stop && *m < end)
                m++;
            json_done(r, at, end, end, m, r->after);
            return true;
        }
    }
}

bool sx_json_skip_fast(sx_json *r)
{
    const uint32_t *m = json_begin_value(r);
    if (!m)
        return false;
    if (m[0] != JSON_NO_MARK && (r->text[m[0]] == '{' || r->text[m[0]] == '['))
        return skip_container_fast(r, m);
    return sx_json_next(r) != SX_JSON_ERROR;
}

sx_json_token sx_json_peek(sx_json *r)
{
    const uint32_t *m = json_begin_value(r);
    if (!m)
        return SX_JSON_ERROR;
    if (m[0] == JSON_NO_MARK)
        return json_ended(r, r->len, "a value");
    switch (r->text[m[0]]) {
    case '{':
        return SX_JSON_OBJECT;
    case '[':
        return SX_JSON_ARRAY;
    case '"':
        return SX_JSON_STRING;
    case 't':
        return SX_JSON_TRUE;
    case 'f':
        return SX_JSON_FALSE;
    case 'n':
        return SX_JSON_NULL;
    case '-':
    case '0' ... '9':
        return SX_JSON_NUMBER;
    default:
        return json_unexpected(r, m[0], "a value");
    }
}

bool sx_json_enter_object(sx_json *r)
{
    const uint32_t *m = json_begin_value(r);
    if (!m)
        return false;
    if (sx_unlikely(m[0] == JSON_NO_MARK || r->text[m[0]] != '{')) {
        json_unexpected(r, m[0], "an object");
        return false;
    }
    if (sx_unlikely(r->depth >= r->depth_max)) {
        json_too_deep(r, m);
        return false;
    }
    json_open(r, m, true);
    return true;
}

bool sx_json_enter_array(sx_json *r)
{
    const uint32_t *m = json_begin_value(r);
    if (!m)
        return false;
    if (sx_unlikely(m[0] == JSON_NO_MARK || r->text[m[0]] != '[')) {
        json_unexpected(r, m[0], "an array");
        return false;
    }
    if (sx_unlikely(r->depth >= r->depth_max)) {
        json_too_deep(r, m);
        return false;
    }
    json_open(r, m, false);
    return true;
}

bool sx_json_next_key(sx_json *r, sx_str *key)
{
    if (r->state == JSON_VALUE && !sx_json_skip(r))
        return false;
    if (sx_unlikely(r->state == JSON_REFUSED))
        return false;
    sx_assert(r->after == JSON_AFTER_MEMBER && (r->arena || r->space));
    if (sx_json_next(r) != SX_JSON_KEY)
        return false; /* the closing brace, or an error */
    if (sx_unlikely(r->escaped))
        return json_decode(r, key);
    *key = sx_json_token_raw(r);
    return true;
}

bool sx_json_next_item(sx_json *r)
{
    if (r->state == JSON_VALUE && !sx_json_skip(r))
        return false;
    if (sx_unlikely(r->state == JSON_REFUSED))
        return false;
    sx_assert(r->after == JSON_AFTER_ITEM);
    const uint32_t *m = json_marks(r);
    if (sx_unlikely(m[0] == JSON_NO_MARK)) {
        json_ended(r, r->len, json_comma_or_end(r));
        return false;
    }
    if (r->text[m[0]] == ']') {
        json_close(r, m);
        return false;
    }
    if (r->state != JSON_FIRST_ITEM) {
        if (sx_unlikely(r->text[m[0]] != ',')) {
            json_unexpected(r, m[0], json_comma_or_end(r));
            return false;
        }
        json_took(r, m + 1);
    }
    r->state = JSON_VALUE;
    return true;
}

bool sx_json_leave(sx_json *r)
{
    if (r->state == JSON_REFUSED)
        return false;
    sx_assert(r->depth > 0 && !r->partial);
    return read_out(r, r->depth);
}

sx_status sx_json_status(const sx_json *r, sx_error *err)
{
    if (sx_likely(r->state != JSON_REFUSED))
        return SX_OK;
    if (err)
        *err = r->err;
    return r->err.status;
}

sx_status sx_json_finish(sx_json *r, sx_error *err)
{
    sx_assert(!r->partial);
    sx_json_token token;
    do
        token = sx_json_next(r);
    while (token != SX_JSON_DONE && token != SX_JSON_ERROR);
    return sx_json_status(r, err);
}
