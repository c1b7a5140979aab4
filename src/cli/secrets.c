#include "secrets.h"

#include <stdlib.h>
#include <string.h>

#include "otoroshictl/cli/option_table.h"

/* The length stays: the kernel shows argv and the environment as they lie in memory. */
static void overwrite(char *text)
{
    memset(text, 'x', strlen(text));
}

static void wipe_and_free(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

struct found_secret {
    int index; /* of the word that holds it */
    char *value;
};

/* The secret given by the option at `index`: behind its `=`, or in the next word. */
static bool find_secret(struct found_secret *found, enum tunnel_kind kind, int argc, char **argv,
                        int index)
{
    const struct option_row *row;
    char *word = argv[index];
    size_t length;

    if (strncmp(word, "--", 2) != 0)
        return false;
    length = strcspn(word + 2, "=");
    row = option_by_name(kind, word + 2, length);
    if (row == NULL || (row->traits & OPTION_SECRET) == 0)
        return false;
    if (word[2 + length] == '=') {
        found->index = index;
        found->value = word + 2 + length + 1;
        return true;
    }
    if (index + 1 >= argc || option_is_word(kind, argv[index + 1]))
        return false;
    found->index = index + 1;
    found->value = argv[index + 1];
    return true;
}

static bool take_words(struct secrets *secrets, enum tunnel_kind kind, int argc, char **argv)
{
    struct found_secret found;
    bool complete = true;

    secrets->words = calloc((size_t)argc + 1, sizeof(*secrets->words));
    secrets->word_count = secrets->words != NULL ? argc : 0;
    for (int i = 0; i < argc; i++) {
        char *copy;

        if (!find_secret(&found, kind, argc, argv, i))
            continue;
        copy = secrets->words != NULL ? strdup(found.value) : NULL;
        if (copy != NULL)
            secrets->words[found.index] = copy;
        else
            complete = false;
        overwrite(found.value);
        i = found.index;
    }
    return complete;
}

static bool take_environment(struct secrets *secrets)
{
    bool complete = true;

    for (size_t i = 0; i < option_table_count; i++) {
        struct option_label label;
        const char *name = option_environment(&label, &option_table[i]);
        char *value = getenv(name);

        if (value == NULL || (option_table[i].traits & OPTION_SECRET) == 0)
            continue;
        secrets->environment[i] = strdup(value);
        complete = complete && secrets->environment[i] != NULL;
        overwrite(value);
        unsetenv(name);
    }
    return complete;
}

bool secrets_take(struct secrets *secrets, enum tunnel_kind kind, int argc, char **argv)
{
    bool words_taken;
    bool environment_taken;

    memset(secrets, 0, sizeof(*secrets));
    words_taken = take_words(secrets, kind, argc, argv);
    environment_taken = take_environment(secrets);
    return words_taken && environment_taken;
}

void secrets_free(struct secrets *secrets)
{
    for (int i = 0; i < secrets->word_count; i++)
        wipe_and_free(secrets->words[i]);
    free(secrets->words);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        wipe_and_free(secrets->environment[i]);
    memset(secrets, 0, sizeof(*secrets));
}
