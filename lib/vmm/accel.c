/*
 * Is KVM worth anything here? Under nested PVM /dev/kvm opens and VMs can be made, but ring-0 code is emulated one
 * instruction at a time (0.6 us each), and a stock kernel dies under it. So a guest is asked: 200,000 rounds of a
 * two-instruction loop take a fraction of a millisecond on hardware, a quarter of a second where it is emulated.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "auto.h"
#include "clock.h"
#include "vmm.h"

/* mov ecx, 200000; again: dec ecx; jnz again; hlt  (16-bit real mode, 32-bit operands) */
static const unsigned char probe_code[] = { 0x66, 0xb9, 0x40, 0x0d, 0x03, 0x00, 0x66, 0x49, 0x75, 0xfc, 0xf4 };

#define PROBE_ADDR 0x1000UL

/* Far from both: room for a busy machine below it, and for a faster emulator above. */
#define LIMIT_NS (60 * VH_NS_PER_MS)

static int enter(int vcpu, struct kvm_run *run, vh_error *err)
{
    struct kvm_sregs s;
    struct kvm_regs r = { .rip = PROBE_ADDR, .rflags = 2 };
    int64_t start, took;

    if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
        return vh_error_set(err, -errno, "KVM probe: get registers");
    s.cs.base = 0;
    s.cs.selector = 0;
    if (ioctl(vcpu, KVM_SET_SREGS, &s) < 0 || ioctl(vcpu, KVM_SET_REGS, &r) < 0)
        return vh_error_set(err, -errno, "KVM probe: set registers");
    start = vh__clock_mono_ns();
    if (ioctl(vcpu, KVM_RUN, 0) < 0)
        return vh_error_set(err, -errno, "KVM probe: run");
    took = vh__clock_mono_ns() - start;
    if (took > LIMIT_NS)
        return vh_error_set(err, VH_EUNSUPPORTED,
                            "/dev/kvm: emulates instructions (a guest took %lld ms for what takes hardware less than "
                            "one): use --accel tcg",
                            (long long)(took / VH_NS_PER_MS));
    if (run->exit_reason != KVM_EXIT_HLT)
        return vh_error_set(err, VH_EVMM, "KVM probe: the guest ended with exit reason %u instead of a halt",
                            run->exit_reason);
    return 0;
}

static int run_guest(int vm, void *memory, size_t run_size, vh_error *err)
{
    struct kvm_userspace_memory_region region = { .guest_phys_addr = PROBE_ADDR, .memory_size = 4096,
                                                  .userspace_addr = (uintptr_t)memory };
    vh_auto_fd int vcpu = -1;
    struct kvm_run *run;
    int rc;

    memcpy(memory, probe_code, sizeof(probe_code));
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return vh_error_set(err, -errno, "KVM probe: memory");
    vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    if (vcpu < 0)
        return vh_error_set(err, -errno, "KVM probe: vCPU");
    run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED)
        return vh_error_set(err, -errno, "KVM probe: map vCPU");
    rc = enter(vcpu, run, err);
    munmap(run, run_size);
    return rc;
}

int vh__kvm_probe(vh_error *err)
{
    vh_auto_fd int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    vh_auto_fd int vm = -1;
    void *memory;
    int run_size, rc;

    if (kvm < 0)
        return vh_error_set(err, VH_EMISSING, "/dev/kvm: %s; load kvm_intel or kvm_amd, or use --accel tcg",
                            strerror(errno));
    if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return vh_error_set(err, VH_EUNSUPPORTED, "/dev/kvm: speaks another version than %d", KVM_API_VERSION);
    vm = ioctl(kvm, KVM_CREATE_VM, 0);
    run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (vm < 0 || run_size < (int)sizeof(struct kvm_run))
        return vh_error_set(err, -errno, "KVM probe: create VM");
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return vh_error_set(err, -errno, "KVM probe: memory");
    rc = run_guest(vm, memory, (size_t)run_size, err);
    munmap(memory, 4096);
    return rc;
}
