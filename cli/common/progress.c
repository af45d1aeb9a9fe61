/* One line of progress: "pull  45%  12 MiB of 27 MiB, 6 MiB/s, 3 s left  1 of 3 layers". */
#include "console.h"

#include <string.h>

#include "encode.h"

/* At the rate there was so far; the last seconds are not worth telling. */
static void put_left(FILE *out, const vh_progress *p, int64_t ns)
{
    double s = p->done < p->total ? (double)(p->total - p->done) / (double)p->done * (double)ns / 1e9 : 0;

    if (s >= 3600)
        fprintf(out, ", %.0f h left", s / 3600);
    else if (s >= 60)
        fprintf(out, ", %ld min %ld s left", (long)s / 60, (long)s % 60);
    else if (s >= 1)
        fprintf(out, ", %ld s left", (long)s);
}

static void put_amount(FILE *out, const vh_progress *p, int64_t ns)
{
    char done[24], total[24], rate[24];

    if (p->total)
        fprintf(out, " %3u%%  %s of %s", (unsigned)((double)(p->done < p->total ? p->done : p->total) * 100 /
                                                    (double)p->total),
                cli_bytes_text(p->done, done), cli_bytes_text(p->total, total));
    else if (p->done)
        fprintf(out, "  %s", cli_bytes_text(p->done, done));
    if (!p->done || ns <= 200000000) /* before that the rate is noise */
        return;
    fprintf(out, ", %s/s", cli_bytes_text((uint64_t)((double)p->done * 1e9 / (double)ns), rate));
    put_left(out, p, ns);
}

/* Writes as much of |text| as |columns| hold, counting characters. */
static void put_cut(FILE *out, const char *text, size_t n, unsigned columns)
{
    size_t i = 0;

    while (i < n && columns > 0) {
        size_t start = i++;

        while (i < n && ((unsigned char)text[i] & 0xc0) == 0x80)
            i++;
        fwrite(text + start, 1, i - start, out);
        columns--;
    }
}

void cli_put_progress(FILE *out, const vh_progress *p, int64_t ns, unsigned columns, bool color)
{
    char line[512] = "";
    FILE *f = fmemopen(line, sizeof(line), "w"); /* cuts what is too long, and ends it */
    size_t word;

    if (!f)
        return;
    cli_put_plain(f, p->what);
    fflush(f);
    word = strlen(line);
    put_amount(f, p, ns);
    if (p->detail && *p->detail) {
        fputs("  ", f);
        cli_put_plain(f, p->detail);
    }
    fclose(f);
    line[sizeof(line) - 1] = '\0';
    word = word < columns ? word : columns;
    fputs(color ? "\033[1m" : "", out);
    put_cut(out, line, word, columns);
    fputs(color ? "\033[0m" : "", out);
    put_cut(out, line + word, strlen(line + word), columns - (unsigned)word);
}
