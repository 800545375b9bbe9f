/* json_plain.h - a token that says all by its kind, from a reader to a writer: for what copies JSON token by
 * token and changes a part of it on the way. */
#ifndef SEXTANT_CODEC_JSON_PLAIN_H
#define SEXTANT_CODEC_JSON_PLAIN_H

#include <sextant/json.h>

/* Writes brackets, true, false and null. False, nothing written: it is a key, a string or a number, which the
 * caller reads with sx_json_token_str() and its sisters, or no value at all. */
static inline bool json_put_plain(sx_json_writer *w, sx_json_token token)
{
    switch (token) {
    case SX_JSON_OBJECT:
        sx_json_begin_object(w);
        return true;
    case SX_JSON_OBJECT_END:
        sx_json_end_object(w);
        return true;
    case SX_JSON_ARRAY:
        sx_json_begin_array(w);
        return true;
    case SX_JSON_ARRAY_END:
        sx_json_end_array(w);
        return true;
    case SX_JSON_TRUE:
    case SX_JSON_FALSE:
        sx_json_bool(w, token == SX_JSON_TRUE);
        return true;
    case SX_JSON_NULL:
        sx_json_null(w);
        return true;
    default:
        return false;
    }
}

#endif
