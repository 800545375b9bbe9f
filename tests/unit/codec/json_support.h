/* json_support.h - what the tests and fuzz targets of JSON share: running a reader at each scan
 * level, printing what it says, and putting a text where reading past its end crashes. */
#ifndef SX_TESTS_JSON_SUPPORT_H
#define SX_TESTS_JSON_SUPPORT_H

#include <sextant/json.h>

#include "codec/json_plain.h"
#include "codec/json_scan.h"

/* Appends one line for each token of `text` and, at its end, "done" or the refusal's message. Where
 * a partial text needs more, nothing is printed for that. Returns the last token. */
static inline sx_json_token json_print_tokens(sx_json *r, sx_buf *out)
{
    static const char *const NAMES[] = {"error", "done", "more", "{",    "}",     "[",   "]",
                                        "key",   "str",  "num",  "true", "false", "null"};
    for (;;) {
        sx_json_token token = sx_json_next(r);
        if (token == SX_JSON_MORE)
            return token;
        if (token == SX_JSON_ERROR) {
            sx_error err = {0};
            sx_json_status(r, &err);
            sx_buf_printf(out, "%s: %s\n", sx_status_name(err.status), err.message);
            return token;
        }
        sx_buf_printf(out, "%s @%llu-%llu", NAMES[token], (unsigned long long)sx_json_offset(r),
                      (unsigned long long)sx_json_end_offset(r));
        if (token == SX_JSON_KEY || token == SX_JSON_STRING || token == SX_JSON_NUMBER) {
            sx_buf_byte(out, ' ');
            sx_buf_str(out, sx_json_token_raw(r));
        }
        sx_buf_byte(out, '\n');
        if (token == SX_JSON_DONE)
            return token;
    }
}

/* The tokens of `text` as read with the scan of `level`; false if this machine has no such level. */
static inline bool json_tokens_at(json_scan_level level, sx_str text,
                                  const sx_json_options *options, sx_buf *out)
{
    sx_json r;
    json_scan_fn scan = json_scan_at(level);
    if (!scan)
        return false;
    sx_json_init(&r, text, options);
    r.scan = scan;
    sx_buf_clear(out);
    json_print_tokens(&r, out);
    return true;
}

/* Copies the value that `r` is at, token by token, to `w`. Returns the reader's last token. */
static inline sx_json_token json_copy(sx_json *r, sx_json_writer *w)
{
    for (;;) {
        sx_json_token token = sx_json_next(r);
        sx_str s;
        double d;
        if (json_put_plain(w, token))
            continue;
        switch (token) {
        case SX_JSON_KEY:
            if (!sx_json_token_str(r, &s))
                return SX_JSON_ERROR;
            sx_json_key(w, s);
            break;
        case SX_JSON_STRING:
            if (!sx_json_token_str(r, &s))
                return SX_JSON_ERROR;
            sx_json_str(w, s);
            break;
        case SX_JSON_NUMBER:
            if (!sx_json_token_double(r, &d))
                return SX_JSON_ERROR;
            sx_json_double(w, d);
            break;
        default:
            return token;
        }
    }
}

#endif
