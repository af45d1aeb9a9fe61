#include "config_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define SEC 1000ULL

/* Keys of one section stand together: the dump writes a section once. */
const vh_config_key vh__config_keys[VH_CONFIG_KEYS] = {
    { "state_dir", VH_CONFIG_PATH, "/var/lib/vhive", 0, 0, NULL, "directory of images, snapshots and guest kernels" },
    { "run_dir", VH_CONFIG_PATH, "/run/vhive", 0, 0, NULL, "directory of sockets and running VMs" },
    { "libexec_dir", VH_CONFIG_PATH, "", 0, 0, NULL,
      "directory of shim, agent and preload library; empty: found beside the program" },

    { "log.level", VH_CONFIG_ENUM, "info", 0, 0, "error|warn|info|debug", "least severe records that are written" },
    { "log.format", VH_CONFIG_ENUM, "text", 0, 0, "text|json|logfmt", "form of log records" },

    { "vmm.qemu", VH_CONFIG_STRING, "qemu-system-x86_64", 0, 0, NULL, "QEMU, by path or by name in PATH" },
    { "vmm.accel", VH_CONFIG_ENUM, "auto", 0, 0, "auto|kvm|tcg", "acceleration; auto: KVM where it is real, else TCG" },
    { "vmm.uid_base", VH_CONFIG_UINT, "900000", 1000, 2000000000, NULL, "the VMM of lease N runs as user id base + N" },

    { "guest.kernel", VH_CONFIG_PATH, "", 0, 0, NULL, "guest kernel (bzImage or vmlinux); empty: that of the package" },
    { "guest.modules", VH_CONFIG_PATH, "", 0, 0, NULL, "modules of guest.kernel; empty: those of the package" },
    { "guest.package", VH_CONFIG_STRING, "linux-image-cloud-amd64", 0, 0, NULL,
      "Debian package that is unpacked (never installed) for kernel and modules" },
    { "guest.dir", VH_CONFIG_PATH, "", 0, 0, NULL, "directory of unpacked kernels; empty: guest below state_dir" },

    { "function.memory", VH_CONFIG_BYTES, "256M", 96 * MIB, 64 * GIB, NULL, "guest memory" },
    { "function.cpus", VH_CONFIG_UINT, "1", 1, 32, NULL, "virtual CPUs" },
    { "function.tmpfs", VH_CONFIG_BYTES, "0", 0, 64 * GIB, NULL,
      "limit of the writable layer, which lives in guest memory; 0: half of what the kernel leaves" },

    { "net.pool", VH_CONFIG_CIDR, "198.18.0.0/15", 8, 28, NULL, "network that functions' addresses are taken from" },
    { "net.egress", VH_CONFIG_ENUM, "public", 0, 0, "public|none", "what functions may reach by themselves" },
    { "net.allow_private", VH_CONFIG_BOOL, "false", 0, 0, NULL, "let functions reach private networks too" },

    { "timeout.hello", VH_CONFIG_DURATION, "20s", 100, 3600 * SEC, NULL, "guest agent's first word after a boot" },
    { "timeout.ready", VH_CONFIG_DURATION, "60s", 100, 3600 * SEC, NULL, "function opening its port" },
    { "timeout.boot", VH_CONFIG_DURATION, "120s", 100, 3600 * SEC, NULL, "whole start of a function" },
    { "timeout.pull", VH_CONFIG_DURATION, "30m", 100, 24 * 3600 * SEC, NULL, "image pull, each image" },
    { "timeout.restore", VH_CONFIG_DURATION, "30s", 100, 3600 * SEC, NULL, "restore of a snapshot" },
    { "timeout.invoke", VH_CONFIG_DURATION, "30s", 1, 24 * 3600 * SEC, NULL, "answer of a function that is called" },
    { "timeout.stop", VH_CONFIG_DURATION, "10s", 0, 3600 * SEC, NULL, "function ending after its stop signal" },

    { "image.max_bytes", VH_CONFIG_BYTES, "16G", MIB, 1024 * GIB, NULL, "unpacked size of an image" },
    { "image.max_entries", VH_CONFIG_UINT, "1000000", 1, 100000000, NULL, "files, directories and links of an image" },
    { "image.auth_file", VH_CONFIG_PATH, "", 0, 0, NULL,
      "logins for registries, as docker login writes them; empty: where docker and podman have them" },
    { "image.ca_file", VH_CONFIG_PATH, "", 0, 0, NULL,
      "PEM file of authorities that registries' certificates are trusted by, beside the system's" },
    { "image.mirrors", VH_CONFIG_STRING, "", 0, 0, NULL,
      "mirrors of registries, HOST=MIRROR[,MIRROR]... with spaces between hosts; asked before the host itself" },
    { "image.insecure_registries", VH_CONFIG_STRING, "", 0, 0, NULL,
      "registries, HOST[:PORT] with spaces between them, that may answer in plain HTTP; this machine's may anyway" },
    { "image.downloads", VH_CONFIG_UINT, "3", 1, 16, NULL, "layers that are downloaded at once" },

    { "daemon.control_sock", VH_CONFIG_STRING, "", 0, 0, NULL,
      "Unix socket of vhived's control API, or none: then no functions are served; empty: vhived.sock in run_dir" },
    { "daemon.http", VH_CONFIG_STRING, "", 0, 0, NULL,
      "where vhived answers /metrics, /healthz and /readyz: unix:/PATH, a loopback HOST:PORT, or none; empty: "
      "vhived.http.sock in run_dir" },
    { "daemon.socket_group", VH_CONFIG_STRING, "vhive", 0, 0, NULL, "group that may use vhived's sockets" },

    { "budget.memory", VH_CONFIG_BYTES, "0", 0, 64 * 1024 * GIB, NULL,
      "guest memory of all instances together; 0: three quarters of the machine's" },
    { "budget.instances", VH_CONFIG_UINT, "256", 1, 100000, NULL, "instances of all functions at once" },
    { "budget.starts", VH_CONFIG_UINT, "0", 0, 1024, NULL,
      "instances that are started at once; 0: two for each processor, at least 4" },
    { "budget.queue", VH_CONFIG_UINT, "1024", 1, 1000000, NULL,
      "connections and calls that wait for an instance of one function; more are refused" },
    { "budget.queue_all", VH_CONFIG_UINT, "8192", 1, 1000000, NULL, "those that wait for any function" },

    { "activation.port_first", VH_CONFIG_UINT, "29000", 1, 65535, NULL, "first port that functions' addresses get" },
    { "activation.port_last", VH_CONFIG_UINT, "29999", 1, 65535, NULL, "last port that functions' addresses get" },

    { "cri.sock", VH_CONFIG_STRING, "/etc/vhive-cri/vhive-cri.sock", 0, 0, NULL,
      "Unix socket of vhived's CRI endpoint, or none" },
    { "cri.containerd_sock", VH_CONFIG_PATH, "/run/containerd/containerd.sock", 0, 0, NULL,
      "Unix socket of containerd, which the CRI endpoint passes calls on to" },
    { "cri.sandbox", VH_CONFIG_ENUM, "stock-only", 0, 0, "stock-only|gvisor|firecracker|microvm",
      "which pods become microVMs; stock-only: none" },
    { "cri.max_message", VH_CONFIG_BYTES, "16M", MIB, GIB, NULL, "longest message that the CRI endpoint passes on" },

    { "trace.zipkin", VH_CONFIG_STRING, "", 0, 0, NULL,
      "URL that vhived sends spans of cold starts to, as in http://127.0.0.1:9411/api/v2/spans; empty: nowhere" },
};

_Static_assert(VH_ARRAY_LEN(vh__config_keys) == VH_CONFIG_KEYS, "count of keys");

const vh_config_key *vh_config_key_at(size_t i)
{
    return i < VH_CONFIG_KEYS ? &vh__config_keys[i] : NULL;
}

const vh_config_key *vh_config_key_find(const char *name)
{
    for (size_t i = 0; i < VH_CONFIG_KEYS; i++)
        if (strcmp(vh__config_keys[i].name, name) == 0)
            return &vh__config_keys[i];
    return NULL;
}

const vh_config_key *vh_config_key_of_flag(const char *flag, size_t n)
{
    char name[VH_CONFIG_NAME_MAX];

    for (size_t i = 0; i < VH_CONFIG_KEYS; i++) {
        vh_config_flag_name(&vh__config_keys[i], name);
        if (strlen(name) == n && strncmp(name, flag, n) == 0)
            return &vh__config_keys[i];
    }
    return NULL;
}

const char *vh_config_env_name(const vh_config_key *key, char name[VH_CONFIG_NAME_MAX])
{
    snprintf(name, VH_CONFIG_NAME_MAX, "VHIVE_%s", key->name);
    for (char *p = name; *p; p++)
        *p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
    return name;
}

const char *vh_config_flag_name(const vh_config_key *key, char name[VH_CONFIG_NAME_MAX])
{
    snprintf(name, VH_CONFIG_NAME_MAX, "%s", key->name);
    for (char *p = name; *p; p++)
        if (*p == '.' || *p == '_')
            *p = '-';
    return name;
}

size_t vh__config_index(const vh_config_key *key)
{
    return (size_t)(key - vh__config_keys);
}

size_t vh__config_section(const vh_config_key *key)
{
    const char *dot = strchr(key->name, '.');

    return dot ? (size_t)(dot - key->name) : 0;
}

const vh_config_key *vh__config_find_section(const char *name, size_t n)
{
    for (size_t i = 0; i < VH_CONFIG_KEYS; i++) {
        const vh_config_key *key = &vh__config_keys[i];

        if (vh__config_section(key) == n && n && strncmp(key->name, name, n) == 0)
            return key;
    }
    return NULL;
}
