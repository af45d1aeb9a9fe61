/*
 * YAML to settings, from libyaml's events. Two levels of mappings and scalars are all there is: sequences, anchors,
 * aliases, tags and further documents are refused where they stand, so no input can make this grow.
 */
#include "config_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "auto.h"
#include "buf.h"
#include "fd.h"
#include "path.h"

struct reader {
    vh_config *config;
    const char *name;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; deleted by the next advance() */
    unsigned seen[VH_CONFIG_KEYS]; /* line that set the key, 0: none yet */
    unsigned opened[VH_CONFIG_KEYS]; /* line that opened the section whose first row this is */
    vh_error *err;
};

/* "FILE:LINE:COLUMN" on the heap. */
static char *place(const struct reader *r, const yaml_mark_t *at)
{
    return vh__strf("%s:%zu:%zu", r->name, at->line + 1, at->column + 1);
}

static int refuse(struct reader *r, const yaml_mark_t *at, const char *why)
{
    return vh_error_set(r->err, VH_EINVALID, "%s:%zu:%zu: %s", r->name, at->line + 1, at->column + 1, why);
}

static int parser_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem ? p->problem : "bad YAML";
    yaml_mark_t at = p->problem_mark;

    if (p->error == YAML_MEMORY_ERROR)
        return vh_error_set(r->err, -ENOMEM, "%s", r->name);
    if (p->error == YAML_READER_ERROR) /* not UTF-8: libyaml knows no mark, only that of the last token */
        at = p->mark;
    return vh_error_set(r->err, VH_EINVALID, "%s:%zu:%zu: %s%s%s; mend the YAML there", r->name, at.line + 1,
                        at.column + 1, problem, p->context ? " " : "", p->context ? p->context : "");
}

/* Moves to the next event and refuses what no settings file needs. */
static int advance(struct reader *r)
{
    yaml_event_t *e = &r->event;

    yaml_event_delete(e);
    if (!yaml_parser_parse(&r->parser, e))
        return parser_error(r);
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return refuse(r, &e->start_mark, "aliases are not allowed; write the value out");
    case YAML_SEQUENCE_START_EVENT:
        return refuse(r, &e->start_mark, "no setting takes a list; write one value");
    case YAML_SCALAR_EVENT:
        if (e->data.scalar.anchor || e->data.scalar.tag)
            return refuse(r, &e->start_mark, "anchors and tags are not allowed; write the plain value");
        if (strlen((const char *)e->data.scalar.value) != e->data.scalar.length)
            return refuse(r, &e->start_mark, "a zero byte is not allowed");
        return 0;
    case YAML_MAPPING_START_EVENT:
        if (e->data.mapping_start.anchor || e->data.mapping_start.tag)
            return refuse(r, &e->start_mark, "anchors and tags are not allowed; remove it");
        return 0;
    default:
        return 0;
    }
}

/* Whether the current scalar is what `section:` with nothing below it looks like. */
static bool empty_section(const struct reader *r, const char *key)
{
    return r->event.data.scalar.length == 0 && r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           vh__config_find_section(key, strlen(key));
}

/* Sets |key| (its whole name), which stands at |at|, to the current scalar. */
static int read_setting(struct reader *r, const char *key, const yaml_mark_t *at)
{
    const yaml_mark_t *value_at = &r->event.start_mark;
    const vh_config_key *row = vh_config_key_find(key);
    vh_auto_free char *origin = place(r, row ? value_at : at);
    unsigned *seen;

    if (!origin)
        return vh_error_set(r->err, -ENOMEM, "%s", r->name);
    if (!row)
        return vh__config_unknown(key, origin, r->err);
    seen = &r->seen[vh__config_index(row)];
    if (*seen)
        return vh_error_set(r->err, VH_EINVALID, "%s:%zu:%zu: %s is set on line %u already; remove one of the two",
                            r->name, at->line + 1, at->column + 1, key, *seen);
    *seen = (unsigned)at->line + 1;
    return vh_config_set(r->config, key, (const char *)r->event.data.scalar.value, VH_CONFIG_FROM_FILE, origin,
                         r->err);
}

static int read_mapping(struct reader *r, const char *section);

/* The mapping below the key |name| at |at|. */
static int read_section(struct reader *r, const char *name, const yaml_mark_t *at)
{
    const vh_config_key *first = vh__config_find_section(name, strlen(name));
    vh_auto_free char *origin = place(r, at);
    unsigned *opened;

    if (!origin)
        return vh_error_set(r->err, -ENOMEM, "%s", r->name);
    if (!first)
        return vh__config_unknown(name, origin, r->err);
    opened = &r->opened[vh__config_index(first)];
    if (*opened)
        return vh_error_set(r->err, VH_EINVALID, "%s: section %s is on line %u already; join the two", origin, name,
                            *opened);
    *opened = (unsigned)at->line + 1;
    return read_mapping(r, name);
}

/* One key and what belongs to it; the current event is the key. */
static int read_pair(struct reader *r, const char *section)
{
    yaml_mark_t at = r->event.start_mark;
    vh_auto_free char *key = NULL;
    int rc;

    if (r->event.type != YAML_SCALAR_EVENT)
        return refuse(r, &at, "a key must be a plain word");
    key = *section ? vh__strf("%s.%s", section, (const char *)r->event.data.scalar.value)
                   : strdup((const char *)r->event.data.scalar.value);
    if (!key)
        return vh_error_set(r->err, -ENOMEM, "%s", r->name);
    rc = advance(r);
    if (rc)
        return rc;
    if (r->event.type == YAML_SCALAR_EVENT && empty_section(r, key))
        return 0;
    if (r->event.type == YAML_SCALAR_EVENT)
        return read_setting(r, key, &at);
    if (*section)
        return refuse(r, &r->event.start_mark, "nested too deep; a setting is a section, a key and a value");
    return read_section(r, key, &at);
}

/* Pairs up to the end of the mapping whose start is the current event. */
static int read_mapping(struct reader *r, const char *section)
{
    for (;;) {
        int rc = advance(r);

        if (rc || r->event.type == YAML_MAPPING_END_EVENT)
            return rc;
        rc = read_pair(r, section);
        if (rc)
            return rc;
    }
}

static int read_document(struct reader *r)
{
    int rc = advance(r);

    if (rc)
        return rc;
    if (r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0)
        return 0; /* "---" and nothing */
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return refuse(r, &r->event.start_mark, "settings must be 'key: value' lines");
    return read_mapping(r, "");
}

static int read_stream(struct reader *r)
{
    int rc = advance(r); /* stream start */

    if (rc == 0)
        rc = advance(r);
    if (rc || r->event.type == YAML_STREAM_END_EVENT)
        return rc;
    rc = read_document(r);
    if (rc == 0)
        rc = advance(r); /* document end */
    if (rc == 0)
        rc = advance(r);
    if (rc)
        return rc;
    return r->event.type == YAML_STREAM_END_EVENT
               ? 0
               : refuse(r, &r->event.start_mark, "a second document is not allowed; remove the '---'");
}

int vh_config_load_yaml(vh_config *config, const char *yaml, size_t n, const char *name, vh_error *err)
{
    struct reader r = { .config = config, .name = name, .err = err };
    int rc;

    if (n > VH_CONFIG_FILE_MAX)
        return vh_error_set(err, VH_ELIMIT, "%s: larger than %d bytes", name, VH_CONFIG_FILE_MAX);
    if (!yaml_parser_initialize(&r.parser))
        return vh_error_set(err, -ENOMEM, "%s", name);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(n ? yaml : ""), n);
    rc = read_stream(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return rc;
}

int vh_config_load_file(vh_config *config, const char *path, vh_error *err)
{
    vh_auto_buf vh__buf text = { 0 };
    int rc = vh__file_read(path ? path : VH_CONFIG_FILE, VH_CONFIG_FILE_MAX, &text, err);

    if (rc == -ENOENT && !path) {
        if (err)
            *err = (vh_error){ 0 };
        return 0;
    }
    return rc ? vh_error_wrap(err, rc, "configuration")
              : vh_config_load_yaml(config, text.data, text.len, path ? path : VH_CONFIG_FILE, err);
}
