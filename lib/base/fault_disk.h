/* fault_disk.h - what the faulty call table tells the record of the disk. Each is called after the
 * system call has succeeded; what lies outside the recorded folder is ignored. */
#ifndef SEXTANT_BASE_FAULT_DISK_H
#define SEXTANT_BASE_FAULT_DISK_H

#include <sextant/base.h>

void sx_fault_disk_opened(int fd, const char *path, bool is_new, bool emptied);
void sx_fault_disk_closed(int fd);
void sx_fault_disk_wrote(int fd, const void *data, size_t len);
void sx_fault_disk_truncated(int fd, size_t len);
void sx_fault_disk_synced(int fd);
void sx_fault_disk_renamed(const char *from, const char *to);
void sx_fault_disk_removed(const char *path);
void sx_fault_disk_made_folder(const char *path);

/* Turns the telling on and off (fault_file.c). */
void sx_fault_disk_switch(bool on);

#endif
