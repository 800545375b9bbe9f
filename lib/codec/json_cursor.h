/* json_cursor.h - stepping through the marks of a JSON text, shared by the files of the reader.
 *
 * json_token.c holds the grammar, json_read.c the reader by structure, json_value.c what values are
 * converted to. All of them take their marks from the window, which json_cursor_fill() renews. Whoever finds a
 * fault calls json_refuse(), after which the state is JSON_REFUSED and nothing moves any more. */
#ifndef SX_CODEC_JSON_CURSOR_H
#define SX_CODEC_JSON_CURSOR_H

#include <sextant/json.h>

/* sx_json.state: what may come next. The three that follow a value are what sx_json.after holds for
 * the innermost container. */
enum {
    JSON_VALUE,        /* a value must */
    JSON_FIRST_ITEM,   /* after '[': a value or ']' */
    JSON_FIRST_KEY,    /* after '{': a key or '}' */
    JSON_AFTER_ITEM,   /* ',' or ']' */
    JSON_AFTER_MEMBER, /* ',' or '}' */
    JSON_AFTER_ALL,    /* the end of the text */
    JSON_REFUSED       /* nothing: err is filled */
};

/* sx_json.stop */
enum {
    JSON_STOP_NONE,   /* the window's end is not the text's, or it is and all was well */
    JSON_STOP_UTF8,   /* no character begins at stop_at */
    JSON_STOP_CONTROL /* a control character stands in a string at stop_at */
};

/* Stands for the marks after the last. */
#define JSON_NO_MARK UINT32_MAX

/* Whether a byte can be part of a number or a word, which it then continues. */
static inline bool json_is_scalar(unsigned char c)
{
    static const bool ENDS[256] = {
        [' '] = true, ['\t'] = true, ['\n'] = true, ['\r'] = true, [','] = true, [':'] = true,
        ['['] = true, [']'] = true,  ['{'] = true,  ['}'] = true,  ['"'] = true};
    return !ENDS[c];
}

/* Whether a byte is one that a number begins with. */
static inline bool json_begins_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-';
}

/* Renews the window when fewer than SX_JSON_AHEAD marks are left in it. Those missing at the end of
 * the text are JSON_NO_MARK. */
void json_cursor_fill(sx_json *r);

/* Drops the marks that are left and scans the next window, even if few marks are in it. Without one
 * r->blocks is 0. */
void json_cursor_next_window(sx_json *r);

static inline bool json_must_fill(const sx_json *r)
{
    return sx_unlikely(r->next + SX_JSON_AHEAD > r->window.count);
}

/* The next marks, at least SX_JSON_AHEAD of them. HOT. */
static inline const uint32_t *json_marks(sx_json *r)
{
    if (json_must_fill(r))
        json_cursor_fill(r);
    return r->window.marks + r->next;
}

/* Takes all marks before `m`, which json_marks() gave or lies up to SX_JSON_AHEAD behind it. One
 * store a token: the next call's load must wait for it. */
static inline void json_took(sx_json *r, const uint32_t *m)
{
    r->next = (uint32_t)(m - r->window.marks);
}

/* Refuses the text: fills r->err with the position of offset `at` and the message. */
sx_json_token json_refuse(sx_json *r, sx_status status, size_t at, const char *fmt, ...)
    SX_PRINTF(4, 5) SX_COLD;

/* Refuses what stands at the mark `at` (JSON_NO_MARK: the end) where `expected` should, naming
 * both; at the end of a partial text asks for more instead. */
sx_json_token json_unexpected(sx_json *r, size_t at, const char *expected) SX_COLD;

/* A place in the whole text, from 0. */
typedef struct json_place {
    uint64_t byte;
    uint64_t line;
    uint64_t column;
} json_place;

json_place json_place_of(const sx_json *r, size_t at);

/* Why no mark follows, where `missing` should: the byte that stopped the scan, the end of the text,
 * or SX_JSON_MORE. `from` is where the unfinished thing began. */
sx_json_token json_ended(sx_json *r, size_t from, const char *missing) SX_COLD;

/* Whether the string between the quotes at `open` and `close` has a backslash. */
bool json_has_escapes(const sx_json *r, size_t open, size_t close);

/* Whether the string whose quotes have the marks m[0] and m[1] is of the usual kind: it ends, is not
 * too long and has no escapes. If there is no closing quote its offset makes the string too long,
 * as texts are below 2 GiB. */
static inline bool json_is_plain(const sx_json *r, const uint32_t *m)
{
    return sx_likely(m[1] - m[0] - 1 <= r->string_bytes_max && m[0] >= r->plain_from);
}

/* The same string, if it is not plain: fills r->escaped and checks what is to be checked but for
 * its escapes. SX_JSON_STRING, or what json_ended() says. */
sx_json_token json_odd_string(sx_json *r, const uint32_t *m);

/* Checks the escapes in `raw` (json_value.c). False: refused. */
bool json_check_escapes(sx_json *r, sx_str raw);

/* Decodes the last token, a string, into the arena or space. False: refused. */
bool json_decode(sx_json *r, sx_str *out);

/* Where the number that begins at `start` ends; `start` itself if it is none. */
size_t json_number_end(const sx_json *r, size_t start);

/* Refuses the number or word at `at`, which breaks the grammar. */
sx_json_token json_bad_scalar(sx_json *r, size_t at) SX_COLD;

/* The marks of the value that must come, for the functions that read one: NULL if the text is
 * refused. At the end of the text the first is JSON_NO_MARK. */
static inline const uint32_t *json_begin_value(sx_json *r)
{
    if (sx_unlikely(r->state == JSON_REFUSED))
        return NULL;
    sx_assert(r->state == JSON_VALUE && !r->partial);
    return json_marks(r);
}

/* What every token ends with: it stands at text[at, end) but for the quotes and colon around it, the
 * mark after it is `m`, and after it may come what `state` says. */
static inline void json_done(sx_json *r, uint32_t at, size_t tok_end, size_t end, const uint32_t *m,
                             uint8_t state)
{
    r->at = at;
    r->tok_end = (uint32_t)tok_end;
    r->end = (uint32_t)end;
    r->state = state;
    json_took(r, m);
}

static inline void json_open(sx_json *r, const uint32_t *m, bool object)
{
    /* kinds[] remembers the enclosing container; `after` tells the innermost. */
    uint64_t bit = (uint64_t)1 << (r->depth % 64);
    uint64_t *word = &r->kinds[r->depth / 64];
    *word = r->after == JSON_AFTER_MEMBER ? *word | bit : *word & ~bit;
    r->depth++;
    r->after = object ? JSON_AFTER_MEMBER : JSON_AFTER_ITEM;
    json_done(r, m[0], (size_t)m[0] + 1, (size_t)m[0] + 1, m + 1,
              object ? JSON_FIRST_KEY : JSON_FIRST_ITEM);
}

static inline void json_close(sx_json *r, const uint32_t *m)
{
    uint32_t depth = --r->depth;
    r->after = r->kinds[depth / 64] >> (depth % 64) & 1 ? JSON_AFTER_MEMBER
               : depth > 0                              ? JSON_AFTER_ITEM
                                                        : JSON_AFTER_ALL;
    json_done(r, m[0], (size_t)m[0] + 1, (size_t)m[0] + 1, m + 1, r->after);
}

/* Refuses a container too deep. */
sx_json_token json_too_deep(sx_json *r, const uint32_t *m) SX_COLD;

/* The words for what must follow a value. */
static inline const char *json_comma_or_end(const sx_json *r)
{
    return r->after == JSON_AFTER_MEMBER ? "',' or '}'" : "',' or ']'";
}

#endif
