/*
 * Errors of libvhive: an int code and a caller-owned message.
 *
 * Every fallible function returns 0 or a negative code. Errors of the operating system stay -errno; our own lie
 * below -5000 and are listed once, in VH_ERROR_LIST. The message names the thing, the cause and, where there is
 * one, the remedy; each layer may put its own context in front of it.
 */
#ifndef VHIVE_ERROR_H
#define VHIVE_ERROR_H

#include <vhive/attr.h>

#ifdef __cplusplus
extern "C" {
#endif

/* code name, value, text */
#define VH_ERROR_LIST(X)                                                                                               \
    X(VH_EINVALID, -5001, "invalid input")                                                                             \
    X(VH_ENOTFOUND, -5002, "not found")                                                                                \
    X(VH_EEXISTS, -5003, "exists already")                                                                             \
    X(VH_ESTATE, -5004, "not possible in this state")                                                                  \
    X(VH_ECORRUPT, -5005, "damaged data")                                                                              \
    X(VH_ETIMEDOUT, -5006, "deadline passed")                                                                          \
    X(VH_ECANCELED, -5007, "cancelled")                                                                                \
    X(VH_EUNSUPPORTED, -5008, "not supported")                                                                         \
    X(VH_EPROTOCOL, -5009, "peer broke the protocol")                                                                  \
    X(VH_ELIMIT, -5010, "limit exceeded")                                                                              \
    X(VH_EMISSING, -5011, "a program, device or privilege is missing")                                                 \
    X(VH_EVMM, -5012, "virtual machine monitor failed")                                                                \
    X(VH_EGUEST, -5013, "guest or function failed")                                                                    \
    X(VH_EREMOTE, -5014, "remote end answered with an error")                                                          \
    X(VH_EIMAGE, -5015, "image cannot be used")                                                                        \
    X(VH_ENODAEMON, -5016, "no daemon answers")

enum {
#define VH_ERROR_ENUM(name, value, text) name = value,
    VH_ERROR_LIST(VH_ERROR_ENUM)
#undef VH_ERROR_ENUM
};

/** Room for a message, its context included. Longer ones are cut at the end. */
#define VH_ERROR_MSG 768

/** A caller-owned error. All functions that take one accept NULL. Zero-initialise it. */
typedef struct vh_error {
    int code;               /**< negative, 0 while there is none */
    char msg[VH_ERROR_MSG]; /**< thing, cause, remedy; always terminated */
} vh_error;

/**
 * Sets |err| to |code| and the formatted message and returns |code|, so that a failing line is one line:
 * `return vh_error_set(err, VH_EINVALID, "port %u: must be 1..65535", port);`
 * For a negative |code| above -5000 the operating system's text is appended (": No such file or directory").
 * |err| may be NULL. Thread-safe for distinct |err|.
 */
VH_API int vh_error_set(vh_error *err, int code, const char *fmt, ...) VH_PRINTF(3, 4);

/**
 * Puts the formatted context and ": " in front of the message of |err|, makes |code| its code, and returns |code|:
 * `return vh_error_wrap(err, rc, "restore %s", id);`. |err| may be NULL.
 */
VH_API int vh_error_wrap(vh_error *err, int code, const char *fmt, ...) VH_PRINTF(3, 4);

/** Text of a code: one of VH_ERROR_LIST's, else the operating system's. Never NULL; static storage or thread-local. */
VH_API const char *vh_strerror(int code);

/** Symbolic name of a code ("VH_ETIMEDOUT", "ENOENT"), for logs and JSON. Never NULL; static storage. */
VH_API const char *vh_error_name(int code);

#ifdef __cplusplus
}
#endif
#endif
