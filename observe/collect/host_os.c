/* host_os.c - the clock, the kernel's name, the distribution. */
#include <stdio.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>

#include <sextant/clock.h>

#include "observe/collect/collect_internal.h"

bool collect_time(collector *c)
{
    static const char *const FOLDER = "devices/system/clocksource/clocksource0";
    sx_str text, word;
    char path[128];
    double now = (double)sx_clock_ns(sx_clock_system()) / 1e9;
    time_t seconds = (time_t)now;
    struct tm tm = {0};
    localtime_r(&seconds, &tm);
    collect_one(c, "node_time_seconds", "gauge", "The clock, unix time.", now);
    collect_family(c, "node_time_zone_offset_seconds", "gauge", "Seconds east of UTC.");
    collect_sample(c, "node_time_zone_offset_seconds",
                   &(collect_label){"time_zone", sx_str_z(tm.tm_zone)}, 1, (double)tm.tm_gmtoff);
    snprintf(path, sizeof path, "%s/available_clocksource", FOLDER);
    if (collect_read_value(c, c->sys, path, &text)) {
        collect_family(c, "node_time_clocksource_available_info", "gauge", "Clocks there are.");
        while (collect_word(&text, &word))
            collect_sample(c, "node_time_clocksource_available_info",
                           (collect_label[]){{"clocksource", word}, {"device", SX_STR("0")}}, 2, 1);
    }
    snprintf(path, sizeof path, "%s/current_clocksource", FOLDER);
    if (collect_read_value(c, c->sys, path, &text)) {
        collect_family(c, "node_time_clocksource_current_info", "gauge", "The clock in use.");
        collect_sample(c, "node_time_clocksource_current_info",
                       (collect_label[]){{"clocksource", text}, {"device", SX_STR("0")}}, 2, 1);
    }
    return true;
}

/* What the kernel's clock discipline says (adjtimex(2)); asking changes nothing. */
bool collect_timex(collector *c)
{
    struct timex t = {.modes = 0};
    int state = adjtimex(&t);
    if (state < 0)
        return false;
    double fine = t.status & STA_NANO ? 1e9 : 1e6;
    const double ppm16 = 65536.0 * 1e6; /* parts per million with 16 bits behind the point */
    const struct {
        const char *name;
        double value;
        bool counter;
    } ROWS[] = {
        {"node_timex_sync_status", state != TIME_ERROR, false},
        {"node_timex_offset_seconds", (double)t.offset / fine, false},
        {"node_timex_frequency_adjustment_ratio", 1 + (double)t.freq / ppm16, false},
        {"node_timex_maxerror_seconds", (double)t.maxerror / 1e6, false},
        {"node_timex_estimated_error_seconds", (double)t.esterror / 1e6, false},
        {"node_timex_status", t.status, false},
        {"node_timex_loop_time_constant", (double)t.constant, false},
        {"node_timex_tick_seconds", (double)t.tick / 1e6, false},
        {"node_timex_pps_frequency_hertz", (double)t.ppsfreq / ppm16, false},
        {"node_timex_pps_jitter_seconds", (double)t.jitter / fine, false},
        {"node_timex_pps_shift_seconds", t.shift, false},
        {"node_timex_pps_stability_hertz", (double)t.stabil / ppm16, false},
        {"node_timex_pps_jitter_total", (double)t.jitcnt, true},
        {"node_timex_pps_calibration_total", (double)t.calcnt, true},
        {"node_timex_pps_error_total", (double)t.errcnt, true},
        {"node_timex_pps_stability_exceeded_total", (double)t.stbcnt, true},
        {"node_timex_tai_offset_seconds", t.tai, false},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        collect_one(c, ROWS[i].name, ROWS[i].counter ? "counter" : "gauge", "As adjtimex(2) says.",
                    ROWS[i].value);
    return true;
}

bool collect_uname(collector *c)
{
    struct utsname u;
    if (uname(&u) != 0)
        return false;
    const collect_label labels[] = {
        {"domainname", sx_str_z(u.domainname)}, {"machine", sx_str_z(u.machine)},
        {"nodename", sx_str_z(u.nodename)},     {"release", sx_str_z(u.release)},
        {"sysname", sx_str_z(u.sysname)},       {"version", sx_str_z(u.version)}};
    collect_family(c, "node_uname_info", "gauge", "What uname(2) says.");
    collect_sample(c, "node_uname_info", labels, SX_COUNT_OF(labels), 1);
    return true;
}

/* The value of KEY=value or KEY="value" in os-release(5). */
static sx_str release_of(sx_str text, const char *key)
{
    sx_str line, name, value;
    while (collect_line(&text, &line)) {
        if (!sx_str_cut(line, '=', &name, &value) || !sx_str_eq(name, sx_str_z(key)))
            continue;
        bool quoted = value.len >= 2 && (value.data[0] == '"' || value.data[0] == '\'') &&
                      value.data[value.len - 1] == value.data[0];
        return quoted ? sx_str_of(value.data + 1, value.len - 2) : value;
    }
    return SX_STR("");
}

bool collect_os(collector *c)
{
    static const char *const KEYS[][2] = {{"build_id", "BUILD_ID"},
                                          {"id", "ID"},
                                          {"id_like", "ID_LIKE"},
                                          {"image_id", "IMAGE_ID"},
                                          {"image_version", "IMAGE_VERSION"},
                                          {"name", "NAME"},
                                          {"pretty_name", "PRETTY_NAME"},
                                          {"variant", "VARIANT"},
                                          {"variant_id", "VARIANT_ID"},
                                          {"version", "VERSION"},
                                          {"version_codename", "VERSION_CODENAME"},
                                          {"version_id", "VERSION_ID"}};
    collect_label labels[SX_COUNT_OF(KEYS)];
    sx_str text, version, minor, rest;
    char number[32];
    if (!collect_read(c, c->root, "etc/os-release", &text) &&
        !collect_read(c, c->root, "usr/lib/os-release", &text))
        return false;
    for (size_t i = 0; i < SX_COUNT_OF(KEYS); i++)
        labels[i] = (collect_label){KEYS[i][0], release_of(text, KEYS[i][1])};
    collect_family(c, "node_os_info", "gauge", "What /etc/os-release says.");
    collect_sample(c, "node_os_info", labels, SX_COUNT_OF(labels), 1);
    sx_str_cut(release_of(text, "VERSION_ID"), '.', &version, &rest);
    sx_str_cut(rest, '.', &minor, &rest);
    int len = snprintf(number, sizeof number, "%.*s.%.*s", SX_ARG(sx_str_first(version, 9)),
                       SX_ARG(minor.len ? sx_str_first(minor, 9) : SX_STR("0")));
    collect_family(c, "node_os_version", "gauge", "The distribution's version, as a number.");
    collect_sample(c, "node_os_version", (collect_label[]){labels[1], labels[2], labels[5]}, 3,
                   collect_number(sx_str_of(number, (size_t)len)));
    return true;
}
