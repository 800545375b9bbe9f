/* host_tasks.c - what goes on: processes and threads by state, TCP connections by state, interrupts. */
#include <dirent.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "observe/collect/collect_internal.h"

/* --- Processes. */

enum { STATES = 256 }; /* a letter each */

typedef struct tasks {
    unsigned processes, threads;
    unsigned by_state[STATES], threads_by_state[STATES];
} tasks;

/* "1234 (a name) S 1 …": the name may hold spaces and brackets, so what counts is behind the last. */
static bool read_task(collector *c, const char *path, char *state, double *threads)
{
    sx_str text, words[COLLECT_FIELDS_MAX];
    if (!collect_read(c, c->proc, path, &text))
        return false; /* it has ended meanwhile */
    size_t at = text.len;
    while (at && text.data[at - 1] != ')')
        at--;
    if (!at || collect_words(sx_str_from(text, at), words) < 18 || !words[0].len)
        return false;
    *state = words[0].data[0];
    *threads = collect_number(words[17]);
    return true;
}

/* Each thread of a process; most have but one, which the process's own line tells of. */
static void count_threads(collector *c, const char *pid, tasks *t)
{
    char path[512], state;
    double ignored;
    snprintf(path, sizeof path, "%s/%s/task", c->proc, pid);
    DIR *folder = opendir(path);
    for (struct dirent *e; folder && (e = readdir(folder));) {
        if (e->d_name[0] < '0' || e->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "%.20s/task/%.20s/stat", pid, e->d_name);
        if (read_task(c, path, &state, &ignored))
            t->threads_by_state[(unsigned char)state]++;
    }
    if (folder)
        closedir(folder);
}

static void put_states(collector *c, const char *name, const char *label, const char *help,
                       const unsigned counts[STATES])
{
    collect_family(c, name, "gauge", help);
    for (size_t i = 'A'; i <= 'z'; i++) {
        char letter = (char)i;
        if (counts[i])
            collect_sample(c, name, &(collect_label){label, sx_str_of(&letter, 1)}, 1, counts[i]);
    }
}

static void put_limit(collector *c, const char *path, const char *name, const char *help)
{
    sx_str text;
    if (collect_read_value(c, c->proc, path, &text))
        collect_one(c, name, "gauge", help, collect_number(text));
}

bool collect_processes(collector *c)
{
    tasks t = {0};
    DIR *folder = opendir(c->proc);
    for (struct dirent *e; folder && (e = readdir(folder));) {
        char path[64], state;
        double threads;
        if (e->d_name[0] < '0' || e->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "%.20s/stat", e->d_name);
        if (!read_task(c, path, &state, &threads))
            continue;
        t.processes++;
        t.threads += (unsigned)threads;
        t.by_state[(unsigned char)state]++;
        if (threads > 1)
            count_threads(c, e->d_name, &t);
        else
            t.threads_by_state[(unsigned char)state]++;
    }
    if (folder)
        closedir(folder);
    if (!t.processes)
        return false;
    collect_one(c, "node_processes_pids", "gauge", "Processes there are.", t.processes);
    collect_one(c, "node_processes_threads", "gauge", "Threads there are.", t.threads);
    put_limit(c, "sys/kernel/threads-max", "node_processes_max_threads",
              "Threads that there may be.");
    put_limit(c, "sys/kernel/pid_max", "node_processes_max_processes",
              "Processes that there may be.");
    put_states(c, "node_processes_state", "state", "Processes by state.", t.by_state);
    put_states(c, "node_processes_threads_state", "thread_state", "Threads by state.",
               t.threads_by_state);
    return true;
}

/* --- TCP connections, asked of the kernel's own table (sock_diag(7)): /proc/net/tcp would be written
 * out by the kernel and read again for each of a hundred thousand. */

static const char *const TCP_STATES[] = {[TCP_ESTABLISHED] = "established",
                                         [TCP_SYN_SENT] = "syn_sent",
                                         [TCP_SYN_RECV] = "syn_recv",
                                         [TCP_FIN_WAIT1] = "fin_wait1",
                                         [TCP_FIN_WAIT2] = "fin_wait2",
                                         [TCP_TIME_WAIT] = "time_wait",
                                         [TCP_CLOSE] = "close",
                                         [TCP_CLOSE_WAIT] = "close_wait",
                                         [TCP_LAST_ACK] = "last_ack",
                                         [TCP_LISTEN] = "listen",
                                         [TCP_CLOSING] = "closing"};

typedef struct sockets {
    unsigned long states[SX_COUNT_OF(TCP_STATES)];
    double received, sent; /* bytes in queues */
} sockets;

/* One datagram of the answer. True: more to come. */
static bool read_sockets(const char *bytes, size_t len, sockets *s)
{
    while (len >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr head;
        memcpy(&head, bytes, sizeof head);
        if (head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR ||
            head.nlmsg_len < sizeof head || head.nlmsg_len > len)
            return false;
        struct inet_diag_msg m;
        if (head.nlmsg_len >= NLMSG_LENGTH(sizeof m)) {
            memcpy(&m, bytes + NLMSG_HDRLEN, sizeof m);
            if (m.idiag_state < SX_COUNT_OF(TCP_STATES))
                s->states[m.idiag_state]++;
            if (m.idiag_state != TCP_LISTEN) { /* there they are the queue of who wants in */
                s->received += m.idiag_rqueue;
                s->sent += m.idiag_wqueue;
            }
        }
        size_t step = NLMSG_ALIGN(head.nlmsg_len);
        if (step >= len)
            return true;
        bytes += step;
        len -= step;
    }
    return true;
}

static bool ask_sockets(int fd, int family, sockets *s)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 ask;
    } m = {.head = {.nlmsg_len = sizeof m,
                    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
           .ask = {.sdiag_family = (unsigned char)family,
                   .sdiag_protocol = IPPROTO_TCP,
                   .idiag_states = ~0U}};
    char bytes[32768];
    if (send(fd, &m, sizeof m, 0) != (ssize_t)sizeof m)
        return false;
    for (;;) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0)
            return false;
        if (!read_sockets(bytes, (size_t)got, s))
            return true;
    }
}

bool collect_tcpstat(collector *c)
{
    static const struct timeval PATIENCE = {.tv_sec = 1};
    sockets s = {0};
    if (strcmp(c->proc, "/proc") != 0)
        return false; /* another machine's files: this kernel knows nothing of it */
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &PATIENCE, sizeof PATIENCE);
    bool good = ask_sockets(fd, AF_INET, &s);
    if (good)
        (void)ask_sockets(fd, AF_INET6, &s); /* a kernel without it answers with an error */
    close(fd);
    if (!good)
        return false;
    collect_family(c, "node_tcp_connection_states", "gauge", "TCP connections by state.");
    for (size_t i = 0; i < SX_COUNT_OF(TCP_STATES); i++) {
        if (TCP_STATES[i])
            collect_sample(c, "node_tcp_connection_states",
                           &(collect_label){"state", sx_str_z(TCP_STATES[i])}, 1,
                           (double)s.states[i]);
    }
    collect_sample(c, "node_tcp_connection_states",
                   &(collect_label){"state", SX_STR("rx_queued_bytes")}, 1, s.received);
    collect_sample(c, "node_tcp_connection_states",
                   &(collect_label){"state", SX_STR("tx_queued_bytes")}, 1, s.sent);
    return true;
}

/* --- Interrupts. */

enum { INTERRUPT_SERIES_MAX = 2000, CPUS_MAX = 1024 };

/* The words with one space between them, cut where there is no more room. */
static size_t join_words(sx_str text, char out[256])
{
    size_t at = 0;
    for (sx_str word; collect_word(&text, &word) && at + word.len + 1 < 256;) {
        if (at)
            out[at++] = ' ';
        memcpy(out + at, word.data, word.len);
        at += word.len;
    }
    return at;
}

/* " 24:  1  0  IO-APIC   5-edge   ACPI:Ged" of a numbered line: a controller, then pin and devices;
 * " NMI: 0 0 Non-maskable interrupts" else. */
static void put_interrupt(collector *c, sx_str line, size_t cpus, bool all)
{
    sx_str type, rest, word, info = SX_STR(""), devices = SX_STR("");
    double counts[CPUS_MAX], sum = 0;
    size_t count = 0, len;
    char joined[256];
    if (!sx_str_cut(line, ':', &type, &rest))
        return;
    type = sx_str_trim_all(type);
    for (sx_str was = rest; count < cpus && collect_word(&rest, &word); was = rest) {
        if (word.data[0] < '0' || word.data[0] > '9') {
            rest = was;
            break;
        }
        counts[count++] = collect_number(word);
        sum += counts[count - 1];
    }
    bool numbered = type.len && type.data[0] >= '0' && type.data[0] <= '9';
    if (numbered && collect_word(&rest, &word))
        info = word;
    len = join_words(rest, joined);
    *(numbered ? &devices : &info) = sx_str_of(joined, len);
    collect_label labels[] = {
        {"cpu", SX_STR("all")}, {"devices", devices}, {"info", info}, {"type", type}};
    if (!all && count)
        collect_sample(c, "node_interrupts_total", labels, SX_COUNT_OF(labels), sum);
    for (size_t i = 0; all && i < count; i++) {
        char cpu[16];
        labels[0].value = sx_str_of(cpu, (size_t)snprintf(cpu, sizeof cpu, "%zu", i));
        collect_sample(c, "node_interrupts_total", labels, SX_COUNT_OF(labels), counts[i]);
    }
}

/* Lines times processors is a lot on a large machine: above a limit the processors are added up. */
bool collect_interrupts(collector *c)
{
    sx_str text, line, word, head;
    size_t cpus = 0, lines = 0;
    if (!collect_read(c, c->proc, "interrupts", &text) || !collect_line(&text, &head))
        return false;
    while (cpus < CPUS_MAX && collect_word(&head, &word))
        cpus++;
    for (sx_str rest = text; collect_line(&rest, &line);)
        lines++;
    collect_family(c, "node_interrupts_total", "counter", "Interrupts by source and processor.");
    while (collect_line(&text, &line))
        put_interrupt(c, line, cpus, lines * cpus <= INTERRUPT_SERIES_MAX);
    return true;
}
