/* host_hardware.c - what the machine is made of and how it fares: the clocks of its processors, sensors
 * (hwmon), thermal zones and coolers, batteries and mains. Source: Linux, Documentation/ABI/testing/
 * sysfs-class-{hwmon,thermal,power}, Documentation/admin-guide/pm/cpufreq.rst. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/collect/collect_internal.h"

enum { TEXT_BYTES = 128 };

/* A file of FOLDER/NAME as a short text of its own; false: not there, or empty. */
static bool read_text(collector *c, const char *folder, const char *name, const char *file,
                      char out[TEXT_BYTES])
{
    char path[256];
    sx_str text;
    out[0] = '\0';
    snprintf(path, sizeof path, "%s/%s/%s", folder, name, file);
    if (!collect_read_value(c, c->sys, path, &text) || !text.len)
        return false;
    snprintf(out, TEXT_BYTES, "%.*s", SX_ARG(sx_str_first(text, TEXT_BYTES - 1)));
    return true;
}

static bool read_number(collector *c, const char *folder, const char *name, const char *file,
                        double *out)
{
    char text[TEXT_BYTES];
    bool there = read_text(c, folder, name, file, text);
    *out = collect_number(sx_str_z(text));
    return there;
}

/* "cpu12" of "cpufreq", "cpuidle" and others. */
static bool is_numbered(const char *name, size_t from)
{
    return name[from] >= '0' && name[from] <= '9';
}

/* --- Processors. */

bool collect_cpufreq(collector *c)
{
    static const struct {
        const char *file, *name, *help;
    } FILES[] = {
        {"cpufreq/cpuinfo_cur_freq", "node_cpu_frequency_hertz", "What the processor runs at."},
        {"cpufreq/cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "The least it can."},
        {"cpufreq/cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "The most it can."},
        {"cpufreq/scaling_cur_freq", "node_cpu_scaling_frequency_hertz", "What it is set to."},
        {"cpufreq/scaling_min_freq", "node_cpu_scaling_frequency_min_hertz", "The least allowed."},
        {"cpufreq/scaling_max_freq", "node_cpu_scaling_frequency_max_hertz", "The most allowed."},
    };
    static const char *const FOLDER = "devices/system/cpu";
    collect_list cpus;
    bool good = false;
    collect_folder(c->sys, FOLDER, "cpu", &cpus);
    for (size_t f = 0; f < SX_COUNT_OF(FILES); f++) {
        bool begun = false;
        for (size_t i = 0; i < cpus.count; i++) {
            double khz;
            if (!is_numbered(cpus.names[i], 3) ||
                !read_number(c, FOLDER, cpus.names[i], FILES[f].file, &khz))
                continue;
            if (!begun)
                collect_family(c, FILES[f].name, "gauge", FILES[f].help);
            begun = good = true;
            collect_sample(c, FILES[f].name, &(collect_label){"cpu", sx_str_z(cpus.names[i] + 3)},
                           1, khz * 1000);
        }
    }
    return good;
}

/* --- Sensors. */

/* Files of a chip are KINDn_ELEMENT: "temp1_input", "fan2_min". */
static const struct {
    const char *kind, *element, *name;
    double scale;
} SENSORS[] = {
    {"temp", "input", "node_hwmon_temp_celsius", .001},
    {"temp", "max", "node_hwmon_temp_max_celsius", .001},
    {"temp", "crit", "node_hwmon_temp_crit_celsius", .001},
    {"temp", "crit_alarm", "node_hwmon_temp_crit_alarm_celsius", .001},
    {"temp", "alarm", "node_hwmon_temp_alarm", 1},
    {"fan", "input", "node_hwmon_fan_rpm", 1},
    {"fan", "min", "node_hwmon_fan_min_rpm", 1},
    {"fan", "max", "node_hwmon_fan_max_rpm", 1},
    {"fan", "alarm", "node_hwmon_fan_alarm", 1},
    {"pwm", "", "node_hwmon_pwm", 1},
    {"in", "input", "node_hwmon_in_volts", .001},
    {"in", "min", "node_hwmon_in_min_volts", .001},
    {"in", "max", "node_hwmon_in_max_volts", .001},
    {"in", "alarm", "node_hwmon_in_alarm", 1},
    {"curr", "input", "node_hwmon_curr_amps", .001},
    {"power", "average", "node_hwmon_power_average_watt", .000001},
    {"power", "input", "node_hwmon_power_watt", .000001},
    {"energy", "input", "node_hwmon_energy_joule_total", .000001},
    {"humidity", "input", "node_hwmon_humidity", .000001},
};

typedef struct chip {
    char folder[64]; /* "hwmon0" */
    char name[TEXT_BYTES];
} chip;

/* Small letters, digits and underscores, none at the ends: a part of a chip's name. */
static size_t put_clean(char *out, size_t at, size_t max, sx_str text)
{
    size_t from = at;
    for (size_t i = 0; i < text.len && at + 1 < max; i++) {
        char b = text.data[i];
        bool good = (b >= 'a' && b <= 'z') || (b >= '0' && b <= '9');
        if (b >= 'A' && b <= 'Z')
            b = (char)(b | 32), good = true;
        if (good || at > from)
            out[at++] = good ? b : '_';
    }
    while (at > from && out[at - 1] == '_')
        at--;
    out[at] = '\0';
    return at;
}

/* A chip is called after its device, which keeps its place when drivers load in another order:
 * ".../platform/coretemp.0" is "platform_coretemp_0"; without a device, after its name, or number. */
static void name_chip(collector *c, chip *k)
{
    char path[256], whole[4096]; /* PATH_MAX, as realpath(3) wants */
    snprintf(path, sizeof path, "%.120s/class/hwmon/%.63s/device", c->sys, k->folder);
    if (realpath(path, whole)) {
        char *device = strrchr(whole, '/');
        if (device && device != whole) {
            *device = '\0';
            const char *bus = strrchr(whole, '/');
            size_t at = put_clean(k->name, 0, sizeof k->name, sx_str_z(bus ? bus + 1 : ""));
            if (at && at + 2 < sizeof k->name)
                k->name[at++] = '_';
            put_clean(k->name, at, sizeof k->name, sx_str_z(device + 1));
            return;
        }
    }
    char text[TEXT_BYTES];
    bool named = read_text(c, "class/hwmon", k->folder, "name", text);
    put_clean(k->name, 0, sizeof k->name, named ? sx_str_z(text) : sx_str_z(k->folder));
}

/* The sensor of "temp1_input" is "temp1". False: another kind of file. */
static bool is_sensor(const char *file, const char *kind, const char *element, char out[64])
{
    size_t at = strlen(kind);
    if (strncmp(file, kind, at) != 0 || !is_numbered(file, at))
        return false;
    while (file[at] >= '0' && file[at] <= '9')
        at++;
    if (element[0] ? file[at] != '_' || strcmp(file + at + 1, element) != 0 : file[at] != '\0')
        return false;
    snprintf(out, 64, "%.*s", (int)(at < 63 ? at : 63), file);
    return true;
}

static void put_sensors(collector *c, const chip *k, size_t row, bool *begun)
{
    char folder[128], sensor[64];
    collect_list files;
    snprintf(folder, sizeof folder, "class/hwmon/%.63s", k->folder);
    collect_folder(c->sys, folder, SENSORS[row].kind, &files);
    for (size_t i = 0; i < files.count; i++) {
        double value;
        if (!is_sensor(files.names[i], SENSORS[row].kind, SENSORS[row].element, sensor) ||
            !read_number(c, "class/hwmon", k->folder, files.names[i], &value))
            continue;
        if (!*begun)
            collect_family(c, SENSORS[row].name, "gauge", "As /sys/class/hwmon says.");
        *begun = true;
        collect_sample(c, SENSORS[row].name,
                       (collect_label[]){{"chip", sx_str_z(k->name)}, {"sensor", sx_str_z(sensor)}},
                       2, value * SENSORS[row].scale);
    }
}

static void put_sensor_labels(collector *c, const chip *k)
{
    static const char *const KINDS[] = {"temp", "fan", "in", "curr", "power"};
    char folder[128], sensor[64], text[TEXT_BYTES];
    collect_list files;
    snprintf(folder, sizeof folder, "class/hwmon/%.63s", k->folder);
    collect_folder(c->sys, folder, "", &files);
    for (size_t i = 0; i < files.count; i++) {
        for (size_t j = 0; j < SX_COUNT_OF(KINDS); j++) {
            if (is_sensor(files.names[i], KINDS[j], "label", sensor) &&
                read_text(c, "class/hwmon", k->folder, files.names[i], text))
                collect_sample(c, "node_hwmon_sensor_label",
                               (collect_label[]){{"chip", sx_str_z(k->name)},
                                                 {"label", sx_str_z(text)},
                                                 {"sensor", sx_str_z(sensor)}},
                               3, 1);
        }
    }
}

bool collect_hwmon(collector *c)
{
    chip chips[64];
    collect_list folders;
    size_t count = 0;
    collect_folder(c->sys, "class/hwmon", "hwmon", &folders);
    for (size_t i = 0; i < folders.count && count < SX_COUNT_OF(chips); i++) {
        snprintf(chips[count].folder, sizeof chips[count].folder, "%s", folders.names[i]);
        name_chip(c, &chips[count++]);
    }
    if (!count)
        return false;
    collect_family(c, "node_hwmon_chip_names", "gauge", "What chips call themselves.");
    for (size_t i = 0; i < count; i++) {
        char text[TEXT_BYTES];
        if (read_text(c, "class/hwmon", chips[i].folder, "name", text))
            collect_sample(
                c, "node_hwmon_chip_names",
                (collect_label[]){{"chip", sx_str_z(chips[i].name)}, {"chip_name", sx_str_z(text)}},
                2, 1);
    }
    collect_family(c, "node_hwmon_sensor_label", "gauge", "What sensors are called.");
    for (size_t i = 0; i < count; i++)
        put_sensor_labels(c, &chips[i]);
    for (size_t row = 0; row < SX_COUNT_OF(SENSORS); row++) {
        bool begun = false;
        for (size_t i = 0; i < count; i++)
            put_sensors(c, &chips[i], row, &begun);
    }
    return true;
}

/* --- Heat and what is done against it. */

static bool put_thermal(collector *c, const char *prefix, const char *file, const char *name,
                        const char *label, double scale)
{
    static const char *const FOLDER = "class/thermal";
    collect_list list;
    bool begun = false;
    collect_folder(c->sys, FOLDER, prefix, &list);
    for (size_t i = 0; i < list.count; i++) {
        char type[TEXT_BYTES];
        double value;
        if (!read_number(c, FOLDER, list.names[i], file, &value))
            continue;
        (void)read_text(c, FOLDER, list.names[i], "type", type);
        if (!begun)
            collect_family(c, name, "gauge", "As /sys/class/thermal says.");
        begun = true;
        collect_label number = {label, sx_str_z(list.names[i] + strlen(prefix))};
        collect_label what = {"type", sx_str_z(type)};
        bool number_first =
            strcmp(label, "type") < 0; /* labels stand in the order of their names */
        collect_sample(
            c, name, (collect_label[]){number_first ? number : what, number_first ? what : number},
            2, value * scale);
    }
    return begun;
}

bool collect_thermal(collector *c)
{
    bool good = put_thermal(c, "thermal_zone", "temp", "node_thermal_zone_temp", "zone", .001);
    good |=
        put_thermal(c, "cooling_device", "cur_state", "node_cooling_device_cur_state", "name", 1);
    good |=
        put_thermal(c, "cooling_device", "max_state", "node_cooling_device_max_state", "name", 1);
    return good;
}

/* --- Batteries and mains. */

bool collect_power_supply(collector *c)
{
    static const struct {
        const char *file, *name;
        double scale; /* the kernel has microamperes and the like */
    } FILES[] = {
        {"online", "online", 1},
        {"present", "present", 1},
        {"capacity", "capacity", 1},
        {"cycle_count", "cyclecount", 1},
        {"charge_now", "charge_ampere", 1e-6},
        {"charge_full", "charge_full", 1e-6},
        {"charge_full_design", "charge_full_design", 1e-6},
        {"current_now", "current_ampere", 1e-6},
        {"current_max", "current_max", 1e-6},
        {"energy_now", "energy_watthour", 1e-6},
        {"energy_full", "energy_full", 1e-6},
        {"energy_full_design", "energy_full_design", 1e-6},
        {"power_now", "power_watt", 1e-6},
        {"temp", "temp_celsius", .1},
        {"voltage_now", "voltage_volt", 1e-6},
        {"voltage_min_design", "voltage_min_design", 1e-6},
        {"voltage_max", "voltage_max", 1e-6},
    };
    static const char *const INFO[] = {"capacity_level", "manufacturer", "model_name",
                                       "status",         "technology",   "type"};
    static const char *const FOLDER = "class/power_supply";
    collect_list list;
    collect_folder(c->sys, FOLDER, "", &list);
    if (!list.count)
        return false;
    for (size_t f = 0; f < SX_COUNT_OF(FILES); f++) {
        char name[96];
        bool begun = false;
        snprintf(name, sizeof name, "node_power_supply_%s", FILES[f].name);
        for (size_t i = 0; i < list.count; i++) {
            double value;
            if (!read_number(c, FOLDER, list.names[i], FILES[f].file, &value))
                continue;
            if (!begun)
                collect_family(c, name, "gauge", "As /sys/class/power_supply says.");
            begun = true;
            collect_sample(c, name, &(collect_label){"power_supply", sx_str_z(list.names[i])}, 1,
                           value * FILES[f].scale);
        }
    }
    collect_family(c, "node_power_supply_info", "gauge", "What batteries and mains are.");
    for (size_t i = 0; i < list.count; i++) {
        char texts[SX_COUNT_OF(INFO)][TEXT_BYTES];
        collect_label labels[SX_COUNT_OF(INFO) + 1];
        size_t count = 0;
        for (size_t j = 0; j < SX_COUNT_OF(INFO); j++) {
            if (j == 3) /* labels stand in the order of their names */
                labels[count++] = (collect_label){"power_supply", sx_str_z(list.names[i])};
            if (read_text(c, FOLDER, list.names[i], INFO[j], texts[j]))
                labels[count++] = (collect_label){INFO[j], sx_str_z(texts[j])};
        }
        collect_sample(c, "node_power_supply_info", labels, count, 1);
    }
    return true;
}
