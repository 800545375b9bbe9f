/* port_owner.c - from a port to its listening socket's inode to the process that has it open. */
#include "net/port_owner.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATE_LISTEN = 10 };

/* The inode of a socket that listens on `port`; 0 if the table has none. */
static unsigned long listening_inode(const char *table, uint16_t port)
{
    FILE *f = fopen(table, "re");
    if (!f)
        return 0;
    char line[512];
    unsigned long found = 0;
    while (!found && fgets(line, sizeof(line), f)) {
        unsigned local_port, state;
        unsigned long inode;
        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu",
                   &local_port, &state, &inode) == 3 &&
            local_port == port && state == STATE_LISTEN)
            found = inode;
    }
    fclose(f);
    return found;
}

/* Whether process `pid` has a descriptor of the socket with that inode. */
static bool has_socket(int pid, unsigned long inode)
{
    char path[64], want[64], link[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    snprintf(want, sizeof(want), "socket:[%lu]", inode);
    DIR *dir = opendir(path);
    bool found = false;
    int folder = dir ? dirfd(dir) : -1;
    for (struct dirent *entry; folder >= 0 && !found && (entry = readdir(dir));) {
        ssize_t n = readlinkat(folder, entry->d_name, link, sizeof(link) - 1);
        link[n > 0 ? n : 0] = '\0';
        found = strcmp(link, want) == 0;
    }
    if (dir)
        closedir(dir);
    return found;
}

static void read_name(int pid, char *out, size_t room)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    FILE *f = fopen(path, "re");
    if (!f || !fgets(out, (int)room, f))
        snprintf(out, room, "process");
    out[strcspn(out, "\n")] = '\0';
    if (f)
        fclose(f);
}

bool sx_port_owner_find(uint16_t port, sx_port_owner *out)
{
    unsigned long inode = listening_inode("/proc/net/tcp", port);
    inode = inode ? inode : listening_inode("/proc/net/tcp6", port);
    DIR *proc = inode ? opendir("/proc") : NULL;
    bool found = false;
    for (struct dirent *entry; proc && !found && (entry = readdir(proc));) {
        int pid = (int)strtol(entry->d_name, NULL, 10);
        if (pid <= 0 || !has_socket(pid, inode))
            continue;
        out->pid = pid;
        read_name(pid, out->name, sizeof(out->name));
        found = true;
    }
    if (proc)
        closedir(proc);
    return found;
}
