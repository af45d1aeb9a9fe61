/*
 * Results of commands: rows of typed columns, printed as an aligned table or as JSON from the same data.
 *
 *     static const ctl_column columns[] = { { "ID", "id", CTL_COLUMN_TEXT }, { "SIZE", "bytes", CTL_COLUMN_BYTES } };
 *     ctl_rows rows = { .columns = columns, .ncolumns = 2 };
 *     ctl_rows_text(&rows, info->id);
 *     ctl_rows_number(&rows, info->size);
 *     rc = ctl_rows_print(&rows, stdout, CTL_TABLE, &err);
 *     ctl_rows_fini(&rows);
 *
 * Cells are added row after row, one per column. A failed allocation sticks and is told when they are printed.
 */
#ifndef CTL_OUTPUT_H
#define CTL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <vhive/error.h>

typedef enum ctl_format { CTL_TABLE = 0, CTL_JSON } ctl_format;

typedef enum ctl_column_type {
    CTL_COLUMN_TEXT = 0,
    CTL_COLUMN_LIST,   /* texts joined by ","; an array in JSON */
    CTL_COLUMN_NUMBER,
    CTL_COLUMN_BYTES,  /* "12 MiB"; a number in JSON */
    CTL_COLUMN_MICROS, /* "1.234 ms"; a number in JSON */
    CTL_COLUMN_TIME,   /* CLOCK_REALTIME ns; RFC 3339 in both, null in JSON when 0 */
    CTL_COLUMN_BOOL,
} ctl_column_type;

typedef struct ctl_column {
    const char *title; /* of the table */
    const char *key;   /* of the JSON object */
    ctl_column_type type;
} ctl_column;

/** Most columns of one result. */
#define CTL_COLUMNS_MAX 24

typedef struct ctl_cell {
    char *text;
    int64_t number;
} ctl_cell;

typedef struct ctl_rows {
    const ctl_column *columns;
    size_t ncolumns;
    ctl_cell *cells;
    size_t ncells, room;
    bool oom;
} ctl_rows;

/** Adds the next cell, of a text or list column (copied; NULL is ""). */
void ctl_rows_text(ctl_rows *rows, const char *text);
/** Adds the next cell, of any other column. */
void ctl_rows_number(ctl_rows *rows, int64_t number);
void ctl_rows_fini(ctl_rows *rows);

/** Prints all rows: a table with a line of titles, or a JSON array of objects. 0 or -ENOMEM. */
VH_MUST_CHECK int ctl_rows_print(const ctl_rows *rows, FILE *out, ctl_format format, vh_error *err);
/** Prints the first row: one "title: value" line per column, or one JSON object. 0 or -ENOMEM. */
VH_MUST_CHECK int ctl_rows_print_one(const ctl_rows *rows, FILE *out, ctl_format format, vh_error *err);

#endif
