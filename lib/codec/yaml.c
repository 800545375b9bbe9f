/* yaml.c - from libyaml's events to a tree.
 *
 * One loop over events with a stack of open collections, so that depth costs no C stack. A collection
 * gathers its children in a vector beside the tree and is copied into the arena, exactly as long as it
 * is, when it closes. libyaml allocates by itself; what it holds is freed event by event. */
#include <sextant/yaml.h>

#include <stdlib.h>

#include <yaml.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

enum {
    BYTES_MAX = 16 << 20,
    NODES_MAX = 1000000,
    DEPTH_MAX = 100,
    ANCHORS_MAX = 10000,
    ANCHOR_BUCKETS = 1024,
    SORTED_FROM = 16 /* pairs from which a mapping is searched by halving */
};

typedef struct anchor anchor;
struct anchor {
    anchor *next; /* in its bucket, newest first: a name may be anchored again */
    sx_str name;
    sx_yaml_node *node;
    bool open; /* its collection has not ended: an alias to it would make a circle */
};

/* An open sequence or mapping. Its children are children[from..], keys and values in turn. */
typedef struct level {
    sx_yaml_node *node;
    anchor *anchor; /* NULL if it has none */
    size_t from;
} level;

typedef struct builder {
    const sx_yaml_options *o; /* complete */
    sx_arena *arena;
    sx_yaml_file *file; /* in the arena: nodes point at it */
    sx_error *err;
    level *levels; /* heap, all three */
    size_t depth, levels_cap;
    sx_yaml_node **children;
    size_t children_count, children_cap;
    sx_yaml_node **documents;
    size_t documents_cap;
    anchor **anchors; /* ANCHOR_BUCKETS, made when the first comes */
    uint32_t anchor_count;
    uint64_t nodes;   /* so far, aliases written out */
    sx_status status; /* of what failed, for functions that return a node or NULL */
} builder;

static sx_status fail_at(builder *b, yaml_mark_t mark, sx_status status)
{
    b->status = status;
    sx_error_prefix(b->err, status, "%.*s:%zu:%zu", SX_ARG(b->file->name), mark.line + 1,
                    mark.column + 1);
    return status;
}

static sx_status fail_memory(builder *b, yaml_mark_t mark)
{
    return fail_at(b, mark, sx_fail_memory(b->err, "a YAML file"));
}

/* ---- Anchors ---- */

static anchor **bucket_of(builder *b, sx_str name)
{
    return &b->anchors[sx_hash(name, sx_hash_seed()) % ANCHOR_BUCKETS];
}

static sx_status add_anchor(builder *b, const yaml_char_t *name_z, sx_yaml_node *node, bool open,
                            yaml_mark_t mark, anchor **made)
{
    *made = NULL;
    if (!name_z)
        return SX_OK;
    if (++b->anchor_count > b->o->anchors_max)
        return fail_at(
            b, mark,
            sx_fail(b->err, SX_ELIMIT, "more than %u anchors (anchors_max)", b->o->anchors_max));
    if (!b->anchors)
        b->anchors = sx_calloc(ANCHOR_BUCKETS, sizeof(anchor *));
    anchor *a = sx_arena_alloc(b->arena, sizeof(*a));
    sx_str name = sx_arena_copy(b->arena, sx_str_z((const char *)name_z));
    if (!b->anchors || !a || !name.data)
        return fail_memory(b, mark);
    anchor **bucket = bucket_of(b, name);
    *a = (anchor){*bucket, name, node, open};
    *bucket = *made = a;
    return SX_OK;
}

/* The node that an alias names; NULL: failed. */
static sx_yaml_node *find_anchor(builder *b, const yaml_event_t *event)
{
    sx_str name = sx_str_z((const char *)event->data.alias.anchor);
    const anchor *a = b->anchors ? *bucket_of(b, name) : NULL;
    while (a && !sx_str_eq(a->name, name))
        a = a->next;
    if (a && !a->open)
        return a->node;
    if (a)
        sx_fail(b->err, SX_EFORMAT, "alias \"*%.*s\" stands inside what it names (line %u)",
                SX_ARG(name), a->node->line);
    else
        sx_fail(b->err, SX_EFORMAT, "alias \"*%.*s\" names no anchor before it", SX_ARG(name));
    fail_at(b, event->start_mark, SX_EFORMAT);
    return NULL;
}

/* ---- Nodes ---- */

/* Counts `weight` more nodes against the limit. */
static sx_status count_nodes(builder *b, uint64_t weight, yaml_mark_t mark)
{
    b->nodes += weight;
    if (b->nodes <= b->o->nodes_max)
        return SX_OK;
    return fail_at(b, mark,
                   sx_fail(b->err, SX_ELIMIT,
                           "more than %u values, aliases written out (nodes_max)",
                           b->o->nodes_max));
}

/* A node of nothing yet, where `event` begins; NULL: failed. */
static sx_yaml_node *new_node(builder *b, const yaml_event_t *event, sx_yaml_kind kind,
                              const yaml_char_t *tag)
{
    if (count_nodes(b, 1, event->start_mark) != SX_OK)
        return NULL;
    sx_yaml_node *node = sx_arena_calloc(b->arena, 1, sizeof(*node));
    sx_str tag_copy = {0};
    if (tag)
        tag_copy = sx_arena_copy(b->arena, sx_str_z((const char *)tag));
    if (!node || (tag && !tag_copy.data)) {
        fail_memory(b, event->start_mark);
        return NULL;
    }
    node->kind = kind;
    node->tag = tag_copy;
    node->line = (uint32_t)event->start_mark.line + 1; /* both fit: the text is under 4 GiB */
    node->column = (uint32_t)event->start_mark.column + 1;
    node->weight = 1;
    node->file = b->file;
    node->parent = b->depth ? b->levels[b->depth - 1].node : NULL;
    return node;
}

/* Appends `node` to the open collection, or makes it a document. */
static sx_status add_child(builder *b, sx_yaml_node *node, yaml_mark_t mark)
{
    if (b->depth == 0) {
        if (!sx_grow(&b->documents, &b->documents_cap, b->file->count + 1, sizeof(sx_yaml_node *)))
            return fail_memory(b, mark);
        b->documents[b->file->count++] = node;
        return SX_OK;
    }
    const level *top = &b->levels[b->depth - 1];
    bool is_key = top->node->kind == SX_YAML_MAPPING && (b->children_count - top->from) % 2 == 0;
    if (is_key && node->kind != SX_YAML_SCALAR)
        return fail_at(b, mark,
                       sx_fail(b->err, SX_EFORMAT, "a key must be a single value, not a %s",
                               node->kind == SX_YAML_SEQUENCE ? "list" : "mapping"));
    if (!sx_grow(&b->children, &b->children_cap, b->children_count + 1, sizeof(sx_yaml_node *)))
        return fail_memory(b, mark);
    b->children[b->children_count++] = node;
    return SX_OK;
}

static sx_status add_scalar(builder *b, const yaml_event_t *event)
{
    static const sx_yaml_style STYLES[] = {
        [YAML_ANY_SCALAR_STYLE] = SX_YAML_PLAIN,
        [YAML_PLAIN_SCALAR_STYLE] = SX_YAML_PLAIN,
        [YAML_SINGLE_QUOTED_SCALAR_STYLE] = SX_YAML_SINGLE_QUOTED,
        [YAML_DOUBLE_QUOTED_SCALAR_STYLE] = SX_YAML_DOUBLE_QUOTED,
        [YAML_LITERAL_SCALAR_STYLE] = SX_YAML_LITERAL,
        [YAML_FOLDED_SCALAR_STYLE] = SX_YAML_FOLDED,
    };
    anchor *made;
    sx_yaml_node *node = new_node(b, event, SX_YAML_SCALAR, event->data.scalar.tag);
    if (!node)
        return b->status;
    node->style = STYLES[event->data.scalar.style];
    node->scalar =
        sx_arena_copy(b->arena, sx_str_of(event->data.scalar.value, event->data.scalar.length));
    if (!node->scalar.data)
        return fail_memory(b, event->start_mark);
    sx_status status =
        add_anchor(b, event->data.scalar.anchor, node, false, event->start_mark, &made);
    return status == SX_OK ? add_child(b, node, event->start_mark) : status;
}

static sx_status add_alias(builder *b, const yaml_event_t *event)
{
    sx_yaml_node *node = find_anchor(b, event);
    if (!node)
        return b->status;
    sx_status status = count_nodes(b, node->weight, event->start_mark);
    return status == SX_OK ? add_child(b, node, event->start_mark) : status;
}

static sx_status open_collection(builder *b, const yaml_event_t *event, sx_yaml_kind kind,
                                 const yaml_char_t *tag, const yaml_char_t *anchor_name)
{
    sx_yaml_node *node = new_node(b, event, kind, tag);
    if (!node)
        return b->status;
    if (b->depth >= b->o->depth_max)
        return fail_at(b, event->start_mark,
                       sx_fail(b->err, SX_ELIMIT, "nested deeper than %u levels (depth_max)",
                               b->o->depth_max));
    anchor *made;
    sx_status status = add_anchor(b, anchor_name, node, true, event->start_mark, &made);
    if (status == SX_OK)
        status = add_child(b, node, event->start_mark);
    if (status != SX_OK)
        return status;
    if (!sx_grow(&b->levels, &b->levels_cap, b->depth + 1, sizeof(*b->levels)))
        return fail_memory(b, event->start_mark);
    b->levels[b->depth++] = (level){node, made, b->children_count};
    return SX_OK;
}

/* ---- Closing a mapping: merges, order, duplicates ---- */

static bool is_merge_key(const sx_yaml_node *key)
{
    return key->style == SX_YAML_PLAIN && sx_str_eq(key->scalar, SX_STR("<<")) &&
           (key->tag.len == 0 || sx_str_eq(key->tag, SX_STR(YAML_DEFAULT_SCALAR_TAG)) ||
            sx_str_eq(key->tag, SX_STR("tag:yaml.org,2002:merge")));
}

/* By key, then by place, so that the first of equal keys is the one that counts. */
static int compare_pairs(const void *left, const void *right, void *context)
{
    const sx_yaml_pair *pairs = context;
    uint32_t a, b;
    memcpy(&a, left, sizeof(a));
    memcpy(&b, right, sizeof(b));
    int order = sx_str_cmp(pairs[a].key->scalar, pairs[b].key->scalar);
    return order ? order : (a > b) - (a < b);
}

/* Indices of the pairs in compare_pairs' order, in the arena. */
static uint32_t *sort_pairs(builder *b, sx_yaml_pair *pairs, size_t count)
{
    uint32_t *sorted = sx_arena_calloc(b->arena, count ? count : 1, sizeof(*sorted));
    if (!sorted)
        return NULL;
    for (size_t i = 0; i < count; i++)
        sorted[i] = (uint32_t)i;
    qsort_r(sorted, count, sizeof(*sorted), compare_pairs, pairs);
    return sorted;
}

static sx_status fail_duplicate(const sx_yaml_node *first, const sx_yaml_node *again, sx_error *err)
{
    return sx_fail(
        err, SX_EFORMAT, "%.*s:%u:%u: key \"%.*s\" is given twice in one mapping, first on line %u",
        SX_ARG(again->file->name), again->line, again->column, SX_ARG(again->scalar), first->line);
}

/* The mapping's own pairs, and how many merged ones there may be. */
static sx_status gather_own(builder *b, const level *top, sx_yaml_pair *pairs, size_t *own,
                            size_t *merged)
{
    for (size_t i = top->from; i < b->children_count; i += 2) {
        sx_yaml_node *key = b->children[i], *value = b->children[i + 1];
        if (!is_merge_key(key)) {
            pairs[(*own)++] = (sx_yaml_pair){key, value};
            continue;
        }
        bool fits = value->kind == SX_YAML_MAPPING;
        *merged += fits ? value->count : 0;
        if (value->kind == SX_YAML_SEQUENCE) {
            fits = true;
            for (uint32_t j = 0; j < value->count; j++) {
                fits = fits && value->items[j]->kind == SX_YAML_MAPPING;
                *merged += fits ? value->items[j]->count : 0;
            }
        }
        if (!fits)
            return sx_fail(b->err, SX_EFORMAT,
                           "%.*s:%u:%u: \"<<\" merges a mapping or a list of mappings",
                           SX_ARG(b->file->name), key->line, key->column);
    }
    return SX_OK;
}

static size_t append_merged(sx_yaml_pair *pairs, size_t count, const sx_yaml_node *from)
{
    memcpy(pairs + count, from->pairs, from->count * sizeof(*pairs));
    return count + from->count;
}

/* Finds equal neighbours in the sorted order. Two own keys: an error. A merged key after another: it
 * is dropped. Keeps what is left, still in the order of the file. */
static sx_status drop_overridden(builder *b, sx_yaml_node *map, size_t own, const uint32_t *sorted)
{
    sx_yaml_pair *pairs = map->pairs;
    size_t count = map->count;
    for (size_t i = 1, first = 0; i < count; i++) {
        const sx_yaml_pair *kept = &pairs[sorted[first]];
        sx_yaml_pair *later = &pairs[sorted[i]];
        if (!sx_str_eq(kept->key->scalar, later->key->scalar)) {
            first = i;
            continue;
        }
        if (sorted[i] < own)
            return fail_duplicate(kept->key, later->key, b->err);
        later->value = NULL; /* marks it */
    }
    size_t left = own;
    for (size_t i = own; i < count; i++) {
        if (pairs[i].value)
            pairs[left++] = pairs[i];
    }
    map->count = (uint32_t)left;
    return SX_OK;
}

static sx_status close_mapping(builder *b, const level *top, yaml_mark_t mark)
{
    sx_yaml_node *map = top->node;
    size_t own = 0, merged = 0, all = (b->children_count - top->from) / 2;
    sx_yaml_pair *pairs = sx_arena_calloc(b->arena, all ? all : 1, sizeof(*pairs));
    if (!pairs)
        return fail_memory(b, mark);
    sx_status status = gather_own(b, top, pairs, &own, &merged);
    if (status != SX_OK)
        return status;
    if (own < all) {
        sx_yaml_pair *more = sx_arena_calloc(b->arena, own + merged + 1, sizeof(*pairs));
        if (!more)
            return fail_memory(b, mark);
        memcpy(more, pairs, own * sizeof(*pairs));
        pairs = more;
    }
    size_t count = own;
    for (size_t i = top->from; own < all && i < b->children_count; i += 2) {
        const sx_yaml_node *value = b->children[i + 1];
        if (!is_merge_key(b->children[i]))
            continue;
        if (value->kind == SX_YAML_MAPPING)
            count = append_merged(pairs, count, value);
        for (uint32_t j = 0; value->kind == SX_YAML_SEQUENCE && j < value->count; j++)
            count = append_merged(pairs, count, value->items[j]);
    }
    map->pairs = pairs;
    map->count = (uint32_t)count;
    uint32_t *sorted = sort_pairs(b, pairs, count);
    if (!sorted)
        return fail_memory(b, mark);
    status = drop_overridden(b, map, own, sorted);
    if (status != SX_OK || map->count < SORTED_FROM)
        return status;
    map->sorted = map->count == count ? sorted : sort_pairs(b, pairs, map->count);
    return map->sorted ? SX_OK : fail_memory(b, mark);
}

static sx_status close_sequence(builder *b, const level *top, yaml_mark_t mark)
{
    size_t count = b->children_count - top->from;
    sx_yaml_node **items = sx_arena_calloc(b->arena, count ? count : 1, sizeof(*items));
    if (!items)
        return fail_memory(b, mark);
    if (count)
        memcpy(items, b->children + top->from, count * sizeof(*items));
    top->node->items = items;
    top->node->count = (uint32_t)count;
    return SX_OK;
}

/* Every node summed here was counted by count_nodes, merged ones as part of their alias, so the sum is
 * at most nodes_max and cannot overflow. */
static void weigh(sx_yaml_node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        node->weight += node->kind == SX_YAML_SEQUENCE
                            ? node->items[i]->weight
                            : node->pairs[i].key->weight + node->pairs[i].value->weight;
}

static sx_status close_collection(builder *b, const yaml_event_t *event)
{
    sx_assert(b->depth > 0);
    const level top = b->levels[--b->depth];
    sx_status status = top.node->kind == SX_YAML_MAPPING
                           ? close_mapping(b, &top, event->start_mark)
                           : close_sequence(b, &top, event->start_mark);
    if (status != SX_OK)
        return status;
    weigh(top.node);
    b->children_count = top.from;
    if (top.anchor)
        top.anchor->open = false;
    return SX_OK;
}

/* ---- The loop ---- */

static sx_status take_event(builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->anchors)
            memset(b->anchors, 0, ANCHOR_BUCKETS * sizeof(anchor *)); /* a document's own */
        b->anchor_count = 0;
        return SX_OK;
    case YAML_SCALAR_EVENT:
        return add_scalar(b, event);
    case YAML_ALIAS_EVENT:
        return add_alias(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(b, event, SX_YAML_SEQUENCE, event->data.sequence_start.tag,
                               event->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return open_collection(b, event, SX_YAML_MAPPING, event->data.mapping_start.tag,
                               event->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_collection(b, event);
    default:
        return SX_OK; /* stream start and end, document end */
    }
}

/* Whether the scanner stopped at a tab, which it calls a "character that cannot start any token". */
static bool is_at_tab(const yaml_parser_t *parser)
{
    return parser->error == YAML_SCANNER_ERROR && parser->problem &&
           parser->buffer.pointer < parser->buffer.last && *parser->buffer.pointer == '\t';
}

/* libyaml's own fault, in its words, with the place. */
static sx_status fail_parser(builder *b, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return fail_memory(b, parser->mark);
    const char *problem = parser->problem ? parser->problem : "cannot be read";
    if (is_at_tab(parser))
        return fail_at(
            b, parser->problem_mark,
            sx_fail(b->err, SX_EFORMAT,
                    "a tab where a value or a key begins; indent with spaces, not tabs"));
    if (parser->error == YAML_READER_ERROR)
        return fail_at(
            b, parser->mark,
            sx_fail(b->err, SX_EFORMAT, "%s (byte %zu)", problem, parser->problem_offset));
    if (parser->context && parser->context_mark.line != parser->problem_mark.line)
        sx_fail(b->err, SX_EFORMAT, "%s, %s that begins on line %zu", problem, parser->context,
                parser->context_mark.line + 1);
    else
        sx_fail(b->err, SX_EFORMAT, "%s%s%s", problem, parser->context ? " " : "",
                parser->context ? parser->context : "");
    return fail_at(b, parser->problem_mark, SX_EFORMAT);
}

static sx_status build(builder *b, yaml_parser_t *parser)
{
    sx_status status = SX_OK;
    bool done = false;
    while (status == SX_OK && !done) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return fail_parser(b, parser);
        done = event.type == YAML_STREAM_END_EVENT;
        status = take_event(b, &event);
        yaml_event_delete(&event);
    }
    return status;
}

/* Moves the list of documents to the arena and the result to the caller. */
static sx_status hand_over(builder *b, sx_yaml_file *file)
{
    size_t count = b->file->count;
    sx_yaml_node **documents = sx_arena_calloc(b->arena, count ? count : 1, sizeof(*documents));
    if (!documents)
        return sx_fail_memory(b->err, "a YAML file");
    if (b->documents)
        memcpy(documents, b->documents, count * sizeof(*documents));
    b->file->documents = documents;
    *file = *b->file;
    return SX_OK;
}

sx_status sx_yaml_parse(sx_str text, sx_str name, const sx_yaml_options *options, sx_arena *arena,
                        sx_yaml_file *file, sx_error *err)
{
    sx_yaml_options o = options ? *options : (sx_yaml_options){0};
    o.bytes_max = o.bytes_max ? o.bytes_max : BYTES_MAX;
    o.nodes_max = o.nodes_max ? o.nodes_max : NODES_MAX;
    o.depth_max = o.depth_max ? o.depth_max : DEPTH_MAX;
    o.anchors_max = o.anchors_max ? o.anchors_max : ANCHORS_MAX;
    if (text.len > o.bytes_max || text.len > UINT32_MAX)
        return sx_fail(err, SX_ELIMIT, "%.*s: %zu bytes are more than the limit of %zu (bytes_max)",
                       SX_ARG(name), text.len, o.bytes_max);
    builder b = {.o = &o, .arena = arena, .err = err};
    b.file = sx_arena_calloc(arena, 1, sizeof(*b.file));
    if (b.file)
        b.file->name = sx_arena_copy(arena, name);
    yaml_parser_t parser;
    if (!b.file || !b.file->name.data || !yaml_parser_initialize(&parser))
        return sx_fail_memory(err, "a YAML file");
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.data ? text.data : ""),
                                 text.len);
    sx_status status = build(&b, &parser);
    if (status == SX_OK)
        status = hand_over(&b, file);
    yaml_parser_delete(&parser);
    sx_free(b.levels);
    sx_free(b.children);
    sx_free(b.documents);
    sx_free(b.anchors);
    return status;
}
