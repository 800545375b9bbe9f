/* modules.c - see modules.h. */
#include "telemetry/modules.h"

#include <link.h>
#include <unistd.h>

#include "telemetry/elf_symbols.h"

typedef struct listing {
    sx_module *out;
    size_t count, most;
} listing;

static void add_code(sx_module *m, const ElfW(Phdr) * segment, uintptr_t start, uintptr_t end)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (m->code_end == 0) {
        m->code_start = start & ~(page - 1);
        m->code_offset = segment->p_offset & ~(uint64_t)(page - 1);
    }
    m->code_end = (end + page - 1) & ~(page - 1);
}

static int add_module(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    listing *l = (listing *)ctx;
    if (l->count == l->most)
        return 1;
    sx_module *m = &l->out[l->count];
    *m = (sx_module){.bias = info->dlpi_addr, .start = UINTPTR_MAX};
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr, end = start + segment->p_memsz;
        if (segment->p_type == PT_NOTE && m->build_id_len == 0) {
            sx_str id =
                sx_elf_note_build_id(sx_str_of((const void *)start, (size_t)segment->p_memsz));
            id = sx_str_first(id, sizeof(m->build_id));
            if (id.len)
                memcpy(m->build_id, id.data, id.len);
            m->build_id_len = (uint8_t)id.len;
        }
        if (segment->p_type != PT_LOAD)
            continue;
        m->start = start < m->start ? start : m->start;
        m->end = end > m->end ? end : m->end;
        if (segment->p_flags & PF_X)
            add_code(m, segment, start, end);
    }
    if (info->dlpi_name && *info->dlpi_name) {
        sx_str path = sx_str_first(sx_str_z(info->dlpi_name), sizeof(m->path) - 1);
        memcpy(m->path, path.data, path.len);
    } else { /* the program itself */
        ssize_t len = readlink("/proc/self/exe", m->path, sizeof(m->path) - 1);
        m->path[len > 0 ? len : 0] = '\0';
    }
    l->count++;
    return 0;
}

size_t sx_modules_list(sx_module *out, size_t most)
{
    listing l = {out, 0, most};
    dl_iterate_phdr(add_module, &l);
    return l.count;
}

const sx_module *sx_module_find(const sx_module *modules, size_t count, uintptr_t address)
{
    for (size_t i = 0; i < count; i++)
        if (address >= modules[i].start && address < modules[i].end)
            return &modules[i];
    return NULL;
}
