/* Completion of command lines, by the tables that are executed: shells ask the program itself. */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include <stdbool.h>
#include <stdio.h>

#include "cli.h"

/** What the word that is being written can be. */
struct cli_candidates {
    FILE *out;
    const char *word;   /* as far as it is written */
    const char *prefix; /* stands before each candidate: "--output=" */
    bool files;         /* names of files as well */
};

/** Adds |text|, explained by |help| (NULL: by nothing), if the word can become it. */
void cli_candidate(cli_candidates *to, const char *text, const char *help);

/** Adds commands: first words if |group| is "", where a group is one of them, else the second words of its commands. */
void cli_complete_commands(cli_candidates *to, const cli_program *program, const char *group);

#endif
