/* elf_symbols.c - see elf_symbols.h. A table of sections leads to .symtab (all functions) or, in a
 * stripped file, .dynsym (those that others may call). */
#include "telemetry/elf_symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool sx_elf_open(sx_elf *elf, const char *path)
{
    *elf = (sx_elf){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct stat about;
    void *data = MAP_FAILED;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0)
        data = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED)
        return false;
    *elf = (sx_elf){(const char *)data, (size_t)about.st_size};
    return true;
}

void sx_elf_close(sx_elf *elf)
{
    if (elf->data)
        munmap((void *)elf->data, elf->len);
    *elf = (sx_elf){0};
}

/* `len` bytes at `offset`, or an empty view if they are not all there. */
static sx_str piece(const sx_elf *elf, uint64_t offset, uint64_t len)
{
    if (offset > elf->len || len > elf->len - offset)
        return (sx_str){0};
    return sx_str_of(elf->data + offset, (size_t)len);
}

/* Copies one entry of a table: nothing in the file need be aligned. */
static bool entry(const sx_elf *elf, uint64_t table, uint64_t index, void *out, size_t size)
{
    uint64_t offset;
    if (__builtin_mul_overflow(index, size, &offset) ||
        __builtin_add_overflow(offset, table, &offset))
        return false;
    sx_str bytes = piece(elf, offset, size);
    if (bytes.len != size)
        return false;
    memcpy(out, bytes.data, size);
    return true;
}

static bool read_head(const sx_elf *elf, Elf64_Ehdr *head)
{
    const unsigned char order =
        __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
    return entry(elf, 0, 0, head, sizeof(*head)) && memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
           head->e_ident[EI_CLASS] == ELFCLASS64 && head->e_ident[EI_DATA] == order &&
           head->e_shentsize == sizeof(Elf64_Shdr);
}

/* The first section of `type`. */
static bool find_section(const sx_elf *elf, const Elf64_Ehdr *head, uint32_t type, Elf64_Shdr *out)
{
    for (unsigned i = 0; i < head->e_shnum && entry(elf, head->e_shoff, i, out, sizeof(*out)); i++)
        if (out->sh_type == type)
            return true;
    return false;
}

sx_str sx_elf_note_build_id(sx_str notes)
{
    Elf64_Nhdr note;
    while (notes.len >= sizeof(note)) {
        memcpy(&note, notes.data, sizeof(note));
        uint64_t name = ((uint64_t)note.n_namesz + 3) & ~(uint64_t)3;
        uint64_t value = ((uint64_t)note.n_descsz + 3) & ~(uint64_t)3;
        sx_str rest = sx_str_from(notes, sizeof(note));
        if (name > rest.len || note.n_descsz > rest.len - name)
            break;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(rest.data, "GNU", 4) == 0)
            return sx_str_of(rest.data + name, note.n_descsz);
        notes = value > rest.len - name ? (sx_str){0} : sx_str_from(rest, (size_t)(name + value));
    }
    return (sx_str){0};
}

sx_str sx_elf_build_id(const sx_elf *elf)
{
    Elf64_Ehdr head;
    Elf64_Shdr section;
    if (!read_head(elf, &head))
        return (sx_str){0};
    for (unsigned i = 0; i < head.e_shnum; i++) {
        if (!entry(elf, head.e_shoff, i, &section, sizeof(section)))
            break;
        if (section.sh_type != SHT_NOTE)
            continue;
        sx_str id = sx_elf_note_build_id(piece(elf, section.sh_offset, section.sh_size));
        if (id.len)
            return id;
    }
    return (sx_str){0};
}

/* The name at `offset` of a string table, without its NUL. */
static sx_str name_at(const sx_elf *elf, const Elf64_Shdr *names, uint64_t offset)
{
    sx_str table = piece(elf, names->sh_offset, names->sh_size);
    if (offset >= table.len)
        return (sx_str){0};
    table = sx_str_from(table, (size_t)offset);
    return sx_str_first(table, sx_str_find_byte(table, '\0'));
}

/* The first query at `vaddr` or above; count: none. */
static size_t first_from(const sx_elf_query *queries, size_t count, uint64_t vaddr)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (queries[middle].vaddr < vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Goes through one symbol table; answers what has no answer yet. */
static void search(const sx_elf *elf, const Elf64_Ehdr *head, const Elf64_Shdr *symbols,
                   sx_elf_query *queries, size_t count)
{
    Elf64_Shdr names;
    if (!entry(elf, head->e_shoff, symbols->sh_link, &names, sizeof(names)))
        return;
    uint64_t symbol_count = symbols->sh_size / sizeof(Elf64_Sym);
    for (uint64_t i = 0; i < symbol_count; i++) {
        Elf64_Sym symbol;
        if (!entry(elf, symbols->sh_offset, i, &symbol, sizeof(symbol)))
            return;
        if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF)
            continue;
        for (size_t q = first_from(queries, count, symbol.st_value);
             q < count && queries[q].vaddr - symbol.st_value < symbol.st_size; q++) {
            if (queries[q].name.len)
                continue;
            queries[q].name = name_at(elf, &names, symbol.st_name);
            queries[q].start = symbol.st_value;
        }
    }
}

void sx_elf_functions(const sx_elf *elf, sx_elf_query *queries, size_t count)
{
    static const uint32_t TABLES[] = {SHT_SYMTAB, SHT_DYNSYM};
    Elf64_Ehdr head;
    Elf64_Shdr symbols;
    if (!read_head(elf, &head))
        return;
    for (size_t i = 0; i < SX_COUNT_OF(TABLES); i++)
        if (find_section(elf, &head, TABLES[i], &symbols))
            search(elf, &head, &symbols, queries, count);
}

bool sx_elf_function(const sx_elf *elf, uint64_t vaddr, sx_str *name, uint64_t *offset)
{
    sx_elf_query query = {.vaddr = vaddr};
    sx_elf_functions(elf, &query, 1);
    if (query.name.len == 0)
        return false;
    *name = query.name;
    *offset = vaddr - query.start;
    return true;
}
