/* SPDX-License-Identifier: MIT */
/* replay.c - instead of libFuzzer: every file of a corpus once, in any build.
 *
 *     replay DIRECTORY        the last line says how many there were; none is a failure */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUT_MAX = 64 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *directory, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    size_t size = file && data ? fread(data, 1, INPUT_MAX, file) : 0;
    int failed = !file || !data || !feof(file);
    uint8_t *exact = failed ? NULL : realloc(data, size + !size); /* reading on is to be seen */
    if (exact) {
        printf("%s\n", name);
        (void)fflush(stdout); /* it may be the last */
        (void)LLVMFuzzerTestOneInput(exact, size);
    }
    free(exact ? exact : data);
    if (file)
        (void)fclose(file);
    return exact ? 0 : -1;
}

int main(int argc, char **argv)
{
    DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
    int count = 0, failed = 0;
    for (struct dirent *at; directory && (at = readdir(directory)) != NULL;) {
        if (at->d_name[0] == '.')
            continue;
        count++;
        if (replay(argv[1], at->d_name) < 0) {
            (void)fprintf(stderr, "cannot read %s\n", at->d_name);
            failed++;
        }
    }
    if (directory)
        (void)closedir(directory);
    printf("%d files, %d failed\n", count, failed);
    return count == 0 || failed > 0;
}
