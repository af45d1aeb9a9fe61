#!/usr/bin/env python3
"""man3.py VERSION HEADER...: libvhive(3) from the public headers, in the macros of man(7): what each is for, and what it
declares. The headers themselves are the reference; the page leads to them."""
import os
import re
import sys

version, headers = sys.argv[1], sys.argv[2:]


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def read(path):
    with open(path) as f:
        return f.read()


def opening(text):
    """First paragraph of the comment that opens a header."""
    comment = re.match(r"/\*\s*(.*?)\*/", text, re.S).group(1)
    lines = [re.sub(r"^\s*\* ?", "", line) for line in comment.splitlines()]
    return " ".join("\n".join(lines).split("\n\n")[0].split())


def functions(text):
    return re.findall(r"\n(VH_API [^;{]*?\b(vh_\w+)\([^;{]*?\))[^;{]*;", text)


print(r'''.TH libvhive 3 "" "vHive %s" "Library Functions"
.SH NAME
libvhive \- serverless functions in microVMs: images, snapshots and working\-set restore
.SH SYNOPSIS
.nf
cc program.c $(pkg\-config \-\-cflags \-\-libs vhive)
.sp
find_package(vhive REQUIRED)
target_link_libraries(program PRIVATE vhive::vhive)
.fi
.SH DESCRIPTION
Every function that can fail returns 0 or a negative code and takes a
.BR vh_error ,
whose message names the thing, the cause and the remedy. Calls block, with a deadline and a cancel token. The library
prints nothing, never exits, and keeps no globals. The comments of the headers are the reference; the examples that are
installed with the documentation are a tour.''' % version)
for path in sorted(headers):
    text, name = read(path), os.path.basename(path)
    if name == "attr.h":
        continue
    print(".SS <vhive/%s>\n%s" % (name, roff(opening(text))))
    found = functions(text)
    if found:
        print(".PP\n.nf")
    for declaration, _ in found:
        declaration = re.sub(r"VH_API |VH_MUST_CHECK |VH_PRINTF\([^)]*\)", "", " ".join(declaration.split()))
        print(roff(declaration + ";"))
    if found:
        print(".fi")
print(".SH SEE ALSO\n.BR vhive\\-ctl (1),\n.BR vhive.yaml (5)")
