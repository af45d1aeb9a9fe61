/* URLs, by libcurl's parser: the one that will connect decides what host they name. */
#include "http.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "auto.h"

static void auto_url(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void auto_part(char **part)
{
    curl_free(*part);
}

#define vh_auto_url  __attribute__((cleanup(auto_url)))
#define vh_auto_part __attribute__((cleanup(auto_part)))

size_t vh__http_url_shown(const char *url)
{
    return strcspn(url, "?#");
}

static int not_followed(const char *location, const char *why, vh_error *err)
{
    return vh_error_set(err, VH_EPROTOCOL, "the address \"%.*s\" %s", (int)VH_MIN(vh__http_url_shown(location), 200),
                        location, why);
}

int vh__http_url_resolve(const char *base, const char *location, char **out, vh_error *err)
{
    vh_auto_url CURLU *u = curl_url();
    vh_auto_part char *user = NULL, *scheme = NULL, *whole = NULL;
    char *copy;

    if (!u)
        return vh_error_set(err, -ENOMEM, "URL");
    if (curl_url_set(u, CURLUPART_URL, base, 0) || curl_url_set(u, CURLUPART_URL, location, 0) ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) || curl_url_get(u, CURLUPART_URL, &whole, 0))
        return not_followed(location, "is not a URL", err);
    if (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)
        return not_followed(location, "is neither http nor https", err);
    if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
        return not_followed("", "names a user", err);
    copy = strdup(whole);
    if (!copy)
        return vh_error_set(err, -ENOMEM, "URL");
    *out = copy;
    return 0;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    vh_auto_part char *x = NULL, *y = NULL;

    return curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
           curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK && strcasecmp(x, y) == 0;
}

bool vh__http_url_same_origin(const char *a, const char *b)
{
    vh_auto_url CURLU *x = curl_url(), *y = curl_url();

    return x && y && curl_url_set(x, CURLUPART_URL, a, 0) == CURLUE_OK &&
           curl_url_set(y, CURLUPART_URL, b, 0) == CURLUE_OK && same_part(x, y, CURLUPART_SCHEME) &&
           same_part(x, y, CURLUPART_HOST) && same_part(x, y, CURLUPART_PORT);
}
