#include "fields.h"

/* A tag on the wire never changes its meaning: new fields get new tags, old tags are not reused. */
#define FIELD(type_, tag_, kind_, member, max_)                                                                        \
    {                                                                                                                  \
        .type = (type_), .tag = (tag_), .kind = (kind_), .offset = offsetof(vh__agent_msg, member), .max = (max_)      \
    }

const vh__agent_field vh__agent_fields[] = {
    FIELD(VH_AGENT_START, 1, VH_AGENT_LIST, start.argv, 512),
    FIELD(VH_AGENT_START, 2, VH_AGENT_LIST, start.env, 1532),
    FIELD(VH_AGENT_START, 3, VH_AGENT_TEXT, start.cwd, 4096),
    FIELD(VH_AGENT_START, 4, VH_AGENT_TEXT, start.user, 256),
    FIELD(VH_AGENT_START, 5, VH_AGENT_TEXT, start.hostname, 65),
    FIELD(VH_AGENT_START, 6, VH_AGENT_FIXED, start.guest_ip, 4),
    FIELD(VH_AGENT_START, 7, VH_AGENT_U32, start.guest_prefix, 4),
    FIELD(VH_AGENT_START, 8, VH_AGENT_FIXED, start.gateway_ip, 4),
    FIELD(VH_AGENT_START, 9, VH_AGENT_FIXED, start.gateway_mac, 6),
    FIELD(VH_AGENT_START, 10, VH_AGENT_LIST, start.dns, 4),
    FIELD(VH_AGENT_START, 11, VH_AGENT_U32, start.port, 4),
    FIELD(VH_AGENT_START, 12, VH_AGENT_U64, start.tmpfs_bytes, 8),
    FIELD(VH_AGENT_START, 13, VH_AGENT_U32, start.stop_signal, 4),
    FIELD(VH_AGENT_START, 14, VH_AGENT_U64, start.realtime_ns, 8),
    FIELD(VH_AGENT_START, 15, VH_AGENT_FIXED, start.seed, VH_AGENT_SEED),
    FIELD(VH_AGENT_START, 16, VH_AGENT_LIST, start.late_env, 1020),
    FIELD(VH_AGENT_RESTORED, 1, VH_AGENT_U64, restored.realtime_ns, 8),
    FIELD(VH_AGENT_RESTORED, 2, VH_AGENT_FIXED, restored.seed, VH_AGENT_SEED),
    FIELD(VH_AGENT_RESTORED, 3, VH_AGENT_U64, restored.generation, 8),
    FIELD(VH_AGENT_RESTORED, 4, VH_AGENT_LIST, restored.env, 1020),
    FIELD(VH_AGENT_SIGNAL, 1, VH_AGENT_U32, signal.number, 4),
    FIELD(VH_AGENT_STOP, 1, VH_AGENT_U32, stop.signal, 4),
    FIELD(VH_AGENT_STOP, 2, VH_AGENT_U32, stop.grace_ms, 4),
    FIELD(VH_AGENT_ADJUST, 1, VH_AGENT_U64, adjust.delta_ns, 8),
    FIELD(VH_AGENT_EXEC, 1, VH_AGENT_LIST, exec.argv, 512),
    FIELD(VH_AGENT_EXEC, 2, VH_AGENT_LIST, exec.env, 1020),
    FIELD(VH_AGENT_EXEC, 3, VH_AGENT_TEXT, exec.cwd, 4096),
    FIELD(VH_AGENT_EXEC, 4, VH_AGENT_TEXT, exec.user, 256),
    FIELD(VH_AGENT_EXEC, 5, VH_AGENT_U32, exec.tty, 4),
    FIELD(VH_AGENT_EXEC, 6, VH_AGENT_U32, exec.rows, 4),
    FIELD(VH_AGENT_EXEC, 7, VH_AGENT_U32, exec.cols, 4),
    FIELD(VH_AGENT_EXEC_INPUT, 1, VH_AGENT_BYTES, exec_data, VH_AGENT_OUTPUT_MAX),
    FIELD(VH_AGENT_EXEC_CREDIT, 1, VH_AGENT_U32, exec_credit.out, 4),
    FIELD(VH_AGENT_EXEC_CREDIT, 2, VH_AGENT_U32, exec_credit.err, 4),
    FIELD(VH_AGENT_EXEC_RESIZE, 1, VH_AGENT_U32, exec_resize.rows, 4),
    FIELD(VH_AGENT_EXEC_RESIZE, 2, VH_AGENT_U32, exec_resize.cols, 4),
    FIELD(VH_AGENT_EXEC_SIGNAL, 1, VH_AGENT_U32, signal.number, 4),
    FIELD(VH_AGENT_HELLO, 1, VH_AGENT_U32, hello.version, 4),
    FIELD(VH_AGENT_HELLO, 2, VH_AGENT_TEXT, hello.agent_version, 64),
    FIELD(VH_AGENT_HELLO, 3, VH_AGENT_U64, hello.boottime_ns, 8),
    FIELD(VH_AGENT_STARTED, 1, VH_AGENT_U32, started.pid, 4),
    FIELD(VH_AGENT_OUTPUT, 1, VH_AGENT_BYTES, output, VH_AGENT_OUTPUT_MAX),
    FIELD(VH_AGENT_EXITED, 1, VH_AGENT_U32, exited.code, 4),
    FIELD(VH_AGENT_EXITED, 2, VH_AGENT_U32, exited.signal, 4),
    FIELD(VH_AGENT_EXITED, 3, VH_AGENT_U32, exited.oom, 4),
    FIELD(VH_AGENT_ERROR, 1, VH_AGENT_TEXT, error.stage, 32),
    FIELD(VH_AGENT_ERROR, 2, VH_AGENT_TEXT, error.text, 1024),
    FIELD(VH_AGENT_LOG, 1, VH_AGENT_TEXT, log.text, 1024),
    FIELD(VH_AGENT_PONG, 1, VH_AGENT_U64, pong.generation, 8),
    FIELD(VH_AGENT_PONG, 2, VH_AGENT_U64, pong.realtime_ns, 8),
    FIELD(VH_AGENT_EXEC_STDOUT, 1, VH_AGENT_BYTES, exec_data, VH_AGENT_OUTPUT_MAX),
    FIELD(VH_AGENT_EXEC_STDERR, 1, VH_AGENT_BYTES, exec_data, VH_AGENT_OUTPUT_MAX),
    FIELD(VH_AGENT_EXEC_TAKEN, 1, VH_AGENT_U32, exec_taken.bytes, 4),
    FIELD(VH_AGENT_EXEC_EXITED, 1, VH_AGENT_U32, exec_exited.code, 4),
    FIELD(VH_AGENT_EXEC_EXITED, 2, VH_AGENT_U32, exec_exited.signal, 4),
    FIELD(VH_AGENT_EXEC_EXITED, 3, VH_AGENT_TEXT, exec_exited.text, 1024),
};

const size_t vh__agent_nfields = sizeof(vh__agent_fields) / sizeof(vh__agent_fields[0]);

static const struct {
    uint8_t type, from;
    const char *name;
} types[] = {
    { VH_AGENT_START, VH_AGENT_FROM_HOST, "START" },
    { VH_AGENT_QUIESCE, VH_AGENT_FROM_HOST, "QUIESCE" },
    { VH_AGENT_RESUMED, VH_AGENT_FROM_HOST, "RESUMED" },
    { VH_AGENT_RESTORED, VH_AGENT_FROM_HOST, "RESTORED" },
    { VH_AGENT_SIGNAL, VH_AGENT_FROM_HOST, "SIGNAL" },
    { VH_AGENT_STOP, VH_AGENT_FROM_HOST, "STOP" },
    { VH_AGENT_PING, VH_AGENT_FROM_HOST, "PING" },
    { VH_AGENT_ADJUST, VH_AGENT_FROM_HOST, "ADJUST" },
    { VH_AGENT_EXEC, VH_AGENT_FROM_HOST, "EXEC" },
    { VH_AGENT_EXEC_INPUT, VH_AGENT_FROM_HOST, "EXEC_INPUT" },
    { VH_AGENT_EXEC_CREDIT, VH_AGENT_FROM_HOST, "EXEC_CREDIT" },
    { VH_AGENT_EXEC_RESIZE, VH_AGENT_FROM_HOST, "EXEC_RESIZE" },
    { VH_AGENT_EXEC_SIGNAL, VH_AGENT_FROM_HOST, "EXEC_SIGNAL" },
    { VH_AGENT_EXEC_CLOSE, VH_AGENT_FROM_HOST, "EXEC_CLOSE" },
    { VH_AGENT_HELLO, VH_AGENT_FROM_GUEST, "HELLO" },
    { VH_AGENT_STARTED, VH_AGENT_FROM_GUEST, "STARTED" },
    { VH_AGENT_READY, VH_AGENT_FROM_GUEST, "READY" },
    { VH_AGENT_OUTPUT, VH_AGENT_FROM_GUEST, "OUTPUT" },
    { VH_AGENT_EXITED, VH_AGENT_FROM_GUEST, "EXITED" },
    { VH_AGENT_ERROR, VH_AGENT_FROM_GUEST, "ERROR" },
    { VH_AGENT_LOG, VH_AGENT_FROM_GUEST, "LOG" },
    { VH_AGENT_PONG, VH_AGENT_FROM_GUEST, "PONG" },
    { VH_AGENT_QUIESCED, VH_AGENT_FROM_GUEST, "QUIESCED" },
    { VH_AGENT_EXEC_STDOUT, VH_AGENT_FROM_GUEST, "EXEC_STDOUT" },
    { VH_AGENT_EXEC_STDERR, VH_AGENT_FROM_GUEST, "EXEC_STDERR" },
    { VH_AGENT_EXEC_TAKEN, VH_AGENT_FROM_GUEST, "EXEC_TAKEN" },
    { VH_AGENT_EXEC_EXITED, VH_AGENT_FROM_GUEST, "EXEC_EXITED" },
};

const char *vh__agent_type_name(unsigned type)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].type == type)
            return types[i].name;
    return "?";
}

bool vh__agent_type_is_exec(unsigned type)
{
    return (type & ~0xfu) == VH_AGENT_EXEC || (type & ~0xfu) == VH_AGENT_EXEC_STDOUT;
}

bool vh__agent_type_from(unsigned type, vh__agent_from from)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].type == type)
            return types[i].from == from;
    return false;
}
