/* log_levels.c - loggers by name, and the levels that they get while the program runs.
 *
 * A logger carries two numbers: `level`, what is written, and `gate`, the lower one of that and what the
 * exporter wants, which the macros ask. Both are read without a lock; changes take logger_lock. The
 * rules of the last setting are kept for loggers that are made later. */
#include "telemetry/log_lane.h"

#include <sextant/buf.h>
#include <sextant/mem.h>

static const sx_str LEVEL_NAMES[] = {
#define X(name, value) [value] = SX_STR_INIT(#name),
    SX_LEVEL_LIST(X)
#undef X
        [SX_LEVEL_OFF] = SX_STR_INIT("OFF"),
};

const char *sx_level_name(sx_level level)
{
    return level >= SX_LEVEL_TRACE && level <= SX_LEVEL_OFF ? LEVEL_NAMES[level].data : "UNKNOWN";
}

bool sx_level_parse(sx_str text, sx_level *out)
{
    for (int i = SX_LEVEL_TRACE; i <= SX_LEVEL_OFF; i++)
        if (sx_str_ieq(text, LEVEL_NAMES[i])) {
            *out = (sx_level)i;
            return true;
        }
    return false;
}

/* ---- a setting ---- */

/* Letters, digits and what joins them; '*' at the end. A ';' in place of ',' is no name. */
static bool is_name(sx_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool joint = c != '\0' && strchr("_-./:", c);
        if (!letter && !joint && !(c == '*' && i + 1 == s.len))
            return false;
    }
    return s.len > 0;
}

static sx_status parse_rule(sx_str item, sx_log_level_rule *out, sx_error *err)
{
    sx_str name, level;
    bool named = sx_str_cut(item, '=', &name, &level);
    if (!named) {
        level = name;
        name = (sx_str){0};
    }
    name = sx_str_trim_all(name);
    level = sx_str_trim_all(level);
    if (named && !is_name(name))
        return sx_fail(err, SX_EINVAL,
                       "'%.*s' is no logger's name; write NAME=LEVEL, separated by commas",
                       SX_ARG(name));
    if (sx_str_eq(name, SX_STR("all")) || sx_str_eq(name, SX_STR("*")))
        name = (sx_str){0};
    out->name = name;
    if (sx_level_parse(level, &out->level))
        return SX_OK;
    return sx_fail(err, SX_EINVAL,
                   "'%.*s' is no log level; write trace, debug, info, warn, error, fatal or off, "
                   "or NAME=LEVEL, separated by commas",
                   SX_ARG(level));
}

sx_status sx_log_levels_parse(sx_str text, sx_log_level_rule rules[SX_LOG_LEVEL_RULES_MAX],
                              size_t *count, sx_error *err)
{
    *count = 0;
    for (bool more = true; more;) {
        sx_str item;
        more = sx_str_cut(text, ',', &item, &text);
        if (sx_str_trim_all(item).len == 0)
            continue;
        if (*count == SX_LOG_LEVEL_RULES_MAX)
            return sx_fail(err, SX_ELIMIT, "more than %d log levels in one setting",
                           SX_LOG_LEVEL_RULES_MAX);
        sx_status status = parse_rule(item, &rules[*count], err);
        if (status)
            return status;
        (*count)++;
    }
    return SX_OK;
}

/* How well a rule's name fits a logger's: the longer the better; below 0: not at all. */
static int fit(sx_str rule, sx_str logger)
{
    if (rule.len == 0)
        return 0;
    bool any = rule.data[rule.len - 1] == '*';
    sx_str stem = sx_str_first(rule, rule.len - any);
    if (!sx_str_starts(logger, stem))
        return -1;
    if (!any && logger.len > stem.len && logger.data[stem.len] != '.')
        return -1; /* "net" is not "network" */
    return (int)(stem.len < 1000 ? stem.len : 1000) + 1;
}

static sx_level level_of(const sx_log *log, sx_str logger)
{
    sx_level level = (sx_level)log->level;
    int best = -1;
    for (size_t i = 0; i < log->rule_count; i++) {
        int f = fit(log->rules[i].name, logger);
        if (f >= 0 && f >= best) {
            best = f;
            level = log->rules[i].level;
        }
    }
    return level;
}

/* ---- loggers ---- */

static void set_gate(sx_logger *l)
{
    const sx_log *log = l->log;
    int level = l->level, gate = level;
    /* A logger that is off says nothing to anybody. */
    if (level != SX_LEVEL_OFF && log->otlp && log->otlp_level && log->otlp_level < gate)
        gate = log->otlp_level;
    __atomic_store_n(&l->gate, gate, __ATOMIC_RELAXED);
}

static void set_level(sx_logger *l, sx_level level)
{
    __atomic_store_n(&l->level, (int)level, __ATOMIC_RELAXED);
    set_gate(l);
}

static sx_logger *find_logger(sx_log *log, sx_str name)
{
    if (name.len == 0)
        return &log->root;
    sx_logger *l = log->loggers;
    while (l && !sx_str_eq(l->name, name))
        l = l->next;
    return l;
}

sx_logger *sx_log_logger(sx_log *log, const char *name)
{
    sx_str wanted = sx_str_z(name);
    pthread_mutex_lock(&log->logger_lock);
    sx_logger *l = find_logger(log, wanted);
    if (!l) {
        l = (sx_logger *)sx_alloc(sizeof(*l) + wanted.len + 1);
        if (l) {
            char *copy = (char *)(l + 1);
            memcpy(copy, name, wanted.len + 1);
            *l = (sx_logger){.log = log, .name = sx_str_of(copy, wanted.len), .next = log->loggers};
            set_level(l, level_of(log, l->name));
            log->loggers = l;
        }
    }
    pthread_mutex_unlock(&log->logger_lock);
    return l ? l : &log->root;
}

/* All loggers take the level that the rules give them; under logger_lock. */
static void set_all(sx_log *log)
{
    set_level(&log->root, level_of(log, log->root.name));
    for (sx_logger *l = log->loggers; l; l = l->next)
        set_level(l, level_of(log, l->name));
}

static sx_status unknown_logger(sx_log *log, const char *name, sx_error *err)
{
    char known[256] = "";
    size_t len = 0;
    for (const sx_logger *l = log->loggers; l && l->name.len + 2 < sizeof(known) - len;
         l = l->next) {
        memcpy(known + len, len ? ", " : "", len ? 2 : 0);
        len += len ? 2 : 0;
        memcpy(known + len, l->name.data, l->name.len + 1);
        len += l->name.len;
    }
    return sx_fail(err, SX_ENOTFOUND, "no logger is named '%s'; there are: %s", name,
                   len ? known : "none but the program's");
}

sx_status sx_log_level_set(sx_log *log, const char *name, sx_level level, sx_error *err)
{
    sx_str wanted = sx_str_z(name);
    bool found = !name || sx_str_eq(wanted, SX_STR("all"));
    bool alike = wanted.len > 0 && wanted.data[wanted.len - 1] == '*';
    sx_status status = SX_OK;
    pthread_mutex_lock(&log->logger_lock);
    if (found) {
        log->level = (int)level;
        log->rule_count = 0;
        set_all(log);
    } else if (alike) {
        for (sx_logger *l = log->loggers; l; l = l->next)
            if (fit(wanted, l->name) >= 0) {
                set_level(l, level);
                found = true;
            }
    } else {
        sx_logger *one = find_logger(log, wanted);
        if (one)
            set_level(one, level);
        found = one != NULL;
    }
    if (!found)
        status = unknown_logger(log, name, err);
    pthread_mutex_unlock(&log->logger_lock);
    return status;
}

sx_status sx_log_levels_apply(sx_log *log, sx_str text, sx_error *err)
{
    sx_log_level_rule parsed[SX_LOG_LEVEL_RULES_MAX];
    size_t count;
    sx_status status = sx_log_levels_parse(text, parsed, &count, err);
    if (status)
        return status;
    /* The rules' names point into a copy that lies behind them. */
    char *room = (char *)sx_alloc(count * sizeof(*parsed) + text.len + 1);
    if (!room)
        return sx_fail_memory(err, "the log's levels");
    sx_log_level_rule *rules = (sx_log_level_rule *)(void *)room;
    char *copy = room + count * sizeof(*rules);
    if (text.len)
        memcpy(copy, text.data, text.len);
    size_t kept = 0;
    pthread_mutex_lock(&log->logger_lock);
    for (size_t i = 0; i < count; i++) {
        if (parsed[i].name.len == 0) {
            log->level = (int)parsed[i].level;
            continue;
        }
        rules[kept] = parsed[i];
        rules[kept++].name.data = copy + (parsed[i].name.data - text.data);
    }
    sx_log_level_rule *old = log->rules;
    log->rules = rules;
    log->rule_count = kept;
    set_all(log);
    pthread_mutex_unlock(&log->logger_lock);
    sx_free(old);
    return SX_OK;
}

void sx_log_loggers(sx_log *log, void (*fn)(void *ctx, const char *name, sx_level level), void *ctx)
{
    fn(ctx, "", (sx_level)__atomic_load_n(&log->root.level, __ATOMIC_RELAXED));
    pthread_mutex_lock(&log->logger_lock);
    for (const sx_logger *l = log->loggers; l; l = l->next)
        fn(ctx, l->name.data, (sx_level)__atomic_load_n(&l->level, __ATOMIC_RELAXED));
    pthread_mutex_unlock(&log->logger_lock);
}

bool sx_logger_enabled(const sx_logger *logger, sx_level level)
{
    return (int)level >= __atomic_load_n(&logger->gate, __ATOMIC_RELAXED);
}

void sx_log_otlp(sx_log *log, sx_otlp *otlp)
{
    pthread_mutex_lock(&log->logger_lock);
    __atomic_store_n(&log->otlp, otlp, __ATOMIC_RELEASE);
    set_gate(&log->root);
    for (sx_logger *l = log->loggers; l; l = l->next)
        set_gate(l);
    pthread_mutex_unlock(&log->logger_lock);
}

void sx_log_loggers_init(sx_log *log)
{
    log->root = (sx_logger){.log = log};
    set_level(&log->root, (sx_level)log->level);
}

void sx_log_loggers_free(sx_log *log)
{
    while (log->loggers) {
        sx_logger *next = log->loggers->next;
        sx_free(log->loggers);
        log->loggers = next;
    }
    sx_free(log->rules);
}
