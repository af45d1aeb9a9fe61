/* The VMM, and the programs of ours that start and serve it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auto.h"
#include "doctor_priv.h"
#include "path.h"
#include "spawn.h"
#include "vm.h"
#include "vmm.h"

#define INSTALL_QEMU "apt-get install qemu-system-x86, or set vmm.qemu"
#define INSTALL_OURS "install vHive anew, or set libexec_dir"
/* The oldest that is tested. */
#define QEMU_MAJOR 7U
#define QEMU_MINOR 2U

/* Whether |qemu| knows the machine that VMs are. */
static bool has_microvm(const vh__exam *x, const char *qemu)
{
    vh_auto_buf vh__buf text = { 0 };
    const char *argv[] = { qemu, "-machine", "help", NULL };

    return vh__run_program(argv, NULL, x->w, 65536, &text, NULL) == 0 && text.data && strstr(text.data, "\nmicrovm");
}

void vh__check_qemu(vh__exam *x)
{
    const char *name = vh_config_str(x->config, "vmm.qemu");
    vh_auto_free char *path = vh__path_find_program(name);
    unsigned major = 0, minor = 0;
    char version[32];
    vh_error err = { 0 };

    if (!path)
        vh__found_fail(x, INSTALL_QEMU, "%s: not found in PATH", name);
    else if (vh__vmm_version(path, NULL, x->w, version, &err))
        vh__found_fail(x, INSTALL_QEMU, "%s", err.msg);
    else if (sscanf(version, "%u.%u", &major, &minor) != 2 || major < QEMU_MAJOR ||
             (major == QEMU_MAJOR && minor < QEMU_MINOR))
        vh__found_fail(x, "install QEMU 7.2 or newer, or set vmm.qemu", "%s is version %s", path, version);
    else if (!has_microvm(x, path))
        vh__found_fail(x, INSTALL_QEMU, "%s has no machine 'microvm'", path);
    else
        vh__found_ok(x, "%s, version %s, with machine microvm", path, version);
}

void vh__check_kvm(vh__exam *x)
{
    const char *accel = vh_config_str(x->config, "vmm.accel");
    bool must = strcmp(accel, "kvm") == 0, real = false, known = false;
    vh_error err = { 0 };

    if (strcmp(accel, "tcg") == 0) {
        vh__found_ok(x, "not used: vmm.accel is tcg");
        return;
    }
    if (access("/dev/kvm", R_OK | W_OK) < 0)
        vh__found_warn(x, "modprobe kvm_intel or kvm_amd, where the machine has it; TCG is right but slower",
                       "/dev/kvm: %s: TCG is used", strerror(errno));
    else if (vh__vm_kvm_probe(x->env, &real, &known, &err))
        vh__found_warn(x, INSTALL_OURS, "%s", err.msg);
    else if (!real)
        vh__found_warn(x, "none here; a machine with nested virtualisation is quicker",
                       "/dev/kvm emulates each instruction, so TCG is used");
    else
        vh__found_ok(x, "/dev/kvm is real");
    if (must && !real)
        x->level = VH_FINDING_FAIL; /* vmm.accel insists */
}

/* Whether |name| can be mapped to be executed, which a file system mounted noexec refuses. */
static bool check_program(vh__exam *x, const char *name)
{
    vh_auto_free char *path = vh__path_join(vh_env_libexec_dir(x->env), name);
    vh_auto_fd int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page;

    if (fd < 0) {
        vh__found_fail(x, INSTALL_OURS, "%s: %s", path ? path : name, strerror(errno));
        return false;
    }
    page = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (page == MAP_FAILED) {
        vh__found_fail(x, "mount it without noexec, or set libexec_dir", "%s: cannot be executed: %s", path,
                       strerror(errno));
        return false;
    }
    munmap(page, 1);
    return true;
}

void vh__check_libexec(vh__exam *x)
{
    static const char *const names[] = { "vhive-shim", "vhive-agent", "uffd-preload.so", "readonly-preload.so" };

    for (size_t i = 0; i < VH_ARRAY_LEN(names); i++)
        if (!check_program(x, names[i]))
            return;
    vh__found_ok(x, "shim, agent and preload libraries in %s", vh_env_libexec_dir(x->env));
}

/* Starts the shim as it is started for a VM; by hand it says so and ends. */
void vh__check_processes(vh__exam *x)
{
    vh__process p = VH_PROCESS_INIT;
    vh_auto_free char *shim = NULL;
    vh_error err = { 0 };
    int status = 0, rc = vh__vm_shim_path(x->env, &shim, &err);

    if (rc == 0)
        rc = vh__spawn(&(vh__spawn_options){ .argv = (const char *[]){ shim, NULL }, .new_pid_ns = true }, &p, &err);
    if (rc == 0)
        rc = vh__process_wait(&p, x->w, "vhive-shim", &status, &err);
    (void)vh__process_kill(&p); /* one that does not end */
    if (rc == 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 2))
        rc = vh_error_set(&err, VH_EMISSING, "%s: does not run (ldd tells what it lacks)", shim);
    vh__found_result(x, rc, &err, "the shim runs in a process namespace of its own",
                     rc == -EPERM ? "run it as root; a container: --privileged" : INSTALL_OURS);
}
