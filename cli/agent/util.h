/* Small things that every file of the agent uses: faults, time, files, waiting for what the kernel makes. */
#ifndef VHIVE_AGENT_UTIL_H
#define VHIVE_AGENT_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NS_PER_MS 1000000LL
#define NS_PER_S  1000000000LL

/** What failed: becomes an ERROR message and EXITED's code. */
struct fault {
    const char *stage; /* static storage */
    int code;          /* VH_AGENT_EXIT_* */
    char text[512];
};

/** Fills |f| (code VH_AGENT_EXIT_GUEST) and returns -1. %m is errno's text. */
int fault_set(struct fault *f, const char *stage, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** One line in the kernel's log and so on the console, for those who read that. Never blocks. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** CLOCK_MONOTONIC. */
int64_t now_ns(void);

/** Whether |path| is there within |ms|: devices appear when the kernel has made them. */
bool wait_for_path(const char *path, int ms);

/** Writes all of |n| bytes to a new or truncated file. 0 or -1 with errno. */
int file_put(const char *path, const void *bytes, size_t n, mode_t mode);

/** As file_put(), by a temporary file and rename(2): readers see the old content or the new one. */
int file_replace(const char *path, const void *bytes, size_t n, mode_t mode);

/**
 * Reads a regular file of at most |cap| - 1 bytes into |to| and terminates it. Returns its length, or -1 with errno;
 * EFBIG if it is longer.
 */
ssize_t file_get(const char *path, char *to, size_t cap);

#endif
