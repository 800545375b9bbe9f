/* profile_text.c - the small pages of profiling: threads, and names for addresses. */
#include <sextant/profile.h>

#include <inttypes.h>
#include <stdlib.h>

#include "telemetry/profile_proto.h"
#include "telemetry/profile_tasks.h"

/* ---- threads ---- */

static void put_thread(void *ctx, pid_t tid)
{
    sx_buf *out = (sx_buf *)ctx;
    sx_task task;
    int64_t cpu_ns = sx_task_cpu_ns(tid);
    if (!sx_task_read(tid, &task)) /* it has gone meanwhile */
        return;
    cpu_ns = cpu_ns < 0 ? 0 : cpu_ns;
    sx_buf_printf(out, "%-8d %c     %6" PRId64 ".%06" PRId64 "  %s\n", (int)tid, task.state,
                  cpu_ns / 1000000000, cpu_ns % 1000000000 / 1000, task.name);
}

sx_status sx_profile_threads(sx_buf *out, sx_error *err)
{
    sx_buf_printf(out, "%-8s %-5s %13s  %s\n", "thread", "state", "cpu_seconds", "name");
    sx_status status = sx_tasks_each(put_thread, out, err);
    return status ? status : sx_buf_status(out, "the threads", err);
}

/* ---- symbols ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One address off the front: "0x" and 1 to 16 digits. False if there is none. */
static bool take_address(sx_str *rest, uint64_t *out)
{
    size_t at = sx_str_starts(*rest, SX_STR("0x")) || sx_str_starts(*rest, SX_STR("0X")) ? 2 : 0;
    size_t first = at;
    *out = 0;
    for (; at < rest->len && at - first < 17; at++) {
        int digit = hex_value(rest->data[at]);
        if (digit < 0)
            break;
        *out = *out << 4 | (uint64_t)digit;
    }
    if (at == first || at - first > 16)
        return false;
    *rest = sx_str_from(*rest, at);
    return true;
}

static sx_status read_addresses(sx_arena *arena, sx_str request, sx_profile_place **out,
                                size_t *count, sx_error *err)
{
    sx_str rest = sx_str_trim_all(request);
    size_t cap = 0, len = rest.len;
    while (rest.len > 0) {
        uint64_t address;
        bool last = take_address(&rest, &address);
        if (!last || (rest.len > 0 && (rest.data[0] != '+' || rest.len == 1)))
            return sx_fail(err, SX_EFORMAT, "no address at byte %zu; write 0x1234+0x5678",
                           len - rest.len);
        if (*count == SX_PROFILE_ADDRESSES_MAX)
            return sx_fail(err, SX_ELIMIT, "more than %d addresses; ask several times",
                           SX_PROFILE_ADDRESSES_MAX);
        if (!sx_arena_grow(arena, out, &cap, *count + 1, sizeof(**out)))
            return sx_fail_memory(err, "the addresses");
        (*out)[(*count)++] = (sx_profile_place){.address = address};
        rest = sx_str_from(rest, rest.len > 0 ? 1 : 0);
    }
    return SX_OK;
}

sx_status sx_profile_symbols(sx_str request, sx_buf *out, sx_error *err)
{
    sx_arena arena;
    sx_profile_place *places = NULL;
    size_t count = 0;
    sx_arena_init(&arena, 0, 0);
    sx_status status = read_addresses(&arena, request, &places, &count, err);
    sx_module *modules = (sx_module *)sx_arena_calloc(&arena, SX_MODULES_MOST, sizeof(*modules));
    if (status == SX_OK && !modules)
        status = sx_fail_memory(err, "the addresses");
    if (status == SX_OK && count > 0) {
        qsort(places, count, sizeof(*places), sx_profile_place_compare);
        if (!sx_profile_places(&arena, modules, sx_modules_list(modules, SX_MODULES_MOST), places,
                               count))
            status = sx_fail_memory(err, "the addresses");
    }
    if (status == SX_OK)
        sx_buf_printf(out, "num_symbols: 1\n"); /* pprof only asks whether it is 0 */
    for (size_t i = 0; i < count && status == SX_OK; i++)
        if (places[i].name.len > 0)
            sx_buf_printf(out, "0x%" PRIx64 "\t%.*s\n", places[i].address, SX_ARG(places[i].name));
    if (status == SX_OK)
        status = sx_buf_status(out, "the names", err);
    sx_arena_done(&arena);
    return status;
}
