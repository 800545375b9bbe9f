/* redis_command.c - words into RESP, and what the server's errors mean (redis_internal.h).
 *
 * Source: "Redis serialization protocol specification" (RESP2), redis.io. */
#include "client/redis_internal.h"

#include <stdio.h>

static size_t digits_of(size_t n)
{
    size_t digits = 1;
    while (n >= 10) {
        n /= 10;
        digits++;
    }
    return digits;
}

size_t redis_wire_bytes(const sx_str *words, size_t count)
{
    size_t bytes = 1 + digits_of(count) + 2;
    for (size_t i = 0; i < count; i++) {
        if (words[i].len > (size_t)INT32_MAX) /* the server takes 512 MiB at most */
            return SIZE_MAX;
        bytes += 1 + digits_of(words[i].len) + 2 + words[i].len + 2;
    }
    return bytes;
}

static char *write_count(char *out, char mark, size_t n)
{
    size_t digits = digits_of(n);
    *out++ = mark;
    for (size_t i = digits; i > 0; i--) {
        out[i - 1] = (char)('0' + n % 10);
        n /= 10;
    }
    out += digits;
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

void redis_wire_write(const sx_str *words, size_t count, char *out)
{
    out = write_count(out, '*', count);
    for (size_t i = 0; i < count; i++) {
        out = write_count(out, '$', words[i].len);
        if (words[i].len)
            memcpy(out, words[i].data, words[i].len);
        out += words[i].len;
        *out++ = '\r';
        *out++ = '\n';
    }
}

const char *redis_command_refused(sx_str name)
{
    static const struct {
        sx_str name;
        const char *why;
    } ROWS[] = {
        {SX_STR_INIT("SUBSCRIBE"), "it turns the connection into a stream of messages"},
        {SX_STR_INIT("PSUBSCRIBE"), "it turns the connection into a stream of messages"},
        {SX_STR_INIT("SSUBSCRIBE"), "it turns the connection into a stream of messages"},
        {SX_STR_INIT("MONITOR"), "it turns the connection into a stream of messages"},
        {SX_STR_INIT("SYNC"), "it turns the connection into a replica's"},
        {SX_STR_INIT("PSYNC"), "it turns the connection into a replica's"},
        {SX_STR_INIT("MULTI"), "others' commands would fall into the transaction: use a script"},
        {SX_STR_INIT("EXEC"), "others' commands would fall into the transaction: use a script"},
        {SX_STR_INIT("DISCARD"), "others' commands would fall into the transaction: use a script"},
        {SX_STR_INIT("WATCH"), "others' commands would fall into the transaction: use a script"},
        {SX_STR_INIT("UNWATCH"), "others' commands would fall into the transaction: use a script"},
        {SX_STR_INIT("SELECT"), "all share the connection: name the database in the URL"},
        {SX_STR_INIT("AUTH"), "all share the connection: name the user in the URL"},
        {SX_STR_INIT("HELLO"), "all share the connection: it speaks RESP2"},
        {SX_STR_INIT("RESET"), "all share the connection"},
        {SX_STR_INIT("QUIT"), "all share the connection"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        if (sx_str_ieq(name, ROWS[i].name))
            return ROWS[i].why;
    }
    return NULL;
}

sx_str redis_command_name(sx_str name, char out[32])
{
    if (name.len == 0 || name.len > 31)
        return SX_STR("?");
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 32);
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return SX_STR("?");
        out[i] = c;
    }
    return sx_str_of(out, name.len);
}

redis_meaning redis_error_meaning(sx_str error)
{
    static const struct {
        sx_str word;
        redis_meaning meaning;
    } ROWS[] = {
        {SX_STR_INIT("NOAUTH"), {SX_EACCESS, CLIENT_ERROR, false}},
        {SX_STR_INIT("WRONGPASS"), {SX_EACCESS, CLIENT_ERROR, false}},
        {SX_STR_INIT("NOPERM"), {SX_EACCESS, CLIENT_ERROR, false}},
        {SX_STR_INIT("MOVED"), {SX_EUNSUPPORTED, CLIENT_ERROR, false}},
        {SX_STR_INIT("ASK"), {SX_EUNSUPPORTED, CLIENT_ERROR, false}},
        {SX_STR_INIT("CROSSSLOT"), {SX_EUNSUPPORTED, CLIENT_ERROR, false}},
        {SX_STR_INIT("CLUSTERDOWN"), {SX_EUNSUPPORTED, CLIENT_ERROR, false}},
        {SX_STR_INIT("LOADING"), {SX_ECLOSED, CLIENT_UNAVAILABLE, false}},
        {SX_STR_INIT("MASTERDOWN"), {SX_ECLOSED, CLIENT_UNAVAILABLE, false}},
        {SX_STR_INIT("BUSY"), {SX_ECLOSED, CLIENT_UNAVAILABLE, false}},
        {SX_STR_INIT("MISCONF"), {SX_ECLOSED, CLIENT_UNAVAILABLE, false}},
        {SX_STR_INIT("OOM"), {SX_ECLOSED, CLIENT_UNAVAILABLE, false}},
        {SX_STR_INIT("NOREPLICAS"), {SX_ECLOSED, CLIENT_UNAVAILABLE, false}},
        {SX_STR_INIT("READONLY"), {SX_ECLOSED, CLIENT_UNAVAILABLE, true}},
    };
    sx_str word = sx_str_first(error, sx_str_find_byte(error, ' '));
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        if (sx_str_eq(word, ROWS[i].word))
            return ROWS[i].meaning;
    }
    return (redis_meaning){SX_EINVAL, CLIENT_ERROR, false};
}
