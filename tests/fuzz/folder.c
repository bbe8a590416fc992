/* folder.c - see folder.h. */
#include "tests/fuzz/folder.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"

#define SECRET_SIZE 16
#define DATA_SIZE 4096

static char root[] = "/tmp/millrace-fuzz-XXXXXX";
static char model[64];
static uint8_t secret[SECRET_SIZE];

static const char *place(const char *name) {
    static char text[128];
    (void)snprintf(text, sizeof(text), "%s/%s", root, name);
    return text;
}

/* Made in this order, removed in the other. */
static const char *const names[] = {
    "outside",        "models",          "models/below",
    "models/data",    "models/empty",    "models/below/data",
    "models/link",    "models/link_out", "models/link_far",
    "models/link_up", "models/zero",     "models/fifo"};

static void folder_remove(void) {
    for (size_t i = ARRAY_COUNT(names); i-- > 0;) {
        (void)remove(place(names[i])); /* at the process's end: nobody to tell */
    }
    (void)rmdir(root);
}

static void write_file(const char *name, const uint8_t *what, size_t each, size_t size) {
    FILE *file = fopen(place(name), "w");
    assert(file != NULL);
    for (size_t done = 0; done < size; done += each) {
        size_t written = fwrite(what, 1, each, file);
        assert(written == each);
    }
    int closed = fclose(file);
    assert(closed == 0);
}

static void link_to(const char *target, const char *name) {
    int made = symlink(target, place(name));
    assert(made == 0);
}

void folder_make(void) {
    static const uint8_t data[] = {0, 0, 128, 63, 1, 0, 0, 0}; /* 1.0f; 1 */
    char far[64];
    bool made = mkdtemp(root) != NULL &&
                getrandom(secret, sizeof(secret), 0) == (ssize_t)sizeof(secret);
    assert(made);
    (void)atexit(folder_remove);
    made = mkdir(place("models"), 0700) == 0 && mkdir(place("models/below"), 0700) == 0 &&
           mkfifo(place("models/fifo"), 0600) == 0;
    assert(made);
    write_file("outside", secret, sizeof(secret), DATA_SIZE);
    write_file("models/data", data, sizeof(data), DATA_SIZE);
    write_file("models/below/data", data, sizeof(data), DATA_SIZE);
    write_file("models/empty", data, sizeof(data), 0);
    (void)snprintf(far, sizeof(far), "%s/outside", root);
    link_to("data", "models/link");
    link_to("../outside", "models/link_out");
    link_to(far, "models/link_far");
    link_to("..", "models/link_up");
    link_to("/dev/zero", "models/zero");
    (void)snprintf(model, sizeof(model), "%s/models/model.onnx", root);
}

const char *folder_model(void) {
    return model;
}

bool folder_holds_secret(struct span bytes) {
    for (size_t i = 0; i + SECRET_SIZE <= bytes.size; i++) {
        if (bytes.data[i] == secret[0] &&
            memcmp(bytes.data + i, secret, SECRET_SIZE) == 0) {
            return true;
        }
    }
    return false;
}
