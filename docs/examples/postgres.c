/* SPDX-License-Identifier: MIT */
/* postgres.c - libpq's calls that do not block, and hank to wait for them: ten queries at a time,
 * on ten connections.
 *
 *     postgres "host=127.0.0.1 port=5432 dbname=postgres user=me" */
#include <hank.h>

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUERIES = 10 };

static const char *where;

static int connect_to_it(PGconn *db)
{
    PostgresPollingStatusType want = PGRES_POLLING_WRITING;
    while (want != PGRES_POLLING_OK) {
        if (want == PGRES_POLLING_FAILED)
            return -ECONNREFUSED;
        int rc = hank_fd_wait(PQsocket(db),
                              want == PGRES_POLLING_READING ? HANK_READABLE : HANK_WRITABLE);
        if (rc < 0)
            return rc;
        want = PQconnectPoll(db);
    }
    return PQsetnonblocking(db, 1) == 0 ? 0 : -EIO;
}

/* Send what libpq holds; it may have to read meanwhile. */
static int flush(PGconn *db)
{
    int left;
    while ((left = PQflush(db)) == 1) {
        int rc = hank_fd_wait(PQsocket(db), HANK_READABLE | HANK_WRITABLE);
        if (rc < 0)
            return rc;
        if (rc & HANK_READABLE && PQconsumeInput(db) != 1)
            return -EIO;
    }
    return left == 0 ? 0 : -EIO;
}

static int next_result(PGconn *db, PGresult **ret)
{
    while (PQisBusy(db)) {
        int rc = hank_fd_wait(PQsocket(db), HANK_READABLE);
        if (rc < 0)
            return rc;
        if (PQconsumeInput(db) != 1)
            return -EIO;
    }
    *ret = PQgetResult(db);
    return 0;
}

static int ask(PGconn *db, int n)
{
    char query[64];
    (void)snprintf(query, sizeof query, "select %d * %d, pg_sleep(0.1)", n, n);
    if (PQsendQuery(db, query) != 1)
        return -EIO;
    int answer = -EIO;
    int rc = flush(db);
    PGresult *result = NULL;
    while (rc == 0 && (rc = next_result(db, &result)) == 0 && result) {
        if (PQresultStatus(result) == PGRES_TUPLES_OK)
            answer = (int)strtol(PQgetvalue(result, 0, 0), NULL, 10);
        PQclear(result);
    }
    return rc < 0 ? rc : answer;
}

static int square(void *arg)
{
    const int *n = arg;
    PGconn *db = PQconnectStart(where);
    int rc = !db || PQstatus(db) == CONNECTION_BAD ? -ECONNREFUSED : connect_to_it(db);
    if (rc == 0)
        rc = ask(db, *n);
    else
        (void)fprintf(stderr, "%s", PQerrorMessage(db));
    PQfinish(db);
    return rc;
}

static int app(void *arg)
{
    int numbers[QUERIES], results[QUERIES], sum = 0;
    hank_task tasks[QUERIES];
    (void)arg;
    for (int i = 0; i < QUERIES; i++) {
        numbers[i] = i + 1;
        tasks[i] = hank_spawn(square, &numbers[i]);
    }
    int rc = hank_gather_n(tasks, QUERIES, results);
    if (rc < 0)
        return rc;
    for (int i = 0; i < QUERIES; i++)
        sum += results[i];
    (void)printf("sum of squares: %d\n", sum);
    return 0;
}

int main(int argc, char **argv)
{
    where = argc > 1 ? argv[1] : "";
    int rc = hank_run(app, NULL);
    if (rc < 0)
        (void)fprintf(stderr, "%s\n", hank_strerror(rc));
    return rc < 0;
}
