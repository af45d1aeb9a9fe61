#ifndef VH_JOURNAL_JOURNAL_PRIV_H
#define VH_JOURNAL_JOURNAL_PRIV_H

#include <stdbool.h>

#include "journal.h"

struct vh__journal {
    char *dir; /* for messages */
    int fd;    /* the directory */
};

/** Whether |s| is 1..|max| letters, digits, '-' and, with |file|, '_' and '.' (not first). */
bool vh__journal_is_word(const char *s, size_t max, bool file);
/** Whether the file |name| in the directory is the one behind |fd|, or has been removed or replaced meanwhile. */
bool vh__journal_is_current(const vh__journal *j, const char *name, int fd);

#endif
