/*
 * Messages of the control API: bytes to messages and back, and messages to the types of the public headers and back.
 * Both ends of the API use it, so that what one writes the other reads.
 *
 * A message that was read is bounded in memory and all its text is UTF-8; what is written is made so. Conversions into
 * messages borrow; those out of messages check what the type does not: lengths, ranges, names of states and engines.
 *
 * Threads: pure functions.
 */
#ifndef VH_PROTO_PROTO_H
#define VH_PROTO_PROTO_H

#include <stdbool.h>
#include <vhive/fn.h>
#include <vhive/image.h>
#include <vhive/snapshot.h>
#include <vhive/vm.h>

#include "buf.h"
#include "control.pb-c.h"
#include "grpc_status.h"

/** A type of control.proto: VH_PB(Function). */
#define VH_PB(name) Vhive__Control__V1__##name

/** Most memory that a message takes once it was read: with many short members it is far more than its bytes. */
#define VH_PROTO_MEMORY (16u << 20)

/**
 * Appends |message| as bytes. Text in it that is no UTF-8 (a guest's last words) is written with '?' for the bytes that
 * are wrong: the pointer to it is changed for that while, then |message| is as it was. -ENOMEM.
 */
VH_MUST_CHECK int vh__proto_pack(ProtobufCMessage *message, vh__buf *out, vh_error *err);
/** For what must arrive as it is, or not at all: VH_EINVALID when there is text that is no UTF-8 in |message|. */
VH_MUST_CHECK int vh__proto_check(ProtobufCMessage *message, vh_error *err);
/**
 * Reads a message of the type |type|; on success the caller owns |*message| (vh__proto_free()).
 * VH_EINVALID: not such a message, or text that is no UTF-8 or has a zero byte in it; VH_ELIMIT: takes more than VH_PROTO_MEMORY; -ENOMEM.
 */
VH_MUST_CHECK int vh__proto_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t n,
                                   ProtobufCMessage **message, vh_error *err);
/** Frees a message that was read. NULL is fine. */
void vh__proto_free(ProtobufCMessage *message);

/** Bytes of the longest beginning of |text| that is UTF-8. */
size_t vh__proto_utf8(const char *text, size_t n);

/** The status that stands for the error |code|. */
vh__grpc_status vh__proto_status(int code);
/** Appends what a status cannot tell of the error |code|: its name, as a google.rpc.Status. -ENOMEM. */
VH_MUST_CHECK int vh__proto_details(int code, vh__buf *out, vh_error *err);
/** The error that a |status| other than OK stands for, by its |details| if they tell more. */
int vh__proto_error(vh__grpc_status status, const vh__buf *details);

void vh__proto_from_spec(const vh_function_spec *spec, VH_PB(FunctionSpec) *message);
/**
 * |spec| borrows from |message|, and from |*env|, which is to be free()d after its use. VH_EINVALID naming the member,
 * -ENOMEM. A missing |message| (NULL) is VH_EINVALID.
 */
VH_MUST_CHECK int vh__proto_to_spec(const VH_PB(FunctionSpec) *message, vh_function_spec *spec, const char ***env,
                                    vh_error *err);

/** |spec| is storage for the message's part. */
void vh__proto_from_function(const vh_function_info *info, VH_PB(FunctionSpec) *spec, VH_PB(Function) *message);
/** As vh__proto_to_spec(). */
VH_MUST_CHECK int vh__proto_to_function(const VH_PB(Function) *message, vh_function_info *info, const char ***env,
                                        vh_error *err);
void vh__proto_from_instance(const vh_instance_info *info, VH_PB(Instance) *message);
VH_MUST_CHECK int vh__proto_to_instance(const VH_PB(Instance) *message, vh_instance_info *info, vh_error *err);

void vh__proto_from_image(const vh_image_info *info, VH_PB(Image) *message);
VH_MUST_CHECK int vh__proto_to_image(const VH_PB(Image) *message, vh_image_info *info, vh_error *err);

/** |labels| is storage for VH_SNAPSHOT_LABELS_MAX pointers. */
void vh__proto_from_snapshot(const vh_snapshot_info *info, char **labels, VH_PB(Snapshot) *message);
VH_MUST_CHECK int vh__proto_to_snapshot(const VH_PB(Snapshot) *message, vh_snapshot_info *info, vh_error *err);

/** Copies |text| into |to|, |room| bytes. VH_EINVALID naming |what| when it does not fit. */
VH_MUST_CHECK int vh__proto_copy(const char *what, const char *text, char *to, size_t room, vh_error *err);

#endif
