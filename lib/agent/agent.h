/*
 * The protocol between the host (the shim of a VM) and vhive-agent (PID 1 of its guest): frames over a byte stream,
 * a virtio-serial port today. Sans-I/O: bytes in, messages out, messages in, bytes out. The same source is built into
 * the host's programs and, by musl, into the agent; so this header and codec.c need nothing but a freestanding libc,
 * allocate nothing and know no other module. What needs base is in agent_host.h.
 *
 *     vh__agent_decoder d;                        reading, at either end
 *     vh__agent_decoder_init(&d, VH_AGENT_FROM_GUEST);
 *     space = vh__agent_decoder_space(&d, &n);
 *     vh__agent_decoder_fed(&d, read(fd, space, n));
 *     while ((rc = vh__agent_decoder_next(&d, &msg)) > 0)
 *         handle(&msg);
 *
 *     vh__agent_msg m = { .type = VH_AGENT_SIGNAL, .signal.number = SIGHUP };      writing
 *     n = vh__agent_encode(&m, frame, sizeof(frame));
 *
 * A frame is a header {u32 magic, u16 type, u16 stream, u32 length of the body} and a body of fields {u16 tag,
 * u32 length, bytes}, all little-endian. Fields may come in any order, each at most once; a missing one is zero or
 * empty; unknown ones are skipped, so that messages can grow. Unknown types, a type of the other direction and bad
 * lengths are errors: the peer may be hostile, and after the first error a decoder is dead.
 *
 * Course of a guest: HELLO -> START -> STARTED -> READY, OUTPUT in between, EXITED last. Whatever fails in the guest
 * is an ERROR, followed by EXITED. Before a snapshot: QUIESCE -> QUIESCED, after which the guest is silent until it is
 * told RESUMED (the original) or RESTORED (a clone, answered by PONG). The time in RESTORED is late by as long as a guest
 * whose code is not translated or paged in yet takes to read it; so PONG tells the guest's time, and ADJUST mends it.
 * Hooks of the image run before QUIESCED and before PONG; one that fails is an ERROR of stage VH_AGENT_HOOK instead.
 *
 * Course of an exec, a process beside the function; its number, the host's choice, is the frame's stream: EXEC, then
 * EXEC_INPUT, EXEC_SIGNAL, EXEC_RESIZE, and EXEC_STDOUT, EXEC_STDERR; EXEC_EXITED is last, also when it could not be
 * started, and frees the number. Each of the three streams has a window: at most VH_AGENT_EXEC_WINDOW bytes are under
 * way that the other end has not said it is rid of (EXEC_TAKEN of the guest, EXEC_CREDIT of the host), so a slow end
 * holds up that stream alone and nobody's memory grows. EXEC_CLOSE: nobody wants it any more, it is killed with its
 * session. A guest that is quiesced has no execs left: they are killed first.
 *
 * Threads: objects are the caller's, one thread at a time each.
 */
#ifndef VH_AGENT_AGENT_H
#define VH_AGENT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Version of the protocol, in HELLO. */
#define VH_AGENT_VERSION 1
/** Name of the virtio-serial port. */
#define VH_AGENT_PORT "vhive.agent"
/** Most bytes of a frame, header included; at the same time the limit of argv and env together. */
#define VH_AGENT_FRAME_MAX 65536
#define VH_AGENT_HEADER    12
/** Most strings of all lists of one message together. */
#define VH_AGENT_STRINGS_MAX 3072
/** Most bytes of one OUTPUT message. */
#define VH_AGENT_OUTPUT_MAX 16384
#define VH_AGENT_SEED       64
/** Most execs at once. */
#define VH_AGENT_EXECS_MAX 16
/** Bytes of one stream of an exec that may be under way. */
#define VH_AGENT_EXEC_WINDOW 65536
/** Stage of the ERROR that stands for QUIESCED or PONG when a hook of the image has failed. */
#define VH_AGENT_HOOK "hook"

typedef enum vh__agent_type {
    /* host to guest: below 0x40 */
    VH_AGENT_START = 0x01,    /* set the guest up and start the function */
    VH_AGENT_QUIESCE = 0x02,  /* a snapshot follows: flush, fall silent, answer QUIESCED */
    VH_AGENT_RESUMED = 0x03,  /* the original goes on after a snapshot; nothing changed */
    VH_AGENT_RESTORED = 0x04, /* first message to a clone; answered by PONG with its generation */
    VH_AGENT_SIGNAL = 0x05,   /* to the function */
    VH_AGENT_STOP = 0x06,     /* signal, grace, SIGKILL; then EXITED and power-off */
    VH_AGENT_PING = 0x07,     /* answered by PONG, also while quiesced */
    VH_AGENT_ADJUST = 0x08,   /* move the clock, by what PONG showed it to be off */
    VH_AGENT_EXEC = 0x20,        /* start a process */
    VH_AGENT_EXEC_INPUT = 0x21,  /* for its standard input; no bytes: its end */
    VH_AGENT_EXEC_CREDIT = 0x22, /* so many bytes of its output were taken */
    VH_AGENT_EXEC_RESIZE = 0x23, /* of its terminal */
    VH_AGENT_EXEC_SIGNAL = 0x24, /* to its process group */
    VH_AGENT_EXEC_CLOSE = 0x25,  /* kill it */
    /* guest to host */
    VH_AGENT_HELLO = 0x41,    /* the agent runs; it waits for START */
    VH_AGENT_STARTED = 0x42,  /* the function was executed */
    VH_AGENT_READY = 0x43,    /* its port accepts connections (without a port: it was started) */
    VH_AGENT_OUTPUT = 0x44,   /* what it wrote; nothing is dropped: a full channel blocks the function */
    VH_AGENT_EXITED = 0x45,   /* it has ended, or could not be started; all its output came before. Answer STOP: only
                                 then the guest knows that all was read, and powers off; else ten seconds later */
    VH_AGENT_ERROR = 0x46,    /* what failed in the guest */
    VH_AGENT_LOG = 0x47,      /* what the agent has to say */
    VH_AGENT_PONG = 0x48,
    VH_AGENT_QUIESCED = 0x49, /* the last byte the guest sends before it is resumed or restored */
    VH_AGENT_EXEC_STDOUT = 0x60, /* what a process wrote; a terminal's output is all STDOUT */
    VH_AGENT_EXEC_STDERR = 0x61,
    VH_AGENT_EXEC_TAKEN = 0x62,  /* so many bytes of its input are with it */
    VH_AGENT_EXEC_EXITED = 0x63, /* it has ended, or did not start: all its output came before */
} vh__agent_type;

/** OUTPUT's streams. */
enum { VH_AGENT_STDOUT = 1, VH_AGENT_STDERR = 2 };

/** EXITED's codes when the function did not run, as shells and container engines use them. */
enum {
    VH_AGENT_EXIT_GUEST = 125,          /* the guest could not be set up */
    VH_AGENT_EXIT_NOT_EXECUTABLE = 126, /* not executable, bad working directory or user */
    VH_AGENT_EXIT_NOT_FOUND = 127,      /* no such command */
};

/**
 * Strings, borrowed. When decoded, v[n] is NULL, so that it can be handed to execve(2), and the strings lie one
 * behind the other, each with its NUL.
 */
typedef struct vh__agent_list {
    const char *const *v;
    uint32_t n;
} vh__agent_list;

typedef struct vh__agent_bytes {
    const void *data; /* borrowed */
    uint32_t len;
} vh__agent_bytes;

typedef struct vh__agent_start {
    vh__agent_list argv, env; /* env: "K=V" */
    const char *cwd;          /* "": "/"; made if missing */
    const char *user;         /* OCI: "", "name", "uid", "name:group", "uid:gid" */
    const char *hostname;
    uint8_t guest_ip[4];   /* network byte order; all zero: no network but loopback */
    uint32_t guest_prefix; /* length of the network's prefix, 0..32 */
    uint8_t gateway_ip[4]; /* all zero: no default route */
    uint8_t gateway_mac[6]; /* all zero: found by ARP; else a permanent neighbour entry */
    vh__agent_list dns;     /* addresses as text; empty: /etc/resolv.conf stays as the image has it */
    uint32_t port;          /* probed for readiness on guest_ip; 0: ready once started */
    uint64_t tmpfs_bytes;   /* limit of what is written to the root file system; 0: half of the guest's memory */
    uint32_t stop_signal;   /* for STOP messages that name none; 0: SIGTERM */
    int64_t realtime_ns;    /* the host's CLOCK_REALTIME; 0: leave the clock */
    uint8_t seed[VH_AGENT_SEED]; /* fresh random bytes for the kernel's generator */
    vh__agent_list late_env;     /* as RESTORED's env */
} vh__agent_start;

typedef struct vh__agent_restored {
    int64_t realtime_ns;
    uint8_t seed[VH_AGENT_SEED];
    uint64_t generation; /* to /run/vhive/generation, as text and a newline; 0 before the first restore */
    vh__agent_list env;  /* "K=V" that START's env lacks or that replace its own: both together are in /run/vhive/env,
                            each string followed by a NUL, as in /proc/PID/environ */
} vh__agent_restored;

typedef struct vh__agent_exec {
    vh__agent_list argv, env; /* env: added to the function's, replacing what it has */
    const char *cwd, *user;   /* as START's; "": the function's */
    uint32_t tty;             /* 1: a terminal, which controls it, instead of three pipes */
    uint32_t rows, cols;      /* of the terminal; 0: not known */
} vh__agent_exec;

typedef struct vh__agent_exec_exited {
    uint32_t code, signal; /* as EXITED's */
    const char *text;      /* why it did not start; "": it did */
} vh__agent_exec_exited;

typedef struct vh__agent_hello {
    uint32_t version;          /* VH_AGENT_VERSION */
    const char *agent_version; /* of the program */
    uint64_t boottime_ns;      /* the guest's CLOCK_BOOTTIME */
} vh__agent_hello;

typedef struct vh__agent_exited {
    uint32_t code;   /* 0..255 when it ended by itself */
    uint32_t signal; /* that killed it, else 0 */
    uint32_t oom;    /* 1: the guest ran out of memory and the kernel killed it */
} vh__agent_exited;

typedef struct vh__agent_pong {
    uint64_t generation;
    int64_t realtime_ns; /* the guest's CLOCK_REALTIME as it answers */
} vh__agent_pong;

/**
 * One message; the member named like the type is the one that counts, the types without a member have no content.
 * Strings are never NULL when decoded, and NULL means "" when encoded. Text of a guest may hold any byte but NUL:
 * it is for people only after control characters were taken out.
 */
typedef struct vh__agent_msg {
    vh__agent_type type;
    uint16_t stream; /* OUTPUT: VH_AGENT_STDOUT or _STDERR; EXEC...: number of the exec, not 0; else 0 */
    union {
        vh__agent_start start;
        vh__agent_restored restored;
        vh__agent_exec exec;
        vh__agent_bytes exec_data; /* EXEC_INPUT, EXEC_STDOUT, EXEC_STDERR */
        struct {
            uint32_t out, err;
        } exec_credit;
        struct {
            uint32_t rows, cols;
        } exec_resize;
        struct {
            uint32_t bytes;
        } exec_taken;
        vh__agent_exec_exited exec_exited;
        struct {
            uint32_t number;
        } signal; /* also EXEC_SIGNAL */
        struct {
            uint32_t signal;   /* 0: START's stop_signal */
            uint32_t grace_ms; /* from the signal to SIGKILL */
        } stop;
        vh__agent_hello hello;
        struct {
            int64_t delta_ns; /* to be added to CLOCK_REALTIME */
        } adjust;
        struct {
            uint32_t pid;
        } started;
        vh__agent_bytes output;
        vh__agent_exited exited;
        struct {
            const char *stage; /* stable word: "modules", "rootfs", "network", "user", "cwd", "exec", ... */
            const char *text;
        } error;
        struct {
            const char *text;
        } log;
        vh__agent_pong pong;
    };
} vh__agent_msg;

/** Name of a type ("START"), "?" if it has none. Static storage. */
const char *vh__agent_type_name(unsigned type);

/**
 * Writes |m| as one frame. Returns its length, or 0 when it does not fit into |cap| or into a frame, or has too many
 * strings, or no such type exists; |to| is then undefined. Borrows everything for the call.
 */
size_t vh__agent_encode(const vh__agent_msg *m, void *to, size_t cap);

/** Which end speaks to a decoder. */
typedef enum vh__agent_from { VH_AGENT_FROM_HOST, VH_AGENT_FROM_GUEST } vh__agent_from;

/** A decoder; about 90 KiB, so not for the stack. Fields are its own. */
typedef struct vh__agent_decoder {
    vh__agent_from from;
    const char *error; /* why it is dead, static storage; NULL while it lives */
    size_t start, end; /* unread bytes of |data| */
    const char *slots[VH_AGENT_STRINGS_MAX + 8];
    uint8_t data[VH_AGENT_FRAME_MAX];
} vh__agent_decoder;

/** Starts anew: no bytes, alive. */
void vh__agent_decoder_init(vh__agent_decoder *d, vh__agent_from from);

/**
 * Where to put the next bytes; |*n|, how many fit, is at least 1 if vh__agent_decoder_next() was called until it
 * returned 0. Ends the life of the last message.
 */
void *vh__agent_decoder_space(vh__agent_decoder *d, size_t *n);

/** Tells that |n| bytes were put there. */
void vh__agent_decoder_fed(vh__agent_decoder *d, size_t n);

/**
 * Takes the next whole message into |*m|, which borrows from |d| until its next space() or init().
 * Returns 1; 0 when more bytes are needed; -1 when the peer broke the protocol: |d->error| says how, for ever.
 */
int vh__agent_decoder_next(vh__agent_decoder *d, vh__agent_msg *m);

#endif
