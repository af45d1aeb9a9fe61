/* Inside of control: what a call has at hand, and the calls by their files. */
#ifndef VH_CONTROL_CONTROL_PRIV_H
#define VH_CONTROL_CONTROL_PRIV_H

#include "control.h"
#include "proto.h"

/** One call under way. */
typedef struct vh__control_call {
    const vh__control *control;
    const vh__control_options *o;
    vh__rpc_stream *stream;
    vh_call bounds; /* the caller's deadline, and a token that is triggered when it goes */
} vh__control_call;

/** Answers a call, whose (first) message |request| is of the type that the table says; borrowed. */
typedef int vh__control_run(vh__control_call *call, const void *request, vh_error *err);

vh__control_run vh__control_version, vh__control_config_dump;
vh__control_run vh__control_deploy, vh__control_scale, vh__control_remove, vh__control_list_functions;
vh__control_run vh__control_list_instances, vh__control_pause, vh__control_resume, vh__control_kill,
    vh__control_snapshot_instance;
vh__control_run vh__control_invoke, vh__control_events, vh__control_logs, vh__control_exec;
vh__control_run vh__control_pull_image, vh__control_list_images, vh__control_remove_image;
vh__control_run vh__control_create_snapshot, vh__control_list_snapshots, vh__control_verify_snapshot,
    vh__control_remove_snapshot;

/** CLOCK_REALTIME of vh__control_new(). */
int64_t vh__control_started_ns(const vh__control *control);

/** Sends one message to the caller. */
VH_MUST_CHECK int vh__control_send(vh__control_call *call, ProtobufCMessage *message, vh_error *err);

/**
 * The answer to a question for all there is. Its bytes are those of one reply per entry, one behind the other, which is
 * how a reply with all of them is written. Zero-initialise with |err|.
 */
typedef struct vh__control_listing {
    vh_error *err;
    int rc;
    vh__buf bytes;
} vh__control_listing;

/** Adds the reply |one|, which has one entry. False, and |rc|, when that fails. */
bool vh__control_list_add(vh__control_listing *l, ProtobufCMessage *one);
/**
 * Sends the answer unless making it ended with |rc|, and frees it. Not from inside a listing: a caller that reads
 * slowly must hold up nobody.
 */
VH_MUST_CHECK int vh__control_list_send(vh__control_call *call, vh__control_listing *l, int rc);

/** |text|, or NULL where it is empty: "all" and "none" of the functions that are called. */
const char *vh__control_or_null(const char *text);

/** Work that blocks within |bounds|, which have its progress sink. */
typedef int vh__control_work(vh__control_call *call, const vh_call *bounds, void *arg, vh_error *err);
/** Sends |progress| as a message of the call. */
typedef int vh__control_tell(vh__control_call *call, VH_PB(Progress) *progress, vh_error *err);
/**
 * Runs |work| on a thread of its own and tells the caller how far it is, meanwhile and on this thread; a caller that
 * reads slowly misses steps and does not hold up the work. Returns what |work| did, or why telling failed.
 */
VH_MUST_CHECK int vh__control_with_progress(vh__control_call *call, vh__control_work *work, void *arg,
                                            vh__control_tell *tell, vh_error *err);

#endif
