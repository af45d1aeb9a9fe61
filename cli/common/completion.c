/* The scripts that make shells ask "__complete". In them {NAME} is the program, {ID} it as an identifier. */
#include <string.h>

#include "complete.h"

static const char bash[] =
    "# bash completion of {NAME}: source <({NAME} completion bash), or put it into\n"
    "# /usr/share/bash-completion/completions/{NAME}\n"
    "_{ID}() {\n"
    "    local line=${COMP_LINE:0:COMP_POINT} breaks='' cut='' candidate files=''\n"
    "    local -a words\n"
    "    read -ra words <<<\"$line\"\n"
    "    [[ $line == *[[:space:]] ]] && words+=('')\n"
    "    # readline replaces what follows the last of these, not the whole word\n"
    "    [[ $COMP_WORDBREAKS == *:* ]] && breaks+=:\n"
    "    [[ $COMP_WORDBREAKS == *=* ]] && breaks+='='\n"
    "    [[ $breaks ]] && cut=${words[-1]%\"${words[-1]##*[$breaks]}\"}\n"
    "    COMPREPLY=()\n"
    "    while IFS=$'\\t' read -r candidate _; do\n"
    "        if [[ $candidate == :files ]]; then\n"
    "            files=1\n"
    "        else\n"
    "            COMPREPLY+=(\"${candidate#\"$cut\"}\")\n"
    "        fi\n"
    "    done < <(\"${words[0]}\" __complete -- \"${words[@]:1}\" 2>/dev/null)\n"
    "    if [[ $files ]]; then # readline quotes what it takes for names of files, and nothing else\n"
    "        compopt -o filenames\n"
    "        mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -f -- \"${words[-1]#\"$cut\"}\")\n"
    "    elif ((${#COMPREPLY[@]})); then\n"
    "        mapfile -t COMPREPLY < <(printf '%q\\n' \"${COMPREPLY[@]}\")\n"
    "    fi\n"
    "}\n"
    "complete -F _{ID} {NAME}\n";

static const char zsh[] =
    "#compdef {NAME}\n"
    "# zsh completion of {NAME}: source <({NAME} completion zsh), or put it as _{NAME} into a folder of $fpath\n"
    "_{ID}() {\n"
    "    local line files=0\n"
    "    local -a candidates\n"
    "    for line in \"${(@f)$(\"${words[1]}\" __complete -- \"${(@)words[2,CURRENT-1]}\" \"$PREFIX\" 2>/dev/null)}\"; do\n"
    "        if [[ $line == :files ]]; then\n"
    "            files=1\n"
    "        elif [[ -n $line ]]; then\n"
    "            candidates+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
    "        fi\n"
    "    done\n"
    "    ((files)) && _files\n"
    "    _describe '{NAME}' candidates\n"
    "}\n"
    "if [[ $funcstack[1] == _{NAME} ]]; then\n"
    "    _{ID} \"$@\"\n"
    "else\n"
    "    compdef _{ID} {NAME}\n"
    "fi\n";

static const char fish[] =
    "# fish completion of {NAME}: {NAME} completion fish | source, or put it into\n"
    "# ~/.config/fish/completions/{NAME}.fish\n"
    "function __{ID}_complete\n"
    "    set -l words (commandline -opc)\n"
    "    set -l word (commandline -ct)\n"
    "    for line in ($words[1] __complete -- $words[2..] \"$word\" 2>/dev/null)\n"
    "        if test \"$line\" = :files\n"
    "            __fish_complete_path \"$word\"\n"
    "        else\n"
    "            echo $line\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c {NAME} -f -a '(__{ID}_complete)'\n";

static const struct {
    const char *name, *script;
} shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

/* Writes |name|; as an identifier of the shells if |id|. */
static void put_name(FILE *out, const char *name, bool id)
{
    for (; *name; name++)
        fputc(id && *name == '-' ? '_' : *name, out);
}

static void put_script(FILE *out, const char *script, const char *program)
{
    for (const char *p = script; *p; p++) {
        bool name = strncmp(p, "{NAME}", 6) == 0, id = strncmp(p, "{ID}", 4) == 0;

        if (name || id)
            put_name(out, program, id);
        else
            fputc(*p, out);
        p += name ? 5 : id ? 3 : 0;
    }
}

static int run_completion(cli *c, vh_error *err)
{
    const char *shell = c->args.operands[0];

    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(shells[i].name, shell) == 0) {
            put_script(stdout, shells[i].script, c->program->name);
            return CLI_EXIT_OK;
        }
    }
    return vh_error_set(err, VH_EINVALID, "completion: '%.64s' is not one of bash, zsh, fish", shell);
}

static int complete_completion(cli *c, cli_candidates *to, vh_error *err)
{
    (void)c;
    (void)err;
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
        cli_candidate(to, shells[i].name, NULL);
    return 0;
}

const cli_command cli_cmd_completion = {
    .name = "completion",
    .summary = "Print the script that completes command lines in a shell",
    .operands = "bash|zsh|fish",
    .min = 1,
    .max = 1,
    .details = "Commands, options, their values, and names of what is stored are completed. The script asks the program\n"
               "itself, so it need not be made anew when that changes. 'make install' puts all three in their places.\n",
    .plain = true,
    .text = true,
    .run = run_completion,
    .complete = complete_completion,
};
