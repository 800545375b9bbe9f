/* A record that is accepted is the one that was written, byte for byte; what differs from a written one
 * in any byte, its length or its key is refused. */
#include <stdlib.h>
#include <string.h>

#include "resilience/cache_record.h"

enum { ROOM = 4096 };

static void check_accepted(sx_str bytes, sx_str key)
{
    cache_record r;
    static char again[ROOM];
    if (bytes.len > ROOM || !cache_record_read(bytes, key, &r))
        return;
    cache_record_write(&r, key, again);
    sx_assert(memcmp(again, bytes.data, bytes.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_str all = sx_str_of(data, size);
    check_accepted(all, SX_STR("k"));
    if (size < 40 || size > ROOM - CACHE_RECORD_HEAD)
        return 0;
    uint64_t n[4];
    memcpy(n, data, sizeof(n));
    sx_str key = sx_str_first(sx_str_from(all, 32), data[32] % 8);
    cache_record r = {.is_absent = data[33] & 1,
                      .class_version = (uint32_t)n[0],
                      .class_hash = n[1],
                      .stored_ms = (int64_t)(n[2] >> 2),
                      .tag = n[3],
                      .value = sx_str_from(all, 40)};
    r.fresh_until_ms = r.stored_ms + 1 + (n[0] >> 40);
    size_t len = CACHE_RECORD_HEAD + r.value.len;
    char *room = malloc(len); /* of the exact size: the sanitizer sees a byte too far */
    cache_record back;
    sx_assert(room);
    cache_record_write(&r, key, room);
    sx_assert(cache_record_read(sx_str_of(room, len), key, &back));
    sx_assert(sx_str_eq(back.value, r.value) && back.tag == r.tag &&
              back.stored_ms == r.stored_ms && back.fresh_until_ms == r.fresh_until_ms &&
              back.is_absent == r.is_absent && back.class_hash == r.class_hash);
    sx_assert(!cache_record_read(sx_str_of(room, data[34] % len), key, &back));
    sx_assert(!cache_record_read(sx_str_of(room, len), SX_STR("another key"), &back));
    room[n[3] % len] ^= (char)(1 << data[35] % 8);
    sx_assert(!cache_record_read(sx_str_of(room, len), key, &back));
    free(room);
    return 0;
}
