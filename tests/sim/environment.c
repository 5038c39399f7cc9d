/* SPDX-License-Identifier: MIT */
/* environment.c - a program of which some seeds fail says which and how to see it again; that
 * command shows the same failure. And what is wrong in the environment is said, not guessed at.
 *
 *     sim_environment HOW       the program: two tasks that lose each other's updates; HOW it ends
 *                               then is in endings[]
 *     sim_environment seed          which seed it has, and a process that it starts
 *
 * The time of its failure, in virtual nanoseconds, is what one run has in common with no other. */
#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "sim/sim.h"
#include "sim/sim_support.h"

enum { SEEDS = 300, OUTPUT = 16384 };

/* --- the program ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool explores; /* by itself; else HANK_SEEDS does */
    bool panics;
} endings[] = {{"it fails", false, false}, {"it panics", false, true}, {"explores", true, false}};

enum { ENDINGS = sizeof endings / sizeof endings[0] };

static int add_three(void *balance)
{
    for (int i = 0; i < 3; i++) {
        int before = *(int *)balance;
        (void)hank_sleep(HANK_US(hank_sim_choose(50)));
        *(int *)balance = before + 1;
        (void)hank_sleep(HANK_US(hank_sim_choose(50))); /* else it reads what it wrote itself */
    }
    return 0;
}

static int lose_updates(void *panics)
{
    int balance = 0;
    hank_stats stats;
    MUST(hank_get_stats(&stats) == 0);
    hank_task both[] = {hank_spawn(add_three, &balance), hank_spawn(add_three, &balance)};
    MUST(hank_gather_n(both, 2, NULL) == 0);
    if (balance != 4) /* by chance */
        return 0;
    fprintf(stderr, "lost: two of six, %d workers, at %" PRId64 "\n", (int)stats.workers,
            (int64_t)hank_now());
    if (*(const bool *)panics)
        hk_panic("updates were lost");
    return -EPROTO;
}

static int program(void *panics)
{
    return hank_run(lose_updates, panics);
}

static int end_as_told(const char *how)
{
    size_t i = 0;
    while (i < ENDINGS && strcmp(how, endings[i].name) != 0)
        i++;
    bool panics = i < ENDINGS && endings[i].panics;
    if (i < ENDINGS && endings[i].explores)
        return hank_sim_explore(program, &panics, &(hank_sim_options){.seed = 1}, SEEDS, NULL) != 0;
    return program(&panics) != 0;
}

/* --- seen from outside ----------------------------------------------------------------------- */

/* What a shell's command says, and the status it ends with. */
static int say(const char *command, char ret_output[OUTPUT])
{
    FILE *out = popen(command, "r");
    if (!out)
        return -1;
    ret_output[fread(ret_output, 1, OUTPUT - 1, out)] = '\0';
    return pclose(out);
}

/* The rest of the line that begins so, or "". */
static const char *line_of(const char *output, const char *begin, char ret_line[512])
{
    const char *found = strstr(output, begin);
    size_t length = 0;
    if (found) {
        found += strlen(begin);
        length = strcspn(found, "\n");
        if (length > 511)
            length = 511;
        memcpy(ret_line, found, length);
    }
    ret_line[length] = '\0';
    return ret_line;
}

/* Both runs have failed in the same way, and from the same seed. */
static bool is_same(const char *first, const char *again)
{
    char a[512], b[512], seed[512];
    bool lost = *line_of(first, "lost: ", a) && strcmp(a, line_of(again, "lost: ", b)) == 0;
    seed[strcspn(line_of(first, "hank_sim: seed ", seed), " ")] = '\0';
    b[strcspn(line_of(again, "hank_sim: seed ", b), " ")] = '\0';
    return lost && *seed && strcmp(seed, b) == 0;
}

static void is_replayed(const char *self, const char *how, bool explores)
{
    static char first[OUTPUT], again[OUTPUT];
    char command[1024], replay[512];
    (void)snprintf(command, sizeof command, "HANK_SIM=workers=3 %s%s '%s' 2>&1",
                   explores ? "" : "HANK_SEEDS=300 ", self, how);
    int status = say(command, first);
    note(WIFEXITED(status) && WEXITSTATUS(status) == 1, how, "ends with", (unsigned)status);
    (void)snprintf(command, sizeof command, "( %s ) 2>&1",
                   line_of(first, "hank_sim: replay it with: ", replay));
    for (int i = 0; i < 2; i++) {
        status = say(command, again);
        bool same = status != 0 && is_same(first, again);
        note(same, how, "is replayed; ends with", (unsigned)status);
        if (!same)
            printf("first:\n%s\n%s:\n%s\n", first, command, again);
    }
}

static void is_refused(const char *self, const char *setting, const char *sentence)
{
    static char output[OUTPUT];
    char command[1024];
    (void)snprintf(command, sizeof command, "%s %s 'it fails' 2>&1", setting, self);
    int status = say(command, output);
    note(status != 0 && strstr(output, sentence) && !strstr(output, "replay it with"), setting,
         "ends with", (unsigned)status);
}

/* A runner of tests tells of its own seed what its children did. */
static int tell_seeds(const char *self)
{
    static char output[OUTPUT];
    char command[1024];
    const char *starts = getenv("STARTED");
    printf("%llu\n", (unsigned long long)hk_sim_options.seed);
    (void)snprintf(command, sizeof command, "STARTED=1 %s seed", self);
    if (!starts && say(command, output) == 0)
        printf("%s", output);
    return 0;
}

static void is_handed_on(const char *self)
{
    static char output[OUTPUT], again[OUTPUT];
    char command[1024];
    unsigned long long own = 0, child = 1, other = 0;
    (void)snprintf(command, sizeof command, "env -u HANK_SEED_DRAWN %s seed", self);
    EXPECT(say(command, output) == 0 && sscanf(output, "%llu %llu", &own, &child) == 2);
    note(own == child, "a drawn seed is a child's, too", "seed", child);
    EXPECT(say(command, again) == 0 && sscanf(again, "%llu", &other) == 1);
    note(own != other, "the next one is another", "seed", other);
}

int main(int argc, char **argv)
{
    static const char *const variables[] = {"HANK_SEED", "HANK_SEEDS", "HANK_SIM", "HANK_TRACE"};
    if (argc > 1 && strcmp(argv[1], "seed") == 0)
        return tell_seeds(argv[0]);
    if (argc > 1)
        return end_as_told(argv[1]);
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        (void)unsetenv(variables[i]); /* whoever runs this may have them */
    for (size_t i = 0; i < ENDINGS; i++)
        is_replayed(argv[0], endings[i].name, endings[i].explores);
    is_handed_on(argv[0]);
    is_refused(argv[0], "HANK_SEED=xyz", "HANK_SEED is not a number: xyz");
    is_refused(argv[0], "HANK_SEED=-1", "HANK_SEED is not a number: -1");
    is_refused(argv[0], "HANK_SEED=17x", "HANK_SEED is not a number: 17x");
    is_refused(argv[0], "HANK_SEED=99999999999999999999", "HANK_SEED is not a number");
    is_refused(argv[0], "HANK_SEEDS=many", "HANK_SEEDS is not understood: many");
    is_refused(argv[0], "HANK_SEEDS=-5", "HANK_SEEDS is not understood: -5");
    is_refused(argv[0], "HANK_SEEDS=9-3", "HANK_SEEDS is not understood: 9-3");
    is_refused(argv[0], "HANK_SEEDS=3-", "HANK_SEEDS is not understood: 3-");
    is_refused(argv[0], "HANK_SIM=weather=1", "HANK_SIM is not understood: weather=1");
    return failures != 0;
}
