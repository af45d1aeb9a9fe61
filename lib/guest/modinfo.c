#include "guest_priv.h"

#include <elf.h>
#include <string.h>

/* A file's bytes that must not be left. */
struct view {
    const uint8_t *at;
    size_t n;
};

/* Copies |len| bytes at |off|: module files need not be aligned in memory. */
static bool get(struct view v, uint64_t off, void *to, size_t len)
{
    if (off > v.n || len > v.n - off)
        return false;
    memcpy(to, v.at + off, len);
    return true;
}

static bool get_section(struct view v, const Elf64_Ehdr *eh, unsigned i, Elf64_Shdr *sh)
{
    return get(v, eh->e_shoff + (uint64_t)i * sizeof(*sh), sh, sizeof(*sh)) && sh->sh_offset <= v.n &&
           (sh->sh_type == SHT_NOBITS || sh->sh_size <= v.n - sh->sh_offset);
}

/* The section named |name|; its content ends in a NUL, or it counts as damaged. 1, 0: there is none, -1: damaged. */
static int find_section(struct view v, const char *name, struct view *out)
{
    Elf64_Shdr names, sh;
    size_t len = strlen(name) + 1;
    Elf64_Ehdr eh;

    if (!get(v, 0, &eh, sizeof(eh)) || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
        eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB ||
        eh.e_shentsize != sizeof(Elf64_Shdr) || eh.e_shoff > v.n || !get_section(v, &eh, eh.e_shstrndx, &names) ||
        names.sh_type != SHT_STRTAB)
        return -1;
    for (unsigned i = 0; i < eh.e_shnum; i++) {
        if (!get_section(v, &eh, i, &sh))
            return -1;
        if (sh.sh_type != SHT_PROGBITS || sh.sh_name > names.sh_size || len > names.sh_size - sh.sh_name ||
            memcmp(v.at + names.sh_offset + sh.sh_name, name, len) != 0)
            continue;
        *out = (struct view){ v.at + sh.sh_offset, sh.sh_size };
        return out->n > 0 && out->at[out->n - 1] == '\0' ? 1 : -1;
    }
    return 0;
}

int vh__modinfo_get(const void *bytes, size_t n, const char *key, const char **value, vh_error *err)
{
    struct view info = { 0 };
    size_t len = strlen(key);
    int found = find_section((struct view){ bytes, n }, ".modinfo", &info);

    if (found < 0)
        return vh_error_set(err, VH_EINVALID, "not an ELF file of a kernel module");
    *value = "";
    for (size_t at = 0; at < info.n;) { /* "key=value" strings, each with its NUL */
        const char *s = (const char *)info.at + at;

        if (strncmp(s, key, len) == 0 && s[len] == '=') {
            *value = s + len + 1;
            break;
        }
        at += strlen(s) + 1;
    }
    return 0;
}
