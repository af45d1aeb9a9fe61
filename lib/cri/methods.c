#include "methods.h"

#include <stdlib.h>
#include <string.h>

#include "auto.h"

/* Of RuntimeService and ImageService, sorted. */
static const char *const methods[] = {
    "Attach", "CheckpointContainer", "ContainerStats", "ContainerStatus", "CreateContainer", "Exec", "ExecSync",
    "GetContainerEvents", "ImageFsInfo", "ImageStatus", "ListContainerStats", "ListContainers", "ListImages",
    "ListMetricDescriptors", "ListPodSandbox", "ListPodSandboxMetrics", "ListPodSandboxStats", "PodSandboxStats",
    "PodSandboxStatus", "PortForward", "PullImage", "RemoveContainer", "RemoveImage", "RemovePodSandbox",
    "ReopenContainerLog", "RunPodSandbox", "RuntimeConfig", "StartContainer", "Status", "StopContainer",
    "StopPodSandbox", "StreamContainerStats", "StreamContainers", "StreamImages", "StreamPodSandboxMetrics",
    "StreamPodSandboxStats", "StreamPodSandboxes", "UpdateContainerResources", "UpdatePodSandboxResources",
    "UpdateRuntimeConfig", "Version",
};

static int compare(const void *name, const void *row)
{
    return strcmp(name, *(const char *const *)row);
}

const char *vh__cri_method(const char *path)
{
    static const char package[] = "/runtime.";
    const char *slash = strrchr(path, '/');
    const char *const *row = NULL;

    if (slash && strncmp(path, package, sizeof(package) - 1) == 0)
        row = bsearch(slash + 1, methods, VH_ARRAY_LEN(methods), sizeof(methods[0]), compare);
    return row ? *row : "other";
}
