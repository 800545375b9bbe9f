/* router.c - see router.h. */
#include "service/router.h"

#include <sextant/map.h>
#include <sextant/mem.h>

typedef struct node node;

/* Where patterns end: row + 1 for each method, 0 for none. */
typedef struct leaf {
    uint32_t row[SX_METHODS];
    uint32_t any;
} leaf;

/*   "/a" ── "pi" ── param ── "/x"       text nodes share no first byte with their siblings
 *     └──── "dmin"                      a parameter or rest node has no text of its own */
struct node {
    sx_str text;
    node *child; /* text nodes, a list */
    node *next;
    node *param;
    leaf *rest; /* a pattern that ends in '*' here */
    leaf *leaf; /* a pattern that ends here */
};

typedef struct row {
    size_t param_count;
    sx_str names[SX_ROUTE_PARAMS_MAX];
} row;

struct sx_router {
    sx_arena arena;
    const sx_route *routes;
    size_t count;
    sx_slash slash;
    row *rows;
    node root;    /* its text is empty */
    sx_map plain; /* path without parameters -> leaf */
};

enum { PATTERN_BYTES_MAX = 1024, ROUTES_MAX = 10000 };

/* ---- compiling ---- */

static bool is_name(sx_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '_')
            return false;
    }
    return true;
}

typedef enum piece_kind { PIECE_TEXT, PIECE_PARAM, PIECE_REST, PIECE_WRONG } piece_kind;

/* What a segment of a pattern is; *name without its marks. */
static piece_kind classify(sx_str segment, bool last, sx_str *name)
{
    *name = sx_str_from(segment, 1);
    if (sx_str_starts(segment, SX_STR("*")))
        return last && is_name(*name) ? PIECE_REST : PIECE_WRONG;
    if (sx_str_starts(segment, SX_STR(":")))
        return name->len && is_name(*name) ? PIECE_PARAM : PIECE_WRONG;
    if (sx_str_starts(segment, SX_STR("{"))) {
        *name = sx_str_first(*name, segment.len >= 2 ? segment.len - 2 : 0);
        return sx_str_ends(segment, SX_STR("}")) && name->len && is_name(*name) ? PIECE_PARAM
                                                                                : PIECE_WRONG;
    }
    for (size_t i = 0; i < segment.len; i++)
        if (strchr("*{}%?#", segment.data[i]))
            return PIECE_WRONG;
    return PIECE_TEXT;
}

static node *new_node(sx_router *router, sx_str text)
{
    node *n = (node *)sx_arena_calloc(&router->arena, 1, sizeof(*n));
    if (n)
        n->text = text;
    return n;
}

/* The node that `text` leads to from `at`, made by splitting and adding as need be. */
static node *add_text(sx_router *router, node *at, sx_str text)
{
    while (text.len > 0) {
        node *c = at->child;
        while (c && c->text.data[0] != text.data[0])
            c = c->next;
        if (!c) {
            c = new_node(router, text);
            if (!c)
                return NULL;
            c->next = at->child;
            at->child = c;
            return c;
        }
        size_t same = 0;
        while (same < c->text.len && same < text.len && c->text.data[same] == text.data[same])
            same++;
        if (same < c->text.len) { /* split: c keeps the beginning, its tail takes what hung on it */
            node *tail = new_node(router, sx_str_from(c->text, same));
            if (!tail)
                return NULL;
            tail->child = c->child;
            tail->param = c->param;
            tail->rest = c->rest;
            tail->leaf = c->leaf;
            *c = (node){.text = sx_str_first(c->text, same), .child = tail, .next = c->next};
        }
        text = sx_str_from(text, same);
        at = c;
    }
    return at;
}

static sx_status add_name(row *r, sx_str name, const sx_route *route, sx_error *err)
{
    if (r->param_count == SX_ROUTE_PARAMS_MAX)
        return sx_fail(err, SX_EINVAL, "route %s has more than %d parameters", route->path,
                       SX_ROUTE_PARAMS_MAX);
    for (size_t i = 0; i < r->param_count; i++)
        if (sx_str_eq(r->names[i], name))
            return sx_fail(err, SX_EINVAL, "route %s names parameter %.*s twice", route->path,
                           SX_ARG(name));
    r->names[r->param_count++] = name;
    return SX_OK;
}

static sx_status end_pattern(sx_router *router, leaf **place, size_t index, sx_error *err)
{
    const sx_route *route = &router->routes[index];
    if (!*place)
        *place = (leaf *)sx_arena_calloc(&router->arena, 1, sizeof(leaf));
    if (!*place)
        return sx_fail_memory(err, "the route table");
    uint32_t *cell =
        route->method == SX_ANY_METHOD ? &(*place)->any : &(*place)->row[route->method];
    if (*cell)
        return sx_fail(err, SX_EEXIST, "routes %s and %s fit the same requests",
                       router->routes[*cell - 1].path, route->path);
    *cell = (uint32_t)index + 1;
    return SX_OK;
}

/* Walks a pattern segment by segment, extending the tree. */
static sx_status add_route(sx_router *router, size_t index, sx_error *err)
{
    const sx_route *route = &router->routes[index];
    sx_str path = sx_str_z(route->path);
    if (path.len == 0 || path.data[0] != '/' || path.len > PATTERN_BYTES_MAX || !route->handler ||
        route->method < 0 || route->method > SX_ANY_METHOD)
        return sx_fail(err, SX_EINVAL,
                       "route '%s' needs a path that begins with '/', a method and a handler",
                       route->path ? route->path : "");
    row *r = &router->rows[index];
    node *at = &router->root;
    size_t text_from = 0;
    for (size_t from = 1; from <= path.len;) {
        sx_str name, rest = sx_str_from(path, from);
        size_t len = sx_str_find_byte(rest, '/');
        piece_kind kind = classify(sx_str_first(rest, len), len == rest.len, &name);
        if (kind == PIECE_WRONG)
            return sx_fail(err, SX_EINVAL,
                           "route %s: segment '%.*s' must be text, :name, {name}, or at the end *",
                           route->path, SX_ARG(sx_str_first(rest, len)));
        if (kind != PIECE_TEXT) {
            at = add_text(router, at, sx_str_of(path.data + text_from, from - text_from));
            text_from = from + len;
            if (!at)
                return sx_fail_memory(err, "the route table");
            sx_status status =
                add_name(r, kind == PIECE_REST && !name.len ? SX_STR("*") : name, route, err);
            if (status)
                return status;
        }
        if (kind == PIECE_REST)
            return end_pattern(router, &at->rest, index, err);
        if (kind == PIECE_PARAM) {
            if (!at->param)
                at->param = new_node(router, sx_str_of("", 0));
            at = at->param;
            if (!at)
                return sx_fail_memory(err, "the route table");
        }
        from += len + 1;
    }
    at = add_text(router, at, sx_str_from(path, text_from));
    return at ? end_pattern(router, &at->leaf, index, err) : sx_fail_memory(err, "the route table");
}

/* GET answers HEAD; paths without parameters are found by hash. */
static void finish_leaf(leaf *l)
{
    if (l && !l->row[SX_HEAD])
        l->row[SX_HEAD] = l->row[SX_GET];
}

/* Depth: one level a node of a pattern of at most PATTERN_BYTES_MAX bytes. */
static void finish(node *n)
{
    finish_leaf(n->leaf);
    finish_leaf(n->rest);
    if (n->param)
        finish(n->param);
    for (node *c = n->child; c; c = c->next)
        finish(c);
}

static leaf *plain_leaf(sx_router *router, sx_str path)
{
    node *at = add_text(router, &router->root, path); /* exists: nothing is made */
    return at ? at->leaf : NULL;
}

static sx_status list_plain(sx_router *router, sx_error *err)
{
    for (size_t i = 0; i < router->count; i++) {
        if (router->rows[i].param_count > 0)
            continue;
        sx_str path = sx_str_z(router->routes[i].path);
        sx_map_entry *e = sx_map_put(&router->plain, path, NULL);
        if (!e)
            return sx_fail_memory(err, "the route table");
        e->ptr = plain_leaf(router, path);
    }
    return SX_OK;
}

sx_status sx_router_new(const sx_route *routes, size_t count, sx_slash slash, sx_router **out,
                        sx_error *err)
{
    if (count > ROUTES_MAX)
        return sx_fail(err, SX_EINVAL, "%zu routes are more than %d", count, ROUTES_MAX);
    sx_router *router = (sx_router *)sx_calloc(1, sizeof(*router));
    if (!router)
        return sx_fail_memory(err, "the route table");
    sx_arena_init(&router->arena, 0, 0);
    sx_map_init(&router->plain, &router->arena);
    router->routes = routes;
    router->count = count;
    router->slash = slash;
    router->rows = (row *)sx_arena_calloc(&router->arena, count + 1, sizeof(row));
    sx_status status = router->rows ? SX_OK : sx_fail_memory(err, "the route table");
    for (size_t i = 0; i < count && status == SX_OK; i++)
        status = add_route(router, i, err);
    if (status == SX_OK) {
        finish(&router->root);
        status = list_plain(router, err);
    }
    if (status) {
        sx_router_free(router);
        return status;
    }
    *out = router;
    return SX_OK;
}

void sx_router_free(sx_router *router)
{
    if (!router)
        return;
    sx_map_done(&router->plain);
    sx_arena_done(&router->arena);
    sx_free(router);
}

sx_str sx_router_param_name(const sx_router *router, size_t index, size_t i)
{
    return router->rows[index].names[i];
}

/* ---- finding ---- */

/* Takes the row for the method, or notes what the leaf would take. */
static bool take(const leaf *l, int method, sx_route_match *m)
{
    uint32_t found = l->row[method] ? l->row[method] : l->any;
    if (found) {
        m->index = found - 1;
        return true;
    }
    for (unsigned i = 0; i < SX_METHODS; i++)
        m->allow |= l->row[i] ? 1u << i : 0;
    return false;
}

/* The first that fits in the order text, parameter, rest, going back where a way ends. Patterns have
 * at most SX_ROUTE_PARAMS_MAX parameters, so at most 2^8 ways are tried. */
static bool walk(const node *n, int method, sx_str path, sx_route_match *m)
{
    if (path.len == 0 && n->leaf && take(n->leaf, method, m))
        return true;
    if (path.len > 0) {
        const node *c = n->child;
        while (c && c->text.data[0] != path.data[0])
            c = c->next;
        if (c && sx_str_starts(path, c->text) && walk(c, method, sx_str_from(path, c->text.len), m))
            return true;
        size_t end = n->param ? sx_str_find_byte(path, '/') : 0;
        if (end > 0) {
            m->params[m->param_count++] = sx_str_first(path, end);
            if (walk(n->param, method, sx_str_from(path, end), m))
                return true;
            m->param_count--;
        }
    }
    if (n->rest && take(n->rest, method, m)) {
        m->params[m->param_count++] = path;
        return true;
    }
    return false;
}

static bool find_path(const sx_router *router, int method, sx_str path, sx_route_match *m)
{
    const leaf *l = (const leaf *)sx_map_get(&router->plain, path);
    if (sx_likely(l && take(l, method, m)))
        return true;
    return walk(&router->root, method, path, m);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes all escapes but those of '/' and '%', so that segments stay what they were and a second
 * decoding of a parameter gives what was meant. */
static sx_route_result decode(sx_arena *arena, sx_str in, sx_str *out)
{
    char *to = (char *)sx_arena_alloc(arena, in.len + 1);
    if (!to)
        return SX_ROUTE_NO_MEMORY;
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++) {
        to[len++] = in.data[i];
        if (in.data[i] != '%')
            continue;
        int high = i + 2 < in.len ? hex_value(in.data[i + 1]) : -1;
        int low = i + 2 < in.len ? hex_value(in.data[i + 2]) : -1;
        if (high < 0 || low < 0 || (high | low) == 0)
            return SX_ROUTE_BAD_ESCAPE;
        char c = (char)(high << 4 | low);
        if (c == '/' || c == '%') {
            memcpy(to + len, in.data + i + 1, 2);
            len += 2;
        } else {
            to[len - 1] = c;
        }
        i += 2;
    }
    *out = sx_str_of(to, len);
    return SX_ROUTE_FOUND;
}

/* The path was not found: perhaps it is with one slash more or less at its end. `path` is decoded,
 * `sent` is not. */
static sx_route_result try_other_slash(const sx_router *router, int method, sx_str path,
                                       sx_str sent, sx_arena *arena, sx_route_match *m)
{
    if (path.len < 2 || sx_str_ends(path, SX_STR("//"))) /* a doubled slash is a path of its own */
        return SX_ROUTE_NONE;
    bool longer = sx_str_ends(path, SX_STR("/"));
    sx_str other = sx_str_first(path, path.len - 1);
    m->location = sx_str_first(sent, sent.len - 1);
    if (!longer) {
        other = sx_arena_printf(arena, "%.*s/", SX_ARG(path));
        m->location = sx_arena_printf(arena, "%.*s/", SX_ARG(sent));
    }
    if (!other.data || !m->location.data)
        return SX_ROUTE_NO_MEMORY;
    if (!find_path(router, method, other, m))
        return SX_ROUTE_NONE;
    return router->slash == SX_SLASH_IGNORE ? SX_ROUTE_FOUND : SX_ROUTE_REDIRECT;
}

sx_route_result sx_router_find(const sx_router *router, int method, sx_str path, sx_arena *arena,
                               sx_route_match *m)
{
    m->param_count = 0;
    m->allow = 0;
    m->escaped = false;
    method = method >= 0 && method < SX_METHODS ? method : SX_METHOD_OTHER;
    const leaf *l = (const leaf *)sx_map_get(&router->plain, path);
    if (sx_likely(l && take(l, method, m)))
        return SX_ROUTE_FOUND; /* patterns have no '%', so this path had none */
    sx_str decoded = path;
    m->escaped = sx_str_find_byte(path, '%') < path.len;
    if (m->escaped) {
        sx_route_result result = decode(arena, path, &decoded);
        if (result != SX_ROUTE_FOUND)
            return result;
    }
    if (find_path(router, method, decoded, m))
        return SX_ROUTE_FOUND;
    if (m->allow == 0 && router->slash != SX_SLASH_STRICT) {
        sx_route_result result = try_other_slash(router, method, decoded, path, arena, m);
        if (result != SX_ROUTE_NONE)
            return result;
    }
    m->allow &= (1u << SX_METHOD_OTHER) - 1;
    return m->allow ? SX_ROUTE_METHOD : SX_ROUTE_NONE;
}

/* ---- invariants ---- */

static void check_node(const sx_router *router, const node *n, size_t text_len)
{
    for (const node *c = n->child; c; c = c->next) {
        sx_assert(c->text.len > 0);
        sx_assert(c->child || c->param || c->rest || c->leaf);
        for (const node *other = c->next; other; other = other->next)
            sx_assert(other->text.data[0] != c->text.data[0]);
        sx_assert(text_len + c->text.len <= PATTERN_BYTES_MAX);
        check_node(router, c, text_len + c->text.len);
    }
    if (n->param) {
        sx_assert(n->param->text.len == 0);
        check_node(router, n->param, text_len);
    }
}

bool sx_router_check(const sx_router *router)
{
    check_node(router, &router->root, 0);
    for (size_t i = 0; i < router->count; i++)
        if (router->rows[i].param_count == 0)
            sx_assert(sx_map_get(&router->plain, sx_str_z(router->routes[i].path)) != NULL);
    return true;
}
