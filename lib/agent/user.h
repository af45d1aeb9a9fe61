/*
 * Who a function runs as: the OCI user string looked up in the texts of the image's /etc/passwd and /etc/group.
 * Both come from the image, so nothing in them is trusted: malformed lines are passed over. Sans-I/O, libc only, and
 * of no allocation: built into the agent.
 */
#ifndef VH_AGENT_USER_H
#define VH_AGENT_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VH_AGENT_GROUPS_MAX 64
#define VH_AGENT_HOME_MAX   256

typedef struct vh__agent_user {
    uint32_t uid, gid;
    uint32_t groups[VH_AGENT_GROUPS_MAX]; /* supplementary */
    size_t ngroups;
    char home[VH_AGENT_HOME_MAX]; /* "/" when /etc/passwd names none */
} vh__agent_user;

/**
 * Resolves |spec|: "", "name", "uid", "name:group", "uid:gid" (also mixed); "" is root. Names must be listed, numbers
 * need not be: an unlisted uid has gid 0, no supplementary groups and home "/". Without an explicit group the groups
 * that list the user are supplementary ones; with one there are none, as container runtimes do.
 * |passwd| and |group| are NUL-terminated texts, "" when the image has no such file. Returns NULL, or what is wrong,
 * static storage.
 */
const char *vh__agent_user_resolve(const char *spec, const char *passwd, const char *group, vh__agent_user *out);

#endif
