/* What runs in the images of images.py, by its name; static, so that an image needs nothing else for it.
 *
 * nginx, httpd PORT ...  answer each connection with a page; the pid is in /var/run/nginx.pid, as critest expects
 * hello                  answers each connection on port $PORT with "hello $TARGET", as a Knative service does
 * nnp                    prints its effective user
 * pause                  waits until it is told to end: the first process of a pod */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const char welcome[] = "<h1>Welcome to nginx!</h1>\r\n";

static void end(int signal)
{
    (void)signal;
    _exit(0);
}

static void reap(int signal)
{
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

_Noreturn static void wait_for_the_end(void)
{
    signal(SIGCHLD, reap);
    for (;;)
        pause();
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 64)) {
        perror("listen");
        exit(1);
    }
    return fd;
}

static void note_pid(void)
{
    FILE *file = fopen("/var/run/nginx.pid", "w");

    if (!file)
        return; /* a read-only root: only one test wants the file */
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
}

/* Reads a request's head, or what comes of it in 5 seconds; 0 if nothing came. */
static size_t read_head(int fd)
{
    struct timeval patience = {.tv_sec = 5};
    char head[4096];
    size_t length = 0;
    ssize_t got;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (length < sizeof head - 1 && (got = read(fd, head + length, sizeof head - 1 - length)) > 0) {
        length += (size_t)got;
        head[length] = '\0';
        if (strstr(head, "\r\n\r\n"))
            break;
    }
    return length;
}

static void answer(int fd, const char *body)
{
    char page[1024];
    int length = snprintf(page, sizeof page,
                          "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %zu\r\n"
                          "Connection: close\r\n\r\n%s",
                          strlen(body), body);

    if (write(fd, page, (size_t)length) < 0)
        perror("write");
}

_Noreturn static void serve(int port, const char *body)
{
    int listener = listen_on(port);

    note_pid();
    printf("httpd: serving on port %d\n", port);
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            continue;
        if (read_head(fd))
            answer(fd, body);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
}

_Noreturn static void say_hello(void)
{
    const char *port = getenv("PORT"), *target = getenv("TARGET");
    char body[256];

    snprintf(body, sizeof body, "hello %s\n", target ? target : "world");
    serve(port ? atoi(port) : 8080, body);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];

    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, end); /* a container's first process is not ended by a signal that it does not handle */
    signal(SIGINT, end);
    if (!strcmp(name, "pause"))
        wait_for_the_end();
    if (!strcmp(name, "nnp"))
        return printf("Effective uid: %d\n", (int)geteuid()) < 0;
    if (!strcmp(name, "hello"))
        say_hello();
    serve(argc > 1 ? atoi(argv[1]) : 80, welcome);
}
