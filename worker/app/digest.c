/* digest.c - see digest.h. */
#include "app/digest.h"

#include <errno.h>
#include <openssl/evp.h> /* the Makefile says why it is there already */
#include <stdio.h>

enum { CHUNK_SIZE = 1 << 14 };

static enum status read_all(const char *path, FILE *file, EVP_MD_CTX *context,
                            struct error *err) {
    unsigned char chunk[CHUNK_SIZE];
    size_t size;
    while ((size = fread(chunk, 1, sizeof(chunk), file)) > 0) {
        if (EVP_DigestUpdate(context, chunk, size) != 1) {
            return error_set(err, STATUS_NO_MEMORY, "no memory to digest %s", path);
        }
    }
    return ferror(file) != 0 ? error_set(err, STATUS_INVALID, "cannot read %s: %s", path,
                                         strerror(errno))
                             : STATUS_OK;
}

enum status digest_file(const char *path, uint8_t digest[DIGEST_SIZE],
                        struct error *err) {
    FILE *file = fopen(path, "re");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    enum status status = STATUS_OK;
    if (file == NULL) {
        status =
            error_set(err, STATUS_INVALID, "cannot read %s: %s", path, strerror(errno));
    } else if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        status = error_set(err, STATUS_NO_MEMORY, "no memory to digest %s", path);
    } else {
        status = read_all(path, file, context, err);
    }
    if (status == STATUS_OK && EVP_DigestFinal_ex(context, digest, NULL) != 1) {
        status = error_set(err, STATUS_NO_MEMORY, "no memory to digest %s", path);
    }
    EVP_MD_CTX_free(context);
    if (file != NULL) {
        (void)fclose(file); /* it was only read */
    }
    return status;
}

void digest_text(const uint8_t digest[DIGEST_SIZE], char text[DIGEST_TEXT_SIZE]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < DIGEST_SIZE; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[2 * DIGEST_SIZE] = 0;
}
