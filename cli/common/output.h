/*
 * Results of commands: rows of typed columns, printed as an aligned table or as JSON from the same data.
 *
 *     static const cli_column columns[] = { { "ID", "id", CLI_COLUMN_TEXT }, { "SIZE", "bytes", CLI_COLUMN_BYTES } };
 *     cli_rows rows = { .columns = columns, .ncolumns = 2 };
 *     cli_rows_text(&rows, info->id);
 *     cli_rows_number(&rows, info->size);
 *     rc = cli_rows_print(&rows, stdout, CLI_TABLE, &err);
 *     cli_rows_fini(&rows);
 *
 * Cells are added row after row, one per column. A failed allocation sticks and is told when they are printed.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <vhive/error.h>

typedef enum cli_format {
    CLI_TABLE = 0,
    CLI_JSON,
    CLI_PLAIN, /* a table without its line of titles */
    CLI_IDS,   /* the first column alone, one cell a line */
} cli_format;

typedef enum cli_column_type {
    CLI_COLUMN_TEXT = 0,
    CLI_COLUMN_LIST,   /* texts joined by ","; an array in JSON */
    CLI_COLUMN_NUMBER,
    CLI_COLUMN_BYTES,  /* "12 MiB"; a number in JSON */
    CLI_COLUMN_MICROS, /* "1.234 ms"; a number in JSON */
    CLI_COLUMN_TIME,   /* CLOCK_REALTIME ns; RFC 3339 in both, null in JSON when 0 */
    CLI_COLUMN_BOOL,
} cli_column_type;

typedef struct cli_column {
    const char *title; /* of the table */
    const char *key;   /* of the JSON object */
    cli_column_type type;
} cli_column;

/** Most columns of one result. */
#define CLI_COLUMNS_MAX 24

typedef struct cli_cell {
    char *text;
    int64_t number;
} cli_cell;

typedef struct cli_rows {
    const cli_column *columns;
    size_t ncolumns;
    cli_cell *cells;
    size_t ncells, room;
    bool oom;
} cli_rows;

/** Adds the next cell, of a text or list column (copied; NULL is ""). */
void cli_rows_text(cli_rows *rows, const char *text);
/** Adds the next cell, of any other column. */
void cli_rows_number(cli_rows *rows, int64_t number);
/** First cell, a text, of row |row| (from 0); NULL if there are not as many. Borrowed. */
const char *cli_rows_first(const cli_rows *rows, size_t row);
/** Takes row |row|, which is there, out again. */
void cli_rows_drop(cli_rows *rows, size_t row);
void cli_rows_fini(cli_rows *rows);

/** Prints all rows in |format|; CLI_JSON is an array of objects. 0 or -ENOMEM. */
VH_MUST_CHECK int cli_rows_print(const cli_rows *rows, FILE *out, cli_format format, vh_error *err);
/** Prints the first row: one "title: value" line per column, one JSON object, or its first cell. 0 or -ENOMEM. */
VH_MUST_CHECK int cli_rows_print_one(const cli_rows *rows, FILE *out, cli_format format, vh_error *err);

#endif
