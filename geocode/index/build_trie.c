/* build_trie.c - the words of the dictionary as a tree of bytes, for exact look-ups and for walks that
 * allow an error; and as a set of bits, which tells what need not be looked up.
 *
 * Level by level, so that a node's children lie side by side. A node stands for a run of sorted terms
 * that share its bytes; the runs of the nodes not yet split are kept beside them. */
#include <sextant/mem.h>

#include "geocode/index/build_impl.h"
#include "geocode/index/spell.h"

/* The terms under a node: ranks [from, to), which share `depth` bytes. */
typedef struct run {
    uint32_t from, to, depth;
} run;

typedef struct nodes {
    geo_disk_node *all;
    size_t count, cap;
    run *runs;
    size_t run_cap;
} nodes;

static bool add_node(nodes *n, uint8_t byte, run r)
{
    if (n->count >= UINT32_MAX || !sx_grow(&n->all, &n->cap, n->count + 1, sizeof(*n->all)) ||
        !sx_grow(&n->runs, &n->run_cap, n->count + 1, sizeof(*n->runs)))
        return false;
    n->all[n->count] = (geo_disk_node){.term = GEO_NO_TERM, .byte = byte};
    n->runs[n->count++] = r;
    return true;
}

static sx_str term_at(const geo_builder *b, uint32_t rank)
{
    return geo_pool_get(&b->terms, b->by_term_rank[rank]);
}

/* Gives a node its term and its children. */
static bool split(const geo_builder *b, nodes *n, uint32_t node)
{
    run r = n->runs[node];
    if (r.from < r.to && r.depth > 0 && term_at(b, r.from).len == r.depth)
        n->all[node].term = r.from++;
    n->all[node].children = (uint32_t)n->count;
    while (r.from < r.to) {
        uint8_t byte = (uint8_t)term_at(b, r.from).data[r.depth];
        uint32_t to = r.from + 1;
        while (to < r.to && (uint8_t)term_at(b, to).data[r.depth] == byte)
            to++;
        if (!add_node(n, byte, (run){r.from, to, r.depth + 1}))
            return false;
        n->all[node].child_count++;
        r.from = to;
    }
    return true;
}

/* The first word: filters, which are none, come before. */
static uint32_t first_word(const geo_builder *b)
{
    uint32_t first = 0;
    while (first < b->terms.count && term_at(b, first).data[0] == GEO_FILTER_LEAD)
        first++;
    return first;
}

sx_status geo_build_trie(geo_builder *b, sx_buf *out, sx_error *err)
{
    nodes n = {0};
    uint32_t first = first_word(b), count = (uint32_t)b->terms.count;
    bool ok = add_node(&n, 0, (run){first, count, 0});
    for (uint32_t node = 0; ok && node < n.count; node++)
        ok = split(b, &n, node);
    if (ok)
        sx_buf_bytes(out, n.all, n.count * sizeof(*n.all));
    sx_free(n.all);
    sx_free(n.runs);
    return ok ? SX_OK : sx_fail_memory(err, "the index's tree of words");
}

sx_status geo_build_word_bits(geo_builder *b, sx_buf *out, sx_error *err)
{
    uint32_t first = first_word(b), count = (uint32_t)b->terms.count;
    unsigned log2 = 6;
    uint64_t size = GEO_SPELL_WORDS_MIN; /* a power of two */
    while (size * 64 < (uint64_t)(count - first) * GEO_SPELL_BITS_A_WORD)
        size *= 2;
    for (uint64_t words = size; words > 1; words /= 2)
        log2++;
    uint64_t *bits = sx_calloc(size, sizeof(*bits));
    if (!bits)
        return sx_fail_memory(err, "the index's set of words");
    for (uint32_t rank = first; rank < count; rank++) {
        uint64_t bit = geo_spell_bit(geo_spell(term_at(b, rank)), log2);
        bits[bit / 64] |= UINT64_C(1) << (bit % 64);
    }
    sx_buf_bytes(out, bits, size * sizeof(*bits));
    sx_free(bits);
    return SX_OK;
}
