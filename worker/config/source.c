/* source.c - opening the configuration file and what it includes.
 *
 * libconfig's scanner ends the process when it is given a folder, and waits for ever on
 * a pipe.  So every file is looked at before libconfig may open it. */
#include <errno.h>
#include <sys/stat.h>

#include "config/loader.h"

/* A path that was written in the file `from`; NULL for the first one. */
static bool path_is_usable(struct loader *loader, const char *path, const char *from) {
    const char *where = from == NULL ? path : from;
    struct stat info;
    if (stat(path, &info) != 0) {
        loader_problem(loader, "%s: cannot read '%s': %s", where, path, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        loader_problem(loader, "%s: '%s' is not a regular file", where, path);
    } else if (info.st_size > (off_t)CONFIG_FILE_SIZE_MAX) {
        loader_problem(loader, "%s: '%s' is larger than %zu bytes", where, path,
                       CONFIG_FILE_SIZE_MAX);
    } else {
        return true;
    }
    return false;
}

static const char *in_folder(struct loader *loader, const char *path) {
    bool here = strcmp(loader->folder, ".") == 0;
    return here ? loader_format(loader, "%s", path)
                : loader_format(loader, "%s/%s", loader->folder, path);
}

/* Adds a file once; it is scanned when its turn comes. */
static bool add_file(struct loader *loader, const char *path, const char *from) {
    struct config *config = &loader->box->config;
    for (size_t i = 0; i < config->file_count; i++) {
        if (strcmp(loader->files[i], path) == 0) {
            return true;
        }
    }
    if (config->file_count == CONFIG_FILES_MAX) {
        loader_problem(loader, "%s: more than %d files", path, CONFIG_FILES_MAX);
        return false;
    }
    if (!path_is_usable(loader, path, from)) {
        return false;
    }
    loader->files[config->file_count++] = path;
    return true;
}

/* Follows a line `@include "path"`; libconfig takes no other form of it. */
static bool follow_include(struct loader *loader, const char *line, const char *file) {
    static const char word[] = "@include";
    const char *end;
    line += strspn(line, " \t");
    if (strncmp(line, word, sizeof(word) - 1) != 0) {
        return true;
    }
    line += sizeof(word) - 1;
    line += strspn(line, " \t");
    end = *line == '"' ? strchr(line + 1, '"') : NULL;
    if (end == NULL) {
        return true; /* libconfig names the line as a syntax error */
    }
    line++;
    if (*line == '/') {
        loader_problem(loader,
                       "%s: @include \"%.*s\": give the path relative to the folder of "
                       "the configuration file",
                       file, (int)(end - line), line);
        return false;
    }
    return add_file(
        loader, in_folder(loader, loader_format(loader, "%.*s", (int)(end - line), line)),
        file);
}

/* The text of a file that is known to be a regular one; NULL with a problem. */
static char *read_text(struct loader *loader, const char *path) {
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    if (file == NULL) {
        loader_problem(loader, "%s: cannot read: %s", path, strerror(errno));
        return NULL;
    }
    text = arena_alloc(&loader->scratch, CONFIG_FILE_SIZE_MAX + 1, 1);
    if (text == NULL) {
        loader->no_memory = true;
    } else {
        size = fread(text, 1, CONFIG_FILE_SIZE_MAX, file);
        if (ferror(file) != 0) {
            loader_problem(loader, "%s: cannot read: %s", path, strerror(errno));
            text = NULL;
        } else if (memchr(text, 0, size) != NULL) {
            loader_problem(loader, "%s: not a text file", path);
            text = NULL;
        } else if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) {
            loader_problem(loader,
                           "%s:1: it begins with a byte order mark, which libconfig does "
                           "not take: save it as UTF-8 without one",
                           path);
            text = NULL;
        }
    }
    (void)fclose(file); /* was only read from */
    return text;
}

static bool scan_file(struct loader *loader, const char *path) {
    char *text = read_text(loader, path);
    bool fine = text != NULL;
    while (fine && text != NULL) {
        char *end = strchr(text, '\n');
        if (end != NULL) {
            *end = 0;
        }
        fine = follow_include(loader, text, path);
        text = end == NULL ? NULL : end + 1;
    }
    arena_release(&loader->scratch);
    return fine;
}

static const char *file_of(struct loader *loader, const char *name) {
    return name == NULL || strcmp(name, loader->path) == 0 ? loader->path
                                                           : in_folder(loader, name);
}

bool source_read(struct loader *loader) {
    const char *slash = strrchr(loader->path, '/');
    loader->folder = "."; /* kept for a path that names none */
    if (slash != NULL) {
        size_t size = slash == loader->path ? 1 : (size_t)(slash - loader->path);
        loader->folder = loader_format(loader, "%.*s", (int)size, loader->path);
    }
    if (!add_file(loader, loader->path, NULL)) {
        return false;
    }
    for (size_t i = 0; i < loader->box->config.file_count; i++) {
        if (!scan_file(loader, loader->files[i])) {
            return false;
        }
    }
    config_set_include_dir(&loader->tree, loader->folder);
    if (config_read_file(&loader->tree, loader->path) != CONFIG_TRUE) {
        loader_problem(
            loader, "%s:%d: %s", file_of(loader, config_error_file(&loader->tree)),
            config_error_line(&loader->tree), config_error_text(&loader->tree));
        return false;
    }
    return true;
}

const char *source_where(struct loader *loader, const config_setting_t *setting) {
    return loader_format(loader, "%s:%u",
                         file_of(loader, config_setting_source_file(setting)),
                         (unsigned)config_setting_source_line(setting));
}
