/* modules: journal */
/* Whatever an entry holds: handlers get whole, non-empty lines of their kind, and it goes only if all were undone. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auto.h"
#include "journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int undo(const char *value, void *arg, vh_error *err)
{
    size_t *undone = arg;

    (void)err;
    if (!value[0] || strchr(value, '\n'))
        abort();
    ++*undone;
    return 0;
}

static size_t count_lines(const uint8_t *data, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < size; i++)
        n += data[i] == '\n';
    return n;
}

static void reap(vh__journal *j, const char *path, const uint8_t *data, size_t size)
{
    static const vh__journal_handler handlers[] = { { "dir", undo }, { "link", undo } };
    size_t undone = 0, reaped = 0;
    vh_error err = { 0 };
    int rc = vh__journal_reap(j, handlers, VH_ARRAY_LEN(handlers), &undone, &reaped, &err);

    if ((rc == 0) != (access(path, F_OK) != 0) || (rc == 0) != (reaped == 1) || (rc && !err.msg[0]))
        abort();
    if (undone > count_lines(data, size) || (rc == 0 && undone != count_lines(data, size)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char dir[] = "/tmp/vhive-fuzz-XXXXXX", path[64];
    vh__journal *j = NULL;
    vh_auto_fd int fd = -1;

    if (!mkdtemp(dir))
        return 0;
    snprintf(path, sizeof(path), "%s/entry", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, data, size) == (ssize_t)size && vh__journal_open(dir, &j, NULL) == 0)
        reap(j, path, data, size);
    vh__journal_free(j);
    (void)unlink(path); /* gone if all was undone */
    return rmdir(dir);
}
