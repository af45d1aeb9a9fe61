/* modules: config */
/* Any file is taken or refused, and what is taken comes out of the dump unchanged. */
#include <stdlib.h>
#include <string.h>
#include <vhive/config.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_dump_reads_back(const vh_config *a)
{
    vh_config *b = NULL;
    char *text = NULL;

    if (vh_config_dump(a, &text, NULL) || vh_config_new(&b, NULL) ||
        vh_config_load_yaml(b, text, strlen(text), "dump", NULL))
        abort();
    for (size_t i = 0; vh_config_key_at(i); i++)
        if (strcmp(vh_config_str(a, vh_config_key_at(i)->name), vh_config_str(b, vh_config_key_at(i)->name)) != 0)
            abort();
    free(text);
    vh_config_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    vh_config *c = NULL;
    vh_error err = { 0 };

    if (vh_config_new(&c, NULL))
        return 0;
    if (vh_config_load_yaml(c, (const char *)data, size, "f", &err) == 0)
        check_dump_reads_back(c);
    else if (!*err.msg)
        abort();
    vh_config_free(c);
    return 0;
}
