/* SPDX-License-Identifier: MIT */
/* dns_sources.c - whom the system would ask for the name of a host.
 *
 * c-ares knows /etc/hosts and DNS. Where the system is told to ask others too, they are asked
 * through getaddrinfo (resolve.c): two resolvers that disagree would be worse than a slow one. */
#include "io/dns.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/os.h"
#include "sched/runtime.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool hk_dns_suffices(const char *configuration)
{
    static const char key[] = "hosts:";
    const char *at = configuration;
    while (at && strncmp(at, key, sizeof key - 1) != 0) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    if (!at)
        return true; /* the default is files and DNS */
    at += sizeof key - 1;
    for (;;) {
        while (is_space(*at))
            at++;
        size_t n = strcspn(at, " \t\r\n#");
        if (n == 0)
            return true;
        bool files = n == 5 && strncmp(at, "files", n) == 0;
        bool dns = n == 3 && strncmp(at, "dns", n) == 0;
        if (!files && !dns)
            return false; /* another source, or a rule about one */
        at += n;
    }
}

enum { ASK_UNKNOWN, ASK_SERVERS, ASK_SYSTEM, CONFIGURATION_MAX = 16 * 1024 };

/* No answer is ASK_SYSTEM, which is always right. */
static int read_configuration(void)
{
    const char *wish = hk_os_trusted_environment("HANK_RESOLVER");
    if (wish)
        return strcmp(wish, "dns") == 0 ? ASK_SERVERS : ASK_SYSTEM;
    int fd = hk_os_open("/etc/nsswitch.conf", 0);
    if (fd < 0)
        return fd == -ENOENT ? ASK_SERVERS : ASK_SYSTEM;
    int answer = ASK_SYSTEM;
    char *text = hk_alloc(CONFIGURATION_MAX);
    ssize_t n = text ? hk_os_read(fd, text, CONFIGURATION_MAX - 1) : -ENOMEM;
    (void)hk_os_close(fd); /* it was only read */
    if (n >= 0 && n < CONFIGURATION_MAX - 1) {
        text[n] = '\0';
        answer = hk_dns_suffices(text) ? ASK_SERVERS : ASK_SYSTEM;
    }
    hk_free(text, CONFIGURATION_MAX);
    return answer;
}

bool hk_dns_serves(void)
{
    static HK_ATOMIC(int) known;
    if (!hk_runtime_reactor())
        return false;
    int answer = hk_load_relaxed(&known); /* relaxed: the word is all there is to know */
    if (answer == ASK_UNKNOWN) {
        answer = read_configuration(); /* two at once find the same */
        hk_store_relaxed(&known, answer);
    }
    return answer == ASK_SERVERS;
}
