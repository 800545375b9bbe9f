/* process_name.c - which group a process belongs to: process-exporter's rules and name templates.
 *
 * The first rule of which comm, exe and cmdline all match (those it has) names the group; each comm and
 * exe is one of several, each cmdline must match. Source: process-exporter's README, "Configuration and
 * group naming". */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "observe/collect/process.h"

enum { GROUP_NAME_BYTES_MAX = 256, CMDLINE_BYTES_MAX = 64 << 10 };

/* What a template may ask. */
typedef struct named {
    collector *c;
    const char *pid;
    const process_facts *facts;
    sx_str exe,
        base;       /* the first word of the command line, and what stands behind its last slash */
    sx_str cmdline; /* its words with spaces between */
    const process_rule *rule;
    const process_compiled *compiled;
    sx_arena *arena;
} named;

static sx_tvalue text_value(sx_str text)
{
    return (sx_tvalue){.kind = SX_TVALUE_STRING, .string = text};
}

static sx_str username(const named *n, sx_arena *arena)
{
    char path[512], room[4096];
    struct stat st;
    struct passwd entry, *found = NULL;
    snprintf(path, sizeof path, "%s/%s", n->c->proc, n->pid);
    if (stat(path, &st) != 0)
        return SX_STR("");
    if (getpwuid_r(st.st_uid, &entry, room, sizeof room, &found) == 0 && found)
        return sx_arena_copy(arena, sx_str_z(found->pw_name));
    return sx_arena_printf(arena, "%u", (unsigned)st.st_uid);
}

static sx_str started(const named *n, sx_arena *arena)
{
    char text[64];
    struct tm tm = {0};
    time_t at =
        (time_t)(process_boot_time(n->c) + (double)n->facts->start / (double)sysconf(_SC_CLK_TCK));
    gmtime_r(&at, &tm);
    size_t len = strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S +0000 UTC", &tm);
    return sx_arena_copy(arena, sx_str_of(text, len));
}

static sx_str cgroups(const named *n, sx_arena *arena)
{
    char path[64];
    sx_str text, line, part, rest;
    sx_buf out;
    snprintf(path, sizeof path, "%s/cgroup", n->pid);
    if (!collect_read(n->c, n->c->proc, path, &text))
        return SX_STR("[]");
    sx_buf_init(&out, 4096);
    sx_buf_byte(&out, '[');
    while (collect_line(&text, &line))
        if (sx_str_cut(line, ':', &part, &rest) && sx_str_cut(rest, ':', &part, &rest))
            sx_buf_printf(&out, "%s%.*s", out.len > 1 ? " " : "", SX_ARG(rest));
    sx_buf_byte(&out, ']');
    sx_str copy = sx_arena_copy(arena, sx_buf_view(&out));
    sx_buf_done(&out);
    return copy;
}

/* .Matches.NAME: the named group of whichever expression has it. */
static sx_status match_get(const void *object, sx_str name, sx_arena *arena, sx_tvalue *out,
                           sx_error *err)
{
    (void)arena;
    (void)err;
    const named *n = object;
    sx_str groups[SX_REGEX_GROUPS_MAX];
    *out = text_value(SX_STR(""));
    for (uint32_t i = n->rule->cmdline_count; i-- > 0;) {
        const sx_regex *re = n->compiled->regexes[i];
        int at = sx_regex_group_index(re, name);
        if (at <= 0 || at >= SX_REGEX_GROUPS_MAX ||
            !sx_regex_capture(re, n->cmdline, SX_REGEX_ANYWHERE, groups, SX_REGEX_GROUPS_MAX))
            continue;
        *out = text_value(groups[at].data ? groups[at] : SX_STR(""));
        return SX_OK;
    }
    return SX_ENOTFOUND;
}

static const sx_tobject_ops MATCHES = {.type = "map[string]string", .get = match_get};

static sx_status named_get(const void *object, sx_str name, sx_arena *arena, sx_tvalue *out,
                           sx_error *err)
{
    const named *n = object;
    if (sx_str_eq(name, SX_STR("Comm")))
        *out = text_value(sx_str_z(n->facts->comm));
    else if (sx_str_eq(name, SX_STR("ExeBase")))
        *out = text_value(n->base);
    else if (sx_str_eq(name, SX_STR("ExeFull")))
        *out = text_value(n->exe);
    else if (sx_str_eq(name, SX_STR("Username")))
        *out = text_value(username(n, arena));
    else if (sx_str_eq(name, SX_STR("PID")))
        *out = text_value(sx_str_z(n->pid));
    else if (sx_str_eq(name, SX_STR("StartTime")))
        *out = text_value(started(n, arena));
    else if (sx_str_eq(name, SX_STR("Cgroups")))
        *out = text_value(cgroups(n, arena));
    else if (sx_str_eq(name, SX_STR("Matches")))
        *out = (sx_tvalue){.kind = SX_TVALUE_MAP, .object = n, .ops = &MATCHES};
    else
        return sx_fail(err, SX_ENOTFOUND,
                       "a group's name has no field %.*s; there are Comm, ExeBase, ExeFull, "
                       "Username, PID, StartTime, Cgroups and Matches",
                       SX_ARG(name));
    return SX_OK;
}

static const sx_tobject_ops NAMED = {.type = "process", .get = named_get};

/* exe names a path in full or a program by its last part. */
static bool is_exe(const named *n, sx_str wanted)
{
    bool path = sx_str_find_byte(wanted, '/') < wanted.len;
    return sx_str_eq(wanted, path ? n->exe : n->base);
}

static bool fits(const named *n)
{
    const process_rule *rule = n->rule;
    bool found = !rule->comm_count;
    for (uint32_t i = 0; !found && i < rule->comm_count; i++)
        found = sx_str_eq(rule->comm[i], sx_str_z(n->facts->comm));
    if (!found)
        return false;
    found = !rule->exe_count;
    for (uint32_t i = 0; !found && i < rule->exe_count; i++)
        found = is_exe(n, rule->exe[i]);
    for (uint32_t i = 0; found && i < rule->cmdline_count; i++)
        found = sx_regex_search(n->compiled->regexes[i], n->cmdline);
    return found;
}

/* NULs between the words become spaces; what reads /proc next must not disturb it, so it is copied. */
static sx_str command_line(collector *c, const char *pid, sx_arena *arena, named *n)
{
    char path[64];
    sx_str text;
    snprintf(path, sizeof path, "%s/cmdline", pid);
    n->exe = n->base = sx_str_z(n->facts->comm);
    if (!collect_read(c, c->proc, path, &text) || !text.len)
        return SX_STR("");
    sx_str copy = sx_arena_copy(arena, sx_str_first(text, CMDLINE_BYTES_MAX));
    if (!copy.data)
        return SX_STR("");
    while (copy.len && copy.data[copy.len - 1] == '\0')
        copy.len--;
    if (!copy.len)
        return SX_STR("");
    char *bytes = sx_arena_alloc(arena, copy.len);
    if (!bytes)
        return SX_STR("");
    for (size_t i = 0; i < copy.len; i++)
        bytes[i] = copy.data[i] ? copy.data[i] : ' ';
    n->exe = n->base = sx_str_first(copy, sx_str_find_byte(copy, '\0'));
    for (size_t i = 0; i < n->exe.len; i++)
        if (n->exe.data[i] == '/')
            n->base = sx_str_from(n->exe, i + 1);
    return sx_str_of(bytes, copy.len);
}

/* Without rules every process that has a command line is grouped by its name, as Debian's package of
 * process-exporter is configured. */
bool process_name(collector *c, const collect_settings *s, const char *pid,
                  const process_facts *facts, sx_buf *out)
{
    sx_arena arena;
    sx_error ignored;
    bool found = false;
    sx_arena_init(&arena, 0, 1 << 20);
    named n = {.c = c, .pid = pid, .facts = facts, .arena = &arena};
    n.cmdline = command_line(c, pid, &arena, &n);
    if (!s->rule_count && n.cmdline.len) {
        sx_buf_str(out, sx_str_z(facts->comm));
        found = true;
    }
    for (uint32_t i = 0; !found && i < s->rule_count; i++) {
        n.rule = &s->rules[i];
        n.compiled = &s->compiled[i];
        if (!fits(&n))
            continue;
        const sx_tvalue data = {.kind = SX_TVALUE_STRUCT, .object = &n, .ops = &NAMED};
        found = sx_template_run(n.compiled->template, SX_STR(""), &data, NULL, &arena, out,
                                &ignored) == SX_OK;
        if (out->len > GROUP_NAME_BYTES_MAX)
            out->len = GROUP_NAME_BYTES_MAX;
        break;
    }
    sx_arena_done(&arena);
    return found && out->len;
}
