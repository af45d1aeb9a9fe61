/*
 * Converts one image and tells what it took.
 *
 *     image-micro STATE_DIR REF      STATE_DIR is on the disk to measure, REF as in <vhive/image.h>
 *
 * One line: tar_mb, mb_per_s (wall), mb_per_s_core (of CPU time), rss_mib (peak), rootfs_mb, rootfs_digest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <vhive/image.h>

#include "clock.h"

static double cpu_s(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u); /* cannot fail */
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void print(const vh_image *image, int64_t ns)
{
    const vh_image_info *i = vh_image_info_get(image);
    double mb = (double)i->unpacked_bytes / 1e6;
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u); /* as above */
    printf("tar_mb=%.1f mb_per_s=%.1f mb_per_s_core=%.1f rss_mib=%.1f rootfs_mb=%.1f rootfs_digest=%s\n", mb,
           mb / ((double)ns / 1e9), mb / cpu_s(), (double)u.ru_maxrss / 1024, (double)i->rootfs_bytes / 1e6,
           i->rootfs_digest);
}

static int convert(vh_images *images, const char *ref, vh_error *err)
{
    int64_t begin = vh__clock_mono_ns();
    vh_image *image;
    int rc = vh_image_open(images, ref, NULL, &image, err);

    if (rc)
        return rc;
    print(image, vh__clock_mono_ns() - begin);
    vh_image_close(image);
    return 0;
}

int main(int argc, char **argv)
{
    vh_env_options o = VH_ENV_OPTIONS_INIT;
    vh_images *images = NULL;
    vh_env *env = NULL;
    vh_error err = { 0 };
    int rc;

    if (argc != 3) {
        fprintf(stderr, "usage: image-micro STATE_DIR REF\n");
        return 2;
    }
    o.state_dir = argv[1];
    rc = vh_env_new(&o, &env, &err);
    if (rc == 0)
        rc = vh_images_new(env, NULL, &images, &err);
    if (rc == 0)
        rc = convert(images, argv[2], &err);
    if (rc)
        fprintf(stderr, "image-micro: %s\n", err.msg);
    vh_images_free(images);
    vh_env_free(env);
    return rc ? 1 : 0;
}
