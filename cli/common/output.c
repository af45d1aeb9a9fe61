#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "encode.h"

/* Room for a number, size or time as text. */
#define CELL_TEXT 64

static void add_cell(cli_rows *rows, char *text, int64_t number)
{
    if (rows->ncells == rows->room) {
        size_t room = rows->room ? rows->room * 2 : 64;
        cli_cell *grown = realloc(rows->cells, room * sizeof(*grown));

        if (!grown) {
            rows->oom = true;
            free(text);
            return;
        }
        rows->cells = grown;
        rows->room = room;
    }
    rows->cells[rows->ncells++] = (cli_cell){ .text = text, .number = number };
}

void cli_rows_text(cli_rows *rows, const char *text)
{
    char *copy = strdup(text ? text : "");

    if (copy)
        add_cell(rows, copy, 0);
    else
        rows->oom = true;
}

void cli_rows_number(cli_rows *rows, int64_t number)
{
    add_cell(rows, NULL, number);
}

void cli_rows_fini(cli_rows *rows)
{
    for (size_t i = 0; i < rows->ncells; i++)
        free(rows->cells[i].text);
    free(rows->cells);
    rows->cells = NULL;
    rows->ncells = rows->room = 0;
}

static size_t row_count(const cli_rows *rows)
{
    return rows->ncells / rows->ncolumns;
}

void cli_rows_drop(cli_rows *rows, size_t row)
{
    cli_cell *from = rows->cells + row * rows->ncolumns;

    for (size_t i = 0; i < rows->ncolumns; i++)
        free(from[i].text);
    rows->ncells -= rows->ncolumns;
    memmove(from, from + rows->ncolumns, (rows->ncells - row * rows->ncolumns) * sizeof(*from));
}

const char *cli_rows_first(const cli_rows *rows, size_t row)
{
    return row < row_count(rows) ? rows->cells[row * rows->ncolumns].text : NULL;
}

/* A cell as people read it; |buf| is used for what is not text. */
static const char *cell_text(const cli_column *column, const cli_cell *cell, char buf[CELL_TEXT])
{
    switch (column->type) {
    case CLI_COLUMN_TEXT:
    case CLI_COLUMN_LIST:
        return *cell->text ? cell->text : "-";
    case CLI_COLUMN_NUMBER:
        snprintf(buf, CELL_TEXT, "%" PRId64, cell->number);
        return buf;
    case CLI_COLUMN_BYTES:
        return cli_bytes_text((uint64_t)cell->number, buf);
    case CLI_COLUMN_MICROS:
        snprintf(buf, CELL_TEXT, "%.3f ms", (double)cell->number / 1e3);
        return buf;
    case CLI_COLUMN_TIME:
        return cell->number ? cli_time_text(cell->number, 0, buf) : "-";
    case CLI_COLUMN_BOOL:
        return cell->number ? "yes" : "no";
    }
    return "";
}

static void put_list(FILE *out, const char *list)
{
    fputc('[', out);
    while (*list) {
        size_t n = strcspn(list, ",");

        cli_put_json(out, list, n);
        list += n + (list[n] == ',');
        if (*list)
            fputs(", ", out);
    }
    fputc(']', out);
}

static void put_json_cell(FILE *out, const cli_column *column, const cli_cell *cell)
{
    char buf[CELL_TEXT];

    switch (column->type) {
    case CLI_COLUMN_TEXT:
        cli_put_json(out, cell->text, strlen(cell->text));
        break;
    case CLI_COLUMN_LIST:
        put_list(out, cell->text);
        break;
    case CLI_COLUMN_TIME:
        fprintf(out, cell->number ? "\"%s\"" : "null", cli_time_text(cell->number, 3, buf));
        break;
    case CLI_COLUMN_BOOL:
        fputs(cell->number ? "true" : "false", out);
        break;
    case CLI_COLUMN_NUMBER:
    case CLI_COLUMN_BYTES:
    case CLI_COLUMN_MICROS:
        fprintf(out, "%" PRId64, cell->number);
        break;
    }
}

static void put_object(FILE *out, const cli_rows *rows, const cli_cell *row, const char *separator)
{
    fputc('{', out);
    for (size_t i = 0; i < rows->ncolumns; i++) {
        fprintf(out, "%s\"%s\": ", i ? separator : "", rows->columns[i].key);
        put_json_cell(out, &rows->columns[i], &row[i]);
    }
    fputc('}', out);
}

static void put_array(FILE *out, const cli_rows *rows)
{
    fputc('[', out);
    for (size_t r = 0; r < row_count(rows); r++) {
        fputs(r ? ",\n " : "", out);
        put_object(out, rows, rows->cells + r * rows->ncolumns, ", ");
    }
    fputs("]\n", out);
}

static size_t column_width(const cli_rows *rows, size_t i)
{
    size_t width = strlen(rows->columns[i].title);
    char buf[CELL_TEXT];

    for (size_t r = 0; r < row_count(rows); r++) {
        size_t w = cli_plain_width(cell_text(&rows->columns[i], &rows->cells[r * rows->ncolumns + i], buf));

        width = w > width ? w : width;
    }
    return width;
}

/* |text| in column |i|, |width| wide: the last one is not padded, numbers stand on the right. */
static void put_column(FILE *out, const cli_rows *rows, size_t i, size_t width, const char *text)
{
    cli_column_type type = rows->columns[i].type;
    bool right = type == CLI_COLUMN_NUMBER || type == CLI_COLUMN_BYTES || type == CLI_COLUMN_MICROS;
    int pad = (int)(width - cli_plain_width(text));

    fprintf(out, "%*s", right ? pad : 0, "");
    cli_put_plain(out, text);
    if (i + 1 < rows->ncolumns)
        fprintf(out, "%*s", (right ? 0 : pad) + 2, "");
    else
        fputc('\n', out);
}

/* The first |n| rows' first cells, as they are written in a table. */
static void put_ids(FILE *out, const cli_rows *rows, size_t n)
{
    char buf[CELL_TEXT];

    for (size_t r = 0; r < n; r++) {
        cli_put_plain(out, cell_text(&rows->columns[0], &rows->cells[r * rows->ncolumns], buf));
        fputc('\n', out);
    }
}

static void put_table(FILE *out, const cli_rows *rows, bool titles)
{
    size_t widths[CLI_COLUMNS_MAX];
    char buf[CELL_TEXT];

    for (size_t i = 0; i < rows->ncolumns; i++)
        widths[i] = column_width(rows, i);
    for (size_t i = 0; titles && i < rows->ncolumns; i++)
        put_column(out, rows, i, widths[i], rows->columns[i].title);
    for (size_t n = 0; n < row_count(rows) * rows->ncolumns; n++) {
        size_t i = n % rows->ncolumns;

        put_column(out, rows, i, widths[i], cell_text(&rows->columns[i], &rows->cells[n], buf));
    }
}

int cli_rows_print(const cli_rows *rows, FILE *out, cli_format format, vh_error *err)
{
    if (rows->oom)
        return vh_error_set(err, -ENOMEM, "result");
    if (format == CLI_JSON)
        put_array(out, rows);
    else if (format == CLI_IDS)
        put_ids(out, rows, row_count(rows));
    else
        put_table(out, rows, format == CLI_TABLE);
    return 0;
}

int cli_rows_print_one(const cli_rows *rows, FILE *out, cli_format format, vh_error *err)
{
    size_t width = 0;
    char buf[CELL_TEXT];

    if (rows->oom || row_count(rows) == 0)
        return vh_error_set(err, -ENOMEM, "result");
    if (format == CLI_JSON) {
        put_object(out, rows, rows->cells, ",\n ");
        fputc('\n', out);
        return 0;
    }
    if (format == CLI_IDS) {
        put_ids(out, rows, 1);
        return 0;
    }
    for (size_t i = 0; i < rows->ncolumns; i++) {
        size_t n = strlen(rows->columns[i].title);

        width = n > width ? n : width;
    }
    for (size_t i = 0; i < rows->ncolumns; i++) {
        fprintf(out, "%s:%*s", rows->columns[i].title, (int)(width - strlen(rows->columns[i].title)) + 1, "");
        cli_put_plain(out, cell_text(&rows->columns[i], &rows->cells[i], buf));
        fputc('\n', out);
    }
    return 0;
}
