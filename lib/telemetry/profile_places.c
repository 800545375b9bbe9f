/* profile_places.c - names for addresses: each file's symbol table is read once for all of them. */
#include "telemetry/elf_symbols.h"
#include "telemetry/profile_proto.h"

int sx_profile_place_compare(const void *a, const void *b)
{
    uint64_t left = ((const sx_profile_place *)a)->address;
    uint64_t right = ((const sx_profile_place *)b)->address;
    return (left > right) - (left < right);
}

/* Opens the module's file, unless another program lies there by now. */
static bool open_module(sx_elf *elf, const sx_module *m)
{
    if (!sx_elf_open(elf, m->path))
        return false;
    sx_str id = sx_str_first(sx_elf_build_id(elf), SX_MODULE_BUILD_ID_BYTES);
    if (sx_str_eq(id, sx_str_of(m->build_id, m->build_id_len)))
        return true;
    sx_elf_close(elf);
    return false;
}

/* Names those of one module. */
static bool name_places(sx_arena *arena, sx_profile_place *places, size_t count)
{
    const sx_module *m = places->module;
    sx_elf elf;
    sx_elf_query *queries = (sx_elf_query *)sx_arena_calloc(arena, count, sizeof(*queries));
    if (!queries)
        return false;
    if (!open_module(&elf, m))
        return true;
    for (size_t i = 0; i < count; i++)
        queries[i].vaddr = places[i].address - m->bias;
    sx_elf_functions(&elf, queries, count);
    bool whole = true;
    for (size_t i = 0; i < count && whole; i++) {
        if (queries[i].name.len == 0)
            continue;
        bool again = i > 0 && queries[i].name.data == queries[i - 1].name.data;
        places[i].name = again ? places[i - 1].name : sx_arena_copy(arena, queries[i].name);
        places[i].start = queries[i].start + m->bias;
        whole = places[i].name.data != NULL;
    }
    sx_elf_close(&elf);
    return whole;
}

bool sx_profile_places(sx_arena *arena, const sx_module *modules, size_t module_count,
                       sx_profile_place *places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        places[i].module = sx_module_find(modules, module_count, (uintptr_t)places[i].address);
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && places[next].module == places[i].module;)
            next++;
        if (places[i].module && !name_places(arena, places + i, next - i))
            return false;
    }
    return true;
}
