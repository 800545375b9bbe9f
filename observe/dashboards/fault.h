/* fault.h - what may be wrong with a request about dashboards, in Grafana's words.
 *
 * Scripts look at the status and at the field `status`, people read the message. Source: Grafana's HTTP
 * API, "Dashboard", "Folder", "Annotations" and what its tools expect. */
#ifndef OBSERVE_DASHBOARDS_FAULT_H
#define OBSERVE_DASHBOARDS_FAULT_H

typedef enum dash_fault {
    DASH_FINE,
    DASH_BROKEN, /* the store: its error tells */
    DASH_NOT_FOUND,
    DASH_VERSION_NOT_FOUND,
    DASH_TITLE_EMPTY,
    DASH_TITLE_LONG,
    DASH_UID_INVALID,
    DASH_UID_LONG,
    DASH_MESSAGE_LONG,
    DASH_TAGS_LARGE,
    DASH_TOO_LARGE,
    DASH_CHANGED,
    DASH_NAME_EXISTS,
    DASH_TYPE_MISMATCH,
    DASH_PROVISIONED_SAVE,
    DASH_PROVISIONED_DELETE,
    DASH_TOO_MANY,
    DASH_FOLDER_NOT_FOUND,
    DASH_FOLDER_MISSING, /* the one that a dashboard names */
    DASH_FOLDER_TITLE_EMPTY,
    DASH_FOLDER_UID_EXISTS,
    DASH_FOLDER_CHANGED,
    DASH_FOLDER_CIRCLE,
    DASH_FOLDER_DEEP,
    DASH_NOTE_NOT_FOUND,
    DASH_NOTE_EMPTY,
    DASH_NOTE_TIMES,
    DASH_NOTE_TOO_LARGE,
    DASH_FAULTS
} dash_fault;

typedef struct dash_fault_row {
    int http;
    const char *word; /* the field `status`; NULL: none */
    const char *message;
} dash_fault_row;

extern const dash_fault_row DASH_FAULT_ROWS[DASH_FAULTS];

#endif
