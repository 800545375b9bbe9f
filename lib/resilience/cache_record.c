/* cache_record.c - values on their way to and from tiers; cache_record.h, docs/formats/cache-record.md. */
#include "resilience/cache_record.h"

#include <string.h>

#include <sextant/hash.h>

enum {
    AT_KIND = 4,
    AT_VERSION = 8,
    AT_VALUE_LEN = 12,
    AT_CLASS = 16,
    AT_STORED = 24,
    AT_FRESH = 32,
    AT_TAG = 40,
    AT_CHECKSUM = 48
};

static const char MAGIC[4] = {'S', 'X', 'C', '1'};

static void put_number(char *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (char)(value >> (8 * i));
}

static uint64_t number_at(const char *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)(unsigned char)at[i] << (8 * i);
    return value;
}

/* Over the key, the head before the checksum, and the value: each seeds the next. */
static uint64_t checksum(sx_str key, const char *head, sx_str value)
{
    uint64_t sum = sx_hash(key, 0);
    sum = sx_hash_bytes(head, AT_CHECKSUM, sum);
    return sx_hash(value, sum);
}

void cache_record_write(const cache_record *r, sx_str key, char *out)
{
    sx_assert(r->value.len <= UINT32_MAX);
    memset(out, 0, CACHE_RECORD_HEAD);
    memcpy(out, MAGIC, sizeof(MAGIC));
    put_number(out + AT_KIND, r->is_absent, 1);
    put_number(out + AT_VERSION, r->class_version, 4);
    put_number(out + AT_VALUE_LEN, r->value.len, 4);
    put_number(out + AT_CLASS, r->class_hash, 8);
    put_number(out + AT_STORED, (uint64_t)r->stored_ms, 8);
    put_number(out + AT_FRESH, (uint64_t)r->fresh_until_ms, 8);
    put_number(out + AT_TAG, r->tag, 8);
    put_number(out + AT_CHECKSUM, checksum(key, out, r->value), 8);
    if (r->value.len)
        memcpy(out + CACHE_RECORD_HEAD, r->value.data, r->value.len);
}

bool cache_record_read(sx_str bytes, sx_str key, cache_record *out)
{
    if (bytes.len < CACHE_RECORD_HEAD || memcmp(bytes.data, MAGIC, sizeof(MAGIC)) != 0)
        return false;
    const char *head = bytes.data;
    sx_str value = sx_str_from(bytes, CACHE_RECORD_HEAD);
    if (number_at(head + AT_VALUE_LEN, 4) != value.len ||
        number_at(head + AT_CHECKSUM, 8) != checksum(key, head, value))
        return false;
    /* From here on it is one of ours; what a later version may add is refused all the same. */
    if (number_at(head + AT_KIND, 4) > 1)
        return false;
    int64_t stored = (int64_t)number_at(head + AT_STORED, 8);
    int64_t fresh = (int64_t)number_at(head + AT_FRESH, 8);
    if (stored < 0 || fresh <= stored || fresh - stored > UINT32_MAX)
        return false;
    *out = (cache_record){.is_absent = head[AT_KIND] == 1,
                          .class_version = (uint32_t)number_at(head + AT_VERSION, 4),
                          .class_hash = number_at(head + AT_CLASS, 8),
                          .stored_ms = stored,
                          .fresh_until_ms = fresh,
                          .tag = number_at(head + AT_TAG, 8),
                          .value = value};
    return true;
}
