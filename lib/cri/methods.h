/* The methods of CRI by name, up to Kubernetes 1.36. No I/O. */
#ifndef VH_CRI_METHODS_H
#define VH_CRI_METHODS_H

/**
 * What the call |path| ("/runtime.v1.RuntimeService/Version") counts as: the method if CRI has it, else "other". Clients
 * choose the paths, so nothing but this list bounds the series that they can make. Static storage.
 */
const char *vh__cri_method(const char *path);

#endif
