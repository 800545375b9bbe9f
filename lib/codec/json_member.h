/* json_member.h - one member of a JSON object in one call: for pages and answers with many. */
#ifndef SEXTANT_CODEC_JSON_MEMBER_H
#define SEXTANT_CODEC_JSON_MEMBER_H

#include <sextant/json.h>

static inline void key_str(sx_json_writer *w, const char *key, sx_str value)
{
    sx_json_key(w, sx_str_z(key));
    sx_json_str(w, value);
}

static inline void key_u64(sx_json_writer *w, const char *key, uint64_t value)
{
    sx_json_key(w, sx_str_z(key));
    sx_json_u64(w, value);
}

static inline void key_i64(sx_json_writer *w, const char *key, int64_t value)
{
    sx_json_key(w, sx_str_z(key));
    sx_json_i64(w, value);
}

static inline void key_bool(sx_json_writer *w, const char *key, bool value)
{
    sx_json_key(w, sx_str_z(key));
    sx_json_bool(w, value);
}

static inline void key_double(sx_json_writer *w, const char *key, double value)
{
    sx_json_key(w, sx_str_z(key));
    sx_json_double(w, value);
}

/* Nanoseconds as milliseconds of three decimals. Divided, not multiplied by 0.001: so the number that is
 * shown is the shortest one. */
static inline void key_ms(sx_json_writer *w, const char *key, int64_t ns)
{
    int64_t us = (ns + 500) / 1000;
    key_double(w, key, (double)us / 1000);
}

/* Milliseconds as seconds. */
static inline void key_seconds(sx_json_writer *w, const char *key, int64_t ms)
{
    key_double(w, key, (double)ms / 1000);
}

#endif
