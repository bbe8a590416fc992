/* keys_registry.c - settings of the schema registry. */
#include "config/keys.h"

static const struct key registry_keys[] = {
    {
        .name = "urls",
        .type = KEY_TEXT,
        .offset = offsetof(struct config_registry, urls),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help =
            "Base URLs with commas between them, `https://a:8081,https://b:8081`: the "
            "next one is asked where one does not answer. Empty: no registry.",
    },
    {
        .name = "user",
        .type = KEY_TEXT,
        .offset = offsetof(struct config_registry, user),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "User of basic authentication.",
    },
    {
        .name = "password",
        .type = KEY_SECRET,
        .offset = offsetof(struct config_registry, password),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "The user's password. It is never shown; nor is `token`.",
    },
    {
        .name = "token",
        .type = KEY_SECRET,
        .offset = offsetof(struct config_registry, token),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "A bearer token, instead of a user.",
    },
    {
        .name = "ca_file",
        .type = KEY_PATH,
        .offset = offsetof(struct config_registry, ca_file),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "Certificates (PEM) that the registry's is checked with. Empty: the "
                "system's.",
    },
    {
        .name = "certificate_file",
        .type = KEY_PATH,
        .offset = offsetof(struct config_registry, certificate_file),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "The worker's own certificate (PEM), for a registry that asks for one.",
    },
    {
        .name = "key_file",
        .type = KEY_PATH,
        .offset = offsetof(struct config_registry, key_file),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "The certificate's key (PEM).",
    },
    {
        .name = "key_password",
        .type = KEY_SECRET,
        .offset = offsetof(struct config_registry, key_password),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "The key's password. It is never shown.",
    },
    {
        .name = "timeout_ms",
        .type = KEY_INT,
        .offset = offsetof(struct config_registry, timeout_ms),
        .min = 100,
        .max = 300000,
        .fallback = "10000",
        .help = "How long one request may take.",
    },
};

const struct section registry_section = {
    .name = "registry",
    .kind = SECTION_GROUP,
    .offset = offsetof(struct config, registry),
    KEYS(registry_keys),
    .help = "The schema registry of records in Confluent's wire format.",
};
