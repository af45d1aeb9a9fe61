#include "host.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "auto.h"
#include "fn.h"
#include "log.h"
#include "path.h"
#include "snapshot.h"
#include "vm.h"
#include "wait.h"

/* Clearing up after the dead is netlink and unlink: what takes longer hangs. */
#define REAP_MS 10000

struct vh_host {
    vh_config *own_config; /* NULL when the caller gave one */
    const vh_config *config;
    vh_env *env;
    vh_images *images;
    vh_snapshots *snapshots;
    vh__guest *guest;
    vh__net *net;
    vh_vms *vms;
    pthread_mutex_t mutex; /* of |functions|, which are made when they are asked for */
    vh_functions *functions;
};

/* Others may pass through, to sockets that are meant for them; what must not be read is closed below. */
static int make_dirs(vh_host *h, vh_error *err)
{
    int rc;

    if (geteuid() != 0)
        return vh_error_set(err, VH_EMISSING, "running VMs needs root (namespaces, taps, userfaultfd): use sudo");
    rc = vh__path_mkdirs(vh_env_state_dir(h->env), 0711, err);
    return rc ? rc : vh__path_mkdirs(vh_env_run_dir(h->env), 0711, err);
}

void vh_host_images_options(const vh_config *config, vh_images_options *opts)
{
    *opts = (vh_images_options)VH_IMAGES_OPTIONS_INIT;
    opts->max_unpacked_bytes = vh_config_u64(config, "image.max_bytes");
    opts->max_entries = vh_config_u64(config, "image.max_entries");
    opts->auth_file = vh_config_str(config, "image.auth_file");
    opts->ca_file = vh_config_str(config, "image.ca_file");
    opts->mirrors = vh_config_str(config, "image.mirrors");
    opts->insecure_registries = vh_config_str(config, "image.insecure_registries");
    opts->downloads = (uint32_t)vh_config_u64(config, "image.downloads");
}

static int make_stores(vh_host *h, vh_error *err)
{
    vh_images_options i;
    int rc;

    vh_host_images_options(h->config, &i);
    rc = vh_images_new(h->env, &i, &h->images, err);
    return rc ? rc : vh_snapshots_new(h->env, &h->snapshots, err);
}

static int make_mechanisms(vh_host *h, vh_error *err)
{
    int rc = vh__host_guest(h->config, h->env, &h->guest, err);

    return rc ? rc : vh__host_net(h->config, h->env, &h->net, err);
}

static uint32_t number(const vh_host *h, const char *key)
{
    return (uint32_t)vh_config_u64(h->config, key);
}

static int make_vms(vh_host *h, vh_error *err)
{
    return vh__vms_new(
        &(vh__vms_options){ .env = h->env,
                            .images = h->images,
                            .snapshots = h->snapshots,
                            .guest = h->guest,
                            .net = h->net,
                            .qemu = vh_config_str(h->config, "vmm.qemu"),
                            .accel = vh_config_str(h->config, "vmm.accel"),
                            .uid_base = number(h, "vmm.uid_base"),
                            .memory_mib = (uint32_t)(vh_config_u64(h->config, "function.memory") >> 20),
                            .cpus = number(h, "function.cpus"),
                            .tmpfs_bytes = vh_config_u64(h->config, "function.tmpfs"),
                            .hello_ms = number(h, "timeout.hello"),
                            .ready_ms = number(h, "timeout.ready"),
                            .boot_ms = number(h, "timeout.boot"),
                            .restore_ms = number(h, "timeout.restore"),
                            .stop_ms = number(h, "timeout.stop") },
        &h->vms, err);
}

/* What dead processes left must not stop a new one: it is told and tried again the next time. */
static void reap(vh_host *h)
{
    vh__wait w = vh__wait_from(NULL, REAP_MS);
    vh_error err = { 0 };

    if (vh__vms_reap(h->vms, &err))
        vh__log(h->env, VH_LOG_WARN, "host", NULL, "clearing up after earlier runs: %s", err.msg);
    if (vh__net_reap(h->net, &w, &err))
        vh__log(h->env, VH_LOG_WARN, "host", NULL, "clearing up after earlier runs: %s", err.msg);
}

int vh_host_new(const vh_config *config, const vh_env_options *opts, vh_host **host, vh_error *err)
{
    vh_host *h = calloc(1, sizeof(*h));
    vh_env_options o;
    int rc;

    if (!h)
        return vh_error_set(err, -ENOMEM, "host");
    pthread_mutex_init(&h->mutex, NULL);
    rc = config ? 0 : vh_config_new(&h->own_config, err);
    h->config = config ? config : h->own_config;
    if (rc == 0)
        vh__host_env_options(h->config, opts, &o);
    if (rc == 0)
        rc = vh_env_new(&o, &h->env, err);
    if (rc == 0)
        rc = make_dirs(h, err);
    if (rc == 0)
        rc = make_stores(h, err);
    if (rc == 0)
        rc = make_mechanisms(h, err);
    if (rc == 0)
        rc = make_vms(h, err);
    if (rc) {
        vh_host_free(h);
        return rc;
    }
    reap(h);
    *host = h;
    return 0;
}

void vh_host_free(vh_host *host)
{
    if (!host)
        return;
    vh__functions_free(host->functions);
    pthread_mutex_destroy(&host->mutex);
    if (host->vms)
        reap(host); /* of those who were still dying when we started */
    vh__vms_free(host->vms);
    vh__net_free(host->net);
    vh__guest_free(host->guest);
    vh_snapshots_free(host->snapshots);
    vh_images_free(host->images);
    vh_env_free(host->env);
    vh_config_free(host->own_config);
    free(host);
}

vh_env *vh_host_env(vh_host *host)
{
    return host->env;
}

vh_images *vh_host_images(vh_host *host)
{
    return host->images;
}

vh_snapshots *vh_host_snapshots(vh_host *host)
{
    return host->snapshots;
}

vh_vms *vh_host_vms(vh_host *host)
{
    return host->vms;
}

static int make_functions(vh_host *h, vh_error *err)
{
    vh__functions_options o = { .env = h->env,
                                .images = h->images,
                                .vms = h->vms,
                                .max_memory_mib = vh_config_u64(h->config, "budget.memory") >> 20,
                                .max_instances = number(h, "budget.instances"),
                                .starts = number(h, "budget.starts"),
                                .queue = number(h, "budget.queue"),
                                .queue_all = number(h, "budget.queue_all"),
                                .memory_mib = (uint32_t)(vh_config_u64(h->config, "function.memory") >> 20),
                                .cpus = number(h, "function.cpus"),
                                .boot_ms = number(h, "timeout.boot"),
                                .invoke_ms = number(h, "timeout.invoke"),
                                .pull_ms = number(h, "timeout.pull"),
                                .stop_ms = number(h, "timeout.stop"),
                                .port_first = (uint16_t)number(h, "activation.port_first"),
                                .port_last = (uint16_t)number(h, "activation.port_last") };

    return vh__functions_new(&o, &h->functions, err);
}

int vh_host_functions(vh_host *host, vh_functions **functions, vh_error *err)
{
    int rc = 0;

    pthread_mutex_lock(&host->mutex);
    if (!host->functions)
        rc = make_functions(host, err);
    if (rc == 0)
        *functions = host->functions;
    pthread_mutex_unlock(&host->mutex);
    return rc;
}
