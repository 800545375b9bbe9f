/* Redis URLs. What is accepted has a host or a path that can be one, a port, a database in range; what is
 * refused is refused with words that do not show a password. */
#include "client/redis_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_arena arena;
    redis_address a;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    sx_status st = redis_url_parse(sx_str_of(data, size), &arena, &a, &err);
    if (st == SX_OK) {
        sx_assert(a.host.len > 0 && a.host.len <= 255 && a.db <= 65535);
        sx_assert(!memchr(a.host.data, '\0', a.host.len));
        sx_assert(a.port != 0 || a.host.data[0] == '/');
    } else {
        sx_assert(st == SX_EFORMAT && err.message[0] != '\0');
        sx_assert(strlen(err.message) < 120);
    }
    sx_arena_done(&arena);
    return 0;
}
