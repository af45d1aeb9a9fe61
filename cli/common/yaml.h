/*
 * YAML from JSON: whatever a command prints as JSON can be had as YAML, so that the two cannot disagree.
 *
 *     FILE *yaml = cli_yaml_open(stdout);
 *     fprintf(yaml, "{\"id\": \"x\"}\n");      stdout gets "id: x" when the document is complete
 *     fclose(yaml);                            stdout stays open
 */
#ifndef CLI_YAML_H
#define CLI_YAML_H

#include <stdio.h>

/**
 * A stream that takes JSON documents, well-formed and at most 32 levels deep, and writes each as a YAML document to
 * |out| (borrowed until it is closed) as soon as its last byte is there. Documents after the first begin with "---".
 * Of JSON that is cut off or is deeper nothing is written, and the write fails. NULL: out of memory.
 */
FILE *cli_yaml_open(FILE *out);

#endif
