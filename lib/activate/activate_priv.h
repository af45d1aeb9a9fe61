/*
 * The inside of module activate. All of it belongs to the loop's thread but what is marked "under lock".
 *
 *     listener.c   listening sockets, accepting      ->  conn.c      waiting, ending
 *     connect.c    attempts to reach the instance    ->  relay.c     splicing both ways
 *     activator.c  the thread, its tasks from other threads, deadlines
 */
#ifndef VH_ACTIVATE_PRIV_H
#define VH_ACTIVATE_PRIV_H

#include <pthread.h>
#include <stddef.h>
#include <sys/queue.h>

#include "activate.h"
#include "address.h"
#include "listen.h"
#include "log.h"
#include "pipes.h"
#include "watch.h"

/** The object of |type| whose |member| is at |p|. */
#define VH_CONTAINER(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))

/** Something for the loop's thread to do. */
typedef struct vh__task vh__task;
struct vh__task {
    TAILQ_ENTRY(vh__task) link;
    void (*run)(vh__task *task);
    bool queued;
};

/** Bytes on their way in one direction. A pipe is filled only when it is empty: see relay.c. */
typedef struct vh__flow {
    vh__pipe pipe;
    size_t held; /* bytes in the pipe */
    bool ended;  /* the end of the stream came */
    bool passed; /* and the destination was told */
} vh__flow;

typedef enum vh__conn_state { VH_CONN_WAITING, VH_CONN_CONNECTING, VH_CONN_RELAYING, VH_CONN_OVER } vh__conn_state;

struct vh__conn {
    vh__activator *a;
    vh__listener *listener; /* while it waits; it may be gone afterwards */
    void *data;
    LIST_ENTRY(vh__conn) link;     /* conns, at the end graves */
    TAILQ_ENTRY(vh__conn) timed;   /* until it relays */
    TAILQ_ENTRY(vh__conn) queue;   /* its listener's while it waits, attempts while it connects */
    vh__conn_state state;
    int last_error;      /* of the attempts */
    int64_t deadline_ms; /* for the instance, then for being connected to it */
    int64_t attempt_ms;  /* when the attempt is given up, or the next one is due */
    uint32_t patience_ms;
    vh__watch client, instance;
    vh__flow up, down; /* from the client, to it */
    vh__task task;     /* grant or refusal; under lock, and all below */
    bool answered;     /* there was one, or none is of use any more */
    bool granted;
    vh__sockaddr address; /* of the instance */
    socklen_t address_len;
};

LIST_HEAD(vh__conns, vh__conn);
TAILQ_HEAD(vh__conn_queue, vh__conn);

struct vh__listener {
    vh__activator *a;
    void *owner;
    LIST_ENTRY(vh__listener) link; /* listeners, at the end closed */
    struct vh__conn_queue waiting;
    vh__watch watch;
    char address[VH_ACTIVATE_ADDRESS];
    vh__socket_file file; /* of a Unix socket */
};

LIST_HEAD(vh__listeners, vh__listener);
TAILQ_HEAD(vh__tasks, vh__task);

struct vh__activator {
    vh__activator_options opts;
    const vh__activate_ops *ops;
    void *arg;
    int epoll;
    vh__watch wake; /* eventfd: there are tasks */
    pthread_t thread;
    bool have_thread, stop;
    struct vh__conns conns, graves; /* those over are freed when no fetched event can name them any more */
    uint32_t nconns;
    struct vh__conn_queue timed;    /* in the order of their deadlines, since all wait equally long */
    struct vh__conn_queue attempts;
    struct vh__listeners listeners, closed; /* freed as graves are */
    bool paused; /* nothing is accepted, for want of descriptors */
    int64_t paused_until_ms;
    vh__log_pace silent; /* about instances that accept nothing */
    vh__pipes pipes;
    int64_t now_ms; /* since the last events came */
    pthread_mutex_t lock;
    pthread_cond_t done; /* a task of vh__activator_call() */
    struct vh__tasks tasks;
};

/* activator.c */

/** Runs |task| on the loop's thread, later. Any thread, with the lock held. */
void vh__activator_post(vh__activator *a, vh__task *task);
/** Runs |fn| on the loop's thread and waits until it returned. Any thread but not under locks that callbacks take. */
void vh__activator_call(vh__activator *a, void (*fn)(void *arg), void *arg);
/** Runs the tasks there are. */
void vh__activator_run_tasks(vh__activator *a);

/* listener.c */

/** Accepts again, after descriptors ran out. */
void vh__listeners_resume(vh__activator *a);
/** Frees those that were closed. */
void vh__listeners_bury(vh__activator *a);

/* conn.c */

/** Takes |fd|, a connection that came to |listener|. */
void vh__conn_begin(vh__listener *listener, int fd);
/** Ends |c|; with |reset| the peers are told that something was cut off. */
void vh__conn_end(vh__conn *c, bool reset);
/** Moves |c| to the end of the queue of those with a deadline. */
void vh__conn_set_deadline(vh__conn *c);
/** Frees those that are over. */
void vh__conns_bury(vh__activator *a);

/* connect.c */

/** Begins to connect to the instance. */
void vh__conn_connect(vh__conn *c);
/** Gives up attempts that had no answer, and makes those that are due. */
void vh__conns_attempt(vh__activator *a);

/* relay.c */

/** Relays from now on: both ends are connected. */
void vh__conn_relay(vh__conn *c);

#endif
