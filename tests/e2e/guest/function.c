/*
 * The function of guest_boot.py. "serve": tells of itself, listens on 8080 and answers each line it is sent with what
 * it names: "clock", "random", "env", "generation", "root", "die", and an HTTP request with its first line, generation
 * and environment. "exit N", "flood MIB": as they say. "serve note" tells each signal that comes, "serve obey" then ends
 * with code 40. As a hook it takes a second.
 */
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void tell_about_itself(char **env)
{
    char text[256];
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *e;
    gid_t groups[8];
    int n = getgroups(8, groups), fds = 0;

    while (dir && (e = readdir(dir)))
        fds += e->d_name[0] != '.';
    printf("uid=%d gid=%d groups=%d", getuid(), getgid(), n > 0 ? (int)groups[0] : -1);
    printf(" fds=%d session=%d", fds - 1, getsid(0) == getpid());
    gethostname(text, sizeof(text));
    printf(" host=%s", text);
    printf(" cwd=%s", getcwd(text, sizeof(text)));
    for (; *env; env++)
        printf(" %s", *env);
    puts("");
    fflush(stdout);
    fputs("to stderr\n", stderr);
}

static size_t slurp(const char *path, char *to, size_t cap)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, to, cap);

    if (fd >= 0)
        close(fd);
    return n > 0 ? (size_t)n : 0;
}

static size_t check_root(char *to, size_t cap)
{
    static const char *const there[] = { "/proc/self", "/sys/class", "/dev/null", "/dev/pts", "/dev/shm",
                                         "/dev/fd/0", "/run/vhive", "/tmp", "/dev/ptmx" };
    size_t n = 0;

    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
        if (access(there[i], F_OK) < 0)
            n += (size_t)snprintf(to + n, cap - n, "missing %s ", there[i]);
    if (access("/dev/vda", F_OK) == 0 || access("/modules", F_OK) == 0)
        n += (size_t)snprintf(to + n, cap - n, "exposed ");
    if (open("/sys/kernel/x", O_WRONLY | O_CREAT, 0644) >= 0 || access("/written", F_OK) == 0 ||
        close(open("/written", O_WRONLY | O_CREAT, 0644)) < 0)
        n += (size_t)snprintf(to + n, cap - n, "writes ");
    return n ? n : (size_t)snprintf(to, cap, "fine");
}

static size_t page(const char *request, char *to, size_t cap)
{
    size_t n = (size_t)snprintf(to, cap, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%.*s\n",
                                (int)strcspn(request, "\r"), request);

    if (n >= cap)
        return 0;
    n += slurp("/run/vhive/generation", to + n, cap - n);
    return n + slurp("/run/vhive/env", to + n, cap - n);
}

static size_t answer(const char *question, char *to, size_t cap)
{
    struct timespec t;
    unsigned char raw[16];
    size_t n = 0;

    if (strncmp(question, "clock", 5) == 0) {
        clock_gettime(CLOCK_REALTIME, &t);
        return (size_t)snprintf(to, cap, "%lld", t.tv_sec * 1000000000LL + t.tv_nsec);
    }
    if (strncmp(question, "random", 6) == 0 && getrandom(raw, sizeof(raw), 0) == sizeof(raw))
        for (size_t i = 0; i < sizeof(raw); i++)
            n += (size_t)snprintf(to + n, cap - n, "%02x", raw[i]);
    if (strncmp(question, "env", 3) == 0)
        n = slurp("/run/vhive/env", to, cap);
    if (strncmp(question, "generation", 10) == 0)
        n = slurp("/run/vhive/generation", to, cap);
    if (strncmp(question, "root", 4) == 0)
        n = check_root(to, cap);
    if (strncmp(question, "GET ", 4) == 0)
        n = page(question, to, cap);
    if (strncmp(question, "die", 3) == 0)
        abort();
    return n;
}

static volatile sig_atomic_t obey;

static void on_signal(int number)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "signal %d\n", number);

    if (write(1, text, (size_t)n) != n || obey)
        _exit(40);
}

static void note_signals(void)
{
    for (int n = 1; n < NSIG; n++)
        if (n != SIGABRT && n != SIGCHLD)
            (void)signal(n, on_signal); /* fails for those that cannot be caught */
}

static int serve(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(8080) };
    int s = socket(AF_INET, SOCK_STREAM, 0), k;
    char question[1024], text[2048];

    if (bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s, 16) < 0)
        return 1;
    while ((k = accept(s, NULL, NULL)) >= 0) {
        ssize_t n = read(k, question, sizeof(question) - 1);

        if (n > 0) {
            question[n] = '\0';
            n = (ssize_t)answer(question, text, sizeof(text));
            if (write(k, text, (size_t)n) != n)
                return 1;
        }
        close(k);
    }
    return 1;
}

static int flood(size_t mib)
{
    static char block[65536];

    memset(block, 'x', sizeof(block));
    for (size_t i = 0; i < mib * 16; i++)
        for (size_t done = 0; done < sizeof(block);) {
            ssize_t n = write(1, block + done, sizeof(block) - done);

            if (n < 0)
                return 1;
            done += (size_t)n;
        }
    return 3;
}

int main(int argc, char **argv, char **env)
{
    if (strstr(argv[0], "/hooks/"))
        return (int)sleep(1);
    tell_about_itself(env);
    if (argc > 2 && strcmp(argv[1], "exit") == 0)
        return atoi(argv[2]);
    if (argc > 2 && strcmp(argv[1], "flood") == 0)
        return flood(strtoul(argv[2], NULL, 10));
    if (argc > 2)
        note_signals();
    obey = argc > 2 && strcmp(argv[2], "obey") == 0;
    return serve();
}
