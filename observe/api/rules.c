/* rules.c - /rules, /alerts, /alertmanagers. */
#include "observe/rules/notify.h"

#include <openssl/sha.h>

#include <sextant/number.h>

#include "observe/api/api.h"

enum { TOKEN_BYTES = 2 * SHA256_DIGEST_LENGTH };

/* What was asked for. */
typedef struct rule_filter {
    sx_str *names, *groups, *files;
    size_t name_count, group_count, file_count;
    api_matchers matchers;
    bool alerts, records, without_alerts;
    int64_t group_limit; /* -1: none */
    sx_str next_token;
} rule_filter;

/* The sign of a group in pages of them. */
static void token_of(sx_str file, sx_str name, char out[TOKEN_BYTES])
{
    static const char HEX[] = "0123456789abcdef";
    unsigned char digest[SHA256_DIGEST_LENGTH];
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_buf_str(&text, file);
    sx_buf_byte(&text, ';');
    sx_buf_str(&text, name);
    SHA256((const unsigned char *)text.data, text.failed ? 0 : text.len, digest);
    sx_buf_done(&text);
    for (size_t i = 0; i < sizeof digest; i++) {
        out[2 * i] = HEX[digest[i] >> 4];
        out[2 * i + 1] = HEX[digest[i] & 15];
    }
}

/* ---- parameters ---- */

static bool refuse(api_call *c, const char *param, const char *words, sx_str value)
{
    sx_error err = {0};
    sx_fail(&err, SX_EINVAL, words, SX_ARG(value));
    api_fail_param(c, param, &err);
    return false;
}

static bool read_type(api_call *c, rule_filter *f)
{
    sx_str type = api_form_address(&c->form, "type");
    bool alert = sx_str_ieq(type, SX_STR("alert")), record = sx_str_ieq(type, SX_STR("record"));
    if (type.len && !alert && !record) {
        sx_buf quoted;
        sx_buf_init(&quoted, 4096);
        char *lower = sx_arena_alloc(&c->arena, type.len);
        for (size_t i = 0; lower && i < type.len; i++)
            lower[i] = (char)(type.data[i] >= 'A' && type.data[i] <= 'Z' ? type.data[i] | 32
                                                                         : type.data[i]);
        tsdb_quote(sx_str_of(lower, lower ? type.len : 0), &quoted);
        refuse(c, "type", "not supported value %.*s", sx_buf_view(&quoted));
        sx_buf_done(&quoted);
        return false;
    }
    f->alerts = !record;
    f->records = !alert;
    return true;
}

static bool read_exclude(api_call *c, rule_filter *f)
{
    static const char *const TRUE_WORDS[] = {"1", "t", "true"};
    static const char *const FALSE_WORDS[] = {"0", "f", "false", ""};
    sx_str text = api_form_address(&c->form, "exclude_alerts");
    for (size_t i = 0; i < SX_COUNT_OF(TRUE_WORDS); i++)
        if (sx_str_ieq(text, sx_str_z(TRUE_WORDS[i])))
            return f->without_alerts = true;
    for (size_t i = 0; i < SX_COUNT_OF(FALSE_WORDS); i++)
        if (sx_str_ieq(text, sx_str_z(FALSE_WORDS[i])))
            return true;
    sx_buf quoted;
    sx_buf_init(&quoted, 4096);
    tsdb_quote(text, &quoted);
    refuse(c, "exclude_alerts",
           "error converting exclude_alerts: strconv.ParseBool: parsing %.*s: invalid syntax",
           sx_buf_view(&quoted));
    sx_buf_done(&quoted);
    return false;
}

static bool read_page(api_call *c, rule_filter *f)
{
    sx_error err = {0};
    sx_str limit = api_form_address(&c->form, "group_limit");
    f->next_token = api_form_address(&c->form, "group_next_token");
    f->group_limit = -1;
    if (f->next_token.len && !limit.len)
        return refuse(c, "group_next_token",
                      "group_limit needs to be present in order to paginate over the groups%.*s",
                      SX_STR(""));
    if (!limit.len)
        return true;
    if (api_int_read(limit, "ParseInt", 32, &f->group_limit, &err) != SX_OK) {
        (void)sx_error_prefix(&err, SX_EFORMAT, "group_limit needs to be a valid number");
        api_fail_param(c, "group_limit", &err);
        return false;
    }
    if (f->group_limit <= 0)
        return refuse(c, "group_limit", "group_limit needs to be greater than 0%.*s", SX_STR(""));
    return true;
}

static bool read_filter(api_call *c, rule_filter *f)
{
    sx_error err = {0};
    *f = (rule_filter){0};
    if (c->form.fault.len) {
        api_fail(
            c, API_BAD_DATA,
            sx_arena_printf(&c->arena, "error parsing form values: %.*s", SX_ARG(c->form.fault)));
        return false;
    }
    if (api_form_all(&c->form, "rule_name[]", &c->arena, &f->names, &f->name_count, &err) ||
        api_form_all(&c->form, "rule_group[]", &c->arena, &f->groups, &f->group_count, &err) ||
        api_form_all(&c->form, "file[]", &c->arena, &f->files, &f->file_count, &err)) {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
        return false;
    }
    if (api_matchers_read(&c->form, false, &c->arena, &f->matchers, &err) != SX_OK) {
        api_fail(c, API_BAD_DATA, sx_str_z(err.message));
        return false;
    }
    return read_type(c, f) && read_exclude(c, f) && read_page(c, f);
}

static bool is_among(const sx_str *items, size_t count, sx_str value)
{
    for (size_t i = 0; i < count; i++)
        if (sx_str_eq(items[i], value))
            return true;
    return count == 0;
}

static bool passes(const rule_filter *f, const rule_info *r)
{
    if (!(r->alert ? f->alerts : f->records) || !is_among(f->names, f->name_count, r->name))
        return false;
    for (size_t i = 0; i < f->matchers.count; i++) {
        size_t count;
        const tsdb_matcher *m = api_matchers_set(&f->matchers, i, &count);
        if (tsdb_matchers_match(m, count, r->labels))
            return true;
    }
    return f->matchers.count == 0;
}

/* ---- answers ---- */

/* Go's 'e', -1: always with an exponent of two digits. */
static void write_value(sx_buf *out, double value)
{
    char digits[SX_DOUBLE_FIXED_BYTES];
    if (value != value || value - value != 0) {
        api_json_float(out, value);
        return;
    }
    size_t len = sx_double_plain(value, digits);
    bool minus = digits[0] == '-';
    sx_str text = sx_str_of(digits + minus, len - minus), whole, part;
    if (!sx_str_cut(text, '.', &whole, &part))
        part = SX_STR("");
    char all[SX_DOUBLE_FIXED_BYTES];
    size_t count = 0;
    for (size_t i = 0; i < whole.len; i++)
        all[count++] = whole.data[i];
    for (size_t i = 0; i < part.len; i++)
        all[count++] = part.data[i];
    size_t first = 0;
    while (first + 1 < count && all[first] == '0')
        first++;
    while (count > first + 1 && all[count - 1] == '0')
        count--;
    int exponent = value == 0 ? 0 : (int)whole.len - 1 - (int)first;
    sx_buf_printf(out, "\"%s%c", minus ? "-" : "", all[first]);
    if (count > first + 1)
        sx_buf_byte(out, '.');
    sx_buf_bytes(out, all + first + 1, count - first - 1);
    sx_buf_printf(out, "e%c%02d\"", exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
}

static void write_alert(sx_buf *out, const rule_alert_info *a)
{
    sx_buf_str(out, SX_STR("{\"labels\":"));
    api_json_labels(out, a->labels);
    sx_buf_str(out, SX_STR(",\"annotations\":"));
    api_json_labels(out, a->annotations);
    sx_buf_printf(out, ",\"state\":\"%s\",\"activeAt\":", rule_state_name(a->state));
    api_json_date(out, a->active_ms);
    if (a->keep_firing_since_ms) {
        sx_buf_str(out, SX_STR(",\"keepFiringSince\":"));
        api_json_date(out, a->keep_firing_since_ms);
    }
    sx_buf_str(out, SX_STR(",\"value\":"));
    write_value(out, a->value);
    sx_buf_byte(out, '}');
}

static void write_alerts(sx_buf *out, const rule_info *r, bool *any)
{
    for (size_t i = 0; i < r->alert_count; i++) {
        if (*any)
            sx_buf_byte(out, ',');
        *any = true;
        write_alert(out, &r->alerts[i]);
    }
}

static void write_rule(sx_buf *out, const rule_info *r, bool without_alerts)
{
    bool any = false;
    if (r->alert)
        sx_buf_printf(out, "{\"state\":\"%s\",\"name\":", rule_state_name(r->state));
    else
        sx_buf_str(out, SX_STR("{\"name\":"));
    api_json_text(out, r->name);
    sx_buf_str(out, SX_STR(",\"query\":"));
    api_json_text(out, r->query);
    if (r->alert) {
        sx_buf_str(out, SX_STR(",\"duration\":"));
        api_json_number(out, r->duration_s);
        sx_buf_str(out, SX_STR(",\"keepFiringFor\":"));
        api_json_number(out, r->keep_firing_for_s);
    }
    sx_buf_str(out, SX_STR(",\"labels\":"));
    api_json_labels(out, r->labels);
    if (r->alert) {
        sx_buf_str(out, SX_STR(",\"annotations\":"));
        api_json_labels(out, r->annotations);
        sx_buf_str(out, without_alerts ? SX_STR(",\"alerts\":null") : SX_STR(",\"alerts\":["));
        if (!without_alerts) {
            write_alerts(out, r, &any);
            sx_buf_byte(out, ']');
        }
    }
    sx_buf_printf(out, ",\"health\":\"%s\"", rule_health_name(r->health));
    if (r->last_error.len) {
        sx_buf_str(out, SX_STR(",\"lastError\":"));
        api_json_text(out, r->last_error);
    }
    sx_buf_str(out, SX_STR(",\"evaluationTime\":"));
    api_json_number(out, r->evaluation_s);
    sx_buf_str(out, SX_STR(",\"lastEvaluation\":"));
    api_json_date(out, r->last_evaluation_ms);
    sx_buf_printf(out, ",\"type\":\"%s\"}", r->alert ? "alerting" : "recording");
}

static void write_group(sx_buf *out, const rule_group_info *g, const rule_filter *f)
{
    bool any = false;
    sx_buf_str(out, SX_STR("{\"name\":"));
    api_json_text(out, g->name);
    sx_buf_str(out, SX_STR(",\"file\":"));
    api_json_text(out, g->file);
    sx_buf_str(out, SX_STR(",\"rules\":["));
    for (size_t i = 0; i < g->rule_count; i++) {
        if (!passes(f, &g->rules[i]))
            continue;
        if (any)
            sx_buf_byte(out, ',');
        any = true;
        write_rule(out, &g->rules[i], f->without_alerts);
    }
    sx_buf_str(out, SX_STR("],\"interval\":"));
    api_json_number(out, g->interval_s);
    sx_buf_printf(out, ",\"limit\":%u,\"evaluationTime\":", g->limit);
    api_json_number(out, g->evaluation_s);
    sx_buf_str(out, SX_STR(",\"lastEvaluation\":"));
    api_json_date(out, g->last_evaluation_ms);
    sx_buf_byte(out, '}');
}

static bool has_rules(const rule_group_info *g, const rule_filter *f)
{
    for (size_t i = 0; i < g->rule_count; i++)
        if (passes(f, &g->rules[i]))
            return true;
    return false;
}

/* Groups from the token's on, until the page is full; false: no group has the token. */
static bool write_groups(api_call *c, const rule_filter *f, const rule_group_info *groups,
                         size_t count)
{
    char token[TOKEN_BYTES];
    bool found = f->next_token.len == 0 || f->group_limit < 0, more = false;
    int64_t written = 0;
    for (size_t i = 0; i < count && !more; i++) {
        const rule_group_info *g = &groups[i];
        token_of(g->file, g->name, token);
        found = found || sx_str_eq(f->next_token, sx_str_of(token, sizeof token));
        if (!found || !is_among(f->groups, f->group_count, g->name) ||
            !is_among(f->files, f->file_count, g->file) || !has_rules(g, f))
            continue;
        more = f->group_limit > 0 && written == f->group_limit;
        if (more)
            break;
        if (written++)
            sx_buf_byte(&c->out, ',');
        write_group(&c->out, g, f);
    }
    sx_buf_byte(&c->out, ']');
    if (more)
        sx_buf_printf(&c->out, ",\"groupNextToken\":\"%.*s\"", TOKEN_BYTES, token);
    return found;
}

void api_rules(api_call *c)
{
    sx_error err = {0};
    rule_filter f;
    rule_group_info *groups;
    size_t count;
    if (!read_filter(c, &f)) {
        api_matchers_done(&f.matchers);
        return;
    }
    if (rule_manager_read(c->api->rules, &c->arena, &groups, &count, &err) != SX_OK) {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
    } else {
        api_success(c);
        sx_buf_str(&c->out, SX_STR(",\"data\":{\"groups\":["));
        if (write_groups(c, &f, groups, count))
            sx_buf_str(&c->out, SX_STR("}}"));
        else
            refuse(c, "group_next_token",
                   "invalid group_next_token '%.*s'. were rule groups changed?", f.next_token);
    }
    api_matchers_done(&f.matchers);
}

void api_alerts(api_call *c)
{
    sx_error err = {0};
    rule_group_info *groups;
    size_t count;
    bool any = false;
    if (rule_manager_read(c->api->rules, &c->arena, &groups, &count, &err) != SX_OK) {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
        return;
    }
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":{\"alerts\":["));
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < groups[i].rule_count; k++)
            write_alerts(&c->out, &groups[i].rules[k], &any);
    sx_buf_str(&c->out, SX_STR("]}}"));
}

static void write_urls(sx_buf *out, const char *key, const sx_str *urls, size_t count)
{
    sx_buf_printf(out, "\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        sx_buf_str(out, i ? SX_STR(",{\"url\":") : SX_STR("{\"url\":"));
        api_json_text(out, urls[i]);
        sx_buf_byte(out, '}');
    }
    sx_buf_byte(out, ']');
}

void api_alertmanagers(api_call *c)
{
    sx_error err = {0};
    sx_str *active, *dropped;
    size_t active_count, dropped_count;
    if (rule_notifier_read(c->api->notifier, &c->arena, &active, &active_count, &dropped,
                           &dropped_count, &err) != SX_OK) {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
        return;
    }
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":{"));
    write_urls(&c->out, "activeAlertmanagers", active, active_count);
    sx_buf_byte(&c->out, ',');
    write_urls(&c->out, "droppedAlertmanagers", dropped, dropped_count);
    sx_buf_str(&c->out, SX_STR("}}"));
}
