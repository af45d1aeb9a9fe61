/*
 * A file of functions: a list of mappings of scalars, and of one mapping, `env`. libyaml makes a tree of it that knows
 * where each node stood. Nothing below goes deeper than these levels, and what is made of the tree is bounded as a whole,
 * so that aliases cannot make it large.
 */
#include "client_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "auto.h"
#include "fd.h"
#include "path.h"

#define FILE_MAX  (1u << 20)
#define SPECS_MAX 1024
#define ENV_MAX   1024
#define KEYS_MAX  32

/* One function, and what of it is not in the tree. */
struct entry {
    vh_function_spec spec;
    char *image;
    char **env;
    size_t nenv;
};

struct reader {
    const char *path;
    char *dir; /* the file's folder */
    yaml_document_t document;
    struct entry *entries;
    size_t n;
    size_t made; /* bytes of environment; without aliases no more than the file has */
    vh_error *err;
};

static int refuse(const struct reader *r, const yaml_mark_t *at, const char *why)
{
    return vh_error_set(r->err, VH_EINVALID, "%s:%zu:%zu: %s", r->path, at->line + 1, at->column + 1, why);
}

static yaml_node_t *node_at(struct reader *r, int index)
{
    return yaml_document_get_node(&r->document, index);
}

/* The text of a scalar, NULL if |node| is none or has a zero byte. */
static const char *text_of(const yaml_node_t *node)
{
    const char *text = node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;

    return text && strlen(text) == node->data.scalar.length ? text : NULL;
}

static size_t count_pairs(const yaml_node_t *mapping)
{
    return (size_t)(mapping->data.mapping.pairs.top - mapping->data.mapping.pairs.start);
}

static int check_unique(struct reader *r, const yaml_node_t *mapping, size_t at)
{
    const yaml_node_pair_t *pairs = mapping->data.mapping.pairs.start;
    const yaml_node_t *key = node_at(r, pairs[at].key);

    if (!text_of(key))
        return refuse(r, &key->start_mark, "a key must be a plain word");
    for (size_t i = 0; i < at; i++)
        if (strcmp(text_of(node_at(r, pairs[i].key)), text_of(key)) == 0)
            return refuse(r, &key->start_mark, "this key is there already; remove one of the two");
    return 0;
}

/* Adds a variable. */
static int add_env(struct reader *r, struct entry *e, const yaml_node_t *key, const yaml_node_t *value)
{
    r->made += key->data.scalar.length + value->data.scalar.length + strlen("=") + 1;
    if (r->made > FILE_MAX)
        return refuse(r, &value->start_mark, "with its aliases spelled out the file has more than 1 MiB");
    e->env[e->nenv] = vh__strf("%s=%s", text_of(key), text_of(value));
    return e->env[e->nenv] ? 0 : vh_error_set(r->err, -ENOMEM, "%s", r->path);
}

static int read_env(struct reader *r, struct entry *e, const yaml_node_t *node)
{
    size_t n = node->type == YAML_MAPPING_NODE ? count_pairs(node) : 0;

    if (node->type != YAML_MAPPING_NODE)
        return refuse(r, &node->start_mark, "env must be 'NAME: value' lines");
    if (n > ENV_MAX)
        return refuse(r, &node->start_mark, "env has more than 1024 variables");
    e->env = calloc(n + 1, sizeof(*e->env));
    if (!e->env)
        return vh_error_set(r->err, -ENOMEM, "%s", r->path);
    for (; e->nenv < n; e->nenv++) {
        const yaml_node_pair_t *pair = &node->data.mapping.pairs.start[e->nenv];
        const yaml_node_t *key = node_at(r, pair->key), *value = node_at(r, pair->value);
        int rc = check_unique(r, node, e->nenv);

        if (rc)
            return rc;
        if (!*text_of(key) || strchr(text_of(key), '='))
            return refuse(r, &key->start_mark, "the name of a variable must be a plain word without '='");
        if (!text_of(value))
            return refuse(r, &value->start_mark, "the value of a variable must be a text");
        rc = add_env(r, e, key, value);
        if (rc)
            return rc;
    }
    return 0;
}

static int read_value(struct reader *r, struct entry *e, const yaml_node_t *key, const yaml_node_t *value)
{
    vh_error why = { 0 };
    int rc;

    if (strcmp(text_of(key), "env") == 0)
        return read_env(r, e, value);
    if (!text_of(value))
        return refuse(r, &value->start_mark, "the value must be one text or number");
    rc = vh_client_spec_set(&e->spec, text_of(key), text_of(value), &why);
    if (rc == 0)
        return 0;
    return refuse(r, strncmp(why.msg, "unknown", 7) == 0 ? &key->start_mark : &value->start_mark, why.msg);
}

/* What is left to say of a function once its keys were read. */
static int complete(struct reader *r, struct entry *e, const yaml_node_t *node)
{
    if (!e->spec.name || !e->spec.image)
        return refuse(r, &node->start_mark, e->spec.name ? "image is missing" : "name is missing");
    for (size_t i = 0; i + 1 < r->n; i++)
        if (strcmp(r->entries[i].spec.name, e->spec.name) == 0)
            return refuse(r, &node->start_mark, "a function of this name is there already");
    e->spec.env = (const char *const *)e->env;
    if (vh__client_reference(e->spec.image, r->dir, &e->image, r->err))
        return -ENOMEM;
    e->spec.image = e->image;
    return 0;
}

static int read_function(struct reader *r, const yaml_node_t *node)
{
    struct entry *e = &r->entries[r->n];
    int rc = 0;

    if (node->type != YAML_MAPPING_NODE)
        return refuse(r, &node->start_mark, "a function must be 'key: value' lines");
    if (count_pairs(node) > KEYS_MAX)
        return refuse(r, &node->start_mark, "a function has not as many keys");
    e->spec = (vh_function_spec)VH_FUNCTION_SPEC_INIT;
    r->n++;
    for (size_t i = 0; rc == 0 && i < count_pairs(node); i++) {
        const yaml_node_pair_t *pair = &node->data.mapping.pairs.start[i];

        rc = check_unique(r, node, i);
        if (rc == 0)
            rc = read_value(r, e, node_at(r, pair->key), node_at(r, pair->value));
    }
    return rc ? rc : complete(r, e, node);
}

static int read_list(struct reader *r)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->document);
    size_t n;
    int rc = 0;

    if (!root || root->type != YAML_SEQUENCE_NODE)
        return vh_error_set(r->err, VH_EINVALID, "%s:1:1: must be a list of functions, each beginning with '- name: '",
                            r->path);
    n = (size_t)(root->data.sequence.items.top - root->data.sequence.items.start);
    if (n > SPECS_MAX)
        return vh_error_set(r->err, VH_ELIMIT, "%s: more than %d functions", r->path, SPECS_MAX);
    r->entries = calloc(n + 1, sizeof(*r->entries));
    if (!r->entries)
        return vh_error_set(r->err, -ENOMEM, "%s", r->path);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = read_function(r, node_at(r, root->data.sequence.items.start[i]));
    return rc;
}

static int parser_error(const struct reader *r, const yaml_parser_t *p)
{
    const yaml_mark_t *at = p->error == YAML_READER_ERROR ? &p->mark : &p->problem_mark; /* that of a byte is unknown */

    if (p->error == YAML_MEMORY_ERROR)
        return vh_error_set(r->err, -ENOMEM, "%s", r->path);
    return refuse(r, at, p->problem ? p->problem : "bad YAML");
}

/* Makes the tree, and looks that nothing follows it. */
static int load(struct reader *r, const vh__buf *text)
{
    yaml_document_t next;
    yaml_parser_t parser;
    int rc = 0;

    if (!yaml_parser_initialize(&parser))
        return vh_error_set(r->err, -ENOMEM, "%s", r->path);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text->len ? text->data : ""), text->len);
    if (!yaml_parser_load(&parser, &r->document)) {
        rc = parser_error(r, &parser);
    } else if (!yaml_parser_load(&parser, &next)) {
        rc = parser_error(r, &parser);
    } else {
        if (yaml_document_get_root_node(&next))
            rc = refuse(r, &next.start_mark, "a second document is not allowed; remove the '---'");
        yaml_document_delete(&next);
    }
    yaml_parser_delete(&parser);
    return rc ? rc : read_list(r);
}

static void reader_fini(struct reader *r)
{
    for (size_t i = 0; i < r->n; i++) {
        for (size_t k = 0; k < r->entries[i].nenv; k++)
            free(r->entries[i].env[k]);
        free(r->entries[i].env);
        free(r->entries[i].image);
    }
    free(r->entries);
    free(r->dir);
    yaml_document_delete(&r->document); /* also one that was never made */
}

static int cannot_open(const char *path, vh_error *err)
{
    return errno == ENOENT ? vh_error_set(err, VH_ENOTFOUND, "%s: no such file", path)
                           : vh_error_set(err, -errno, "%s", path);
}

int vh_client_read_functions(const char *path, vh_function_spec_fn each, void *arg, vh_error *err)
{
    struct reader r = { .path = path, .err = err };
    vh_auto_buf vh__buf text = { 0 };
    vh_auto_free char *absolute = realpath(path, NULL);
    int rc = absolute ? vh__file_read(path, FILE_MAX, &text, err) : cannot_open(path, err);

    if (rc)
        return rc;
    r.dir = strndup(absolute, (size_t)(strrchr(absolute, '/') - absolute));
    rc = r.dir ? load(&r, &text) : vh_error_set(err, -ENOMEM, "%s", path);
    for (size_t i = 0; rc == 0 && i < r.n; i++)
        rc = each(&r.entries[i].spec, arg, err);
    reader_fini(&r);
    return rc;
}
