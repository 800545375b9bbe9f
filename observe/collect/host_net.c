/* host_net.c - network devices, protocols and sockets. */
#include <stdio.h>
#include <unistd.h>

#include "observe/collect/collect_internal.h"

/* Columns of /proc/net/dev behind the name, as node_exporter calls them. */
static const char *const DEV_COLUMNS[] = {
    "receive_bytes",  "receive_packets",  "receive_errs",       "receive_drop",
    "receive_fifo",   "receive_frame",    "receive_compressed", "receive_multicast",
    "transmit_bytes", "transmit_packets", "transmit_errs",      "transmit_drop",
    "transmit_fifo",  "transmit_colls",   "transmit_carrier",   "transmit_compressed"};

bool collect_netdev(collector *c)
{
    sx_str text, line, name, numbers, words[COLLECT_FIELDS_MAX];
    if (!collect_read(c, c->proc, "net/dev", &text))
        return false;
    for (size_t i = 0; i < SX_COUNT_OF(DEV_COLUMNS); i++) {
        char family[80];
        snprintf(family, sizeof family, "node_network_%s_total", DEV_COLUMNS[i]);
        collect_family(c, family, "counter", "As /proc/net/dev says.");
        for (sx_str rest = text; collect_line(&rest, &line);) {
            if (sx_str_cut(line, ':', &name, &numbers) && collect_words(numbers, words) > i)
                collect_sample(c, family, &(collect_label){"device", sx_str_trim(name)}, 1,
                               collect_number(words[i]));
        }
    }
    return true;
}

/* --- Protocols. */

/* Fields that node_exporter gives unless told otherwise; a star stands for the rest of the name. */
static const char *const NETSTAT_FIELDS[] = {
    "Ip_Forwarding",      "Ip6_InOctets",       "Ip6_OutOctets",      "IpExt_InOctets",
    "IpExt_OutOctets",    "Icmp_InMsgs",        "Icmp_OutMsgs",       "Icmp6_InMsgs",
    "Icmp6_OutMsgs",      "TcpExt_Listen*",     "TcpExt_Syncookies*", "TcpExt_TCPSynRetrans",
    "TcpExt_TCPTimeouts", "TcpExt_TCPOFOQueue", "Tcp_ActiveOpens",    "Tcp_InSegs",
    "Tcp_OutSegs",        "Tcp_OutRsts",        "Tcp_PassiveOpens",   "Tcp_RetransSegs",
    "Tcp_CurrEstab",      "Udp_InDatagrams",    "Udp_OutDatagrams",   "Udp_NoPorts",
    "Udp_RcvbufErrors",   "Udp_SndbufErrors",   "Udp6_InDatagrams",   "Udp6_OutDatagrams",
    "Udp6_NoPorts",       "Udp6_RcvbufErrors",  "Udp6_SndbufErrors"};

static bool is_wanted(sx_str field)
{
    if (sx_str_ends(field, SX_STR("_InErrors")) || sx_str_ends(field, SX_STR("_InErrs")))
        return true;
    for (size_t i = 0; i < SX_COUNT_OF(NETSTAT_FIELDS); i++) {
        sx_str row = sx_str_z(NETSTAT_FIELDS[i]);
        bool star = row.data[row.len - 1] == '*';
        if (star ? sx_str_starts(field, sx_str_first(row, row.len - 1)) : sx_str_eq(field, row))
            return true;
    }
    return false;
}

static void put_netstat(collector *c, sx_str protocol, sx_str field, sx_str value)
{
    char name[160];
    if (protocol.len > 40 || field.len > 80)
        return;
    int len =
        snprintf(name, sizeof name, "node_netstat_%.*s_%.*s", SX_ARG(protocol), SX_ARG(field));
    collect_name(name);
    if (is_wanted(sx_str_from(sx_str_of(name, (size_t)len), strlen("node_netstat_"))))
        collect_one(c, name, "untyped", "As /proc/net says.", collect_number(value));
}

/* Pairs of lines: "Tcp: Name Name", "Tcp: 1 2". */
static bool put_pairs(collector *c, const char *path)
{
    sx_str text, names, values, name, value, protocol;
    if (!collect_read(c, c->proc, path, &text))
        return false;
    while (collect_line(&text, &names) && collect_line(&text, &values)) {
        if (!sx_str_cut(names, ':', &protocol, &names) || !sx_str_cut(values, ':', &value, &values))
            continue;
        while (collect_word(&names, &name) && collect_word(&values, &value))
            put_netstat(c, protocol, name, value);
    }
    return true;
}

/* "Ip6InOctets 12": the protocol ends with the first 6. */
static void put_snmp6(collector *c)
{
    sx_str text, line, name, value;
    if (!collect_read(c, c->proc, "net/snmp6", &text))
        return;
    while (collect_line(&text, &line)) {
        if (!collect_word(&line, &name) || !collect_word(&line, &value))
            continue;
        size_t six = sx_str_find_byte(name, '6');
        if (six + 1 < name.len)
            put_netstat(c, sx_str_first(name, six + 1), sx_str_from(name, six + 1), value);
    }
}

bool collect_netstat(collector *c)
{
    bool good = put_pairs(c, "net/netstat");
    good |= put_pairs(c, "net/snmp");
    put_snmp6(c);
    return good;
}

/* "TCP: inuse 5 orphan 0 mem 2" */
static bool put_sockstat(collector *c, const char *path)
{
    sx_str text, line, protocol, name, value;
    if (!collect_read(c, c->proc, path, &text))
        return false;
    while (collect_line(&text, &line)) {
        if (!sx_str_cut(line, ':', &protocol, &line) || protocol.len > 40)
            continue;
        while (collect_word(&line, &name) && collect_word(&line, &value)) {
            char family[160];
            if (name.len > 40)
                continue;
            snprintf(family, sizeof family, "node_sockstat_%.*s_%.*s", SX_ARG(protocol),
                     SX_ARG(name));
            collect_name(family);
            collect_one(c, family, "gauge", "As /proc/net/sockstat says.", collect_number(value));
            if (!sx_str_eq(name, SX_STR("mem")))
                continue;
            snprintf(family, sizeof family, "node_sockstat_%.*s_mem_bytes", SX_ARG(protocol));
            collect_name(family);
            collect_one(c, family, "gauge", "Pages of /proc/net/sockstat in bytes.",
                        collect_number(value) * (double)sysconf(_SC_PAGESIZE));
        }
    }
    return true;
}

bool collect_sockstat(collector *c)
{
    bool good = put_sockstat(c, "net/sockstat");
    return put_sockstat(c, "net/sockstat6") || good;
}

/* "sl local remote st tx:rx ...": bytes that wait in the queues of all sockets. */
bool collect_udp_queues(collector *c)
{
    static const char *const FILES[2][2] = {{"net/udp", "v4"}, {"net/udp6", "v6"}};
    bool good = false;
    for (size_t f = 0; f < 2; f++) {
        sx_str text, line, tx, rx, words[COLLECT_FIELDS_MAX];
        double sent = 0, received = 0;
        if (!collect_read(c, c->proc, FILES[f][0], &text))
            continue;
        collect_line(&text, &line); /* the heads of the columns */
        while (collect_line(&text, &line)) {
            if (collect_words(line, words) < 5 || !sx_str_cut(words[4], ':', &tx, &rx))
                continue;
            sent += (double)collect_hex(tx);
            received += (double)collect_hex(rx);
        }
        if (!good)
            collect_family(c, "node_udp_queues", "gauge", "Bytes in the queues of UDP sockets.");
        collect_sample(c, "node_udp_queues",
                       (collect_label[]){{"ip", sx_str_z(FILES[f][1])}, {"queue", SX_STR("rx")}}, 2,
                       received);
        collect_sample(c, "node_udp_queues",
                       (collect_label[]){{"ip", sx_str_z(FILES[f][1])}, {"queue", SX_STR("tx")}}, 2,
                       sent);
        good = true;
    }
    return good;
}

bool collect_arp(collector *c)
{
    struct {
        sx_str device;
        unsigned entries;
    } devices[64];
    size_t count = 0;
    sx_str text, line, words[COLLECT_FIELDS_MAX];
    if (!collect_read(c, c->proc, "net/arp", &text))
        return false;
    collect_line(&text, &line);
    while (collect_line(&text, &line)) {
        size_t i = 0;
        if (collect_words(line, words) < 6)
            continue;
        while (i < count && !sx_str_eq(devices[i].device, words[5]))
            i++;
        if (i == SX_COUNT_OF(devices))
            continue;
        if (i == count)
            devices[count++].device = words[5], devices[i].entries = 0;
        devices[i].entries++;
    }
    if (count)
        collect_family(c, "node_arp_entries", "gauge", "Entries of the ARP table by device.");
    for (size_t i = 0; i < count; i++)
        collect_sample(c, "node_arp_entries", &(collect_label){"device", devices[i].device}, 1,
                       devices[i].entries);
    return true;
}

/* --- Connection tracking: counters are hexadecimal, a line a processor. */

bool collect_conntrack(collector *c)
{
    static const struct {
        const char *column, *name;
    } COUNTERS[] = {{"found", "node_nf_conntrack_stat_found"},
                    {"invalid", "node_nf_conntrack_stat_invalid"},
                    {"ignore", "node_nf_conntrack_stat_ignore"},
                    {"insert", "node_nf_conntrack_stat_insert"},
                    {"insert_failed", "node_nf_conntrack_stat_insert_failed"},
                    {"drop", "node_nf_conntrack_stat_drop"},
                    {"early_drop", "node_nf_conntrack_stat_early_drop"},
                    {"search_restart", "node_nf_conntrack_stat_search_restart"}};
    sx_str text, line, heads[COLLECT_FIELDS_MAX], words[COLLECT_FIELDS_MAX];
    if (!collect_read_value(c, c->proc, "sys/net/netfilter/nf_conntrack_count", &text))
        return false;
    collect_one(c, "node_nf_conntrack_entries", "gauge", "Connections that are tracked.",
                collect_number(text));
    if (collect_read_value(c, c->proc, "sys/net/netfilter/nf_conntrack_max", &text))
        collect_one(c, "node_nf_conntrack_entries_limit", "gauge",
                    "Connections that may be tracked.", collect_number(text));
    if (!collect_read(c, c->proc, "net/stat/nf_conntrack", &text) || !collect_line(&text, &line))
        return true;
    size_t columns = collect_words(line, heads);
    for (size_t i = 0; i < SX_COUNT_OF(COUNTERS); i++) {
        double sum = 0;
        size_t at = 0;
        while (at < columns && !sx_str_eq(heads[at], sx_str_z(COUNTERS[i].column)))
            at++;
        for (sx_str rest = text; collect_line(&rest, &line);)
            sum += collect_words(line, words) > at ? (double)collect_hex(words[at]) : 0;
        if (at < columns)
            collect_one(c, COUNTERS[i].name, "gauge", "As /proc/net/stat/nf_conntrack says.", sum);
    }
    return true;
}

/* --- /sys/class/net */

static bool device_file(collector *c, const char *device, const char *file, sx_str *text)
{
    char path[256];
    snprintf(path, sizeof path, "class/net/%s/%s", device, file);
    return collect_read_value(c, c->sys, path, text) && text->len;
}

static void put_device_info(collector *c, const char *device)
{
    static const char *const FILES[] = {"address", "broadcast", "duplex", "ifalias", "operstate"};
    char texts[5][256];
    collect_label labels[6];
    size_t count = 0;
    for (size_t i = 0; i < SX_COUNT_OF(FILES); i++) {
        sx_str text = {0};
        device_file(c, device, FILES[i], &text);
        int len = snprintf(texts[i], sizeof texts[i], "%.*s", SX_ARG(sx_str_first(text, 255)));
        if (i == 2) /* labels stand in the order of their names */
            labels[count++] = (collect_label){"device", sx_str_z(device)};
        labels[count++] = (collect_label){FILES[i], sx_str_of(texts[i], (size_t)len)};
    }
    collect_sample(c, "node_network_info", labels, count, 1);
}

bool collect_netclass(collector *c)
{
    static const struct {
        const char *file, *name, *type;
        double scale;
    } FILES[] = {{"addr_assign_type", "address_assign_type", "gauge", 1},
                 {"carrier", "carrier", "gauge", 1},
                 {"carrier_changes", "carrier_changes_total", "counter", 1},
                 {"carrier_down_count", "carrier_down_changes_total", "counter", 1},
                 {"carrier_up_count", "carrier_up_changes_total", "counter", 1},
                 {"dev_id", "device_id", "gauge", 1},
                 {"dormant", "dormant", "gauge", 1},
                 {"flags", "flags", "gauge", 1},
                 {"ifindex", "iface_id", "gauge", 1},
                 {"iflink", "iface_link", "gauge", 1},
                 {"link_mode", "iface_link_mode", "gauge", 1},
                 {"mtu", "mtu_bytes", "gauge", 1},
                 {"name_assign_type", "name_assign_type", "gauge", 1},
                 {"netdev_group", "net_dev_group", "gauge", 1},
                 {"speed", "speed_bytes", "gauge", 1000000.0 / 8},
                 {"statistics/rx_nohandler", "receive_nohandler_total", "counter", 1},
                 {"tx_queue_len", "transmit_queue_length", "gauge", 1},
                 {"type", "protocol_type", "gauge", 1}};
    collect_list d;
    sx_str text;
    collect_folder(c->sys, "class/net", "", &d);
    for (size_t f = 0; f < SX_COUNT_OF(FILES); f++) {
        char name[96];
        snprintf(name, sizeof name, "node_network_%s", FILES[f].name);
        collect_family(c, name, FILES[f].type, "As /sys/class/net says.");
        for (size_t i = 0; i < d.count; i++) {
            if (!device_file(c, d.names[i], FILES[f].file, &text))
                continue;
            bool hex = sx_str_starts(text, SX_STR("0x"));
            double value = hex ? (double)collect_hex(sx_str_from(text, 2)) : collect_number(text);
            collect_sample(c, name, &(collect_label){"device", sx_str_z(d.names[i])}, 1,
                           value * FILES[f].scale);
        }
    }
    collect_family(c, "node_network_info", "gauge", "What devices are.");
    for (size_t i = 0; i < d.count; i++)
        put_device_info(c, d.names[i]);
    collect_family(c, "node_network_up", "gauge", "Whether a device is up.");
    for (size_t i = 0; i < d.count; i++)
        collect_sample(c, "node_network_up", &(collect_label){"device", sx_str_z(d.names[i])}, 1,
                       device_file(c, d.names[i], "operstate", &text) &&
                           sx_str_eq(text, SX_STR("up")));
    return d.count > 0;
}
