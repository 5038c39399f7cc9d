/* SPDX-License-Identifier: MIT */
/* mc_main.c - runs the models of one program and judges each in one line. */
#include "model/mc_core.h"

#include <stdio.h>
#include <stdlib.h>

enum { GOOD = 0, VIOLATED = 1, MISCOUNTED = 2 };

typedef struct arguments {
    const char *only;
    const char *replay;
    const char *seed;
    bool list;
    bool mutant;
} arguments;

static const char *verdict(const mc_model *model, const mc_result *r)
{
    if (r->failed)
        return model->must_fail ? "found" : "VIOLATED";
    if (model->must_fail)
        return "MISSED";
    return r->complete ? "complete" : "bounded";
}

/* A search that is complete has a golden count, so that nobody makes it smaller unseen. */
static bool counted_right(const mc_model *model, const mc_result *r)
{
    if (r->failed || model->uncounted)
        return true;
    return r->complete ? r->executions == model->golden : model->golden == 0;
}

bool mc_report(const mc_model *model, const mc_result *r)
{
    bool good = r->failed == model->must_fail;
    printf("%-56s %-9s %9ld executions %7.2f s", model->name, verdict(model, r), r->executions,
           r->seconds);
    if (!counted_right(model, r) && model->golden)
        printf("  EXPECTED %ld", model->golden);
    else if (!counted_right(model, r))
        printf("  WITHOUT A GOLDEN COUNT");
    printf("\n");
    if (r->failed && !good)
        printf("    %s\n    --replay %s\n", r->why, r->choices);
    fflush(stdout);
    return good;
}

static arguments parse(int argc, char **argv)
{
    arguments a = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutant") == 0)
            a.mutant = true;
        else if (strcmp(argv[i], "--list") == 0)
            a.list = true;
        else if (strcmp(argv[i], "--replay") == 0 && i + 1 < argc)
            a.replay = argv[++i];
        else if (strcmp(argv[i], "--random") == 0 && i + 1 < argc)
            a.seed = argv[++i];
        else
            a.only = argv[i];
    }
    return a;
}

static mc_model adapted(const mc_model *model, const arguments *a)
{
    mc_model m = *model;
    m.quiet = m.quiet || m.must_fail || (a->mutant && !a->replay);
    m.replay = a->replay;
    m.uncounted = a->replay || a->mutant || a->seed;
    if (a->seed) {
        m.search = MC_RANDOM;
        m.seed = strtoull(a->seed, NULL, 0);
        m.bound = 3;
        m.executions_max = 100 * 1000;
    }
    return m;
}

static bool selected(const mc_model *model, const arguments *a)
{
    if (a->only && strcmp(a->only, model->name) != 0)
        return false;
    return !(a->mutant && model->must_fail); /* a canary is not the code under test */
}

/* Until the first violation. What is wrong with a mutant mostly shows soon, but not in every model:
 * each has some executions before one has all of its own. */
static int judge_mutant(const mc_model *models, size_t n, const arguments *a)
{
    static const long rounds[] = {300, 10 * 1000, MC_EXECUTIONS_MAX};
    for (size_t round = 0; round < sizeof rounds / sizeof rounds[0]; round++) {
        for (size_t i = 0; i < n; i++) {
            if (!selected(&models[i], a))
                continue;
            mc_model m = adapted(&models[i], a);
            if (m.executions_max == 0 || m.executions_max > rounds[round])
                m.executions_max = rounds[round];
            mc_result r = mc_run(&m);
            bool last = rounds[round] == MC_EXECUTIONS_MAX;
            if ((r.failed || last) && !mc_report(&m, &r))
                return VIOLATED;
        }
    }
    return GOOD;
}

static int judge_all(const mc_model *models, size_t n, const arguments *a)
{
    int rc = GOOD;
    for (size_t i = 0; i < n; i++) {
        if (!selected(&models[i], a))
            continue;
        mc_model m = adapted(&models[i], a);
        mc_result r = mc_run(&m);
        if (!mc_report(&m, &r))
            rc = VIOLATED;
        else if (!counted_right(&m, &r) && rc == GOOD)
            rc = MISCOUNTED;
    }
    return rc;
}

static void list(const mc_model *models, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("%s\n", models[i].name);
}

int mc_main(int argc, char **argv, const mc_model *models, size_t n)
{
    arguments a = parse(argc, argv);
    if (a.list)
        list(models, n);
    else if (a.mutant)
        return judge_mutant(models, n, &a);
    else
        return judge_all(models, n, &a);
    return GOOD;
}
