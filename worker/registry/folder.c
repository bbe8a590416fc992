/* folder.c - see folder.h. */
#include "registry/folder.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define ENDING ".avsc"

struct file {
    char *name; /* owned; without the folder */
    char *text; /* owned, until it is parsed */
    size_t size;
    struct avro_schema *schema; /* owned */
};

struct schema_folder {
    char *path; /* owned */
    struct file files[FOLDER_FILES_MAX];
    int count;
    int parsed;
};

static bool has_ending(const char *name) {
    size_t size = strlen(name);
    return size > strlen(ENDING) && strcmp(name + size - strlen(ENDING), ENDING) == 0;
}

/* ---- reading --------------------------------------------------------------------------
 */

static enum status read_file(const char *path, struct file *file, struct error *err) {
    FILE *from = fopen(path, "rb");
    size_t got;
    enum status status = STATUS_OK;
    if (from == NULL) {
        return error_set(err, STATUS_INVALID, "%s: cannot open: %s", path,
                         strerror(errno));
    }
    file->text = malloc(AVRO_TEXT_SIZE_MAX + 1);
    got = file->text == NULL ? 0 : fread(file->text, 1, AVRO_TEXT_SIZE_MAX + 1, from);
    if (file->text == NULL) {
        status = error_set(err, STATUS_NO_MEMORY, "no memory for %s", path);
    } else if (ferror(from) != 0) {
        status = error_set(err, STATUS_INVALID, "%s: cannot read", path);
    } else if (got > AVRO_TEXT_SIZE_MAX) {
        status = error_set(err, STATUS_INVALID, "%s: more than %zu bytes", path,
                           AVRO_TEXT_SIZE_MAX);
    }
    (void)fclose(from); /* it was only read */
    file->size = got;
    return status;
}

static enum status add_file(struct schema_folder *folder, const char *path,
                            const char *name, struct error *err) {
    struct file *file = &folder->files[folder->count];
    if (folder->count == FOLDER_FILES_MAX) {
        return error_set(err, STATUS_INVALID, "%s: more than %d schemas", folder->path,
                         FOLDER_FILES_MAX);
    }
    folder->count++;
    file->name = strdup(name);
    if (file->name == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %s", path);
    }
    return read_file(path, file, err);
}

static enum status read_folder(struct schema_folder *folder, struct error *err) {
    DIR *dir = opendir(folder->path);
    enum status status = STATUS_OK;
    const struct dirent *item;
    char path[4096];
    if (dir == NULL) {
        return error_set(err, STATUS_INVALID, "%s: cannot open: %s", folder->path,
                         strerror(errno));
    }
    while (status == STATUS_OK && (item = readdir(dir)) != NULL) {
        int used = snprintf(path, sizeof(path), "%s/%s", folder->path, item->d_name);
        if (!has_ending(item->d_name)) {
            continue;
        }
        status =
            used < 0 || (size_t)used >= sizeof(path)
                ? error_set(err, STATUS_INVALID, "%s: the path is too long", folder->path)
                : add_file(folder, path, item->d_name, err);
    }
    (void)closedir(dir); /* it was only read */
    return status;
}

/* ---- parsing --------------------------------------------------------------------------
 */

static const struct avro_node *find_type(void *opaque, const char *name) {
    const struct schema_folder *folder = opaque;
    const struct avro_node *node = NULL;
    for (int i = 0; node == NULL && i < folder->count; i++) {
        if (folder->files[i].schema != NULL) {
            node = avro_schema_named(folder->files[i].schema, name);
        }
    }
    return node;
}

/* Again and again, as each may need what another defines, until nothing more parses. */
static enum status parse_files(struct schema_folder *folder, struct error *err) {
    const struct avro_resolver resolver = {find_type, folder};
    const struct file *failed;
    int before;
    do {
        before = folder->parsed;
        failed = NULL;
        for (int i = 0; i < folder->count; i++) {
            struct file *file = &folder->files[i];
            struct error why;
            if (file->schema != NULL) {
                continue;
            }
            if (avro_schema_parse(span_of(file->text, file->size), &resolver,
                                  &file->schema, &why) == STATUS_OK) {
                folder->parsed++;
            } else if (failed == NULL) {
                failed = file;
                *err = why;
            }
        }
    } while (failed != NULL && folder->parsed > before);
    return failed == NULL ? STATUS_OK : error_prefix(err, "%s", failed->name);
}

enum status schema_folder_open(const char *path, struct schema_folder **out,
                               struct error *err) {
    struct schema_folder *folder = calloc(1, sizeof(*folder));
    struct stat about;
    enum status status;
    *out = NULL;
    if (folder == NULL || (folder->path = strdup(path)) == NULL) {
        free(folder);
        return error_set(err, STATUS_NO_MEMORY, "no memory for schemas");
    }
    if (stat(path, &about) != 0) {
        status = error_set(err, STATUS_INVALID, "%s: %s", path, strerror(errno));
    } else if (S_ISDIR(about.st_mode)) {
        status = read_folder(folder, err);
    } else {
        const char *slash = strrchr(path, '/');
        status = add_file(folder, path, slash == NULL ? path : slash + 1, err);
    }
    if (status == STATUS_OK) {
        status = parse_files(folder, err);
    }
    if (status != STATUS_OK) {
        schema_folder_close(folder);
        folder = NULL;
    }
    *out = folder;
    return status;
}

void schema_folder_close(struct schema_folder *folder) {
    if (folder == NULL) {
        return;
    }
    for (int i = 0; i < folder->count; i++) { /* none looks into another at its end */
        avro_schema_destroy(folder->files[i].schema);
        free(folder->files[i].name);
        free(folder->files[i].text);
    }
    free(folder->path);
    free(folder);
}

/* ---- finding --------------------------------------------------------------------------
 */

size_t schema_folder_count(const struct schema_folder *folder) {
    return (size_t)folder->count;
}

const struct avro_schema *schema_folder_at(const struct schema_folder *folder,
                                           size_t index) {
    assert(index < (size_t)folder->count);
    return folder->files[index].schema;
}

const struct avro_schema *schema_folder_find(const struct schema_folder *folder,
                                             uint64_t fingerprint) {
    for (int i = 0; i < folder->count; i++) {
        if (avro_schema_fingerprint(folder->files[i].schema) == fingerprint) {
            return folder->files[i].schema;
        }
    }
    return NULL;
}

static bool is_file(const struct file *file, const char *name) {
    size_t stem =
        has_ending(file->name) ? strlen(file->name) - strlen(ENDING) : strlen(file->name);
    return strcmp(file->name, name) == 0 ||
           (strlen(name) == stem && strncmp(file->name, name, stem) == 0);
}

const struct avro_schema *schema_folder_named(const struct schema_folder *folder,
                                              const char *name) {
    for (int i = 0; i < folder->count; i++) {
        const struct file *file = &folder->files[i];
        const char *full = avro_schema_root(file->schema)->name;
        if ((full != NULL && strcmp(full, name) == 0) || is_file(file, name)) {
            return file->schema;
        }
    }
    return NULL;
}
